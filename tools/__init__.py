"""Programs around the two servers: the embedded etcd and `make run`. No part of the wheel."""
