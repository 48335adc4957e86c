"""What an operator asks at the command line, without a running server: why, what, and where from."""
