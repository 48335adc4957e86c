"""Sources: Kubernetes objects → endpoints. Pure.

Everything in an object was written by someone else: what cannot be used is a `Rejection`, never an
exception, and costs nothing but itself.
"""
