import os

import pytest

from syncer.kube.manifests import ManifestCache, Manifests


def name_of(raw):
    return raw["metadata"]["name"]


READS = {("v1", "Service"): name_of, ("networking.k8s.io/v1", "Ingress"): name_of}


@pytest.fixture
def manifests(tmp_path):
    return Manifests(tmp_path, READS, lambda: None)


def service(name, namespace="default"):
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"


def names(manifests):
    return sorted(obj for _, obj in ManifestCache(manifests, "Service").items())


def faults(manifests):
    return [f"{r.reason}: {r.detail}" for r in manifests.rejections]


async def test_documents_lists_and_json_are_read(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text(service("a") + "---\n---\n" + service("b"))
    (tmp_path / "b.yml").write_text(
        "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: c}}\n"
    )
    (tmp_path / "c.json").write_text(
        '{"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "d"}}]}'
    )
    (tmp_path / "d.yaml").write_text("kind: Deployment\napiVersion: apps/v1\n---\njust text\n---\n[1]\n")
    (tmp_path / "e.txt").write_text(service("no"))
    (tmp_path / ".f.yaml").write_text(service("no"))
    await manifests.look()
    assert names(manifests) == ["a", "b", "c", "d"]
    assert manifests.has_synced
    assert manifests.rejections == ()


async def test_an_empty_directory_is_synced(manifests):
    await manifests.look()
    assert manifests.has_synced


async def test_an_addition_counts_at_once_and_a_removal_at_the_second_look(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text(service("a") + "---\n" + service("b"))
    await manifests.look()
    (tmp_path / "b.yaml").write_text(service("c"))
    await manifests.look()
    assert names(manifests) == ["a", "b", "c"]
    (tmp_path / "a.yaml").write_text(service("a"))
    await manifests.look()
    assert names(manifests) == ["a", "b", "c"]
    await manifests.look()
    assert names(manifests) == ["a", "c"]
    (tmp_path / "b.yaml").unlink()
    await manifests.look()
    assert names(manifests) == ["a", "c"]
    await manifests.look()
    assert names(manifests) == ["a"]


async def test_a_file_that_is_empty_for_a_moment_loses_nothing(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text(service("a"))
    await manifests.look()
    (tmp_path / "a.yaml").write_text("")
    await manifests.look()
    (tmp_path / "a.yaml").write_text(service("a") + "---\n" + service("b"))
    await manifests.look()
    assert names(manifests) == ["a", "b"]


async def test_a_file_that_is_moved_aside_for_a_moment_loses_nothing(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text(service("a"))
    await manifests.look()
    (tmp_path / "a.yaml").rename(tmp_path / "a.yaml~")
    await manifests.look()
    assert names(manifests) == ["a"]
    (tmp_path / "a.yaml~").rename(tmp_path / "a.yaml")
    await manifests.look()
    await manifests.look()
    assert names(manifests) == ["a"]


BOMB = f"""\
a: &a [{", ".join(["{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"] * 400)}]
b: &b {{apiVersion: v1, kind: List, items: *a}}
apiVersion: v1
kind: List
items: [{", ".join(["*b"] * 400)}]
"""
"""160,000 objects in 30 KB."""


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("a.yaml", "a: 1\nb: [\n", "line 3: no YAML"),
        ("a.yaml", "a: !!python/object:x {}\n", "line 1: no YAML"),
        ("a.yaml", "[" * 100_000, "nested too deep"),
        ("a.yaml", "- " * 100_000, "nested too deep"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.yaml", BOMB, "over 100000 objects"),
        ("a.yaml", "a: \x00", "no YAML"),
        ("a.json", '{"a": 1,\n}', "line 2: no JSON"),
    ],
)
async def test_a_broken_file_keeps_its_last_good_objects(tmp_path, manifests, file, text, fault):
    good = (
        service("a")
        if file.endswith("yaml")
        else '{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"}}'
    )
    (tmp_path / file).write_text(good)
    await manifests.look()
    (tmp_path / file).write_text(text)
    await manifests.look()
    assert names(manifests) == ["a"]
    assert len(manifests.rejections) == 1
    assert manifests.rejections[0].resource.endswith(file)
    assert fault in manifests.rejections[0].detail
    assert "its last good objects stay" in manifests.rejections[0].detail
    (tmp_path / file).write_text(good + "\n")
    await manifests.look()
    assert manifests.rejections == ()


async def test_a_file_that_was_never_good_keeps_the_directory_from_being_synced(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text("{")
    (tmp_path / "b.yaml").write_text(service("b"))
    await manifests.look()
    assert not manifests.has_synced
    assert names(manifests) == ["b"]
    (tmp_path / "a.yaml").write_text(service("a"))
    await manifests.look()
    assert manifests.has_synced


async def test_a_directory_that_goes_keeps_its_objects(tmp_path):
    directory = tmp_path / "manifests"
    directory.mkdir()
    (directory / "a.yaml").write_text(service("a"))
    manifests = Manifests(directory, READS, lambda: None)
    await manifests.look()
    directory.rename(tmp_path / "away")
    await manifests.look()
    await manifests.look()
    assert names(manifests) == ["a"]
    assert len(manifests.rejections) == 1
    (tmp_path / "away").rename(directory)
    await manifests.look()
    assert manifests.rejections == ()


async def test_the_swap_of_a_mounted_config_map_is_seen(tmp_path, manifests):
    for version in ("v1", "v2", "v3"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.yaml").write_text(service(version))
        os.utime(tmp_path / f"..{version}" / "a.yaml", (1, 1))
    os.symlink("..v1", tmp_path / "..data")
    os.symlink("..data/a.yaml", tmp_path / "a.yaml")
    await manifests.look()
    for version in ("v2", "v3"):
        os.symlink(f"..{version}", tmp_path / "..new")
        os.replace(tmp_path / "..new", tmp_path / "..data")
        await manifests.look()
        await manifests.look()
        assert names(manifests) == [version]


async def test_one_object_in_two_files_counts_once_and_is_named(tmp_path, manifests):
    (tmp_path / "a.yaml").write_text(service("a"))
    (tmp_path / "b.yaml").write_text(service("a"))
    await manifests.look()
    assert names(manifests) == ["a"]
    assert faults(manifests) == ["duplicate: Service default a stands in an earlier file too"]


@pytest.mark.parametrize("version", ["extensions/v1beta1", "networking.k8s.io/v1beta1"])
async def test_a_removed_version_of_ingress_is_named(tmp_path, manifests, version):
    (tmp_path / "a.yaml").write_text(f"apiVersion: {version}\nkind: Ingress\nmetadata: {{name: x}}\n")
    await manifests.look()
    assert faults(manifests) == [
        f"api-version: Ingress default/x is {version}, which Kubernetes has removed: "
        "write networking.k8s.io/v1"
    ]


async def test_only_a_change_is_reported(tmp_path):
    changes = []
    manifests = Manifests(tmp_path, READS, lambda: changes.append(1))
    (tmp_path / "a.yaml").write_text("{")
    for _ in range(3):
        await manifests.look()
    assert len(changes) == 1
