from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.key import Key
from dnsserver.zone.node import FEW, Node
from dnsserver.zone.zone import Stored
from tests.dnsserver.support import table_of

(ZONE,) = table_of([{"name": "example."}]).zones.values()

steps = st.lists(st.integers(0, FEW * 2), min_size=FEW, max_size=FEW * 8)


@given(steps)
def test_a_node_has_its_records_in_key_order_whether_few_or_many(numbers):
    node, expected = Node(ZONE), {}
    for number in numbers:
        key = Key(b"/skydns/example/%d" % number)
        assert node.find(key) == expected.get(key)
        if key in expected:
            node.remove(expected.pop(key))
        else:
            expected[key] = Stored(key, f"192.0.2.{number}", ())
            node.insert(expected[key])
        assert list(node.records) == [expected[key] for key in sorted(expected)]
