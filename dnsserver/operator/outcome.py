"""The outcome of a lookup in the words of the RFCs (RFC 1034 §4.3.2, RFC 2308, RFC 4592)."""

from dnsserver.answer.lookup import Answer
from dnsserver.wire import const
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.table import ZoneTable


def outcome(table: ZoneTable, answer: Answer, qname: Name, qtype: int) -> str:
    """Return what the answer is, as `answer`, `NXDOMAIN` or `alias, then NODATA`."""
    if answer.zone is None:
        return "REFUSED: the name is in no zone of the configuration"
    end = answer.answer[-1][1] if answer.answer else None
    links = [rrset for _, rrset in answer.answer if rrset.type == const.CNAME]
    if end is not None and (end.type == qtype or qtype == const.ANY):
        words = "answer"
        links = [link for link in links if link is not end]
    elif answer.rcode == const.SERVFAIL:
        words = "SERVFAIL: the first snapshot of etcd is still to come"
    elif answer.rcode == const.NXDOMAIN:
        words = "NXDOMAIN"
    elif answer.authority and answer.authority[0][1].type == const.NS:
        words = f"referral to the name servers of {to_text(answer.authority[0][0])}"
    elif answer.authority:
        words = _nodata(table, answer, _last(answer, qname))
    else:
        words = f"its target is not followed: {_why_not(table, answer)}"
    if links:
        words = f"alias, then {words}" if answer.authority or words == "answer" else f"alias; {words}"
    return (
        f"{words} (wildcard {to_text(answer.source)} is the source of synthesis)" if answer.source else words
    )


def _last(answer: Answer, qname: Name) -> Name:
    """Return the name at which the lookup ended."""
    return Name(answer.answer[-1][1].rdatas[0]) if answer.answer else qname


def _nodata(table: ZoneTable, answer: Answer, owner: Name) -> str:
    node = table.nodes.get(owner)
    if node and not node.records and not table.answering(owner) and owner not in node.zone.static:
        return "NODATA: an empty non-terminal, a name with nothing but names below it"
    return "NODATA: the name exists, and has no data of this type"


def _why_not(table: ZoneTable, answer: Answer) -> str:
    target = Name(answer.answer[-1][1].rdatas[0])
    if any(owner == target for owner, _ in answer.answer):
        return "the aliases make a loop"
    if table.zone_of(target) is not answer.zone:
        return f"{to_text(target)} is in another zone, where the resolver goes on"
    return "there are too many aliases"
