"""SkyDNS records in etcd: values, keys, and the client that reads and writes them.

A leaf, shared with `syncer`: imports nothing else of this project, so both halves read and write one format.
"""
