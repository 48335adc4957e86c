"""The registry's pure half against a dictionary that keeps etcd's promises."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsserver.skydns.entry import Entry
from dnsserver.skydns.key import prefix_of
from syncer.endpoint import Endpoint, ObjectRef, target_order
from syncer.plan import plan
from syncer.registry.inventory import take_inventory
from syncer.registry.ownership import Convention, Naming
from syncer.registry.transactions import transactions

PREFIX = prefix_of("/skydns")
ME = "default"
CONVENTION = Convention()


class Etcd:
    """Keys with revisions; a transaction is checked as the real one does."""

    def __init__(self, values=(), convention=CONVENTION, owner_id=ME):
        self.convention, self.owner_id = convention, owner_id
        self.revision = 1
        self.keys = {key: (value, 1) for key, value in dict(values).items()}
        self.leases = {}

    def copy(self):
        other = Etcd((), self.convention, self.owner_id)
        other.keys, other.revision = dict(self.keys), self.revision
        return other

    def values(self):
        return {key: value for key, (value, _) in self.keys.items()}

    def inventory(self):
        entries = [
            Entry(key, value, revision, self.leases.get(key, 0))
            for key, (value, revision) in sorted(self.keys.items())
        ]
        return take_inventory(entries, PREFIX, self.owner_id, self.convention)

    def commit(self, txn, limit):
        assert len(txn.puts) + len(txn.deletes) <= limit
        assert len(txn.expected) <= limit
        assert not txn.puts.keys() & txn.deletes, "etcd refuses a key that is given twice"
        assert txn.puts.keys() | txn.deletes <= txn.expected.keys(), "every change is guarded"
        for key, revision in txn.expected.items():
            assert self.keys.get(key, (b"", 0))[1] == revision
        self.revision += 1
        self.keys.update({key: (value, self.revision) for key, value in txn.puts.items()})
        self.leases = {key: lease for key, lease in self.leases.items() if key not in txn.puts}
        for key in txn.deletes:
            del self.keys[key]

    def planned(self, desired):
        inventory = self.inventory()
        return plan(desired, inventory.current, self.owner_id), inventory

    def sync(self, desired, limit=127, stop_after=None):
        planned, inventory = self.planned(desired)
        txns = list(transactions(planned, inventory, limit))
        for txn in txns[:stop_after]:
            self.commit(txn, limit)
        return len(txns)

    def ours(self):
        return {(r.name, r.type): r for r in self.inventory().current if r.owner_id == self.owner_id}


def holdings(inventory):
    return [holding for name in inventory.names for holding in inventory.at(name).holdings.values()]


def ownership(owner=ME, resource="ingress/default/cheese"):
    return f'"heritage=external-dns,external-dns/owner={owner},external-dns/resource={resource}"'


def json_of(**fields):
    return json.dumps(fields).encode()


DATA = {
    "A": ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
    "AAAA": ["2001:db8::1", "2001:db8::2"],
    "CNAME": ["x.test", "y.test"],
}
NAMES = ["a.test", "b.test", "a-a.test", "test", "*.test", "l" * 62 + ".test"]


@st.composite
def endpoints(draw):
    type_ = draw(st.sampled_from(sorted(DATA)))
    size = 1 if type_ == "CNAME" else 4
    targets = draw(st.lists(st.sampled_from(DATA[type_]), min_size=1, max_size=size, unique=True))
    return Endpoint(
        name=draw(st.sampled_from(NAMES)),
        type=type_,
        targets=tuple(sorted(targets, key=target_order)),
        ttl=draw(st.sampled_from([0, 60])),
        group=draw(st.sampled_from(["", "g"])),
        resource=ObjectRef("ingress", "default", draw(st.sampled_from(["cheese", "bread"]))),
    )


desires = st.lists(endpoints(), max_size=6)

texts = st.sampled_from(
    [None, "", "hello", ownership(), ownership("them"), ownership().strip('"'), "heritage=kops,owner=x"]
)


@st.composite
def stored(draw):
    """A key that somebody wrote: ExternalDNS of some age, a person, a syncer, or a broken program."""
    path = draw(
        st.sampled_from(
            ["test/a", "test/A", "test/b", "test/a-a", "test/cname-a", "test", "a-test", "test/*"]
        )
    )
    label = draw(st.sampled_from(["", "/1a2b3c4d", "/00000001", "/x1", "/ffffffff"]))
    value = draw(
        st.one_of(
            st.just(b"not json"),
            st.fixed_dictionaries(
                {},
                optional={
                    "host": st.sampled_from([d for data in DATA.values() for d in data] + ["X.test.", ""]),
                    "text": texts,
                    "ttl": st.sampled_from([0, 60]),
                    "targetstrip": st.sampled_from([0, 1, 1, 1, 9]),
                    "owner": st.sampled_from(["", "", ME, "them"]),
                    "port": st.sampled_from([0, 0, 80]),
                },
            ).map(lambda fields: json.dumps(fields).encode()),
        )
    )
    return f"/skydns/{path}{label}".encode(), value


stores = st.lists(stored(), max_size=8).map(dict)


@given(desires, stores)
def test_one_run_converges_and_the_next_changes_nothing(desired, before):
    etcd = Etcd(before)
    etcd.sync(desired)
    assert etcd.planned(desired)[0].changes == ()


@given(desires, desires, stores)
def test_what_is_not_ours_keeps_its_octets(first, second, before):
    etcd = Etcd(before)
    inventory = etcd.inventory()
    ours = {held.key for holding in holdings(inventory) for held in (*holding.hosts, *holding.texts)}
    etcd.sync(first)
    etcd.sync(second)
    after = etcd.values()
    assert all(after[key] == value for key, value in before.items() if key not in ours)


@settings(max_examples=60)
@given(desires, desires, st.integers(2, 6))
def test_a_crash_between_two_transactions_is_completed_by_the_next_run(first, second, limit):
    start = Etcd()
    start.sync(first)
    straight = start.copy()
    count = straight.sync(second, limit)
    for stop_after in range(count):
        crashed = start.copy()
        crashed.sync(second, limit, stop_after)
        crashed.sync(second, limit)
        assert crashed.values() == straight.values()


@given(desires, stores, st.integers(2, 6))
def test_after_a_crash_every_key_that_was_written_is_owned(desired, before, limit):
    start = Etcd(before)
    for stop_after in range(start.copy().sync(desired, limit)):
        crashed = start.copy()
        crashed.sync(desired, limit, stop_after)
        crashed.sync([], limit)
        assert crashed.ours() == {}
        assert crashed.values().keys() <= before.keys()


@given(desires, desires)
def test_the_keys_depend_on_what_is_desired_and_not_on_what_was(first, second):
    detour, straight = Etcd(), Etcd()
    detour.sync(first)
    detour.sync(second)
    straight.sync(second)
    # A name that two objects want stays with the one that has it.
    if len({(e.name, e.type) for e in second}) == len(second):
        assert detour.values() == straight.values()


@given(desires)
def test_what_is_written_is_read_back(desired):
    etcd = Etcd()
    planned, _ = etcd.planned(desired)
    etcd.sync(desired)
    ours = etcd.ours()
    assert ours.keys() == {(change.name, change.type) for change in planned.changes}
    for change in planned.changes:
        record = ours[change.name, change.type]
        assert (record.targets, record.ttl, record.group, record.resource, record.intact) == (
            change.after.targets,
            change.after.ttl,
            change.after.group,
            str(change.after.resource),
            True,
        )


def a(name="a.test", *targets, **more):
    ref = ObjectRef("ingress", "default", "cheese")
    return Endpoint(name=name, type="A", targets=targets or ("192.0.2.1",), resource=ref, **more)


def test_keys_and_values_are_as_external_dns_writes_them():
    etcd = Etcd()
    etcd.sync([a("foo.k8s.local", ttl=60)])
    ((host_key, host), (text_key, text)) = sorted(etcd.values().items(), reverse=True)
    assert host_key.rpartition(b"/")[0] == b"/skydns/local/k8s/foo"
    assert text_key.rpartition(b"/")[0] == b"/skydns/local/k8s/a-foo"
    assert host == b'{"host":"192.0.2.1","ttl":60,"targetstrip":1}'
    assert text == (
        b'{"text":"\\"heritage=external-dns,external-dns/owner=default,'
        b'external-dns/resource=ingress/default/cheese\\"","targetstrip":1}'
    )


def test_host_and_ownership_of_one_name_change_in_one_transaction():
    etcd = Etcd()
    desired = [a(f"n{number:03}.test") for number in range(200)]
    planned, inventory = etcd.planned(desired)
    txns = list(transactions(planned, inventory, 127))
    assert len(txns) == 4  # 63 names of two keys in each of the first three
    for txn in txns:
        names = [key.split(b"/")[3].removeprefix(b"a-") for key in txn.puts]
        assert all(names.count(name) == 2 for name in names)


def test_a_name_with_more_keys_than_fit_gets_its_ownership_first_and_loses_it_last():
    many = a("a.test", *[f"192.0.2.{number}" for number in range(200)])
    etcd = Etcd()
    planned, inventory = etcd.planned([many])
    first, second = transactions(planned, inventory, 127)
    assert any(key.startswith(b"/skydns/test/a-a/") for key in first.puts)
    etcd.sync([many])
    planned, inventory = etcd.planned([])
    *_, last = transactions(planned, inventory, 127)
    assert any(key.startswith(b"/skydns/test/a-a/") for key in last.deletes)
    assert len(second.puts) == 74


def test_an_adopted_key_keeps_its_label_and_leftovers_go():
    before = {
        b"/skydns/test/a/7b0c11aa": json_of(host="192.0.2.1", targetstrip=1),
        b"/skydns/test/a-a/11111111": json_of(text=ownership(), targetstrip=1),
        b"/skydns/test/a-a/22222222": json_of(text=ownership(), targetstrip=1),
        b"/skydns/test/a-gone/33333333": json_of(text=ownership(), targetstrip=1),
    }
    etcd = Etcd(before)
    etcd.sync([a()])
    assert sorted(etcd.values()) == [b"/skydns/test/a-a/11111111", b"/skydns/test/a/7b0c11aa"]


def test_ownership_of_every_generation_is_recognised():
    host = {"host": "192.0.2.1", "targetstrip": 1}
    generations = [
        {b"/skydns/test/a/7b0c11aa": json_of(**host, text=ownership())},
        {
            b"/skydns/test/a/7b0c11aa": json_of(**host, text=ownership()),
            b"/skydns/test/a-a/11111111": json_of(text=ownership(), targetstrip=1),
        },
        {
            b"/skydns/test/a/7b0c11aa": json_of(**host),
            b"/skydns/test/a-a/11111111": json_of(text=ownership(), targetstrip=1),
        },
        {b"/skydns/test/a/7b0c11aa": json_of(**host, owner=ME)},
    ]
    for before in generations:
        etcd = Etcd(before)
        assert etcd.ours().keys() == {("a.test", "A")}
        etcd.sync([a()])
        assert etcd.ours()["a.test", "A"].intact
        assert b"/skydns/test/a/7b0c11aa" in etcd.values()
        etcd.sync([])
        assert etcd.values() == {}


def test_keys_of_others_beside_ours_stay():
    before = {
        b"/skydns/test/a/x1": json_of(host="192.0.2.9"),  # of the name x1.a.test
        b"/skydns/test/b/7b0c11aa": json_of(host="192.0.2.9", targetstrip=1),  # no ownership
        b"/skydns/test/c/7b0c11aa": json_of(host="192.0.2.9", targetstrip=1),
        b"/skydns/test/a-c/11111111": json_of(text=ownership("them"), targetstrip=1),
        b"/skydns/test/ab/7b0c11aa": json_of(host="192.0.2.9", targetstrip=1),
    }
    etcd = Etcd(before)
    etcd.sync([a(), a("b.test"), a("c.test")])
    assert etcd.ours().keys() == {("a.test", "A")}
    etcd.sync([])
    assert etcd.values() == before


def test_a_stale_ownership_of_another_owner_does_not_stop_a_free_name():
    before = {b"/skydns/test/a-a/11111111": json_of(text=ownership("them"), targetstrip=1)}
    etcd = Etcd(before)
    etcd.sync([a()])
    assert etcd.ours()["a.test", "A"].targets == ("192.0.2.1",)
    assert etcd.planned([a()])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == before


def test_a_value_that_was_edited_by_hand_is_put_right_in_place():
    etcd = Etcd()
    etcd.sync([a()])
    right = etcd.values()
    key = next(key for key in right if b"/a/" in key)
    etcd.keys[key] = (json_of(host="192.0.2.66", targetstrip=1), 7)
    etcd.sync([a()])
    assert etcd.values() == right


TEXT = {b"/skydns/test/a-a/11111111": json_of(text=ownership(), targetstrip=1)}


@pytest.mark.parametrize(
    "hosts",
    [
        {b"a/7b0c11aa": {}, b"a/7b0c11ab": {}},
        {b"a/7b0c11aa": {}, b"a/7b0c11ab": {"host": "192.0.2.2", "ttl": 60}},
        {b"a/7b0c11aa": {}, b"a/7b0c11ab": {"host": "192.0.2.2", "group": "g"}},
        {b"a/7b0c11aa": {"host": "::ffff:192.0.2.1"}},
        {b"A/7b0c11aa": {}},
        {b"a/7b0c11aa": {"text": ownership()}},
        {b"a": {"text": ownership(), "targetstrip": 0}},
        {b"a/7b0c11aa": {"text": ownership(), "port": 80}},
    ],
)
def test_keys_of_ours_in_another_shape_are_put_right(hosts):
    base = {"host": "192.0.2.1", "targetstrip": 1}
    etcd = Etcd(TEXT | {b"/skydns/test/" + key: json_of(**(base | more)) for key, more in hosts.items()})
    targets = etcd.ours()["a.test", "A"].targets
    assert not etcd.ours()["a.test", "A"].intact
    etcd.sync([a("a.test", *targets)])
    values = [json.loads(value) for key, value in etcd.values().items() if b"/a/" in key]
    assert sorted(value["host"] for value in values) == list(targets)
    assert all(value.keys() == {"host", "targetstrip"} for value in values)
    assert len(etcd.values()) == len(targets) + 1


@pytest.mark.parametrize("key", [b"a/x1", b"a/ffffffff", b"a", b"a/7b0c11aa"], ids=lambda key: key.decode())
def test_a_key_that_no_program_would_have_written_is_not_ours(key):
    value = json_of(host="192.0.2.9", targetstrip=key.count(b"/"), port=80 * key.endswith(b"aa"))
    etcd = Etcd(TEXT | {b"/skydns/test/" + key: value})
    etcd.sync([])
    assert etcd.values() == {b"/skydns/test/" + key: value}


def test_a_key_with_a_lease_is_somebody_elses():
    etcd = Etcd(TEXT | {b"/skydns/test/a/7b0c11aa": json_of(host="192.0.2.9", targetstrip=1)})
    etcd.leases[b"/skydns/test/a/7b0c11aa"] = 7
    etcd.sync([])
    assert etcd.values().keys() == {b"/skydns/test/a/7b0c11aa"}


def test_our_own_text_under_a_lease_is_made_to_stay():
    etcd = Etcd()
    etcd.sync([a("l" * 63 + ".test")])
    ((key, _),) = etcd.values().items()
    etcd.leases[key] = 7
    etcd.sync([a("l" * 63 + ".test")])
    assert etcd.leases == {}


def test_where_two_claim_a_name_only_keys_with_our_label_are_ours():
    etcd = Etcd()
    etcd.sync([a()])
    stranger = {
        b"/skydns/test/a/7b0c11aa": json_of(host="192.0.2.9", targetstrip=1),
        b"/skydns/test/a-a/11111111": json_of(text=ownership("them"), targetstrip=1),
    }
    etcd.keys.update({key: (value, 1) for key, value in stranger.items()})
    assert etcd.ours()["a.test", "A"].targets == ("192.0.2.1",)
    etcd.sync([])
    assert etcd.values() == stranger


def test_the_owner_field_of_a_strictly_owned_key_is_kept():
    key = b"/skydns/test/a/7b0c11aa"
    etcd = Etcd({key: json_of(host="192.0.2.1", targetstrip=1, owner=ME)})
    etcd.sync([a(ttl=60)])
    assert json.loads(etcd.values()[key])["owner"] == ME
    assert etcd.planned([a(ttl=60)])[0].changes == ()


def test_a_label_that_a_stranger_has_taken_is_avoided():
    etcd = Etcd()
    etcd.sync([a()])
    taken = dict.fromkeys(etcd.values(), b"not json")
    etcd = Etcd(taken)
    etcd.sync([a()])
    assert etcd.planned([a()])[0].changes == ()
    assert etcd.ours()["a.test", "A"].targets == ("192.0.2.1",)
    etcd.sync([])
    assert etcd.values() == taken


def test_a_targetstrip_beyond_the_key_strips_nothing():
    etcd = Etcd({b"/skydns/test/a": json_of(host="192.0.2.9", targetstrip=9)})
    assert [r.name for r in etcd.inventory().current] == ["a.test"]


def test_an_upper_case_key_moves_to_lower_case():
    etcd = Etcd(
        {
            b"/skydns/test/A/7b0c11aa": json_of(host="192.0.2.1", targetstrip=1),
            b"/skydns/test/a-A/11111111": json_of(text=ownership(), targetstrip=1),
        }
    )
    etcd.sync([a()])
    assert all(key == key.lower() for key in etcd.values())
    assert len(etcd.values()) == 2


def test_a_label_too_long_for_an_ownership_name_keeps_it_in_the_record():
    etcd = Etcd()
    etcd.sync([a("l" * 63 + ".test")])
    ((_, value),) = etcd.values().items()
    assert json.loads(value)["text"] == ownership()
    etcd.sync([])
    assert etcd.values() == {}


NAMINGS = [Naming(), Naming(prefix="own."), Naming(wildcard="any")]
starry = st.dictionaries(
    st.sampled_from(
        [
            *(b"/skydns/test/*/1a2b3c4d", b"/skydns/test/any/1a2b3c4d", b"/skydns/test/a-any/1a2b3c4d"),
            *(b"/skydns/test/own/a-a/1a2b3c4d", b"/skydns/test/a/1a2b3c4d"),
        ]
    ),
    st.sampled_from(
        [json_of(host="192.0.2.1", targetstrip=1), json_of(text=ownership(), targetstrip=1), b"no json"]
    ),
)


@given(
    st.lists(st.tuples(stores | starry, st.sets(st.integers(0, 20))), max_size=4), st.sampled_from(NAMINGS)
)
def test_keys_taken_one_after_the_other_give_what_the_last_of_each_gives_at_once(happened, naming):
    convention = Convention(naming=naming)
    there, revision = {}, 0
    followed = take_inventory([], PREFIX, ME, convention)
    kept = {}
    for values, gone in happened:
        entries = [*values.items()]
        entries += [(key, None) for number, key in enumerate(sorted(there)) if number in gone]
        for key, value in entries:
            revision += 1
            there[key] = Entry(key, value, revision)
            followed.apply([there[key]])
            kept |= {name: followed.at(name) for name in followed.take_touched()}
    fresh = take_inventory([e for e in there.values() if e.value is not None], PREFIX, ME, convention)
    assert set(followed.names) == set(fresh.names)
    for name in fresh.names:
        assert followed.at(name) == fresh.at(name) == kept[name]
    assert followed.revisions() == fresh.revisions()


@given(stores, stores)
def test_a_store_that_was_restored_is_taken_as_it_is(later, restored):
    inventory = take_inventory([Entry(key, value, 9) for key, value in later.items()], PREFIX, ME)
    entries = [Entry(key, value, 3) for key, value in restored.items()]
    inventory.replace(entries)
    fresh = take_inventory(entries, PREFIX, ME)
    assert {n: inventory.at(n) for n in inventory.names} == {n: fresh.at(n) for n in fresh.names}


def test_a_record_that_comes_takes_an_ownership_from_the_star_that_shares_its_name():
    inventory = take_inventory([], PREFIX, ME, Convention(naming=Naming(wildcard="any")))
    note = json_of(text=ownership(), targetstrip=1)
    inventory.apply([Entry(b"/skydns/test/a-any/1a2b3c4d", note, 1)])
    assert set(inventory.names) == {"*.test"}
    inventory.apply([Entry(b"/skydns/test/any/1a2b3c4d", json_of(host="192.0.2.1", targetstrip=1), 2)])
    assert set(inventory.names) == {"any.test"}
