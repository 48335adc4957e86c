import ipaddress

import dns.edns
import dns.message
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnsserver.handle import nothing
from dnsserver.limits.cookies import MAX_CACHED, Cookies, judged, made
from tests.dnsserver.answer.test_respond import TABLE, check
from tests.dnsserver.support import parsed, responder, table_of
from tests.dnsserver.worlds import queries

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
ROLLED = bytes.fromhex("445536bcd2513298075a5d379663c962")
CLIENT = bytes.fromhex("2464c4abcf10c957")
ADDRESS = bytes((198, 51, 100, 100))
NOW = 1559731985


class Server:
    """A responder with cookies; `limited` says who was not freed from limits."""

    def __init__(self, *secrets: bytes, table=TABLE, transport="udp") -> None:
        self.now = NOW
        self.limited: list[bytes] = []
        self.cookies = Cookies(secrets or (SECRET,), lambda: self.now)
        served = responder(table, transport)

        def limited(message, address, port):
            self.limited.append(message)
            return served.respond(message)

        def free(message, address, port):
            return served.respond(message)

        udp = transport == "udp"
        self.handle = self.cookies.around(limited, limited, free, served.refuse, udp=udp)

    def __call__(self, octets: bytes, address: bytes = ADDRESS) -> bytes | None:
        return self.handle(octets, address, 53)


def query(*cookies: bytes, name="www.example.", kind="A", payload=1232, more=()) -> bytes:
    options = [dns.edns.GenericOption(10, cookie) for cookie in cookies]
    options = [*more, *options]
    return dns.message.make_query(name, kind, use_edns=0, payload=payload, options=options).to_wire()


def cookie_of(reply: bytes) -> bytes | None:
    """Return the cookie of a response; there is one at most."""
    found = [option for option in parsed(reply).options if option.otype == 10]
    assert len(found) <= 1
    return found[0].to_wire() if found else None


@pytest.mark.parametrize(
    ("secrets", "sent", "address", "now", "given", "verdict"),
    [
        (
            [SECRET],
            "2464c4abcf10c957",
            "198.51.100.100",
            1559731985,
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            "new",
        ),
        (
            [SECRET],
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            "198.51.100.100",
            1559734385,
            "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
            "valid",
        ),
        (
            [SECRET],
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
            "203.0.113.203",
            1559734700,
            "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
            "invalid",  # it is almost two hours old, which is over our bound
        ),
        (
            [ROLLED, OLD],
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            1559741961,
            "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
            "valid",
        ),
    ],
    ids=["A.1", "A.2", "A.3", "A.4"],
)
def test_cookies_are_those_of_rfc_9018_appendix_a(secrets, sent, address, now, given, verdict):
    server = Server(*secrets)
    server.now = now
    sent, address = bytes.fromhex(sent), ipaddress.ip_address(address).packed
    assert cookie_of(server(query(sent), address)) == bytes.fromhex(given)
    assert getattr(server.cookies, verdict) == 1
    assert len(server.limited) == (verdict != "valid")


def test_octets_that_are_reserved_are_hashed_but_do_not_matter():
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    address = ipaddress.ip_address("203.0.113.203").packed
    verdict = judged([SECRET], cookie, address, 1559727985)
    assert verdict.is_valid
    assert verdict.option[4:] == made(SECRET, cookie[:8], address, 1559727985), "a new one, with zeros"


@pytest.mark.parametrize(
    ("age", "is_valid"), [(0, True), (3600, True), (3601, False), (-300, True), (-301, False)]
)
def test_a_cookie_is_good_for_an_hour_and_five_minutes_ahead(age, is_valid):
    cookie = made(SECRET, CLIENT, ADDRESS, NOW - age)
    assert judged([SECRET], cookie, ADDRESS, NOW).is_valid == is_valid


def test_a_good_cookie_is_returned_until_it_is_half_an_hour_old():
    server = Server()
    first = cookie_of(server(query(CLIENT)))
    for later, is_same in ((1, True), (1799, True), (1800, False), (3600, False)):
        server.now = NOW + later
        assert (cookie_of(server(query(first))) == first) == is_same
    assert server.cookies.valid == 4
    server.now = NOW + 3601
    server(query(first))
    assert server.cookies.invalid == 1


@given(st.integers(0, 23), st.integers(1, 255))
def test_a_cookie_changed_anywhere_is_no_good_one(at, change):
    cookie = bytearray(made(SECRET, CLIENT, ADDRESS, NOW))
    cookie[at] ^= change
    assert not judged([SECRET, OLD], bytes(cookie), ADDRESS, NOW).is_valid


def test_a_cookie_is_good_from_its_address_alone():
    server = Server()
    cookie = cookie_of(server(query(CLIENT)))
    assert cookie_of(server(query(cookie))) == cookie
    for address in (bytes((198, 51, 100, 101)), bytes(16)):
        assert cookie_of(server(query(cookie), address)) != cookie
    assert (server.cookies.valid, server.cookies.invalid) == (1, 2)


def test_a_signed_response_is_left_as_it_is():
    response = query(payload=1232)[:10] + b"\0\2" + query()[12:] + b"\0\0\xfa\0\xff" + bytes(6)
    handle = Server().cookies.around(nothing, nothing, lambda *_: response, lambda *_: None, udp=True)
    cookie = made(SECRET, CLIENT, ADDRESS, NOW)
    assert handle(query(cookie), ADDRESS, 53) == response


