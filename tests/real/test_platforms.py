"""Platforms that a registry deleted from under their index: a check says so, and releasing the image again fixes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from command import tagger
from doubles import FakeEngine, Message, ModelRegistry, Proxy, Response, on
from pushed import Repository
from services import Registry

import tagger as api

CASCADE = ("2.1.106", "2.1", "2", "latest")

pytestmark = pytest.mark.engine


@pytest.fixture
def source(registry: Registry, repository: str) -> Repository:
    """An empty repository of the first registry."""
    return Repository(registry, repository)


@pytest.fixture
def target(elsewhere: Registry, repository: str) -> Repository:
    """An empty repository of the second registry."""
    return Repository(elsewhere, f"{repository}/golden")


def clean_up(repository: Repository, digest: str) -> None:
    """Delete a manifest without a tag, as cleaners do."""
    assert repository.registry.request("DELETE", f"/v2/{repository.path}/manifests/{digest}")[0] == 202


def children(body: bytes) -> list[str]:
    """The digests that an index lists."""
    return [entry["digest"] for entry in json.loads(body)["manifests"]]


def test_a_check_names_missing_parts_of_an_index_and_a_promotion_restores_them(
    source: Repository, target: Repository
) -> None:
    built = source.index("build-77", "gallery")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    assert api.check(str(target)).ok
    gone = children(built.body)[:2]
    for digest in gone:
        clean_up(target, digest)
    ran = tagger(None, "check", str(target), "--json")
    assert (ran.code, ran.json["ok"], ran.json["drift"]) == (5, False, []), ran.err
    (incomplete,) = ran.json["incomplete"]
    assert (incomplete["digest"], incomplete["missing"]) == (built.digest, gone)
    assert set(incomplete["tags"]) == {"2.1", "2", "latest"}
    said = tagger(None, "check", str(target)).out
    assert ("no drift, 1 incomplete" in said, "release the same image again" in said) == (True, True)
    planned = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target), "--dry-run")
    assert (planned.code, f"the registry has lost a part of it, {gone[0]}" in planned.out) == (0, True), planned.err
    assert not api.check(str(target)).ok, "a dry run writes nothing"
    again = api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    assert (again.outcome, again.warnings) == ("released", ())
    assert target.holds_all_of(built)
    assert api.check(str(target)).ok
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).outcome == "unchanged"


def test_missing_parts_below_an_index_of_indexes_are_found(source: Repository) -> None:
    inner = source.index(None, "gallery")
    tagged = ["1.0.0", "1.0", "1", "latest"]
    for tag in tagged:
        source.put(tag, inner.media_type, {"manifests": [inner.descriptor()]})
    gone = children(inner.body)[1]
    clean_up(source, gone)
    (incomplete,) = api.check(str(source)).incomplete
    assert incomplete.missing == (gone,)


@pytest.mark.parametrize("status", [401, 403, 412, 429, 500, 503])
@pytest.mark.usefixtures("no_waiting")
def test_an_unreadable_part_is_not_reported_as_missing(source: Repository, status: int) -> None:
    built = source.index("build-77", "gallery")
    api.promote(f"{source}:build-77", "2.1.106")
    with Proxy(source.registry.host) as proxy:
        for method in ("GET", "HEAD"):
            proxy.intercept(on(method, children(built.body)[0], Response(status, b"no")))
        assert api.check(f"{proxy.host}/{source.path}").ok


def test_an_image_that_only_head_denies_is_not_missing(source: Repository) -> None:
    built = source.index("build-77", "gallery")
    api.promote(f"{source}:build-77", "2.1.106")
    with Proxy(source.registry.host) as proxy:
        proxy.intercept(on("HEAD", children(built.body)[0], Response(404)))
        assert api.check(f"{proxy.host}/{source.path}").ok


def test_an_image_with_missing_platforms_in_the_source_is_not_released(source: Repository) -> None:
    built = source.index("build-77", "gallery")
    clean_up(source, children(built.body)[0])
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106")
    assert (ran.code, children(built.body)[0] in ran.error, "push that image again" in ran.error) == (1, True, True)
    assert source.tags() == ["build-77"]


Push = Callable[[str, str], Iterator[Message]]


@pytest.mark.parametrize("heals", [True, False])
def test_a_release_of_the_same_image_pushes_missing_parts_again(source: Repository, *, heals: bool) -> None:
    with ModelRegistry() as registry, FakeEngine(registry, store="containerd") as engine:
        image = engine.load("build", b"gallery")
        child = engine.manifests[image]
        index = source.index(None, "gallery").body
        listed = json.loads(index)
        listed["manifests"] = [
            {"mediaType": json.loads(child)["mediaType"], "digest": image, "size": len(child),
             "platform": {"os": "linux", "architecture": "amd64"}}
        ]  # fmt: skip
        body = json.dumps(listed).encode()
        whole = registry.put("gallery", "2.1.106", body)
        engine.manifests[whole] = body
        engine.images[whole] = engine.images[image] | {"Id": whole}
        engine.tags["build:latest"] = whole
        for tag in CASCADE[1:]:
            registry.put("gallery", tag, body)

        def push(name: str, tag: str) -> Iterator[Message]:
            if heals:
                registry.manifests["gallery", image] = json.loads(child)["mediaType"], child
            yield from engine.deliver(name, tag)

        engine.push = push
        words = ("release", "build", "2.1.106", "--registry", registry.host, "--repository", "gallery", "--json")
        ran = tagger(engine, *words)
        assert set(registry.repositories["gallery"].values()) == {whole}
        if heals:
            assert (ran.code, ran.json["outcome"]) == (0, "released"), ran.err
            assert tagger(engine, *words).json["outcome"] == "unchanged"
        else:
            assert (ran.code, f"still lacks {image}" in ran.error) == (1, True), ran.err
