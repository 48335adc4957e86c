"""What is explained must be what is served: over all scenarios, and over small worlds."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.operator.explain import Explanation, explain
from dnsserver.operator.report import report
from dnsserver.operator.snapshot import Snapshot
from dnsserver.wire import const
from dnsserver.wire.message import question_of
from dnsserver.zone.table import ZoneTable
from syncer.registry.sealing import Seal
from tests.dnsserver.support import PREFIX, change, filled, parsed, responder, table_of
from tests.dnsserver.test_scenarios import CASES, Case, asked, table_in_memory
from tests.dnsserver.worlds import TYPES, absolute, paths, values, zones


def is_ordinary(case: Case) -> bool:
    """Say whether a case asks what `explain` can be asked: one question of class IN for data."""
    if "ask" not in case.body or case.transport != "tcp":
        return False
    if case.expected()["reply"].split()[0] in ("none", "FORMERR", "BADVERS", "NOTIMP"):
        return False
    question = question_of(case.query)
    return question.cls == const.IN and question.type not in (const.AXFR, const.IXFR)


ORDINARY = [case.values[0] for case in CASES if is_ordinary(case.values[0])]


def check(table: ZoneTable, query: bytes) -> Explanation:
    question = question_of(query)
    explained = explain(table, question.name, question.type)
    served = parsed(responder(table, "tcp").slow(query) or b"")
    answer = explained.answer
    assert served.rcode() == answer.rcode
    for shown, section in (
        (served.answer, answer.answer),
        (served.authority, answer.authority),
        (served.additional, answer.additional),
    ):
        found = [(rr.name.to_wire().lower(), int(rr.rdtype), rr.ttl) for rr in shown]
        expected = [(owner, rrset.type, rrset.ttl) for owner, rrset in section for _ in rrset.rdatas]
        assert found == expected
    check_steps(explained)
    return explained


def check_steps(explained: Explanation) -> None:
    """Every RR of the answer is in a step that names where it comes from; no step is made up."""
    answer = explained.answer
    steps = {step.name: step for step in explained.steps}
    for owner, rrset in answer.answer:
        step = steps[owner]
        static = step.static.get(rrset.type)
        brought = {data for each in step.candidates for kind, data in each.brings if kind == rrset.type}
        if rrset.type in (const.SOA, const.NS) and owner == (answer.zone and answer.zone.apex):
            continue
        assert set(rrset.rdatas) == (set(static.rdatas) if static else brought)
    aliases = [rrset.rdatas[0] for _, rrset in answer.answer if rrset.type == const.CNAME]
    assert [step.name for step in explained.steps[1:]] == aliases[: len(explained.steps) - 1]
    for step in explained.steps:
        for candidate in step.candidates:
            assert candidate.brings or candidate.fate, "a key without data says why"
        assert all(a.owned.key < b.owned.key for a, b in pairwise(step.candidates))


@pytest.mark.parametrize("case", ORDINARY, ids=lambda case: f"{case.file.stem}-{case.body['id']}")
def test_the_explained_answer_is_the_served_one_in_every_scenario(case: Case):
    check(table_in_memory(case.file), case.query)


@given(zones(), st.dictionaries(paths, values.map(json.dumps), max_size=8), absolute, st.sampled_from(TYPES))
def test_the_explained_answer_is_the_served_one_in_any_world(found, state, qname, qtype):
    check(filled(found, state), asked(f"{qname} {qtype}"))


ZONE = [
    {
        "name": "k8s.local",
        "records": [
            {"name": "fixed", "type": "A", "data": "192.0.2.1"},
            {"name": "fixed", "type": "TXT", "data": "static"},
            {"name": "below", "type": "NS", "data": "ns.elsewhere."},
            {"name": "alone", "type": "CNAME", "data": "fixed"},
        ],
    }
]
KEYS = {
    "local/k8s/www/1a2b3c4d": '{"host":"10.0.0.1","targetstrip":1,"ttl":20}',
    "local/k8s/www/2b3c4d5e": '{"host":"10.0.0.2","targetstrip":1}',
    "local/k8s/a-www/3c4d5e6f": json.dumps(
        {
            "text": '"heritage=external-dns,external-dns/owner=me,external-dns/resource=ingress/default/www"',
            "targetstrip": 1,
        }
    ),
    "local/k8s/parent/x1": '{"host":"10.0.0.3"}',
    "local/k8s/mixed/x1": '{"host":"10.0.0.4","targetstrip":1}',
    "local/k8s/mixed/x2": '{"host":"www.k8s.local","targetstrip":1}',
    "local/k8s/two/x1": '{"host":"www.k8s.local","targetstrip":1}',
    "local/k8s/two/x2": '{"host":"parent.k8s.local","targetstrip":1}',
    "local/k8s/grouped/x1": '{"host":"10.0.0.5","group":"g"}',
    "local/k8s/grouped/deep/x2": '{"host":"10.0.0.6","group":"h"}',
    "local/k8s/twin/a": '{"host":"10.0.0.7"}',
    "local/k8s/twin/A": '{"host":"10.0.0.8"}',
    "local/k8s/fixed": '{"host":"192.0.2.1"}',
    "local/k8s/alone": '{"host":"10.0.0.10"}',
    "local/k8s/wild/*": '{"host":"10.0.0.11"}',
    "local/k8s/empty": "{}",
    "local/k8s/loop": '{"host":"loop.k8s.local"}',
    "local/k8s/out": '{"host":"www.example.com"}',
    "local/k8s/dangling": '{"host":"nothing.k8s.local"}',
    "local/k8s/same/x1": '{"host":"10.0.0.12"}',
    "local/k8s/same/x2": '{"host":"10.0.0.12"}',
    "local/k8s/to-www": '{"host":"www.k8s.local"}',
    "local/k8s/sealed/x1": '{"host":"10.0.0.13","targetstrip":1}',
    "local/k8s/a-sealed/x1": json.dumps({"text": Seal(bytes(32)).seal("heritage=…"), "targetstrip": 1}),
}


def told(question: str, rejected: dict | None = None) -> str:
    table = filled(ZONE, KEYS)
    explained = check(table, asked(question))
    return "\n".join(report(Snapshot(table, rejected or {}, PREFIX), explained, lambda key: None))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("www.k8s.local A", "outcome   answer\n"),
        ("www.k8s.local A", "targetstrip 1: it belongs to www.k8s.local. and answers for it alone"),
        ("www.k8s.local A", "TTLs 20, 300 of A are levelled to the smallest"),
        ("www.k8s.local A", "object ingress/default/www, owner me"),
        (
            "parent.k8s.local A",
            "owner unknown: no text that says it at a-x1.parent.k8s.local., x1.parent.k8s.local.",
        ),
        (
            "sealed.k8s.local A",
            "no text that says it at a-sealed.k8s.local. (it may be encrypted), sealed.k8s.local.",
        ),
        ("www.k8s.local AAAA", "outcome   NODATA: the name exists, and has no data of this type"),
        ("nothing.k8s.local A", "outcome   NXDOMAIN\n"),
        ("parent.k8s.local A", "keys below it, without targetstrip, answer for it"),
        ("wild.k8s.local A", "NODATA: an empty non-terminal"),
        ("x.wild.k8s.local A", "answer (wildcard *.wild.k8s.local. is the source of synthesis)"),
        ("any.parent.k8s.local A", "a search: "),
        ("x.below.k8s.local A", "referral to the name servers of below.k8s.local."),
        ("x.below.k8s.local A", "configuration: 300 NS ns.elsewhere."),
        ("mixed.k8s.local A", "not served as CNAME: there are other data at the name"),
        ("two.k8s.local CNAME", "not served as CNAME: a name has one, and a key before this one is it"),
        ("grouped.k8s.local A", "of the groups that of the shallowest key counts, not 'h'"),
        ("a.twin.k8s.local A", "/skydns/local/k8s/twin/A is the same name"),
        ("fixed.k8s.local A", "the configuration has A here, and goes before etcd"),
        ("alone.k8s.local A", "the configuration has a CNAME here, which stands alone"),
        ("alone.k8s.local A", "outcome   alias, then answer"),
        ("empty.k8s.local A", "an empty record: the name exists, and has no data"),
        ("loop.k8s.local A", "the aliases make a loop"),
        ("out.k8s.local A", "www.example.com. is in another zone, where the resolver goes on"),
        ("dangling.k8s.local A", "outcome   alias, then NXDOMAIN"),
        ("to-www.k8s.local AAAA", "outcome   alias, then NODATA"),
        ("to-www.k8s.local CNAME", "outcome   answer"),
        ("same.k8s.local A", "equal A data of several keys are served once"),
        ("k8s.local SOA", "the apex: SOA and NS are made of the configuration"),
        ("example.com A", "outcome   REFUSED"),
    ],
)
def test_each_rule_is_told(question, words):
    assert words in told(question) + "\n"


def test_a_key_that_is_no_record_is_told_at_its_name_and_where_its_parent_has_nothing():
    rejected = {PREFIX + b"local/k8s/bad/x1": "json"}
    line = "  /skydns/local/k8s/bad/x1 is skipped: no record (json)"
    assert line in told("x1.bad.k8s.local A", rejected).splitlines()
    assert line in told("bad.k8s.local A", rejected).splitlines()
    assert line not in told("other.k8s.local A", rejected).splitlines()


def test_before_the_first_snapshot_servfail_is_explained():
    table = table_of([{"name": "k8s.local"}], etcd="http://127.0.0.1:1")
    assert "first snapshot" in check(table, asked("www.k8s.local A")).outcome


def test_octets_of_others_are_shown_and_not_obeyed():
    table = filled(ZONE, {"local/k8s/\x1b[31m": '{"host":"10.0.0.1"}'})
    table.apply([change("local/k8s/\x1b[31m", '{"host":"10.0.0.1"}')], 8)
    explained = explain(table, question_of(asked("\\027[31m.k8s.local A")).name, const.A)
    text = "\n".join(report(Snapshot(table, {}, PREFIX), explained, lambda key: None))
    assert r"/skydns/local/k8s/\x1b[31m" in text
    assert "\x1b" not in text
