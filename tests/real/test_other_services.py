"""The promises on other real services: registries of Debian sid, and Podman of this machine and of sid."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import test_release
from hosts.ecr import Ecr
from launcher import launched
from pushed import Pushed, Repository
from services import Podman, Registry
from test_release import CASCADE, Lab

import tagger as api
from tagger.credentials.docker import DockerConfig
from tagger.engine.client import Engine
from tagger.names import Digest, Reference

SERVICES = [
    pytest.param(("engine", "sid_registry"), marks=pytest.mark.sid, id="docker-registry of sid"),
    pytest.param(("engine", "crane_registry"), marks=pytest.mark.crane, id="crane's registry"),
    pytest.param(("podman", "registry"), marks=pytest.mark.podman, id="Podman"),
    pytest.param(("sid_podman", "registry"), marks=[pytest.mark.podman, pytest.mark.sid], id="Podman of sid"),
]


@pytest.fixture(params=SERVICES)
def lab(request: pytest.FixtureRequest, repository: str) -> Lab:
    """A fresh repository of one of the registries, with one of the Engines."""
    engine, registry = map(request.getfixturevalue, request.param)
    return Lab(engine, registry, repository, registry.host)


@pytest.fixture(params=[case for case in SERVICES if pytest.mark.podman in case.marks])
def podman_lab(request: pytest.FixtureRequest, repository: str) -> Lab:
    """A fresh repository with a Podman."""
    engine, registry = map(request.getfixturevalue, request.param)
    return Lab(engine, registry, repository, registry.host)


@pytest.mark.parametrize("row", ["a new repository", "a backport to an old minor"])
def test_a_release_and_a_repeat_keep_the_tag_rules(lab: Lab, row: str) -> None:
    test_release.test_every_row_of_the_tag_rules_holds(lab, row)


def test_another_image_under_a_published_version_is_refused(lab: Lab) -> None:
    test_release.test_another_image_under_a_published_version_is_refused(lab)


def test_drift_is_found_and_repaired_and_a_version_is_yanked_and_another_one_removed(lab: Lab) -> None:
    lab.publish({"1.0.0": "y", "1.0": "y", "1": "y", "2.1.105": "z", **CASCADE, "latest": "y"})
    name = f"{lab.host}/{lab.path}"
    assert launched(None, "check", name).code == 5
    assert launched(None, "repair", name).code == 0
    assert lab.tags()["latest"] == "a"
    assert launched(None, "yank", name, "2.1.106").code == 0
    yanked = lab.tags()
    assert yanked.pop("2.1.106-yanked") == "a"
    assert yanked == {"1.0.0": "y", "1.0": "y", "1": "y", **dict.fromkeys(("2.1.105", "2.1", "2", "latest"), "z")}
    assert launched(None, "rm", name, "2.1.105", "--yes").code == 0
    assert lab.tags() == {**dict.fromkeys(("1.0.0", "1.0", "1", "latest"), "y"), "2.1.106-yanked": "a"}
    assert api.check(name).ok


def test_an_image_is_promoted_with_its_signature(lab: Lab, elsewhere: Registry) -> None:
    lab.publish({"build-77": "a"})
    source, target = Repository(lab.registry, lab.path), Repository(elsewhere, lab.path)
    body = lab.registry.manifest(lab.path, "build-77")
    built = Pushed(json.loads(body)["mediaType"], body)
    signature = source.referrer(built, "signed")
    for to in (source, target):
        ran = launched(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(to), "--json")
        assert (ran.code, "warnings" in ran.json) == (0, False), ran.err
        assert {to.registry.digest(to.path, tag) for tag in CASCADE} == {built.digest}
        assert to.holds_all_of(signature)
    listed = json.loads(target.registry.manifest(target.path, built.digest.replace(":", "-")))["manifests"]
    assert [entry["digest"] for entry in listed] == [signature.digest]


def test_podman_keeps_each_of_many_tags_that_are_created_together(podman_lab: Lab) -> None:
    podman_lab.image("a")
    image = Digest(podman_lab.images["a"])
    names = {f"{number}.0.0" for number in range(24)}
    tags = [Reference.parse(f"{podman_lab.host}/{podman_lab.path}:{name}") for name in names]
    opened = Engine(DockerConfig(), lambda _: None, {"DOCKER_HOST": podman_lab.engine.url})
    with closing(opened) as engine, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tag: engine.tag(image, tag), tags))
    assert names <= podman_lab.local()  # Podman lists an image with all of its names


def test_a_refused_manifest_list_of_podman_is_reported_with_advice(podman_lab: Lab) -> None:
    podman = podman_lab.engine
    assert isinstance(podman, Podman)
    name = f"localhost/{podman_lab.path}/both"
    podman.manifest_list(name, podman_lab.image("a"))
    ran = launched(podman, "release", name, "1.0.0", "--registry", podman_lab.host, "--repository", podman_lab.path)
    assert ran.code == 2, ran.err
    assert f"podman manifest push --all {name}" in ran.error
    assert "tagger promote" in ran.error
    assert podman_lab.tags() == {}


def test_podman_shows_why_a_registry_refuses_a_push(podman_lab: Lab) -> None:
    host = Ecr(podman_lab.registry)
    host.immutable = r"\d+\.\d+\.\d+"
    podman_lab.engine.image("refused", "refused")
    with host:
        host.seed(podman_lab.path, {"2.1.106": b"another image"})
        before = host.tags(podman_lab.path)
        place = ("--registry", host.host, "--repository", podman_lab.path)
        ran = launched(podman_lab.engine, "release", "refused", "2.1.106", "--force", *place)
        assert (ran.code, host.tags(podman_lab.path)) == (3, before), ran.err
        assert "repository is immutable" in ran.error
