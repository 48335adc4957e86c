"""config/kubernetes as kubectl renders it, and what is asked of the objects."""

import base64
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from tests.integration.tools import need_tool

CONFIG = Path(__file__).parents[2] / "config"
MANIFESTS = CONFIG / "kubernetes"
OVERLAYS = tuple(sorted(path.parent.name for path in MANIFESTS.glob("*/kustomization.yaml")))


def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need_tool("kubectl"), *arguments], capture_output=True, text=True, timeout=60)


@cache
def render(overlay: str) -> list[dict]:
    """Return the objects of an overlay; whoever changes them takes a copy."""
    done = kubectl("kustomize", str(MANIFESTS / overlay))
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[dict], *kinds: str) -> dict[str, dict]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] in kinds}


def templates(objects: list[dict]) -> dict[str, dict]:
    """Pod templates by name of what runs them."""
    found = of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    return {name: o["spec"]["template"] for name, o in found.items()}


def workloads(objects: list[dict]) -> dict[str, dict]:
    """Pod specs by name of what runs them."""
    return {name: template["spec"] for name, template in templates(objects).items()}


def environment(pod: dict) -> dict[str, str]:
    """The variables of a pod's only container that have a value of their own."""
    [container] = pod["containers"]
    return {e["name"]: e["value"] for e in container.get("env", []) if "value" in e}


def mount_volumes(objects: list[dict], certificates: Path, name: str, directory: Path) -> dict[str, str]:
    """Lay the Secrets and empty directories that a workload mounts below `directory`, as a kubelet would.

    Returns where it sees each, and where that is.
    """
    secrets = of_kind(list(yaml.safe_load_all((certificates / "secrets.yaml").read_text())), "Secret")
    pod, mounts = workloads(objects)[name], {}
    [container] = pod["containers"]
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            continue
        [mount] = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
        place = directory / name / volume["name"]
        place.mkdir(parents=True)
        data = secrets[volume["secret"]["secretName"]]["data"] if "secret" in volume else {}
        for key, value in data.items():
            (place / key).write_bytes(base64.b64decode(value))
        mounts[mount["mountPath"]] = str(place)
    return mounts


def replaced(variables: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    """Return `variables` with each word of `words` in their values replaced."""
    found = dict(variables)
    for old, new in words.items():
        found = {name: value.replace(old, new) for name, value in found.items()}
    return found
