"""A controller that writes the DNS records of Kubernetes Ingresses and Services into etcd."""
