import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.ownership import Ownership, parse_text, text_of
from syncer.registry.ownership import (
    TYPES,
    Naming,
    is_affix,
    is_label,
    is_owner_id,
    label_of,
)

owner_ids = st.from_regex(r"[A-Za-z0-9_.:/@-]{1,20}", fullmatch=True)
resources = st.from_regex(r"(ingress|service)/[a-z0-9-]{1,9}/[a-z0-9.-]{1,9}", fullmatch=True)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?(\.[a-z]{1,5}){0,3}", fullmatch=True)


@given(owner_ids, resources)
def test_an_ownership_reads_back_from_its_text(owner_id, resource):
    assert is_owner_id(owner_id)
    assert parse_text(text_of(Ownership(owner_id, resource))) == (owner_id, resource)


@given(names, st.sampled_from(TYPES))
def test_a_name_reads_back_from_the_name_of_its_ownership(name, type_):
    at = Naming().name_of_ownership(name, type_)
    assert at is None or list(Naming().names_owned(at)) == [(name, type_, True)]


NAMINGS = [
    Naming(prefix="txt-"),
    Naming(prefix="_edns."),
    Naming(prefix="%{record_type}-x-"),
    Naming(prefix="%{record_type}."),
    Naming(suffix="-txt"),
    Naming(suffix="-%{record_type}.own"),
    Naming(prefix="_o.", wildcard="any"),
]


@given(names, st.sampled_from(TYPES), st.sampled_from(NAMINGS))
def test_a_name_reads_back_with_every_prefix_and_suffix(name, type_, naming):
    at = naming.name_of_ownership(name, type_)
    assert at is None or (name, type_, True) in naming.names_owned(at)


@pytest.mark.parametrize(
    ("naming", "at"),
    [
        (Naming(prefix="_edns."), "_edns.cname-foo.k8s.local"),
        (Naming(prefix="txt-"), "txt-cname-foo.k8s.local"),
        (Naming(prefix="%{record_type}-own-"), "cname-own-foo.k8s.local"),
        (Naming(suffix="-own"), "cname-foo-own.k8s.local"),
        (Naming(suffix="-%{record_type}"), "foo-cname.k8s.local"),
    ],
)
def test_an_ownership_stands_at_the_name_that_external_dns_gives_it_with_an_affix(naming, at):
    assert naming.name_of_ownership("foo.k8s.local", "CNAME") == at
    assert list(naming.names_owned(at)) == [("foo.k8s.local", "CNAME", True)]


def test_a_star_is_replaced_where_that_is_asked_for():
    naming = Naming(wildcard="any")
    assert naming.name_of_ownership("*.k8s.local", "A") == "a-any.k8s.local"
    assert list(naming.names_owned("a-any.k8s.local")) == [
        ("*.k8s.local", "A", True),
        ("any.k8s.local", "A", True),
    ]


def test_a_text_from_before_there_was_a_prefix_is_still_about_its_name():
    assert list(Naming(prefix="_edns.").names_owned("a-foo.test")) == [("foo.test", "A", True)]


def test_an_ownership_that_no_key_could_hold_has_no_name():
    name = ".".join(["l" * 60] * 3 + ["l" * 50])
    assert Naming().name_of_ownership(name, "A") is not None
    assert Naming(prefix="_own.").name_of_ownership(name, "CNAME") is None


@pytest.mark.parametrize("text", ["a/b", "A.", "a b", "%{type}", 'a"'])
def test_an_affix_that_no_name_can_have_is_refused(text):
    assert not is_affix(text)


@given(names, st.sampled_from(TYPES), st.text(max_size=20), st.integers(0, 3))
def test_a_label_is_eight_hex_digits_below_two_to_the_31st(name, type_, data, salt):
    label = label_of(name, type_, data, salt)
    assert is_label(label.encode())
    assert label == label_of(name, type_, data, salt)
    assert label != label_of(name, type_, data, salt + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heritage=external-dns,external-dns/owner=c1", Ownership("c1", "")),
        (
            '"heritage=external-dns,external-dns/owner=c1,external-dns/resource=ingress/a/b"',
            Ownership("c1", "ingress/a/b"),
        ),
        ("heritage=external-dns", None),
        ("heritage=other,external-dns/owner=c1", None),
        ("hello", None),
        ("", None),
    ],
)
def test_texts_of_others_are_read_as_they_stand(text, expected):
    assert parse_text(text) == expected


@pytest.mark.parametrize(
    ("name", "type_", "at"),
    [
        ("foo.k8s.local", "A", "a-foo.k8s.local"),
        ("foo.k8s.local", "AAAA", "aaaa-foo.k8s.local"),
        ("foo.k8s.local", "CNAME", "cname-foo.k8s.local"),
        ("*.k8s.local", "A", "a-*.k8s.local"),
        ("k8s.local", "A", "a-k8s.local"),
        ("l" * 61 + ".test", "A", "a-" + "l" * 61 + ".test"),
        ("l" * 62 + ".test", "A", None),
    ],
)
def test_an_ownership_stands_at_the_name_that_external_dns_gives_it(name, type_, at):
    assert Naming().name_of_ownership(name, type_) == at


def test_a_text_without_a_type_is_about_any_type_but_aaaa():
    assert list(Naming().names_owned("foo.test")) == [("foo.test", "A", False), ("foo.test", "CNAME", False)]


@pytest.mark.parametrize("text", ["", "a,b", 'a"b', "a b", "a\nb", "x" * 201])
def test_an_owner_id_that_would_not_survive_in_a_text_is_refused(text):
    assert not is_owner_id(text)
