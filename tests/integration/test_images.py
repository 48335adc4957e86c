"""Dockerfile and docker-compose.yml, read as text: no container engine is needed."""

import re
from pathlib import Path

import pytest
import yaml

from syncer.config import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stages() -> dict[str, list[list[str]]]:
    """The instructions of each stage of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[list[str]]] = {"": []}
    stage = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if words[0] == "FROM":
            stage = words[3]
            found[stage] = []
        found[stage].append(words)
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, dict]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def instructions(stage: list[list[str]], name: str) -> list[str]:
    return [" ".join(words[1:]) for words in stage if words[0] == name]


def test_both_images_run_on_the_run_stage_as_a_numbered_user_that_is_not_root(stages):
    assert instructions(stages["run"], "USER") == ["10001:10001"]
    for target in ("dnsserver", "syncer"):
        assert instructions(stages[target], "FROM") == [f"run AS {target}"]
        assert instructions(stages[target], "USER") == []
        assert instructions(stages[target], "RUN") == []


def test_build_and_run_stages_stand_on_one_base(stages):
    """The environment's python is a link to the base's."""
    assert instructions(stages[""], "ARG") == ["BASE=python:3.13-slim"]
    assert [n for n, s in stages.items() if "${BASE}" in str(s[:1])] == ["dependencies", "run"]


def test_only_the_syncer_image_has_the_syncers_dependencies(stages):
    extra = {name: "--extra syncer" in str([" ".join(w) for w in stage]) for name, stage in stages.items()}
    assert [name for name, has in extra.items() if has] == ["dependencies-syncer", "build-syncer"]
    assert instructions(stages["build-dnsserver"], "FROM") == ["dependencies AS build-dnsserver"]
    assert instructions(stages["syncer"], "COPY")[0].startswith("--from=build-syncer ")
    assert instructions(stages["dnsserver"], "COPY")[0].startswith("--from=build-dnsserver ")


def test_each_sync_takes_the_lock_as_it_is_and_no_development_dependency(stages):
    syncs = [run for stage in stages.values() for run in instructions(stage, "RUN") if "uv sync" in run]
    assert len(syncs) == 4
    assert all("--frozen --no-dev" in run for run in syncs)


def test_no_image_claims_a_privileged_port(stages):
    ports = [
        int(p) for s in stages.values() for e in instructions(s, "EXPOSE") for p in re.findall(r"\d+", e)
    ]
    assert 1053 in ports
    assert min(ports) > 1023


def test_each_image_asks_its_own_ready_page_whether_it_is_healthy(stages):
    pages = {
        name: re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", check)
        for name, stage in stages.items()
        for check in instructions(stage, "HEALTHCHECK")
    }
    assert pages == {"dnsserver": [("8181", "/ready")], "syncer": [("7979", "/readyz")]}
    for name, [(port, _)] in pages.items():
        assert f"{port}/tcp" in instructions(stages[name], "EXPOSE")[0]


def test_each_image_says_what_it_is(stages):
    for name in ("dnsserver", "syncer"):
        [label] = instructions(stages[name], "LABEL")
        assert f"org.opencontainers.image.title={name} " in label
        assert "org.opencontainers.image.licenses=Apache-2.0" in label


def test_what_the_dockerfile_copies_is_let_in_by_dockerignore(stages):
    lines = (ROOT / ".dockerignore").read_text().split()
    let_in = {line.removeprefix("!/") for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in stages.values()
        for arguments in instructions(stage, "COPY")
        if not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    }
    assert lines[0] == "*"
    assert let_in == copied


def test_each_service_is_read_only_without_capabilities_or_new_privileges(compose):
    assert set(compose["services"]) == {"etcd", "dnsserver", "syncer"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "user"}, name


def test_only_port_53_is_published_and_on_loopback_unless_told(compose):
    published = {n: s["ports"] for n, s in compose["services"].items() if "ports" in s}
    assert published == {
        "dnsserver": [
            "${DNS_BIND:-127.0.0.1}:${DNS_PORT:-53}:1053/udp",
            "${DNS_BIND:-127.0.0.1}:${DNS_PORT:-53}:1053/tcp",
        ]
    }


def test_each_bind_mount_is_there_and_read_only(compose):
    mounts = [m for s in compose["services"].values() for m in s["volumes"] if m.startswith("./")]
    assert mounts
    for mount in mounts:
        source, _, mode = mount.split(":")
        assert (ROOT / source).exists(), mount
        assert mode == "ro", mount


def test_each_target_named_by_compose_is_a_stage(compose, stages):
    targets = {name: s["build"]["target"] for name, s in compose["services"].items() if "build" in s}
    assert targets == {"dnsserver": "dnsserver", "syncer": "syncer"}
    assert set(targets.values()) <= set(stages)


def test_compose_builds_on_the_base_of_the_dockerfile_unless_told(compose, stages):
    [default] = instructions(stages[""], "ARG")
    given = [s["build"]["args"] for s in compose["services"].values() if "build" in s]
    assert given == [{"BASE": f"${{{default.replace('=', ':-')}}}"}] * 2


def test_syncer_takes_the_arguments_that_compose_gives_it(compose, monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # /manifests is in the container
    service = compose["services"]["syncer"]
    config = load(service["command"], service["environment"])
    assert config.etcd.endpoints == ("http://etcd:2379",)
    [mount] = service["volumes"]
    assert mount.split(":")[1] == str(config.manifests)


def test_dnsserver_keeps_its_table_on_a_named_volume_that_is_its_users(compose, stages):
    """A new volume takes the owner of the directory that the image has there."""
    service = compose["services"]["dnsserver"]
    [(volume, path)] = [v.split(":") for v in service["volumes"] if not v.startswith("./")]
    assert volume in compose["volumes"]
    assert service["environment"]["DNSSERVER_STATE_DIR"] == path == "/var/lib/dnsserver"
    assert "mkdir -p state/dnsserver" in instructions(stages["build-dnsserver"], "RUN")[-1]
    assert "--from=build-dnsserver --chown=10001:10001 /src/state /var/lib" in instructions(
        stages["dnsserver"], "COPY"
    )


def test_etcd_is_checked_and_its_data_is_on_a_named_volume(compose):
    etcd = compose["services"]["etcd"]
    assert "healthcheck" in etcd
    [(volume, path)] = [v.split(":") for v in etcd["volumes"]]
    assert volume in compose["volumes"]
    assert any(a.startswith(f"--data-dir={path}") for a in etcd["command"])


def test_both_deployments_run_the_same_etcd(compose):
    manifest = (ROOT / "config" / "kubernetes" / "base" / "etcd.yaml").read_text()
    image = re.fullmatch(r"\$\{ETCD_IMAGE:-(.+:v\d+\.\d+\.\d+)\}", compose["services"]["etcd"]["image"])
    assert image
    assert f"image: {image[1]}\n" in manifest
