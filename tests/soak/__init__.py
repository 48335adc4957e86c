"""A dnsserver under mixed load for long, with changes and restarts all the while: `python -m tests.soak`."""
