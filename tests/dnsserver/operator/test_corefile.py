"""Corefiles of 2018 and of today: converted, checked, started, and the same questions answered."""

from contextlib import closing
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.config import load
from dnsserver.operator.corefile.convert import Conversion, convert
from dnsserver.operator.corefile.parse import CorefileError, parse
from dnsserver.operator.corefile.plugins import PLUGINS
from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.dnsserver.operator.conftest import Run
from tests.programs import Program, Resolver, eventually
from tools.embedded_etcd import EmbeddedEtcd, free_port

COREFILES = Path(__file__).parents[2] / "corefiles"


def converted(text: str, tmp_path: Path) -> tuple[dict, list[str]]:
    """Return the data of the zone YAML, which must pass the check, and the remarks."""
    blocks = parse(text, "Corefile", lambda pattern, importer: [], {})
    conversion = Conversion(str(tmp_path), lambda path: Path(path).read_text("utf-8"))
    data = convert(blocks, conversion, PLUGINS)
    if data["zones"]:
        file = tmp_path / "zone.yaml"
        file.write_text(yaml.safe_dump(data))
        load(file)
    return data, [f"{remark.place.line}: {remark.text}" for remark in conversion.remarks]


def imported(name: str, tmp_path: Path, dnsserver: Run) -> tuple[Path, list[str]]:
    """Import a Corefile by the program; return the YAML and what it told on standard error."""
    done = dnsserver("import-corefile", str(COREFILES / name))
    assert done.returncode == 0
    file = tmp_path / "zone.yaml"
    file.write_text(done.stdout)
    return file, [line.removeprefix(f"{COREFILES}/") for line in done.stderr.splitlines()]


@pytest.fixture
def records(etcd: EmbeddedEtcd) -> str:
    """Give what ExternalDNS left below a prefix of its own."""
    prefix = "/t-corefile"
    values = {
        "local/k8s/nginx/1a2b3c4d": b'{"host":"172.22.132.11","targetstrip":1}',
        "local/k8s/web/x1": b'{"host":"10.0.0.1"}',
        "arpa/in-addr/10/0/0/7": b'{"host":"nginx.k8s.local"}',
    }
    with closing(Store(EtcdAddress(endpoints=(etcd.endpoint,)))) as store:
        keys = {Key(f"{prefix}/{path}".encode()): value for path, value in values.items()}
        store.commit(puts=keys, deletes=(), expected={})
    return prefix


def started(file: Path, port: int, etcd: str, prefix: str) -> Program:
    """Start what was imported, with upstreams on loopback where nobody listens."""
    text = file.read_text()
    for upstream in ("8.8.8.8:53", "9.9.9.9:853"):
        text = text.replace(upstream, f"127.0.0.1:{free_port()}")
    file.write_text(text)
    pages = (f"--{page}-listen=127.0.0.1:{free_port()}" for page in ("health", "metrics", "ready"))
    where = (f"--listen=127.0.0.1:{port}", f"--etcd-endpoints={etcd}", f"--etcd-prefix={prefix}")
    return Program("dnsserver", "--config", str(file), *where, *pages)


def test_a_corefile_of_2018_is_imported_started_and_answers(
    records: str, etcd: EmbeddedEtcd, tmp_path: Path, dnsserver: Run
):
    file, told = imported("2018.Corefile", tmp_path, dnsserver)
    assert [line.split(": ")[0:2] for line in told] == [
        ["2018.Corefile:5", "cache"],
        ["2018.Corefile:8", "whoami"],
        ["2018.Corefile:11", "proxy"],
        ["2018.Corefile:18", "upstream"],
    ]
    resolver = Resolver(free_port())
    with started(file, resolver.port, etcd.endpoint, records) as program:
        program.wait_for("serves")
        eventually(lambda: resolver.data("nginx.k8s.local") == {"172.22.132.11"}, 10)
        assert resolver.data("web.k8s.local") == {"10.0.0.1"}
        assert resolver.rcode("nothing.k8s.local") == "NXDOMAIN"
        (soa,) = resolver.ask("k8s.local", "SOA").answer
        assert soa.to_text().startswith("k8s.local. 300 IN SOA ns.dns.k8s.local. hostmaster.k8s.local. ")


