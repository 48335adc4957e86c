"""DNS octets: names, rdata, messages. Knows RFCs and nothing of zones. Pure."""
