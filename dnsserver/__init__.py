"""An authoritative DNS server that answers from memory and is fed by an etcd watch."""
