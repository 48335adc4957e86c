import pytest

from syncer.endpoint import Target, host_name, target, target_order


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Stilton.K8s.Local", "stilton.k8s.local"),
        ("a.test.", "a.test"),
        ("*.k8s.local", "*.k8s.local"),
        ("_tcp.a-b.test", "_tcp.a-b.test"),
        ("l" * 63 + ".test", "l" * 63 + ".test"),
        (".".join(["x" * 63] * 3) + "." + "y" * 46, ".".join(["x" * 63] * 3) + "." + "y" * 46),
    ],
)
def test_a_host_name_is_lower_case_without_the_final_dot(text, name):
    assert host_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *["", ".", "a..b", "a.test..", "-a.test", "a-.test", "a b", "a/b", "a\nb", "bücher.test"],
        *["a.*.test", "*", "1.2.3.4", "l" * 64 + ".test", ".".join(["x" * 63] * 3) + "." + "y" * 47],
    ],
)
def test_what_clients_cannot_ask_for_is_no_host_name(text):
    with pytest.raises(ValueError, match=r"."):
        host_name(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", Target("A", "192.0.2.1")),
        ("2001:DB8:0::1", Target("AAAA", "2001:db8::1")),
        ("::ffff:192.0.2.1", Target("A", "192.0.2.1")),
        ("LB.Example.net.", Target("CNAME", "lb.example.net")),
    ],
)
def test_a_target_is_canonical(text, expected):
    assert target(text) == expected


@pytest.mark.parametrize(
    "text", ["", "010.1.1.1", "1.2.3", "fe80::1%eth0", "a,b", "*.test", "[::1]", "None/32"]
)
def test_what_is_neither_address_nor_host_name_is_no_target(text):
    with pytest.raises(ValueError, match=r"."):
        target(text)


def test_targets_are_ordered_by_number_and_names_come_last():
    texts = ["b.test", "2001:db8::1", "192.0.2.10", "192.0.2.9", "a.test"]
    assert sorted(texts, key=target_order) == ["192.0.2.9", "192.0.2.10", "2001:db8::1", "a.test", "b.test"]
