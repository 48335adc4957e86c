from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.programs import eventually
from tests.proxy import Proxy


def test_an_etcd_that_takes_more_than_a_second_to_accept_a_connection_is_reached(etcd):
    with Proxy(etcd.port) as proxy:
        proxy.delay = 0.6
        store = Store(EtcdAddress(endpoints=(f"http://127.0.0.1:{proxy.port}",)))

        def answers():
            try:
                return store.head(Key(b"/"))
            except StoreUnavailable:
                return None

        eventually(answers, 30)
        store.close()