def test_a_cache_without_a_forwarder_becomes_nothing(tmp_path):
    assert "forward" not in converted("k8s.local {\n etcd\n cache 30\n}", tmp_path)[0]


def test_the_proxy_of_2018_becomes_a_forwarder(tmp_path, dnsserver):
    file, _ = imported("2018.Corefile", tmp_path, dnsserver)
    (upstream,) = load(file).forward.upstreams
    assert str(upstream.address.address) == "8.8.8.8:53"


def test_a_corefile_of_today_is_imported_started_and_answers(
    records: str, etcd: EmbeddedEtcd, tmp_path: Path, dnsserver: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ETCD_PATH", "/skydns")
    file, told = imported("today.Corefile", tmp_path, dnsserver)
    assert "today.Corefile:21: credentials: put the password of root into a file and set" in "\n".join(told)
    assert "more/forward.Corefile:7: rewrite: no counterpart" in told
    resolver = Resolver(free_port())
    with started(file, resolver.port, etcd.endpoint, records) as program:
        program.wait_for("serves")
        eventually(lambda: resolver.data("nginx.k8s.local") == {"172.22.132.11"}, 10)
        assert resolver.data("7.0.0.10.in-addr.arpa", "PTR") == {"nginx.k8s.local."}
        assert resolver.data("www.static.example") == {"192.0.2.2"}
        assert resolver.data("extra2.static.example") == {"192.0.2.3"}
        assert resolver.data("inline.static.example") == {"192.0.2.9"}


ETCD = "etcd {\n endpoint https://127.0.0.1:2379\n}"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        (f"k8s.local {{\n {ETCD}\n}}", "listen", ["0.0.0.0:53", "[::]:53"]),
        (
            f"dns://k8s.local:1053 {{\n {ETCD}\n bind 127.0.0.1 ::1\n}}",
            "listen",
            ["127.0.0.1:1053", "[::1]:1053"],
        ),
        (f"a:1 {{\n {ETCD}\n bind 127.0.0.1\n}}\nb:1 {{\n errors\n}}", "listen", ["0.0.0.0:1", "[::]:1"]),
        (f"k8s.local {{\n {ETCD}\n prometheus\n}}", "metrics", {"listen": "127.0.0.1:9153"}),
        (f"k8s.local {{\n {ETCD}\n ready\n}}", "ready", {"listen": "0.0.0.0:8181"}),
        (f"k8s.local {{\n {ETCD}\n health [::1]:8\n}}", "health", {"listen": "[::1]:8"}),
        (f"k8s.local {{\n {ETCD}\n debug\n}}", "log", {"level": "debug"}),
        (f"k8s.local {{\n {ETCD}\n nsid a host\n}}", "identity", {"id": "a host"}),
        ("k8s.local, b.example {\n etcd\n}", "zones", [{"name": "k8s.local"}, {"name": "b.example"}]),
        (". {\n etcd K8S.local. {\n  path x\n }\n}", "zones", [{"name": "k8s.local"}]),
        (
            ". {\n etcd k8s.local {\n  path /a/b\n }\n}",
            "etcd",
            {"endpoints": ["http://localhost:2379"], "prefix": "/a/b"},
        ),
        (
            "k8s.local {\n etcd {\n  endpoint https://e:1\n  tls c.pem k.pem ca.pem\n }\n}",
            "etcd",
            {
                "endpoints": ["https://e:1"],
                "prefix": "/skydns",
                "cert_file": "DIR/c.pem",
                "key_file": "DIR/k.pem",
                "ca_file": "DIR/ca.pem",
            },
        ),
        (
            "k8s.local {\n etcd\n transfer {\n  to [2001:db8::1]:54\n }\n}",
            "zones",
            [
                {
                    "name": "k8s.local",
                    "transfer": {
                        "allow": [{"address": "2001:db8::1"}],
                        "notify": [{"address": "[2001:db8::1]:54"}],
                    },
                }
            ],
        ),
        (
            "k8s.local {\n etcd\n acl {\n  drop net 192.0.2.1 10.1.2.3/8\n  allow\n }\n}",
            "acl",
            [
                {"networks": ["192.0.2.1/32", "10.0.0.0/8"], "action": "drop"},
                {"networks": ["0.0.0.0/0", "::/0"], "action": "allow"},
            ],
        ),
        (
            "example, sub.example {\n etcd\n hosts {\n  192.0.2.1 www.sub.example\n }\n}",
            "zones",
            [
                {"name": "example"},
                {
                    "name": "sub.example",
                    "records": [{"name": "www.sub.example.", "type": "A", "data": "192.0.2.1", "ttl": 3600}],
                },
            ],
        ),
        (
            ". {\n etcd k8s.local\n cache 30\n proxy . 8.8.8.8:53 [2001:db8::1]:54 192.0.2.1\n}",
            "forward",
            {
                "upstreams": [
                    {"address": "8.8.8.8:53"},
                    {"address": "[2001:db8::1]:54"},
                    {"address": "192.0.2.1:53"},
                ],
                "cache": {"max_ttl": 30},
            },
        ),
        (
            ". {\n etcd k8s.local\n forward . tls://9.9.9.9 dns://192.0.2.1 {\n"
            "  tls_servername dns.quad9.net\n  max_fails 5\n  health_check 1500ms\n"
            "  max_concurrent 50\n  policy sequential\n }\n}",
            "forward",
            {
                "upstreams": [
                    {"address": "tls://9.9.9.9:853", "server_name": "dns.quad9.net"},
                    {"address": "192.0.2.1:53"},
                ],
                "health": {"failures": 5, "interval": 2},
                "max_in_flight": 50,
            },
        ),
        (
            ". {\n etcd k8s.local\n forward . resolv.conf\n cache {\n  success 5000 60 5\n  denial 100 7\n"
            "  servfail 2s\n }\n}",
            "forward",
            {
                "upstreams": [{"address": "192.0.2.7:53"}, {"address": "[2001:db8::7]:53"}],
                "cache": {"max_ttl": 60, "negative_ttl": 7, "failure_ttl": 2},
            },
        ),
        ("k8s.local {\n etcd\n health {\n  lameduck 2m\n }\n}", "lameduck", 120),
        ("k8s.local {\n etcd\n log\n debug\n}", "log", {"queries": "all", "level": "debug"}),
        ("k8s.local {\n etcd\n log . {\n  class denial\n }\n}", "log", {"queries": "denial"}),
        ("k8s.local {\n etcd\n log {\n  class denial error\n }\n}", "log", {"queries": "all"}),
        ("k8s.local\netcd\nerrors", "zones", [{"name": "k8s.local"}]),
    ],
)
def test_a_plugin_becomes_its_counterpart(text, key, value, tmp_path):
    for file in ("c.pem", "k.pem", "ca.pem"):
        (tmp_path / file).touch()
    (tmp_path / "resolv.conf").write_text("search x\nnameserver 192.0.2.7\nnameserver 2001:db8::7\n")
    data, _ = converted(text, tmp_path)
    assert data[key] == yaml.safe_load(yaml.safe_dump(value).replace("DIR", str(tmp_path)))


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("k8s.local {\n etcd\n kubernetes cluster.local\n}", "3: kubernetes: no counterpart"),
        ("k8s.local {\n etcd {\n  stubzones\n }\n}", "3: stubzones: no counterpart"),
        (
            "k8s.local {\n etcd\n errors {\n  consolidate 5m .*\n }\n}",
            "3: errors: its options have no counterpart",
        ),
        ("k8s.local {\n etcd\n prometheus host:9153\n}", "3: prometheus: host:9153: expected ADDRESS:PORT"),
        ("k8s.local {\n etcd\n file nothing.zone other\n}", "nothing.zone cannot be read"),
        (
            "k8s.local {\n etcd\n hosts {\n  192.0.2 www.k8s.local\n }\n}",
            "4: hosts: 192.0.2 www.k8s.local: expected",
        ),
        (
            "k8s.local {\n etcd\n loadbalance weighted w {\n }\n}",
            "3: loadbalance: addresses are always given out",
        ),
        ("k8s.local {\n etcd\n bufsize 4096\n}", "3: bufsize: responses over UDP have at most 1232 octets"),
        ("k8s.local {\n etcd {\n  endpoint https://e:1\n  tls ca.pem\n }\n}", "4: tls: left out: "),
        ("k8s.local {\n etcd\n log {\n  class denial error\n }\n}", "3: log: there is one class"),
        ("k8s.local {\n etcd\n log k8s.local\n}", "3: log: queries of all names are logged"),
        ("k8s.local {\n etcd\n bind eth0\n}", "3: bind: eth0: expected an address"),
        ("k8s.local {\n etcd\n acl {\n  allow type A net *\n }\n}", "4: allow: rules for some types"),
        ("k8s.local {\n etcd\n}\nb:54 {\n etcd\n}", "1: all zones are served on all of the ports 53, 54"),
        ("k8s.local {\n etcd\n forward x.example 192.0.2.1\n}", "3: forward: only `.` can be forwarded"),
        ("k8s.local {\n etcd\n forward . dns.example\n}", "3: forward: dns.example: expected an address"),
        (
            "k8s.local {\n etcd\n forward . 192.0.2.1\n forward . 192.0.2.2\n}",
            "4: forward: there is one `forward` for the whole server",
        ),
        (
            "k8s.local {\n etcd\n forward . 192.0.2.1 {\n  policy random\n }\n}",
            "4: policy: upstreams are asked in order",
        ),
        (
            "k8s.local {\n etcd\n forward . 192.0.2.1 {\n  except a.example\n }\n}",
            "4: except: no counterpart",
        ),
        ("k8s.local {\n etcd\n cache {\n  prefetch 5\n }\n}", "4: prefetch: no counterpart"),
        ("tls://k8s.local {\n etcd\n}", "1: tls://k8s.local: only plain DNS is served"),
    ],
)
def test_what_has_no_counterpart_is_told_with_its_line(text, remark, tmp_path):
    assert any(remark in told for told in converted(text, tmp_path)[1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("k8s.local {\n etcd\n", "Corefile:1: a brace that is not closed"),
        ("k8s.local\n}", "Corefile:2: unexpected }"),
        ("{\n etcd\n}", "Corefile:1: a block without a zone"),
        ("k8s.local {\n {\n }\n}", "Corefile:2: unexpected {"),
        ("k8s.local {\n import nothing\n}", "Corefile:2: import nothing: no such snippet or file"),
        ("k8s.local,", "Corefile:1: expected { after k8s.local,"),
    ],
)
def test_a_file_that_is_no_corefile_is_refused_with_its_line(text, reason):
    with pytest.raises(CorefileError) as caught:
        parse(text, "Corefile", lambda pattern, importer: [], {})
    assert str(caught.value).startswith(reason)


