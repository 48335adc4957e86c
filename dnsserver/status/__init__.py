"""The status page: what is served, where it comes from, and how it goes. Read-only HTML without assets."""
