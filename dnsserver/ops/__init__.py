"""What an operator sees: logs, metrics, health. A leaf, shared with `syncer`."""
