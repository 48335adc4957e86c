import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.wire import name
from dnsserver.wire.name import FormatError, Name, NameFault

label = st.binary(min_size=1, max_size=63)
labels = st.lists(label, max_size=8).filter(lambda found: sum(map(len, found)) + len(found) + 1 <= 255)
names = labels.map(name.from_labels)


def wire(*lengths: int) -> bytes:
    return b"".join(bytes((length,)) + b"a" * length for length in lengths) + b"\0"


@given(names)
def test_text_and_back_is_the_same_name(owner):
    assert name.from_text(name.to_text(owner)) == owner


@given(names)
def test_text_is_plain_ascii_that_dnspython_reads_the_same(owner):
    text = name.to_text(owner)
    assert text.isascii()
    assert text.isprintable()
    assert dns.name.from_text(text).to_wire() == owner


@given(labels)
def test_labels_and_back_are_the_same_in_lower_case(found):
    assert name.labels_of(name.from_labels(found)) == tuple(part.lower() for part in found)


@given(names, names)
def test_a_name_is_within_its_ancestors_and_no_other(one, other):
    above = {one, *name.ancestors(one)}
    assert name.is_within(one, other) == (other in above)
    assert all(name.is_within(one, ancestor) for ancestor in above)


@given(names, st.binary(max_size=20))
def test_the_end_of_a_name_is_where_the_rest_begins(owner, rest):
    assert name.end_of_name(owner + rest, 0) == len(owner)
    assert name.end_of_name(rest + owner, len(rest)) == len(rest) + len(owner)


@given(st.binary(max_size=300))
def test_octets_are_a_name_or_a_format_error(octets):
    try:
        end = name.end_of_name(octets, 0)
    except FormatError:
        with pytest.raises((AssertionError, IndexError)):
            without_pointers(octets)
        return
    assert without_pointers(octets) == name.labels_of(octets[:end])


def without_pointers(octets: bytes) -> tuple[bytes, ...]:
    """Read a name as RFC 1035 §3.1 says it, one octet after the other."""
    found, at = [], 0
    while octets[at] != 0:
        assert octets[at] < 64
        found.append(octets[at + 1 : at + 1 + octets[at]])
        assert len(found[-1]) == octets[at]
        at += 1 + octets[at]
    assert at + 1 <= 255
    return tuple(found)


@pytest.mark.parametrize("octets", [wire(63), wire(63, 63, 63, 61), wire(*[1] * 127), b"\0"])
def test_a_name_at_the_limit_has_an_end(octets):
    assert name.end_of_name(octets, 0) == len(octets)


@pytest.mark.parametrize(
    "octets",
    [
        wire(64),
        wire(63, 63, 63, 62),
        wire(*[1] * 128),
        b"\xc0\x0c",
        b"\3abc\xc0\x0c",
        b"\x41a\0",
        b"\x80a\0",
        b"\3ab",
        b"\3abc",
        b"",
    ],
)
def test_a_name_past_a_limit_is_a_format_error(octets):
    with pytest.raises(FormatError):
        name.end_of_name(octets, 0)


@pytest.mark.parametrize(
    "found", [(b"a" * 63,), (b"a" * 63, b"a" * 63, b"a" * 63, b"a" * 61), (b"a",) * 127, ()]
)
def test_labels_at_the_limit_are_a_name(found):
    assert len(name.from_labels(found)) <= 255


@pytest.mark.parametrize(
    "found",
    [(b"a" * 64,), (b"",), (b"a", b"", b"b"), (b"a" * 63, b"a" * 63, b"a" * 63, b"a" * 62), (b"a",) * 128],
)
def test_labels_past_a_limit_are_no_name(found):
    with pytest.raises(NameFault):
        name.from_labels(found)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (".", b"\0"),
        ("@", b"\1o\0"),
        ("a", b"\1a\1o\0"),
        ("a.", b"\1a\0"),
        ("A.B.", b"\1a\1b\0"),
        (r"a\.b.", b"\3a.b\0"),
        (r"\097.", b"\1a\0"),
        (r"\065.", b"\1a\0"),
        (r"\000\255.", b"\2\0\xff\0"),
        (r"a\\b.", b"\3a\\b\0"),
        (r"\@", b"\1@\1o\0"),
        ("ü.", b"\2\xc3\xbc\0"),
        ("a..b\\.".replace("..", "."), b"\1a\2b.\1o\0"),
        ("a" * 63 + ".", b"\x3f" + b"a" * 63 + b"\0"),
        ("*.a.", b"\1*\1a\0"),
    ],
)
def test_text_is_read_as_in_a_zone_file(text, octets):
    assert name.from_text(text, Name(b"\1o\0")) == octets


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        ".a",
        "a..b",
        "a..",
        "\\",
        "a\\",
        r"\25",
        r"\256.",
        r"\2a5",
        "a" * 64,
        ".".join(["a" * 63] * 4),
    ],
)
def test_text_that_is_no_name_is_a_fault(text):
    with pytest.raises(NameFault):
        name.from_text(text)


@pytest.mark.parametrize("text", ["\u212a.", "\uff4b.", "ß.", "a\u3002b.", "\u00ad."])
def test_no_unicode_becomes_an_ascii_letter(text):
    assert name.from_text(text) == bytes((len(text[:-1].encode()),)) + text[:-1].encode() + b"\0"


@pytest.mark.parametrize(
    ("one", "other", "within"),
    [
        ("k8s.local.", "k8s.local.", True),
        ("a.k8s.local.", "k8s.local.", True),
        ("xk8s.local.", "k8s.local.", False),
        (r"a\.k8s.local.", "k8s.local.", False),
        ("local.", "k8s.local.", False),
        ("k8s.local.", ".", True),
        (r"\003k8s\005local.", "k8s.local.", False),
    ],
)
def test_within_goes_by_labels(one, other, within):
    assert name.is_within(name.from_text(one), name.from_text(other)) is within


def test_ancestors_end_with_the_root():
    assert list(name.ancestors(name.from_text("a.b."))) == [b"\1b\0", b"\0"]
    assert list(name.ancestors(name.ROOT)) == []
