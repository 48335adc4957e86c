"""Several processes that serve as one: a parent that owns the sockets and speaks for them, and workers."""
