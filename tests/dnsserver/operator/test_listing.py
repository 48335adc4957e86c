"""Lists of records: the same in every form, and a zone file that other software reads."""

import json
import subprocess

import dns.rdataset
import dns.zone
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.operator.listing import as_json, as_text, as_zone_file, listed
from dnsserver.source.static import rrsets_by_name
from dnsserver.source.zonefile import parse
from dnsserver.transfer.contents import Contents
from dnsserver.wire import name
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.operator.test_explain import KEYS, ZONE
from tests.dnsserver.support import filled
from tests.dnsserver.worlds import paths, values, zones
from tests.integration.tools import need_tool

APEX = name.from_text("k8s.local.")


@given(zones(), st.dictionaries(paths, values.map(json.dumps), max_size=8))
def test_a_zone_file_read_again_is_what_the_zone_transfers(found, state):
    table = filled(found, state)
    for zone in table.zones.values():
        lines = list(as_zone_file(listed(table, zone), zone))
        again = parse("\n".join(lines) + "\n", zone.apex, 1)
        contents = Contents(table, zone)
        served = {
            owner: rrsets
            for owner, node in table.nodes.items()
            if node.zone is zone and (rrsets := contents(owner))
        }
        assert rrsets_by_name(again.records) == served
        assert again.soa == zone.soa_rrset().rdatas[0]


def test_every_form_has_the_same_records():
    table = filled(ZONE, KEYS)
    zone = table.zones[APEX]
    bare = [line.split("\t", 5) for line in as_zone_file(listed(table, zone), zone)][1:]
    text = [line.split("\t; ")[0].split("\t", 5) for line in as_text(listed(table, zone), zone)]
    found = [json.loads(line) for line in as_json(listed(table, zone), zone)]
    assert bare == text
    assert bare == [[each["name"], str(each["ttl"]), "IN", each["type"], each["data"]] for each in found]


def told(table: ZoneTable) -> dict[tuple[str, str, str], tuple[str | None, str | None]]:
    zone = table.zones[APEX]
    found = [json.loads(line) for line in as_json(listed(table, zone), zone)]
    return {(each["name"], each["type"], each["data"]): (each["key"], each["object"]) for each in found}


def test_a_record_says_its_key_and_the_object_of_the_ownership_text():
    found = told(filled(ZONE, KEYS))
    key, made_for = found["www.k8s.local.", "A", "10.0.0.1"]
    assert (key, made_for) == ("/skydns/local/k8s/www/1a2b3c4d", "ingress/default/www")
    assert found["fixed.k8s.local.", "A", "192.0.2.1"] == (None, None)
    assert found["parent.k8s.local.", "A", "10.0.0.3"] == ("/skydns/local/k8s/parent/x1", None)


def test_the_object_is_found_in_the_records_own_text_and_beside_aliases_and_services():
    note = '"heritage=external-dns,external-dns/owner=me,external-dns/resource={}"'.format
    found = told(
        filled(
            ZONE,
            {
                "local/k8s/own": json.dumps({"host": "10.0.0.1", "text": note("ingress/a/own")}),
                "local/k8s/al/11111111": '{"host":"www.example.com","targetstrip":1}',
                "local/k8s/cname-al/22222222": json.dumps({"text": note("ingress/a/al"), "targetstrip": 1}),
                "local/k8s/_http/_tcp/33333333": '{"host":"h.k8s.local","port":80,"targetstrip":1}',
                "local/k8s/_http/srv-_tcp/44444444": json.dumps({"text": note("x/y/z"), "targetstrip": 1}),
                "local/k8s/port/55555555": '{"host":"10.0.0.2","port":80,"targetstrip":1}',
                "local/k8s/a-port/66666666": json.dumps({"text": note("ingress/a/port"), "targetstrip": 1}),
                "local/k8s/" + "l" * 63: '{"host":"10.0.0.9"}',
            },
        )
    )
    assert found["own.k8s.local.", "A", "10.0.0.1"][1] == "ingress/a/own"
    assert found["al.k8s.local.", "CNAME", "www.example.com."][1] == "ingress/a/al"
    assert found["_tcp._http.k8s.local.", "SRV", "10 100 80 h.k8s.local."][1] == "x/y/z"
    assert found["port.k8s.local.", "SRV", "10 100 80 port.k8s.local."][1] == "ingress/a/port"
    assert found["l" * 63 + ".k8s.local.", "A", "10.0.0.9"][1] is None


def test_a_record_of_etcd_whose_object_no_text_says_is_listed_as_such():
    table = filled(ZONE, KEYS)
    zone = table.zones[APEX]
    lines = [line.split("\t; ")[1] for line in as_text(listed(table, zone), zone)]
    assert "/skydns/local/k8s/parent/x1 object unknown" in lines
    assert "/skydns/local/k8s/www/1a2b3c4d ingress/default/www" in lines
    assert "configuration" in lines


def test_another_name_server_reads_the_zone_file(tmp_path):
    table = filled(ZONE, KEYS)
    zone = table.zones[APEX]
    file = tmp_path / "k8s.local.zone"
    file.write_text("\n".join(as_zone_file(listed(table, zone), zone)) + "\n")
    check = [need_tool("nsd-checkzone"), "k8s.local", str(file)]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    read = dns.zone.from_file(str(file), "k8s.local.", relativize=False)
    assert sum(len(rdataset) for node in read.values() for rdataset in node) == len(told(table))
