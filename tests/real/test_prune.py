"""Prune: old versions go by series, and never one that a floating tag points at."""

from __future__ import annotations

import json

import pytest
from command import tagger
from hypothesis import given
from hypothesis import strategies as st
from pushed import MANIFEST, Repository
from services import Registry
from shelf import Shelf
from versions import semver

import tagger as api
from tagger.cli.render.text import pruning_text
from tagger.errors import RegistryError
from tagger.names import Tag
from tagger.registry.blobs import Blobs
from tagger.repository.prune import prune
from tagger.rules.keep import Policy, superseded
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version

versions = st.sets(
    st.builds(
        semver,
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
def test_no_floating_tag_loses_its_version_without_a_limit_on_lines(found: set[Version], policy: Policy) -> None:
    going = set(superseded(found, Policy(policy.keep)))
    owners = resolve(found, Scheme())
    assert not going & set(owners.values())
    assert resolve(found - going, Scheme()) == owners


@given(versions, policies)
def test_every_kept_series_keeps_its_newest_version(found: set[Version], policy: Policy) -> None:
    left = found - set(superseded(found, policy))
    for major in {version.numbers[0] for version in found if not version.prerelease}:
        minors = sorted({v.numbers[1] for v in found if v.numbers[0] == major and not v.prerelease}, reverse=True)
        for minor in minors[: policy.keep_minors]:
            series = sorted(v for v in found if v.numbers[:2] == (major, minor) and not v.prerelease)
            assert set(series[-policy.keep :]) <= left


@given(versions, policies)
def test_pruning_again_removes_nothing_more(found: set[Version], policy: Policy) -> None:
    assert superseded(found - set(superseded(found, policy)), policy) == []


STRANGE = ("-alpine", "-amd64", "-1", "-r0", "-63-gc1cf", "-rc.1-alpine")
ENDINGS = ["", "-rc.1", "-beta2", "-nightly.7", "-yanked", *STRANGE]
NUMBERS = st.sampled_from(["1.0.0", "1.0.1", "1.1.0", "2.0.0", "2.0.1", "v2.0.1", "2.0.2", "2.1.0"])
TAGS = st.builds(str.__add__, NUMBERS, st.sampled_from(ENDINGS)) | st.sampled_from(["latest", "2", "2.0", "prod", "77"])
SHELVES = st.dictionaries(TAGS, st.sampled_from("abcdefgh"), min_size=1)
KINDS = st.sampled_from(["tag", "digest"])


@given(SHELVES, policies, KINDS)
def test_tags_that_tagger_does_not_understand_stay_and_are_named(
    tags: dict[str, str], policy: Policy, kind: str
) -> None:
    shelf = shelved(tags, kind)
    done = prune(shelf, [Scheme()], policy)
    strange = {tag for tag in tags if tag.endswith(STRANGE)}
    assert strange <= {*shelf.held}
    assert {*done.not_understood} <= strange
    assert {*done.removed} == {*tags} - {*shelf.held}
    going = superseded(Published.of(map(Tag, tags), Scheme()).versions, policy)
    assert {*done.not_understood} == {tag for tag in strange if Scheme().parse(tag) in going}


@given(SHELVES, policies, KINDS)
def test_no_tag_is_pruned_while_a_remaining_tag_holds_its_image(
    tags: dict[str, str], policy: Policy, kind: str
) -> None:
    shelf = shelved(tags, kind)
    before = dict(shelf.held)
    planned = prune(shelf, [Scheme()], policy, dry_run=True)
    assert shelf.held == before
    done = prune(shelf, [Scheme()], policy)
    assert not {before[tag] for tag in done.removed} & {*shelf.held.values()}
    assert shelf.held.items() <= before.items()
    assert (planned.removed, planned.held, done.moved) == (done.removed, done.held, ())
    for tag, by in done.held:
        assert by
        assert {shelf.held[other] for other in by} == {shelf.held[tag]}
    assert prune(shelf, [Scheme()], policy).removed == ()


class Old(Shelf):
    """A repository whose images are asked for no age."""

    @property
    def blobs(self) -> Blobs:
        """Fail, since no policy here asks for an age."""
        raise NotImplementedError


def shelved(tags: dict[str, str], kind: str = "tag") -> Old:
    """A repository whose tags hold images of these names, in a registry that deletes tags or digests."""
    found = Old(deletes=kind)
    for tag, name in tags.items():
        found.hold(tag, name)
    return found


# -- a repository in memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("further", ["2.1.106-alpine", "2.1.106-amd64", "3.9.1-1", "3.9.1-r0", "2.0.330-63-gc1cf3a"])
def test_the_newest_image_of_a_variant_and_a_rebuild_are_not_pruned(further: str) -> None:
    shelf = Old.published(["2.0.329", "2.0.330", "2.1.105", "2.1.106", "3.9.0", "3.9.1"], **{further: "its own"})
    assert isinstance(shelf, Old)
    done = prune(shelf, [Scheme()], Policy(1))
    assert further in shelf.held
    assert done.not_understood == (further,)
    assert {*done.removed} == {"2.0.329", "2.1.105", "3.9.0"}
    assert f"  not understood: {further}" in pruning_text(done)


def test_pre_releases_of_known_stages_and_configured_channels_are_pruned() -> None:
    stages = ["alpha", "beta.2", "rc1", "pre", "preview.1", "dev.20240101", "SNAPSHOT", "nightly", "canary.3"]
    tags = {f"1.0.1-{stage}": stage for stage in [*stages, "edge.1"]} | {"1.0.0": "before", "1.0.1": "released"}
    done = prune(shelved(tags), [Scheme()], Policy(1))
    assert ({*done.removed}, done.not_understood) == (
        {"1.0.0", *(f"1.0.1-{stage}" for stage in stages)},
        ("1.0.1-edge.1",),
    )
    assert "1.0.1-edge.1" in prune(shelved(tags), [Scheme(channels=("edge",))], Policy(1)).removed


def test_a_candidate_is_pruned_with_the_versions_of_its_time() -> None:
    old, new = "1.0.1-candidate.0123456789ab", "1.0.3-candidate.0123456789ab"
    tags = {"1.0.0": "a", old: "failed its gate", "1.0.1": "b", "1.0.2": "c", new: "waits"}
    done = prune(shelved(tags), [Scheme()], Policy(1))
    assert ({*done.removed}, done.not_understood) == ({"1.0.0", old, "1.0.1"}, ())


def test_a_tag_whose_image_another_tag_holds_stays_and_that_tag_is_named() -> None:
    shelf = shelved({"1.0.0": "a", "v1.0.0": "a", "1.0.1": "b", "1.0.2": "c", "prod": "b", "1.0.0-amd64": "d"})
    done = prune(shelf, [Scheme()], Policy(1))
    assert (done.removed, done.held) == (("1.0.0", "v1.0.0"), (("1.0.1", ("prod",)),))
    assert "  held by other tags: 1.0.1 (prod)" in pruning_text(done)


@pytest.mark.parametrize(("keep", "left"), [(1, {"1.0.2": "c"}), (2, {"1.0.1": "b", "1.0.2": "c"})])
@pytest.mark.parametrize("half_removed", [True, False])
def test_a_listed_version_that_is_absent_is_none_of_those_to_keep(
    keep: int, left: dict[str, str], half_removed: bool
) -> None:
    shelf = shelved({"1.0.0": "a", "1.0.1": "b", "1.0.2": "c"})
    shelf.ghosts = {Tag("1.0.3")}
    shelf.half_removed = {*shelf.ghosts} if half_removed else set()
    prune(shelf, [Scheme(floats=())], Policy(keep))
    assert shelf.held == shelved(left).held


def test_nothing_is_pruned_while_a_tag_cannot_be_read() -> None:
    shelf = shelved({"1.0.0": "a", "1.0.1": "b", "prod": "a"})
    shelf.unreadable = {Tag("prod")}
    with pytest.raises(RegistryError, match="cannot say what prod holds"):
        prune(shelf, [Scheme()], Policy(1))
    assert Tag("1.0.0") in shelf.held


def test_a_prune_with_nothing_to_do_is_not_reported_as_a_dry_run() -> None:
    done = prune(shelved({"1.0.0": "a"}), [Scheme()], Policy(1))
    assert (done.dry_run, pruning_text(done)) == (False, f"{done.repository}: nothing to prune")


# -- a real registry -----------------------------------------------------------------------------------------------

VERSIONS = ("1.0.0", "1.0.1", "2.0.0", "2.0.1", "2.0.2", "2.1.0", "2.1.1-rc.1", "2.1.1")


@pytest.fixture
def shop(registry: Registry, repository: str) -> Repository:
    """A repository with old versions."""
    found = Repository(registry, repository)
    for version in VERSIONS:
        found.image(version, version)
    found.image("nightly", "nightly")
    assert api.repair(str(found)).repaired
    return found


@pytest.mark.engine
def test_only_old_versions_are_pruned(shop: Repository) -> None:
    before = shop.registry.snapshot(shop.path)
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--yes", "--json")
    assert ran.code == 0, ran.err
    gone = {"1.0.0", "2.0.0", "2.0.1", "2.1.0", "2.1.1-rc.1"}
    assert (set(ran.json["removed"]), ran.json["moved"]) == (gone, [])
    assert shop.registry.snapshot(shop.path) == {tag: digest for tag, digest in before.items() if tag not in gone}
    again = tagger(None, "prune", str(shop), "--keep", "1", "--yes")
    assert (again.code, "nothing to prune" in again.out) == (0, True)


@pytest.mark.engine
def test_whole_lines_are_pruned_except_for_images_with_a_floating_tag(shop: Repository) -> None:
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
def test_a_young_image_or_one_without_a_date_stays(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    days = {"1.0.0": "2020-01-01", "1.0.1": "1970-01-01", "1.0.2": None, "1.0.3": "2100-01-01"}
    for version, day in days.items():
        created = f"{day}T00:00:00Z" if day else None
        config = json.dumps({"os": "linux", "architecture": "amd64", "created": created, "version": version}).encode()
        shop.put(version, MANIFEST, {"config": shop.blob(config, "application/json"), "layers": []})
    shop.image("1.0.4", "newest")
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--older-than", "180d", "--dry-run", "--json")
    assert ran.json["removed"] == ["1.0.0"], ran.err


@pytest.mark.engine
def test_an_image_whose_configuration_is_gone_stays_and_does_not_stop_the_others(
    registry: Registry, repository: str
) -> None:
    shop = Repository(registry, repository)
    for version in ("1.0.0", "1.0.1"):
        config = json.dumps({"created": "2020-01-01T00:00:00Z", "version": version}).encode()
        shop.put(version, MANIFEST, {"config": shop.blob(config, "application/json"), "layers": []})
    shop.image("1.0.2", "newest")
    lost = json.loads(registry.manifest(repository, "1.0.0"))["config"]["digest"]
    assert registry.request("DELETE", f"/v2/{repository}/blobs/{lost}")[0] == 202
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--older-than", "180d", "--yes", "--json")
    assert (ran.code, ran.json["removed"]) == (0, ["1.0.1"]), ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--keep", "0"], "must be at least 1"),
        (["--keep", "1", "--older-than", "a week"], "such as 180d"),
        (["--keep", "1", "--keep-minors", "-1"], "must be at least 1"),
    ],
)
def test_a_policy_that_keeps_nothing_is_refused(words: list[str], says: str) -> None:
    ran = tagger(None, "prune", "127.0.0.1:9/gallery", "--yes", *words)
    assert (ran.code, says in ran.error) == (2, True), ran.err
