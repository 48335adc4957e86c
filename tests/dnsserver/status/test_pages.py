"""The pages of a table that somebody hostile has written to."""

import asyncio
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.answer.tally import Tally
from dnsserver.status.pages import MAX_ROWS, Status, View
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.operator.test_explain import KEYS, ZONE
from tests.dnsserver.status.test_markup import Reader
from tests.dnsserver.support import change, filled

HOSTILE = {
    "local/k8s/<script>alert(1)<": '{"host":"10.0.0.1"}',
    'local/k8s/"><img src=x>': '{"host":"10.0.0.2"}',
    "local/k8s/\x1b[31m\u202e": '{"host":"10.0.0.3"}',
    "local/k8s/text": json.dumps({"text": "</td><script>alert(2)</script>'\""}),
    "local/k8s/own": json.dumps(
        {
            "host": "10.0.0.4",
            "text": "heritage=external-dns,external-dns/owner=o,"
            "external-dns/resource=<script>alert(3)</script>",
        }
    ),
}


def page(table: ZoneTable, path: str, query: str = "") -> str:
    answer = asyncio.run(Status(Tally()).page(View(table, None), path, query))
    assert answer.status == 200
    return answer.body.decode()


def test_hostile_names_and_data_are_shown_as_text():
    body = page(filled(ZONE, HOSTILE), "/records")
    read = Reader(body)
    assert not {"script", "img"} & set(read.tags)
    assert "</td><script>alert(2)</script>" in read.text
    assert "<script>alert(3)</script>" in read.text
    assert r"\x1b[31m\u202e" in read.text
    assert not {"\x1b", "\u202e"} & set(body)


@pytest.mark.parametrize(
    "query", ["q=<script>alert(1)</script>", "q=%22%3E%3Cscript%3E&zone=%3Cb%3E&from=x", "from=-1"]
)
def test_a_hostile_question_is_shown_as_text(query):
    read = Reader(page(filled(ZONE, KEYS), "/records", query))
    assert "script" not in read.tags


words = st.one_of(
    st.binary(max_size=30), st.sampled_from([b"k8s.local.", b"*", b"a..b", "²".encode(), b"-1"])
)


@given(st.sampled_from(["/", "/records"]), words, words, words, st.text(max_size=20))
def test_any_question_has_a_page(path, name, zone, start, more):
    page(filled(ZONE, KEYS), path, f"{urlencode({'q': name, 'zone': zone, 'from': start})}&{more}")


def test_a_record_has_its_type_ttl_data_object_and_source():
    table = filled(ZONE, KEYS)
    table.apply([change("local/k8s/new", '{"host":"10.9.9.9","ttl":7}')], 9, now=86_400)
    text = Reader(page(table, "/records", "q=www.k8s.local")).text
    assert "www.k8s.local.A2010.0.0.1ingress/default/wwwstart or before/skydns/local/k8s/www/1a2b3c4d" in text
    text = Reader(page(table, "/records", "q=new.k8s.local&zone=k8s.local.")).text
    assert "new.k8s.local.A710.9.9.9unknown1970-01-02 00:00:00/skydns/local/k8s/new" in text
    assert "fixed.k8s.local.A300192.0.2.1configuration" in Reader(page(table, "/records", "q=fixed")).text


def test_a_name_with_many_records_shows_some_of_them():
    keys = {f"local/k8s/many/x{n}": json.dumps({"host": f"10.0.1.{n}", "targetstrip": 1}) for n in range(100)}
    text = Reader(page(filled(ZONE, keys), "/records", "q=many.k8s.local")).text
    assert text.count("many.k8s.local.A300") == MAX_ROWS
    assert "… and more" in text


def test_a_name_that_names_below_it_answer_for_says_so():
    text = Reader(page(filled(ZONE, KEYS), "/records", "q=parent.k8s.local")).text
    assert "parent.k8s.local.data of the names below it" in text
    assert "x1.parent.k8s.local.A30010.0.0.3unknown" in text


def test_the_first_page_says_zones_state_and_that_there_is_no_etcd():
    text = Reader(page(filled(ZONE, KEYS), "/")).text
    assert "k8s.local.7300" in text
    assert "Stateready" in text
    assert "Not configured" in text


def test_it_refreshes_only_when_asked_to():
    table = filled(ZONE, KEYS)
    assert 'http-equiv="refresh" content="5"' in page(table, "/", "refresh")
    assert 'http-equiv="refresh"' not in page(table, "/")
