import pytest
import yaml

from syncer.endpoint import Target
from syncer.source.crd import endpoints_of_dns_endpoints, read_dns_endpoint
from syncer.source.filters import Options
from syncer.source.records import data_of


def derive(items, **options):
    raw = {"metadata": {"name": "x"}, "spec": {"endpoints": yaml.safe_load(items)}}
    return endpoints_of_dns_endpoints([read_dns_endpoint(raw)], Options(**options))


@pytest.mark.parametrize(
    ("type_", "text", "data"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8::1", "2001:db8::1"),
        ("CNAME", "X.test.", "x.test"),
        ("PTR", "x.test.", "x.test"),
        ("MX", "010 Mail.test.", "10 mail.test"),
        ("SRV", "0 50 443 web.test.", "0 50 443 web.test"),
        ("TXT", '"v=spf1 -all"', "v=spf1 -all"),
    ],
)
def test_each_type_has_one_form_of_its_data(type_, text, data):
    assert data_of(type_, text) == data
    assert data_of(type_, data) == data


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("A", "2001:db8::1"),
        ("A", "x.test"),
        ("CNAME", "192.0.2.1"),
        ("PTR", "192.0.2.1"),
        ("MX", "mail.test"),
        ("MX", "65536 mail.test"),
        ("MX", "10 *.test"),
        ("SRV", "0 50 x web.test"),
        ("SRV", "0 50 0 web.test"),
        ("SRV", "0 50 ٣ web.test"),
        ("TXT", ""),
        ("TXT", '"heritage=external-dns,external-dns/owner=x"'),
        ("TXT", "x" * 9000),
        ("TXT", "\ud800"),
    ],
)
def test_what_is_no_data_of_its_type_is_refused(type_, text):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own text
        data_of(type_, text)


def test_one_bad_target_or_item_costs_itself_only():
    found = derive(
        """
        - {dnsName: a.test, recordType: A, recordTTL: 60, targets: [192.0.2.1, nonsense..x, 7]}
        - {dnsName: b.test, recordType: NS, targets: [ns.test]}
        - {dnsName: a..b, recordType: A, targets: [192.0.2.1]}
        - nothing
        - {dnsName: _s._tcp.test, recordType: SRV, targets: [1 2 3 x.test]}
        - {dnsName: c.test, recordType: A, recordTTL: -1, targets: [192.0.2.3],
           providerSpecific: [{name: aws/x, value: h}, {name: coredns/group, value: g}]}
        """
    )
    assert [(e.name, e.type, e.targets, e.ttl, e.group) for e in found.endpoints] == [
        ("a.test", "A", ("192.0.2.1",), 60, ""),
        ("_s._tcp.test", "SRV", ("1 2 3 x.test",), 0, ""),
        ("c.test", "A", ("192.0.2.3",), 0, "g"),
    ]
    assert len(found.rejections) == 6
    assert all(str(rejection).startswith("crd/default/x: ") for rejection in found.rejections)


def test_an_item_without_targets_takes_the_default_ones():
    item = "[{dnsName: a.test, recordType: A}]"
    assert derive(item).endpoints == ()
    assert [(name, str(ref)) for name, ref in derive(item).waiting] == [("a.test", "crd/default/x")]
    found = derive(item, default_targets=(Target("A", "192.0.2.1"), Target("CNAME", "x.test")))
    assert {(e.type, e.targets) for e in found.endpoints} == {("A", ("192.0.2.1",)), ("CNAME", ("x.test",))}
