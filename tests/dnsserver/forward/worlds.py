"""What upstreams may say, as dnspython writes it."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from hypothesis import strategies as st

from dnsserver.forward.question import Asked, query
from dnsserver.forward.reply import Reply, read
from dnsserver.forward.response import Limits
from dnsserver.wire import const
from dnsserver.wire.name import from_text

WHOLE = Limits(2**31 - 1, 2**31 - 1, 5)
"""No limits on what upstreams say."""

NAMES = ["www.test.", "alias.test.", "far.test.", "mail.other.test.", "test.", "other.test.", "."]
SOA = "ns.test. hostmaster.test. 1 7200 1800 86400 {minimum}"

ttls = st.sampled_from([0, 1, 5, 60, 300, 86_400, 2**31 - 1])
data = st.sampled_from(
    [
        ("A", "192.0.2.1"),
        ("A", "192.0.2.2"),
        ("AAAA", "2001:db8::1"),
        ("TXT", '"one" "two"'),
        ("MX", "10 mail.other.test."),
        ("SRV", "0 0 80 www.test."),
        ("RP", "www.test. mail.other.test."),
        ("NAPTR", '1 1 "s" "x" "" www.test.'),
        ("CNAME", "www.test."),
        ("CNAME", "far.test."),
        ("DNAME", "other.test."),
        ("TYPE65280", "\\# 2 abcd"),
    ]
)
soas = st.sampled_from([0, 30, 7200]).map(lambda minimum: ("SOA", SOA.format(minimum=minimum)))


@st.composite
def rrsets(draw, kinds=data, most=6):
    return [
        dns.rrset.from_text(draw(st.sampled_from(NAMES)), draw(ttls), "IN", *draw(kinds))
        for _ in range(draw(st.integers(0, most)))
    ]


@st.composite
def questions(draw) -> Asked:
    return Asked(
        from_text(draw(st.sampled_from(NAMES))),
        draw(st.sampled_from([const.A, const.AAAA, const.TXT, const.MX, const.CNAME, const.ANY, 65280])),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def response(asked: Asked, answer=(), authority=(), additional=(), rcode=dns.rcode.NOERROR) -> bytes:
    """Return the message that answers the query with id 1."""
    message = dns.message.make_response(dns.message.from_wire(query(asked, 1, asked.name)))
    message.flags |= dns.flags.RA
    message.answer, message.authority, message.additional = list(answer), list(authority), list(additional)
    message.set_rcode(rcode)
    return message.to_wire(max_size=65_535)


@st.composite
def responses(draw) -> tuple[Asked, bytes]:
    """A question, and a message that is a response to it, whatever it says."""
    asked = draw(questions())
    authority = draw(st.one_of(st.just([]), rrsets(soas, 1), rrsets()))
    rcode = draw(st.sampled_from([dns.rcode.NOERROR, dns.rcode.NXDOMAIN]))
    return asked, response(asked, draw(rrsets()), authority, draw(rrsets()), rcode)


replies = responses().map(lambda pair: (pair[0], read(pair[1], pair[0])))
"""A question, and what is taken of a response to it."""


def records(section) -> set[tuple[bytes, int, int, bytes]]:
    """Return a section of ours as owner, type, TTL and rdata of each record."""
    return {(owner, rrset.type, rrset.ttl, rdata) for owner, rrset in section for rdata in rrset.rdatas}


def of_reply(reply: Reply) -> set[tuple[bytes, int, int, bytes]]:
    return records(reply.answer) | records(reply.authority)
