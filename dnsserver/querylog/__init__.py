"""The query log: who asked what and got what, a line each, written off the query path."""
