"""The status page of a running server, as a browser and as `curl` get it."""

import struct
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.store import Store
from tests.browser import dom, picture
from tests.dnsserver.status.test_markup import Reader
from tests.programs import DnsServer, eventually
from tools.embedded_etcd import EmbeddedEtcd, free_port

ATTACK = "<script>document.title='owned'</script>"


PREFIX = "/t-status/skydns"


@pytest.fixture(scope="module")
def site(etcd: EmbeddedEtcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DnsServer, str]]:
    keys = {
        f"local/k8s/{ATTACK.replace('/', '')}": '{"host":"10.0.0.1"}',
        "local/k8s/www/1a2b3c4d": '{"host":"10.0.0.2","targetstrip":1}',
        "local/k8s/note": f'{{"text":"{ATTACK}"}}',
        f"local/k8s/bad{ATTACK}": "no json",
    }
    puts = {Key(prefix_of(PREFIX) + path.encode()): value.encode() for path, value in keys.items()}
    with closing(Store(EtcdAddress(endpoints=(etcd.endpoint,)))) as store:
        store.commit(puts=puts, deletes=(), expected={})
    directory = tmp_path_factory.mktemp("status")
    address = f"127.0.0.1:{free_port()}"
    more = ("--status-listen", address)
    with DnsServer(directory, etcd=etcd.endpoint, prefix=PREFIX, more=more) as server:
        server.wait_ready()
        yield server, f"http://{address}"


def get(url: str) -> tuple[str, dict[str, str]]:
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.read().decode(), dict(response.headers)


def test_a_browser_shows_the_tables_and_runs_nothing(site: tuple[DnsServer, str], tmp_path: Path):
    server, url = site
    assert server.rcode("www.k8s.local") == "NOERROR"
    shown = dom(f"{url}/records?q=")
    assert "<title>Records – dnsserver</title>" in shown
    read = Reader(shown)
    assert "script" not in read.tags
    assert "www.k8s.local.A30010.0.0.2" in read.text
    assert f'"{ATTACK}"' in read.text
    picture(url, file := tmp_path / "status.png", width=900, height=700, dark=True)
    octets = file.read_bytes()
    assert octets.startswith(b"\x89PNG")
    assert struct.unpack(">II", octets[16:24]) == (900, 700)


def test_the_first_page_has_the_rates_the_rejects_and_the_state_of_etcd(site: tuple[DnsServer, str]):
    server, url = site
    server.rcode("nothing.k8s.local")
    eventually(lambda: "polygon" in Reader(get(url)[0]).tags, 10, "two samples")
    body, headers = get(url)
    text = Reader(body).text
    assert "etcdconnected" in text
    assert f"bad{ATTACK}json" in text
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_change_in_etcd_shows_with_its_time(site: tuple[DnsServer, str], store: Store):
    _, url = site
    key = Key(prefix_of(PREFIX) + b"local/k8s/new")
    store.commit(puts={key: b'{"host":"10.0.0.9"}'}, deletes=(), expected={})
    eventually(lambda: "10.0.0.9" in get(f"{url}/records?q=new.k8s.local")[0], 5)
    (line,) = (line for line in get(f"{url}/records?q=new.k8s.local")[0].split("<tr>") if "10.0.0.9" in line)
    assert "start or before" not in line


def test_other_paths_are_not_there_and_nothing_can_be_posted(site: tuple[DnsServer, str]):
    _, url = site
    for path, data, code in (("/metrics", None, 404), ("/records/x", None, 404), ("/", b"x=1", 405)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}{path}", data=data, timeout=5)
        assert caught.value.code == code
