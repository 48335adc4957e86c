"""Sockets and event loop: messages in, `respond`, messages out. Knows of DNS only framing and sizes."""
