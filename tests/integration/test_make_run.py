"""`make run` as a newcomer meets it: one command, `dig`, an edit, Ctrl-C."""

import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.programs import Program, Resolver, eventually
from tools.embedded_etcd import free_port

CHEESES = ("stilton", "cheddar", "wensleydale")


@pytest.fixture
def manifests(tmp_path):
    copied = tmp_path / "manifests"
    shutil.copytree(Path(__file__).parents[2] / "config" / "examples", copied)
    return copied


def children_of(process_id: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process_id and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def running(manifests: Path, port: int) -> Program:
    return Program("tools.run", environment={"PORT": str(port), "MANIFESTS": str(manifests)})


def test_the_examples_resolve_an_edit_shows_within_a_second_and_a_removal_is_nxdomain(manifests):
    resolver = Resolver(free_port())
    cheese = manifests / "cheese.yaml"
    with running(manifests, resolver.port) as program:
        program.wait_for("dig @127.0.0.1")
        for name in CHEESES:
            for tcp in (False, True):
                (answer,) = resolver.ask(f"{name}.k8s.local", tcp=tcp).answer
                assert answer.to_text() == f"{name}.k8s.local. 300 IN A 172.22.132.10"
        (soa,) = resolver.ask("k8s.local", "SOA").answer
        assert soa.to_text().startswith("k8s.local. 300 IN SOA ns.dns.k8s.local. hostmaster.k8s.local. ")
        assert soa.to_text().endswith(" 7200 1800 86400 30")
        cheese.write_text(cheese.read_text().replace("172.22.132.10", "172.22.132.12"))
        eventually(lambda: resolver.data("stilton.k8s.local") == {"172.22.132.12"}, 1)
        cheese.unlink()
        eventually(lambda: resolver.rcode("stilton.k8s.local") == "NXDOMAIN", 1)
        assert resolver.data("nginx.k8s.local")


def test_ctrl_c_stops_all_that_it_started(manifests):
    with running(manifests, free_port()) as program:
        program.wait_for("dig @127.0.0.1")
        started = children_of(program.process.pid)
        assert len(started) == 3
        assert program.stop(signal.SIGINT) == 0
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in program.log()


def test_a_taken_port_is_one_clear_line_and_nothing_is_left_running(manifests):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with running(manifests, port) as program:
            assert program.process.wait(20) == 1
            assert f"cannot listen on 127.0.0.1:{port} (udp): the port is taken" in program.log()
            assert "Traceback" not in program.log()
            assert not children_of(program.process.pid)
