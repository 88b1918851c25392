"""The services behind the other tests are real, and leave nothing behind."""

import json
from pathlib import Path

import pytest
from services import ContainerdEngine, Engine, Registry, ServiceError, private_folder

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def processes_that_mention(text: str) -> list[str]:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [line.decode(errors="replace") for line in lines if text.encode() in line]


@pytest.mark.engine
def test_a_pushed_tag_is_in_the_registry(engine: Engine, registry: Registry, repository: str) -> None:
    image = engine.image("image-gallery", "one", layers=2)
    engine.docker("tag", image, f"{registry.host}/{repository}:2.1.106")
    assert engine.tags(f"{registry.host}/{repository}") == {"2.1.106": image}
    engine.docker("push", f"{registry.host}/{repository}:2.1.106")
    assert registry.tags(repository) == ["2.1.106"]
    manifest = json.loads(registry.manifest(repository, "2.1.106"))
    assert manifest["config"]["digest"] == image
    assert len(manifest["layers"]) == 2
    assert f"PUT /v2/{repository}/manifests/2.1.106" in registry.requests()
    assert registry.link_file(repository, "2.1.106").read_text() == registry.digest(repository, "2.1.106")


@pytest.mark.engine
def test_the_same_content_is_the_same_image_and_other_content_another(engine: Engine) -> None:
    assert engine.image("a", "one") == engine.image("b", "one")
    assert engine.image("a", "one") != engine.image("b", "two")


@pytest.mark.engine
def test_registry_local_answers_by_name(engine: Engine, registry_local: Registry, repository: str) -> None:
    assert registry_local.host == "registry.local:5000"
    engine.image(f"registry.local:5000/{repository}:2", "one")
    engine.docker("push", f"registry.local:5000/{repository}:2")
    assert registry_local.tags(repository) == ["2"]


@pytest.mark.engine
def test_a_tag_moves_by_a_manifest_put(engine: Engine, registry: Registry, repository: str) -> None:
    for version in ("1", "2"):
        engine.image(f"{registry.host}/{repository}:{version}", version)
        engine.docker("push", f"{registry.host}/{repository}:{version}")
    assert registry.put(repository, "latest", registry.manifest(repository, "2"), MANIFEST) == 201
    tags = registry.snapshot(repository)
    assert tags["latest"] == tags["2"] != tags["1"]
    assert registry.digest(repository, "3") is None


@pytest.mark.engine
def test_only_a_user_with_the_password_has_access(engine: Engine, repository: str, tmp_path: Path) -> None:
    with Registry.start(tmp_path, htpasswd={"ann": "correct horse"}) as registry:
        name = f"{registry.host}/{repository}:1"
        engine.image(name, "one")
        with pytest.raises(ServiceError, match="no basic auth credentials"):
            engine.docker("push", name)
        with pytest.raises(ServiceError, match=r"(?i)unauthorized"):
            engine.docker("login", "--username", "ann", "--password", "wrong", registry.host)
        engine.docker("login", "--username", "ann", "--password", "correct horse", registry.host)
        engine.docker("push", name)
        assert registry.tags(repository) == ["1"]


@pytest.mark.engine
def test_a_restarted_registry_keeps_its_address_and_its_tags(engine: Engine, repository: str, tmp_path: Path) -> None:
    with Registry.start(tmp_path) as registry:
        host = registry.host
        engine.image(f"{host}/{repository}:1", "one")
        engine.docker("push", f"{host}/{repository}:1")
        before = registry.snapshot(repository)
        registry.restart()
        assert registry.host == host
        assert registry.snapshot(repository) == before != {}


@pytest.mark.engine
def test_a_stopped_engine_leaves_no_process_and_no_mount() -> None:
    with private_folder() as folder:
        with Engine.start(folder) as engine:
            engine.image("image-gallery", "one")
            assert len(processes_that_mention(str(folder))) >= 3  # unshare, dockerd, containerd
        assert processes_that_mention(str(folder)) == []
        assert str(folder) not in Path("/proc/self/mounts").read_text()
    assert not folder.exists()


@pytest.mark.containerd
def test_in_the_containerd_store_an_image_is_its_manifest(
    containerd_engine: ContainerdEngine, registry_local: Registry, repository: str
) -> None:
    name = f"registry.local:5000/{repository}:1"
    image = containerd_engine.image(name, "one", layers=2)
    containerd_engine.docker("push", name)
    assert registry_local.digest(repository, "1") == image


@pytest.mark.containerd
def test_an_index_is_pushed_whole(
    containerd_engine: ContainerdEngine, registry_local: Registry, repository: str
) -> None:
    name = f"registry.local:5000/{repository}:1"
    index = containerd_engine.index(name, "one")
    containerd_engine.docker("push", name)
    assert registry_local.digest(repository, "1") == index
    assert len(json.loads(registry_local.manifest(repository, "1"))["manifests"]) == 2


@pytest.mark.containerd
def test_an_index_with_missing_platforms_is_narrowed_to_one(
    containerd_engine: ContainerdEngine, registry_local: Registry, repository: str
) -> None:
    name = f"registry.local:5000/{repository}:1"
    index = containerd_engine.index(name, "half", absent=("linux/arm64",))
    containerd_engine.docker("push", name)
    assert registry_local.digest(repository, "1") != index
    assert "manifests" not in json.loads(registry_local.manifest(repository, "1"))
