"""Two syncers and a stranger on one store, in any order, with crashes between any two writes.

The store is a dictionary that keeps etcd's promises; everything above it is the real thing.
"""

import json
from contextlib import suppress
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from dnsserver.skydns.entry import Batch, Entry, Page
from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Conflict, Fence, Fenced
from syncer.desired import Asked
from syncer.endpoint import Endpoint, ObjectRef
from syncer.observation import Observation
from syncer.reconciler import Reconciler, Settings
from syncer.registry.inventory import take_inventory
from syncer.registry.registry import Registry

PREFIX = prefix_of("/skydns")
LIMIT = 2
"""Keys in a transaction, so that a name with a few addresses takes several."""


class Crash(Exception):
    """The process is gone."""


class Etcd:
    def __init__(self, values=()):
        self.revision = 1
        self.keys = {key: (value, 1) for key, value in dict(values).items()}
        self.term = 0
        self.fuse = None
        """After how many commits the process crashes, and whether the last is carried out."""
        self.seen = lambda: None
        """Called after each commit."""
        self.events = []

    def values(self):
        return {key: value for key, (value, _) in self.keys.items()}

    def pages(self, prefix, *, keys_only=False):
        entries = [Entry(key, value, revision) for key, (value, revision) in sorted(self.keys.items())]
        yield Page(entries, self.revision, 1)

    def commit(self, *, puts, deletes, expected, fence):
        assert len(puts) + len(deletes) <= LIMIT
        assert puts.keys() | set(deletes) <= expected.keys(), "every change is guarded"
        is_last = self.fuse is not None and self.fuse[0] == 0
        if is_last and not self.fuse[1]:
            raise Crash
        if fence is None or fence.created != self.term:
            raise Fenced
        if any(self.keys.get(key, (b"", 0))[1] != revision for key, revision in expected.items()):
            raise Conflict
        self.put(puts, deletes)
        self.seen()
        if is_last:
            raise Crash
        if self.fuse is not None:
            self.fuse = (self.fuse[0] - 1, self.fuse[1])
        return self.revision

    def put(self, puts, deletes=()):
        self.revision += 1
        self.keys.update({key: (value, self.revision) for key, value in puts.items()})
        self.events += [Entry(key, value, self.revision) for key, value in puts.items()]
        for key in deletes:
            if self.keys.pop(key, None) is not None:
                self.events.append(Entry(key, None, self.revision))

    def elect(self):
        self.revision += 1
        self.term = self.revision


class Feed:
    is_broken = False

    def __init__(self, etcd):
        self._etcd, self._at = etcd, len(etcd.events)

    def drain(self):
        news = self._etcd.events[self._at :]
        self._at = len(self._etcd.events)
        return [Batch([entry], entry.revision) for entry in news]

    def close(self):
        pass


class Syncer:
    """A process: what it knows is gone when it crashes."""

    def __init__(self, etcd):
        self._etcd, self.fence = etcd, None
        self.restart()

    def restart(self):
        follow = lambda revision, news, changed: Feed(self._etcd)  # noqa: E731
        self._registry = Registry(self._etcd, PREFIX, "me", follow=follow)
        self._reconciler = Reconciler(self._registry, Settings(max_delete_share=1.0))
        self._wanted, self._begun = {}, None

    def lead(self):
        self._etcd.elect()
        self.fence = Fence(b"/syncer/leader", self._etcd.term)

    def begin(self, wanted):
        """Look and read; what comes before `finish` happens behind its back."""
        before, self._wanted = self._wanted, dict(wanted)
        changed = {at for at in before.keys() | wanted.keys() if before.get(at) != wanted.get(at)}
        self._reconciler.question(name for name, _ in changed)
        self._begun = self._registry.read()

    def finish(self):
        with suppress(Conflict, Fenced):
            self.commit()

    def commit(self):
        if self._begun is None:
            return
        wanted, begun, self._begun = self._wanted, self._begun, None
        live = {name for name, _ in wanted} & self._served()
        self._etcd.seen = lambda: self._demand(live)
        observation = Observation(
            at=lambda name: Asked(tuple(e for e in wanted.values() if e.name == name)),
            kinds=frozenset({"ingress"}),
        )
        try:
            with patch.object(self._registry, "read", lambda: begun):
                self._reconciler.run(observation, 0.0, self.fence)
        except Crash:
            self.restart()
        finally:
            self._etcd.fuse, self._etcd.seen = None, lambda: None

    def _served(self):
        entries = next(self._etcd.pages(PREFIX)).entries
        records = take_inventory(entries, PREFIX, "me").current
        return {record.name for record in records if record.owner_id == "me" and record.targets}

    def _demand(self, live):
        assert live <= self._served(), "a name that is wanted was there and is gone"


