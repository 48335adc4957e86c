"""Zones to secondaries: AXFR, IXFR, NOTIFY, and TSIG on these and on ordinary queries.

Messages here come from configured peers or carry a TSIG, so they are off the query path and dnspython may
read them.
"""
