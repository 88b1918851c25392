"""Prune: old versions go by line, and never one that a floating tag points at."""

from __future__ import annotations

import json

import pytest
from command import tagger
from hypothesis import given
from hypothesis import strategies as st
from pushed import MANIFEST, Repository
from semver import Version
from services import Registry

import tagger as api
from tagger.cascade import Scheme, floating
from tagger.retention import Policy, superseded

versions = st.sets(
    st.builds(
        Version,
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 6),
        st.sampled_from([None, None, "rc.1", "yanked"]),
    ),
    max_size=40,
)
policies = st.builds(Policy, st.integers(1, 4), st.none() | st.integers(1, 3))


# -- laws ----------------------------------------------------------------------------------------------------------


@given(versions, policies)
def test_without_a_bound_on_lines_no_floating_tag_loses_its_version(found: set[Version], policy: Policy) -> None:
    going = set(superseded(found, Policy(policy.keep)))
    owners = floating(found, Scheme())
    assert not going & set(owners.values())
    assert floating(found - going, Scheme()) == owners


@given(versions, policies)
def test_every_line_that_is_kept_keeps_its_newest(found: set[Version], policy: Policy) -> None:
    left = found - set(superseded(found, policy))
    for major in {version.major for version in found if not version.prerelease}:
        lines = sorted({v.minor for v in found if v.major == major and not v.prerelease}, reverse=True)
        for minor in lines[: policy.keep_minors]:
            line = sorted(v for v in found if (v.major, v.minor) == (major, minor) and not v.prerelease)
            assert set(line[-policy.keep :]) <= left


@given(versions, policies)
def test_pruning_again_takes_nothing_more(found: set[Version], policy: Policy) -> None:
    assert superseded(found - set(superseded(found, policy)), policy) == []


# -- a real registry -----------------------------------------------------------------------------------------------

VERSIONS = ("1.0.0", "1.0.1", "2.0.0", "2.0.1", "2.0.2", "2.1.0", "2.1.1-rc.1", "2.1.1")


@pytest.fixture
def shop(registry: Registry, repository: str) -> Repository:
    """Give a repository with old versions."""
    found = Repository(registry, repository)
    for version in VERSIONS:
        found.image(version, version)
    found.image("nightly", "nightly")
    assert api.repair(str(found)).repaired
    return found


@pytest.mark.engine
def test_old_versions_go_and_everything_else_stays(shop: Repository) -> None:
    before = shop.registry.snapshot(shop.path)
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--yes", "--json")
    assert ran.code == 0, ran.err
    gone = {"1.0.0", "2.0.0", "2.0.1", "2.1.0", "2.1.1-rc.1"}
    assert (set(ran.json["removed"]), ran.json["moved"]) == (gone, [])
    assert shop.registry.snapshot(shop.path) == {tag: digest for tag, digest in before.items() if tag not in gone}
    again = tagger(None, "prune", str(shop), "--keep", "1", "--yes")
    assert (again.code, "nothing to prune" in again.err) == (0, True)


@pytest.mark.engine
def test_whole_lines_go_but_for_what_a_floating_tag_points_at(shop: Repository) -> None:
    ran = tagger(None, "prune", str(shop), "--keep", "5", "--keep-minors", "1", "--dry-run", "--json")
    assert set(ran.json["removed"]) == {"2.0.0", "2.0.1"}, "2.0 points at 2.0.2"
    held = shop.registry.snapshot(shop.path)
    shop.put("latest", MANIFEST, _body(shop, held["2.0.0"]))
    ran = tagger(None, "prune", str(shop), "--keep", "5", "--keep-minors", "1", "--dry-run", "--json")
    assert set(ran.json["removed"]) == {"2.0.1"}, "a floating tag that drifted points somewhere too"


def _body(repository: Repository, digest: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(repository.registry.manifest(repository.path, digest))
    return {name: value for name, value in content.items() if name not in ("schemaVersion", "mediaType")}


@pytest.mark.engine
def test_what_is_young_or_says_no_age_stays(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    days = {"1.0.0": "2020-01-01", "1.0.1": "1970-01-01", "1.0.2": None, "1.0.3": "2100-01-01"}
    for version, day in days.items():
        created = f"{day}T00:00:00Z" if day else None
        config = json.dumps({"os": "linux", "architecture": "amd64", "created": created, "version": version}).encode()
        shop.put(version, MANIFEST, {"config": shop.blob(config, "application/json"), "layers": []})
    shop.image("1.0.4", "newest")
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--older-than", "180d", "--dry-run", "--json")
    assert ran.json["removed"] == ["1.0.0"], ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--keep", "0"], "take a number from 1 on"),
        (["--keep", "1", "--older-than", "a week"], "such as 180d"),
        (["--keep", "1", "--keep-minors", "-1"], "take a number from 1 on"),
    ],
)
def test_a_policy_that_keeps_nothing_is_none(words: list[str], says: str) -> None:
    ran = tagger(None, "prune", "127.0.0.1:9/gallery", "--yes", *words)
    assert (ran.code, says in ran.error) == (2, True), ran.err
