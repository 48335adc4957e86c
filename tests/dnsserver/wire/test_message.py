import contextlib
import struct
import time

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.wire import const
from dnsserver.wire.message import extras_of, header_of, question_of
from dnsserver.wire.name import FormatError

QUESTION = b"\3www\7example\0\0\1\0\1"


def message(*records: bytes, counts: tuple[int, int, int] | None = None) -> bytes:
    return struct.pack(">HHHHHH", 1, 0, 1, *(counts or (0, 0, len(records)))) + QUESTION + b"".join(records)


def record(
    owner: bytes = b"\0", kind: int = const.A, rdata: bytes = b"", ttl: int = 0, cls: int = 1
) -> bytes:
    return owner + struct.pack(">HHIH", kind, cls, ttl, len(rdata)) + rdata


def opt(rdata: bytes = b"", owner: bytes = b"\0", ttl: int = 0, size: int = 1232) -> bytes:
    return record(owner, const.OPT, rdata, ttl, size)


def read(octets: bytes):
    header = header_of(octets)
    assert header
    return extras_of(octets, header, question_of(octets).end).edns


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_a_format_error(octets):
    header = header_of(octets)
    if header is None:
        assert len(octets) < 12 or octets[2] & 0x80
        return
    with contextlib.suppress(FormatError):
        extras_of(octets, header, question_of(octets).end)


@given(
    st.integers(0, 65_535),
    st.booleans(),
    st.lists(st.tuples(st.integers(20_000, 65_535), st.binary(max_size=20)), max_size=4),
)
def test_an_opt_of_dnspython_is_read_back(size, do, options):
    query = dns.message.make_query("www.example.", "A")
    query.use_edns(
        0, 0x8000 if do else 0, size, options=[dns.edns.GenericOption(*option) for option in options]
    )
    found = read(query.to_wire())
    assert (found.payload, found.version, found.dnssec_ok, found.options) == (size, 0, do, tuple(options))


def test_what_is_never_answered_has_no_header():
    assert header_of(b"") is None
    assert header_of(bytes(11)) is None
    assert header_of(b"\0\0\x80" + bytes(9)) is None
    assert header_of(bytes(12)) == (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("flags", "opcode"), [(0x7800, 15), (0x0800, 1), (0x07FF, 0)])
def test_the_opcode_is_four_bits(flags, opcode):
    assert header_of(struct.pack(">HHHHHH", 1, flags, 0, 0, 0, 0)).opcode == opcode


def test_the_question_is_folded_and_its_end_told():
    octets = message().replace(b"www", b"wWw")
    assert question_of(octets) == (b"\3www\7example\0", 1, 1, len(octets))


@pytest.mark.parametrize("cut", range(1, len(QUESTION) + 1))
def test_a_question_cut_anywhere_is_a_format_error(cut):
    with pytest.raises(FormatError):
        question_of(message()[:-cut])


def test_no_opt_is_none():
    assert read(message()) is None
    assert read(message(record(rdata=b"\1\2\3\4"))) is None


def test_opt_may_stand_anywhere_in_additional():
    assert read(message(opt(), record(b"\xc0\x0c"))).payload == 1232
    assert read(message(record(b"\xc0\x0c"), opt())).payload == 1232


@pytest.mark.parametrize(
    "octets",
    [
        message(opt(), opt()),
        message(opt(owner=b"\1a\0")),
        message(opt(owner=b"\xc0\x0c")),
        message(opt(), counts=(1, 0, 0)),
        message(opt(), counts=(0, 1, 0)),
        message(opt(b"\0")),
        message(opt(b"\0\1\0")),
        message(opt(b"\0\1\0\1")),
        message(opt(b"\0\1\0\0\0")),
        message(opt()[:-1]),
        message(record(rdata=b"\1")[:-1]),
        message(counts=(0, 0, 1)),
        message(counts=(65_535, 65_535, 65_535)),
        message(record(owner=b"\x40\0")),
        message(record(owner=b"\x80\0")),
        message(b"\xc0"),
        message(b"\3ab"),
    ],
)
def test_a_broken_rest_is_a_format_error(octets):
    with pytest.raises(FormatError):
        read(octets)


def test_octets_after_the_last_record_are_left_alone():
    assert read(message(opt()) + b"\xff" * 9).payload == 1232
    assert read(message() + opt()) is None


def test_pointers_of_owners_are_not_followed():
    # Each points to itself, the last beyond the message.
    loops = [record(b"\xc0" + bytes((29 + 12 * number,))) for number in range(3)]
    assert read(message(*loops, record(b"\xff\xff"), opt())).payload == 1232


def test_the_upper_bits_of_the_opt_are_version_and_do():
    assert read(message(opt(ttl=0xFF_02_80_00))) == (1232, 2, True, ())
    assert read(message(opt(ttl=0x00_00_7F_FF))) == (1232, 0, False, ())


@pytest.mark.parametrize("owner", [b"\xc0\x0c", b"\0", b"\1a" * 20 + b"\xc0\x0c"])
def test_the_largest_message_is_read_within_a_fraction_of_a_second(owner):
    one = record(owner)
    octets = message(*[one] * ((65_535 - 100) // len(one)))
    began = time.perf_counter()
    assert read(octets) is None
    assert time.perf_counter() - began < 0.5


def test_the_largest_option_list_is_read_within_a_fraction_of_a_second():
    octets = message(opt(b"\0\x64\0\0" * 16_000))
    began = time.perf_counter()
    assert len(read(octets).options) == 16_000
    assert time.perf_counter() - began < 0.5


def test_a_tsig_is_told_by_where_it_begins():
    octets = message(opt(), record(b"\3key\0", const.TSIG, b"rdata"))
    header = header_of(octets)
    extras = extras_of(octets, header, question_of(octets).end)
    assert octets[extras.tsig_at :].startswith(b"\3key\0\0\xfa")
    assert extras.edns is not None


@pytest.mark.parametrize(
    "octets",
    [
        message(record(kind=const.TSIG), opt()),
        message(record(kind=const.TSIG), record(kind=const.TSIG)),
        message(record(kind=const.TSIG), counts=(1, 0, 0)),
        message(record(kind=const.TSIG), counts=(0, 1, 0)),
    ],
)
def test_a_tsig_that_is_not_the_last_record_is_a_format_error(octets):
    with pytest.raises(FormatError):
        read(octets)
