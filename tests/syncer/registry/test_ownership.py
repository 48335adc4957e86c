import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.registry.ownership import (
    TYPES,
    Ownership,
    is_label,
    is_owner_id,
    label_of,
    name_of_ownership,
    names_owned,
    parse_text,
    text_of,
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
    at = name_of_ownership(name, type_)
    assert at is None or list(names_owned(at)) == [(name, type_)]


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
    assert name_of_ownership(name, type_) == at


def test_a_text_without_a_type_is_about_any_type_but_aaaa():
    assert list(names_owned("foo.test")) == [("foo.test", "A"), ("foo.test", "CNAME")]


@pytest.mark.parametrize("text", ["", "a,b", 'a"b', "a b", "a\nb", "x" * 201])
def test_an_owner_id_that_would_not_survive_in_a_text_is_refused(text):
    assert not is_owner_id(text)
