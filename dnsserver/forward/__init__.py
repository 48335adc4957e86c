"""Names outside our zones: asked of upstream resolvers for clients that may, and remembered.

Nothing here is reached by a question for our own zones, but for one whose CNAMEs lead out of them.
"""
