import uuid
from collections.abc import Iterator

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.store import Store
from tests.integration.tools import pytest_runtest_makereport  # noqa: F401 - the hook works by being here
from tools.embedded_etcd import EmbeddedEtcd


@pytest.fixture(scope="session")
def etcd() -> Iterator[EmbeddedEtcd]:
    """A real etcd that all tests share; each works below its own `prefix` and leaves it running."""
    with EmbeddedEtcd() as running:
        yield running


@pytest.fixture
def own_etcd() -> Iterator[EmbeddedEtcd]:
    """A real etcd that the test may kill, pause, wipe or compact."""
    with EmbeddedEtcd() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A record prefix that no other test uses."""
    return f"/t-{uuid.uuid4().hex[:8]}/skydns"


@pytest.fixture
def store(etcd: EmbeddedEtcd) -> Iterator[Store]:
    opened = Store(EtcdAddress(endpoints=(etcd.endpoint,)))
    yield opened
    opened.close()


@pytest.fixture
def own_store(own_etcd: EmbeddedEtcd) -> Iterator[Store]:
    opened = Store(EtcdAddress(endpoints=(own_etcd.endpoint,)))
    yield opened
    opened.close()
