"""Zones in the YAML that are files, or networks."""

import pytest

from dnsserver.config import ConfigError, load
from dnsserver.config.fields import apexes
from dnsserver.wire import name


@pytest.fixture
def file(tmp_path):
    return tmp_path / "zone.yaml"


def faults(file, text):
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    return list(raised.value.faults)


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("10.0.0.0/8", ["10.in-addr.arpa."]),
        ("192.0.2.0/24", ["2.0.192.in-addr.arpa."]),
        ("10.0.0.0/23", ["0.0.10.in-addr.arpa.", "1.0.10.in-addr.arpa."]),
        ("192.0.2.4/31", ["4.2.0.192.in-addr.arpa.", "5.2.0.192.in-addr.arpa."]),
        ("2001:db8::/32", ["8.b.d.0.1.0.0.2.ip6.arpa."]),
        ("2001:db8::/31", ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]),
    ],
)
def test_a_network_stands_for_the_reverse_zones_of_its_addresses(network, names):
    assert apexes(network) == tuple(map(name.from_text, names))


def test_a_zone_file_is_read_from_the_directory_of_the_yaml(file):
    (file.parent / "db").write_text("@ SOA ns h 9 1 2 3 4\nwww A 192.0.2.1\n")
    file.write_text("zones: [{name: k8s.local, file: db, records: [{name: x, type: A, data: 192.0.2.2}]}]")
    (zone,) = load(file).zones
    assert zone.imported
    assert [record.type for record in zone.imported.records] == [1]


def test_faults_of_a_zone_file_are_told_with_its_own_line(file):
    (file.parent / "db").write_text("www A 192.0.2.1\n\nbad A x\n")
    told = faults(file, "zones:\n  - {name: k8s.local, file: db}\n  - {name: b., file: none}\n  - {nam: c}\n")
    assert told[0].startswith(f"{file.parent / 'db'}:")
    assert "'bad A x'" in told[0]
    assert any("zones[1].file: " in line and "No such file" in line for line in told), told
    assert any("unknown key; did you mean name?" in line for line in told)


def test_records_of_the_file_and_of_the_yaml_may_not_clash(file):
    (file.parent / "db").write_text("www CNAME ns\n")
    text = "zones: [{name: k8s.local, file: db, records: [{name: www, type: A, data: 192.0.2.2}]}]"
    (told,) = faults(file, text)
    assert "zones[0].records[0]: a CNAME beside other records" in told


def test_a_file_is_for_one_zone(file):
    (file.parent / "db").write_text("")
    (told,) = faults(file, "zones: [{name: 10.0.0.0/23, file: db}]")
    assert "a file is for one zone" in told


def test_two_zones_of_one_name_are_a_fault_whatever_they_are_called(file):
    (told,) = faults(file, "zones: [{name: 10.in-addr.arpa}, {name: 10.0.0.0/8}]")
    assert "a second zone of this name" in told