def test_a_file_that_imports_itself_comes_to_an_end():
    with pytest.raises(CorefileError, match="no import of itself"):
        parse("import Corefile", "Corefile", lambda pattern, importer: [("Corefile", "import Corefile")], {})


def test_variables_quotes_and_arguments_of_snippets_are_resolved():
    snippet = '(s) {\n nsid {args[0]} "{args[1]} c"\n}\n'
    text = snippet + 'k8s.local {\n import s {$X} {%X%}\n file "a b" # not read\n}'
    (block,) = parse(text, "Corefile", lambda pattern, importer: [], {"X": "x"})
    assert [(each.name, each.arguments) for each in block.directives] == [
        ("nsid", ("x", "x c")),
        ("file", ("a b",)),
    ]


@given(
    st.lists(
        st.sampled_from(
            ['"', "{", "}", "\n", " ", "import", "(a)", "k8s.local", "etcd", "#", "\\", ",", "hosts"]
        )
    )
)
def test_any_text_is_converted_or_refused(parts):
    try:
        blocks = parse("".join(parts), "Corefile", lambda pattern, importer: [], {})
    except CorefileError:
        return
    conversion = Conversion("/nonexistent", lambda path: Path(path).read_text("utf-8"))
    if blocks:
        convert(blocks, conversion, PLUGINS)


def test_nothing_to_serve_ends_it_with_2(tmp_path, dnsserver):
    file = tmp_path / "Corefile"
    for text, reason in (
        (". {\n whoami\n}", "nothing to serve"),
        ("{", "Corefile:1: "),
        (None, "No such file"),
    ):
        file.unlink(missing_ok=True)
        if text:
            file.write_text(text)
        done = dnsserver("import-corefile", str(file))
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
