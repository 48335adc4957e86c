"""The zones that are served, as a tree of names in memory. Changed on the event loop only. Pure."""
