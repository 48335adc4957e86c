"""Ownership: which keys in etcd are ours, and how they change, by ExternalDNS's TXT convention.

A record's owner stands in a text of its own below the name `<type>-<name>`. `ownership`, `inventory` and
`transactions` are pure; `registry` talks to etcd.
"""
