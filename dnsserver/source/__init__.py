"""Where the data of zones comes from: etcd, and the configuration."""
