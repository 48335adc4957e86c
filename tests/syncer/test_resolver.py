import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from syncer.endpoint import ObjectRef
from syncer.observation import Observer
from syncer.resolver import Resolver, system_addresses
from syncer.source.filters import Options
from syncer.source.objects import Service
from syncer.world import World
from tests.syncer.test_observation import Cache

ANNOTATION = {"external-dns.kubernetes.io/hostname": "a.test"}
SERVICE = Service(
    ref=ObjectRef("service", "default", "web"),
    type="LoadBalancer",
    addresses=("lb.example", "192.0.2.9"),
    annotations=ANNOTATION,
)


class Names:
    """A resolver's answers: addresses, or an error."""

    def __init__(self, **answers):
        self.answers = {host.replace("_", "."): answer for host, answer in answers.items()}

    async def __call__(self, host):
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def watching(names):
    woken = asyncio.Event()
    resolver = Resolver(woken.set, names)
    observer = Observer(Options(resolve_service_load_balancer_hostname=True))
    observer.add(World(services=Cache(SERVICE), hosts=resolver, want_host=resolver.want))
    task = asyncio.create_task(resolver.run())

    async def targets(wanted):
        async with asyncio.timeout(10):
            while True:
                asked = observer.look().at("a.test")
                if {e.type: e.targets for e in asked.endpoints} == wanted:
                    return asked
                await woken.wait()
                woken.clear()

    try:
        yield observer, targets
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_host_name_is_published_as_its_addresses_once_it_was_looked_up():
    names = Names(lb_example=("192.0.2.1", "2001:db8::1"))
    async with watching(names) as (observer, targets):
        assert observer.look().at("a.test").is_pending
        assert observer.unseen() == ["host"]
        await targets({"A": ("192.0.2.1", "192.0.2.9"), "AAAA": ("2001:db8::1",)})
        assert observer.unseen() == []


async def test_a_change_is_followed_and_a_failure_keeps_the_last_addresses(monkeypatch):
    monkeypatch.setattr("syncer.resolver.PERIOD", 0.05)
    names = Names(lb_example=("192.0.2.1",))
    async with watching(names) as (_, targets):
        await targets({"A": ("192.0.2.1", "192.0.2.9")})
        names.answers["lb.example"] = ("192.0.2.2",)
        await targets({"A": ("192.0.2.2", "192.0.2.9")})
        names.answers["lb.example"] = OSError("nobody knows")
        await asyncio.sleep(0.2)
        await targets({"A": ("192.0.2.2", "192.0.2.9")})


async def test_what_cannot_be_looked_up_is_left_out():
    async with watching(Names(lb_example=OSError("no such host"))) as (_, targets):
        await targets({"A": ("192.0.2.9",)})


async def test_the_system_is_asked():
    assert "127.0.0.1" in await system_addresses("localhost")
    with pytest.raises(OSError, match=r".+"):
        await system_addresses("no-such-host.invalid")