DATA = {"A": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "AAAA": ["2001:db8::1"], "CNAME": ["x.test"]}
NAMES = ["a.test", "l" * 62 + ".test"]
STRANGERS = [b"/skydns/test/s/%08x" % number for number in range(4)]
who = st.integers(0, 1)


@st.composite
def objects(draw):
    type_ = draw(st.sampled_from(["A", "A", "A", "AAAA", "CNAME"]))
    targets = draw(st.lists(st.sampled_from(DATA[type_]), min_size=1, unique=True))
    name = draw(st.sampled_from(NAMES))
    return Endpoint(
        name=name,
        type=type_,
        targets=tuple(sorted(targets)),
        ttl=draw(st.sampled_from([0, 60])),
        resource=ObjectRef("ingress", "default", f"{type_.lower()}-{NAMES.index(name)}"),
    )


steps = st.lists(
    st.one_of(
        *[st.tuples(st.just("want"), objects())] * 3,
        st.tuples(st.just("drop"), st.sampled_from(NAMES), st.sampled_from(sorted(DATA))),
        st.tuples(st.just("lead"), who),
        st.tuples(st.just("begin"), who),
        st.tuples(st.just("finish"), who),
        *[st.tuples(st.just("run"), who)] * 2,
        st.tuples(st.just("crash"), who, st.integers(0, 4), st.booleans()),
        st.tuples(st.just("restart"), who),
        st.tuples(st.just("stranger"), st.sampled_from(STRANGERS), st.booleans()),
    ),
    min_size=10,
    max_size=40,
)

foreign = st.dictionaries(
    st.sampled_from([b"/skydns/test/a/x1", b"/skydns/test/b", b"/skydns/test/a-a/1a2b3c4d", b"/skydns/no"]),
    st.sampled_from(
        [
            b"not json",
            b'{"host":"192.0.2.99"}',
            b'{"text":"hello","targetstrip":1}',
            b'{"text":"heritage=external-dns,external-dns/owner=them","targetstrip":1}',
        ]
    ),
)


class World:
    def __init__(self, before):
        self.etcd, self.foreign = Etcd(before), dict(before)
        self.syncers = [Syncer(self.etcd), Syncer(self.etcd)]
        self.syncers[0].lead()
        self.wanted = {}

    def take(self, step, *arguments):
        match step, arguments:
            case "want", (wanted,):
                self.wanted[wanted.name, wanted.type] = wanted
            case "drop", (name, type_):
                self.wanted.pop((name, type_), None)
            case "stranger", (key, is_there):
                value = json.dumps({"host": "192.0.2.77", "port": self.etcd.revision}).encode()
                self.foreign.pop(key, None)
                self.foreign |= {key: value} if is_there else {}
                self.etcd.put({key: value} if is_there else {}, [key])
                self.etcd.put({key: value} if is_there else {})
            case _, (number, *how):
                self._command(step, self.syncers[number], how)

    def _command(self, step, syncer, how):
        match step:
            case "lead":
                syncer.lead()
            case "begin":
                syncer.begin(self.wanted)
            case "finish":
                syncer.finish()
            case "restart":
                syncer.restart()
            case "run" | "crash":
                syncer.begin(self.wanted)
                self.etcd.fuse = tuple(how) or None
                syncer.finish()

    def settle(self):
        self.syncers[0].lead()
        self.syncers[0].begin(self.wanted)
        self.syncers[0].commit()


@settings(max_examples=400)
@given(foreign, steps)
def test_whatever_happens_the_end_is_that_of_a_fresh_sync_and_strangers_keys_are_untouched(before, happened):
    with patch("syncer.registry.registry.MAX_OPERATIONS", LIMIT):
        world = World(before)
        for step in happened:
            world.take(*step)
            assert world.foreign.items() <= world.etcd.values().items()
        world.settle()
        fresh = World(world.foreign)
        fresh.wanted = world.wanted
        fresh.settle()
        assert world.etcd.values() == fresh.etcd.values()


@given(st.lists(objects(), max_size=4), st.lists(objects(), min_size=1, max_size=4))
def test_a_leader_that_was_overtaken_writes_nothing(first, second):
    with patch("syncer.registry.registry.MAX_OPERATIONS", LIMIT):
        world = World({})
        world.take("lead", 0)
        for wanted in first:
            world.take("want", wanted)
        world.take("run", 0)
        for wanted in second:
            world.take("want", wanted)
        world.take("begin", 0)
        world.take("lead", 1)
        before = world.etcd.values()
        world.take("finish", 0)
        assert world.etcd.values() == before
