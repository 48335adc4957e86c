import pytest

from syncer.endpoint import ObjectRef, Target
from syncer.source.annotations import read_wishes

REF = ObjectRef("service", "default", "nginx")
ALPHA, GA = "external-dns.alpha.kubernetes.io/", "external-dns.kubernetes.io/"


def wishes(prefix=GA, **annotations):
    return read_wishes({prefix + key.replace("_", "-"): value for key, value in annotations.items()}, REF)


def details(found):
    return [str(fault) for fault in found.faults]


def test_both_prefixes_are_read_and_the_newer_wins_key_by_key():
    found = read_wishes(
        {ALPHA + "hostname": "old.test", GA + "hostname": "new.test", ALPHA + "ttl": "60"}, REF
    )
    assert (found.hostnames, found.ttl) == (("new.test",), 60)
    assert read_wishes({ALPHA + "hostname": "old.test"}, REF, (GA,)).hostnames == ()


def test_empty_and_invalid_items_cost_themselves_only():
    found = wishes(hostname="a.test, B.test.,,a..b,a.test,")
    assert found.hostnames == ("a.test", "b.test")
    assert details(found) == [
        "service/default/nginx: annotation hostname: an empty name",
        "service/default/nginx: annotation hostname: 'a..b' is no host name: the label ''",
        "service/default/nginx: annotation hostname: an empty name",
    ]


def test_a_target_that_cannot_be_used_does_not_fall_back():
    assert wishes(target="192.0.2.1,010.1.1.1,lb.test.").targets == (
        Target("A", "192.0.2.1"),
        Target("CNAME", "lb.test"),
    )
    assert wishes(target="010.1.1.1").targets == ()
    assert wishes(target="").targets is None
    assert wishes().targets is None


@pytest.mark.parametrize(
    ("text", "ttl"),
    [("1", 1), ("90", 90), ("+60", 60), ("1m", 60), ("1h30m", 5400), ("1.5s", 1), ("2147483647", 2147483647)],
)
def test_a_ttl_is_a_duration_or_seconds(text, ttl):
    found = wishes(ttl=text)
    assert (found.ttl, found.faults) == (ttl, ())


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "500ms", "1d", "60.0", " 60", "2147483648", "9" * 30, "1_0", "٣"]
)
def test_a_ttl_out_of_range_is_ignored_with_a_reason(text):
    found = wishes(ttl=text)
    assert found.ttl == 0
    assert [fault.reason for fault in found.faults] == ["ttl"]


@pytest.mark.parametrize(("text", "ignored"), [("dns-controller", False), ("", True), ("other", True)])
def test_another_controller_makes_the_object_ignored(text, ignored):
    assert wishes(controller=text, hostname="a.test").is_ignored is ignored


@pytest.mark.parametrize(
    ("text", "access"), [("public", "public"), ("private", "private"), ("Public", ""), ("", "")]
)
def test_access_is_case_sensitive(text, access):
    assert wishes(access=text).access == access


def test_the_group_is_taken():
    assert wishes(coredns_group="g1").group == "g1"
