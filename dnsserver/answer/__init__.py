"""From the octets of a query to the octets of its response. Pure."""
