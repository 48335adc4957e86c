"""The command line through the real program: overrides, exit codes, and what it prints."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dnsserver.arguments import SETTINGS, overrides, parser
from tests.integration.tools import need_tool
from tests.programs import DnsServer
from tools.embedded_etcd import free_port

ZONE = "zones:\n  - name: example.\n    records: [{name: www, type: A, data: 192.0.2.1}]\n"


def run(*arguments: str, under: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*under, sys.executable, "-m", "dnsserver", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "zone.yaml"
    path.write_text(ZONE)
    return path


def test_check_tells_what_is_there_and_ends_well(file):
    done = run("--check", "--config", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: good: 1 zones, 1 static records\n"


def test_faults_end_it_with_2_and_one_line_each(file):
    file.write_text(ZONE + "listn: []\nlog: {level: loud}\n")
    for arguments in (("--check",), ()):
        done = run(*arguments, "--config", str(file))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"{file}:4:1: listn: unknown key; did you mean listen?\n"
            f"{file}:5:14: log.level: expected 'debug', 'info', 'warning' or 'error', got 'loud'\n"
        )


def test_a_missing_file_ends_it_with_2():
    done = run("--config", "/nonexistent/zone.yaml")
    assert done.returncode == 2
    assert done.stderr == "/nonexistent/zone.yaml: cannot be read: No such file or directory\n"


def test_a_fault_of_a_flag_names_the_flag_and_of_the_environment_the_variable(file):
    done = run("--check", "--config", str(file), "--listen", "here", DNSSERVER_LOG_LEVEL="loud")
    assert done.returncode == 2
    assert "--listen: expected ADDRESS:PORT" in done.stderr
    assert "DNSSERVER_LOG_LEVEL: expected 'debug'" in done.stderr


def test_an_unknown_flag_ends_it_with_2(file):
    assert run("--config", str(file), "--lissen", "127.0.0.1:53").returncode == 2
    assert run("--config", str(file), "--log", "debug").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cnfig", "x"], "dnsserver: unknown flag --cnfig; did you mean --config?"),
        (["--lissen=127.0.0.1:53"], "dnsserver: unknown flag --lissen; did you mean --listen?"),
        (["records", "--zon", "x"], "unknown flag --zon; did you mean --zone?"),
        (["explain"], "dnsserver explain: the following arguments are required: NAME"),
        (["recrods"], "invalid choice: 'recrods'"),
    ],
)
def test_what_is_not_understood_is_one_line_that_says_what_to_do(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert len(said.splitlines()) == 1
    assert "--help` says more" in said


def test_a_secret_file_that_is_not_there_ends_it_with_2(file):
    file.write_text(
        ZONE + "etcd: {endpoints: ['http://127.0.0.1:1'], username: u, password_file: /nonexistent}\n"
    )
    done = run("--check", "--config", str(file))
    assert done.returncode == 2
    assert "password_file: /nonexistent cannot be read" in done.stderr


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_is_taken_ends_it_with_1_and_one_line(file, kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", free_port()))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        done = run("--config", str(file), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert (
        f"cannot listen on 127.0.0.1:{port} ({'udp' if kind == socket.SOCK_DGRAM else 'tcp'})" in done.stderr
    )
    assert "the port is taken" in done.stderr


def test_a_port_for_pages_that_is_taken_ends_it_with_1_and_one_line(file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("--config", str(file), "--listen", f"127.0.0.1:{free_port()}", "--ready-listen", address)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot listen on {address}" in done.stderr


def test_a_second_server_on_the_same_port_ends_with_1_and_one_line(file, tmp_path):
    with DnsServer(tmp_path) as first:
        done = run("--config", str(file), "--listen", f"127.0.0.1:{first.port}")
        assert first.data("ns.dns.k8s.local") == {"127.0.0.1"}
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{first.port} (udp): the port is taken" in done.stderr


def test_a_port_without_permission_ends_it_with_1_and_one_line(file):
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1023:
        pytest.skip("this system lets everyone have port 1023")
    without = ("--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
    under = (need_tool("setpriv"), *without) if os.geteuid() == 0 else ()
    done = run("--config", str(file), "--listen", "127.0.0.1:1023", under=under)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no permission for port 1023; listen above 1023" in done.stderr


VALUES = {"listen": "127.0.0.1:1,127.0.0.2:2", "endpoints": "http://a:1, http://b:2"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.flag)
def test_every_setting_has_a_flag_and_a_variable_of_which_the_flag_wins(setting):
    value = VALUES.get(setting.path[-1], "value") if setting.is_list else "value"
    expected = [part.strip() for part in value.split(",")] if setting.is_list else value
    by_flag = overrides(parser().parse_args([setting.flag, value]), {setting.variable: "other"})
    assert by_flag == [(setting.flag, setting.path, expected)]
    by_variable = overrides(parser().parse_args([]), {setting.variable: value})
    assert by_variable == [(setting.variable, setting.path, expected)]
    assert overrides(parser().parse_args([]), {}) == []


def test_the_names_that_people_type_stay():
    names = {setting.flag: setting.variable for setting in SETTINGS}
    assert names["--listen"] == "DNSSERVER_LISTEN"
    assert names["--etcd-endpoints"] == "DNSSERVER_ETCD_ENDPOINTS"
    assert names["--state-dir"] == "DNSSERVER_STATE_DIR"
    assert names["--metrics-listen"] == "DNSSERVER_METRICS_LISTEN"
    assert names["--etcd-password-file"] == "DNSSERVER_ETCD_PASSWORD_FILE"


def test_a_list_is_given_by_commas_or_by_several_flags():
    arguments = parser().parse_args(["--listen", "127.0.0.1:1", "--listen", "127.0.0.2:2,127.0.0.3:3"])
    (found,) = overrides(arguments, {})
    assert found.value == ["127.0.0.1:1", "127.0.0.2:2", "127.0.0.3:3"]
