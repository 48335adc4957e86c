import ipaddress

from hypothesis import event, given
from hypothesis import strategies as st

from dnsserver.limits.networks import MAX_CACHED, first_list


@st.composite
def networks(draw):
    version = draw(st.sampled_from([4, 6]))
    bits = 32 if version == 4 else 128
    length = draw(st.integers(0, bits))
    # Few top bits, so that networks lie within each other.
    address = draw(st.integers(0, 3)) << (bits - 2) | draw(st.integers(0, 3))
    return ipaddress.ip_network((address, length) if version == 4 else (address.to_bytes(16), length), False)


@given(st.lists(st.lists(networks(), max_size=4), max_size=4), st.data())
def test_the_first_list_that_has_an_address_is_found_as_by_walking(lists, data):
    find = first_list(lists)
    known = [network for several in lists for network in several]
    candidates = [network[index] for network in known for index in (0, -1)]
    candidates += [ipaddress.ip_address(text) for text in ("0.0.0.0", "192.0.2.1", "::", "2001:db8::1")]
    for address in data.draw(st.lists(st.sampled_from(candidates), min_size=1, max_size=5)):
        walked = next(
            (n for n, several in enumerate(lists) if any(address in network for network in several)),
            len(lists),
        )
        event(f"found: {walked < len(lists)}")
        assert find(address.packed) == walked
        assert find(address.packed) == walked, "and again, remembered"


def test_addresses_without_end_are_remembered_up_to_a_bound():
    find = first_list([[ipaddress.ip_network("10.0.0.0/8")]])
    cached = find.__closure__[[cell for cell in find.__code__.co_freevars].index("cached")].cell_contents
    for number in range(MAX_CACHED * 2 + 5):
        find(number.to_bytes(4, "big"))
        assert len(cached) <= MAX_CACHED
    assert find(bytes((10, 1, 2, 3))) == 0
    assert find(bytes((11, 1, 2, 3))) == 1