def test_a_secret_that_is_replaced_twice_is_forgotten():
    server = Server(SECRET)
    cookie = cookie_of(server(query(CLIENT)))
    server.cookies.replace([OLD, SECRET])
    assert cookie_of(server(query(cookie))) == made(OLD, CLIENT, ADDRESS, NOW)
    server.cookies.replace([ROLLED, OLD])
    server(query(cookie))
    assert (server.cookies.valid, server.cookies.invalid) == (1, 1)


@pytest.mark.parametrize("size", range(45))
def test_a_cookie_of_a_length_that_none_has_is_formerr_without_one(size):
    server = Server()
    response = server(query(bytes(size)))
    is_good = size == 8 or 16 <= size <= 40
    assert response[3] & 15 == (0 if is_good else 1)
    assert parsed(response).edns == 0
    assert (cookie_of(response) is not None) == is_good
    assert server.cookies.malformed == (not is_good)


def test_of_several_cookies_the_first_counts():
    server = Server()
    assert cookie_of(server(query(CLIENT, bytes(8))))[:8] == CLIENT


def test_who_asks_for_a_cookie_alone_gets_it():
    server = Server()
    octets = b"id\1\0\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08" + CLIENT
    response = parsed(server(octets))
    assert (response.rcode(), response.question, response.answer) == (0, [], [])
    assert response.flags & 0xFFF0 == 0x8100  # QR and RD
    assert cookie_of(server(octets)) == made(SECRET, CLIENT, ADDRESS, NOW)


def test_without_cookies_a_server_returns_none():
    assert cookie_of(responder(TABLE).respond(query(CLIENT))) is None


@given(queries(), st.sampled_from(["udp", "tcp"]))
def test_a_query_without_a_cookie_is_answered_as_ever(octets, transport):
    assume(all(option.otype != dns.edns.OptionType.COOKIE for option in parsed(octets).options))
    expected = responder(TABLE, transport).respond(octets)
    assert sorted(Server(transport=transport)(octets)) == sorted(expected)


def more_options():
    unknown = st.builds(dns.edns.GenericOption, st.sampled_from([3, 8, 11, 12, 65001]), st.binary(max_size=9))
    return st.lists(unknown, max_size=2)


@given(queries(), st.sampled_from([8, 16, 24, 40]), more_options(), st.sampled_from([512, 600, 1232]))
def test_a_cookie_changes_nothing_of_an_answer_and_comes_back(octets, size, more, payload):
    asked = dns.message.from_wire(octets)
    plain = responder(TABLE)
    asked.use_edns(0, asked.ednsflags, payload, options=more)
    expected = parsed(plain.respond(asked.to_wire()))
    asked.use_edns(0, asked.ednsflags, payload, options=[*more, dns.edns.GenericOption(10, bytes(size))])
    reply = Server()(asked.to_wire())
    check(asked.to_wire(), reply)
    response = parsed(reply)
    assert cookie_of(reply)[:8] == bytes(8)
    assert [option for option in response.options if option.otype != 10] == list(expected.options)
    assert response.flags == expected.flags
    for section in ("answer", "authority", "additional"):
        found, wanted = (sorted(map(str, getattr(it, section))) for it in (response, expected))
        assert found == wanted


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_any_octets_with_something_like_a_cookie_get_a_response_or_none(name, tail):
    octets = b"id\1\0\0\1\0\0\0\0\0\1" + name + b"\0\0\1\0\1\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08" + tail
    check(octets, Server()(octets))


@pytest.mark.parametrize("size", [512, 513, 600, 1232])
def test_an_answer_that_leaves_no_room_for_its_cookie_is_cut(size):
    for length in range(size - 80, size + 1):
        text = " ".join(f'"{"t" * min(200, left)}"' for left in range(length - 70, 0, -201))
        table = table_of([{"name": "example.", "records": [{"name": "t", "type": "TXT", "data": text}]}])
        asked = query(CLIENT, name="t.example.", kind="TXT", payload=size)
        plain = responder(table).respond(query(name="t.example.", kind="TXT", payload=size))
        reply = Server(table=table)(asked)
        check(asked, reply)
        assert len(reply) <= size
        fits = not parsed(plain).flags & 0x200 and len(plain) + 28 <= size
        assert bool(parsed(reply).flags & 0x200) != fits
        assert cookie_of(reply)


def test_a_response_that_comes_later_has_its_cookie_too():
    respond = responder(TABLE).respond
    sent: list[bytes | None] = []

    def forwarded(message, address, port):
        return lambda reply: reply(respond(message)) if b"www" in message else reply(None)

    cookies = Cookies([SECRET], lambda: NOW)
    handle = cookies.around(forwarded, forwarded, forwarded, lambda *_: None, udp=True)
    for name in ("www.example.", "none.example."):
        handle(query(CLIENT, name=name), ADDRESS, 53)(sent.append)
    assert cookie_of(sent[0]) == made(SECRET, CLIENT, ADDRESS, NOW)
    assert sent[1] is None


def test_cookies_without_end_take_bounded_memory():
    server = Server()
    for number in range(MAX_CACHED + 100):
        server(query(number.to_bytes(8, "big")) if number < 3 else _QUERY + number.to_bytes(8, "big"))
        assert len(server.cookies._judged) <= MAX_CACHED
    assert server.cookies.new == MAX_CACHED + 100


_QUERY = query(bytes(8))[:-8]
