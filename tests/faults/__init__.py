"""Faults of etcd, injected for real while every answer is checked: `python -m tests.faults`."""
