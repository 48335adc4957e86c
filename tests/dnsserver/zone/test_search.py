import pytest

from dnsserver.answer.lookup import lookup
from dnsserver.wire import const, name
from dnsserver.zone.search import MAX_SEARCHED
from tests.dnsserver.support import filled

ZONES = [{"name": "example."}]


def hosts(count: int, path: str) -> dict[str, str]:
    return {f"{path}/n{n}": f'{{"host":"10.0.{n // 256}.{n % 256}"}}' for n in range(count)}


@pytest.mark.parametrize(
    ("path", "asked", "spare"), [("example/sub", "*.sub.example.", 1), ("example", "*.example.", 1)]
)
def test_a_search_looks_at_all_names_or_is_none(path, asked, spare):
    # The name that is searched below is looked at too, and each record is.
    at_most = (MAX_SEARCHED - spare) // 2
    qname = name.from_text(asked)
    found = lookup(filled(ZONES, hosts(at_most, path)), qname, const.A)
    assert found.rcode == const.NOERROR
    assert len(found.answer[0][1].rdatas) == at_most
    assert lookup(filled(ZONES, hosts(at_most + 1, path)), qname, const.A).rcode == const.NXDOMAIN
