"""Yank: a bad version no longer counts, and its image is still there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from command import tagger
from doubles import Proxy, Request, Response, on, refusal
from pushed import Repository
from services import Engine, Registry, private_folder
from shelf import Shelf

import tagger as api
from tagger.names import Tag
from tagger.oci.manifest import OCI_MANIFEST
from tagger.oci.placeholder import placeholders
from tagger.repository.check import check
from tagger.repository.yank import yank
from tagger.rules.scheme import Scheme

pytestmark = pytest.mark.engine


@pytest.fixture(params=["deletes", "keeps"])
def shop(request: pytest.FixtureRequest, registry: Registry, repository: str) -> Iterator[Repository]:
    """A repository with three versions, in a registry that deletes and in one that does not."""
    if request.param == "deletes":
        yield filled(Repository(registry, repository))
        return
    with private_folder() as folder, Registry.start(folder, deletes=False) as keeping:
        yield filled(Repository(keeping, repository))


def filled(repository: Repository) -> Repository:
    """Publish three versions and their floating tags."""
    for version in ("2.0.9", "2.1.105", "2.1.106"):
        repository.image(version, version)
    assert api.repair(str(repository)).repaired
    return repository


def held(repository: Repository) -> dict[str, str]:
    """Return where each tag points."""
    return repository.registry.snapshot(repository.path)


def test_a_yanked_version_is_kept_under_its_mark_without_floating_tags(shop: Repository) -> None:
    before = held(shop)
    ran = tagger(None, "yank", str(shop), "2.1.106", "--json")
    assert ran.code == 0, ran.err
    now = held(shop)
    assert now.pop("2.1.106-yanked") == before["2.1.106"]
    stays = "2.1.106" in now
    assert now == {
        **{tag: digest for tag, digest in before.items() if stays or tag != "2.1.106"},
        **dict.fromkeys(("2.1", "2", "latest"), before["2.1.105"]),
    }
    assert ran.json["yanked"] == ["2.1.106-yanked"]
    assert (ran.json["removed"], ran.json["kept"]) == (([], ["2.1.106"]) if stays else (["2.1.106"], []))
    assert {move["tag"] for move in ran.json["moved"]} == {"2.1", "2", "latest"}
    assert tagger(None, "check", str(shop)).code == 0
    assert tagger(None, "next", str(shop), "--patch").out == "2.1.107\n", "2.1.106 is taken"


def test_a_yanked_version_is_released_again_only_with_force(
    engine: Engine, registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    name = f"yanked-{repository.rpartition('-')[2]}"
    engine.image(name, "better")
    words = ["release", name, "2.1.106", "--registry", registry.host, "--repository", repository]
    api.yank(str(shop), "2.1.106")
    refused = tagger(engine, *words)
    assert (refused.code, "was yanked" in refused.error) == (3, True), refused.err
    forced = tagger(engine, *words, "--force")
    assert forced.code == 0, forced.err
    now = held(shop)
    assert "2.1.106-yanked" not in now
    assert {now[tag] for tag in ("2.1", "2", "latest")} == {now["2.1.106"]}


def test_the_command_that_unyank_names_brings_a_yanked_version_back(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    before = held(shop)
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0
    recipe = "tagger yank REPOSITORY VERSION --undo"
    assert recipe in tagger(None, "unyank", str(shop), "2.1.106").error
    assert "tagger yank --undo" in tagger(None, "promote", f"{shop}:2.0.9", "2.1.106").error
    words = recipe.replace("REPOSITORY", str(shop)).replace("VERSION", "2.1.106").split()
    ran = tagger(None, *words[1:])
    assert ran.code == 0, ran.err
    assert held(shop) == before


def test_undoing_a_yank_puts_every_tag_where_it_was(shop: Repository) -> None:
    before = held(shop)
    deletes = "2.1.106" in api.yank(str(shop), "2.1.106").removed
    planned = tagger(None, "yank", str(shop), "2.1.106", "--undo", "--dry-run", "--json")
    assert (planned.code, {move["tag"] for move in planned.json["moved"]}) == (0, {"2.1", "2", "latest"})
    ran = tagger(None, "yank", str(shop), "2.1.106", "--undo", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["restored"], ran.json["digests"]) == (["2.1.106"], [before["2.1.106"]])
    assert {move["tag"]: move["after"] for move in ran.json["moved"]} == dict.fromkeys(
        ("2.1", "2", "latest"), before["2.1.106"]
    )
    now = held(shop)
    left = now.pop("2.1.106-yanked", None)
    assert now == before
    if deletes:
        assert (ran.json["removed"], ran.json["kept"], left) == (["2.1.106-yanked"], [], None)
        assert tagger(None, "check", str(shop)).code == 0
    else:
        assert (ran.json["removed"], ran.json["kept"]) == ([], ["2.1.106-yanked"])
        assert left == placeholders("2.1.106-yanked")[0].digest, "so that nobody pulls it and it marks nothing"
        assert ":2.1.106-yanked" not in ran.json["warnings"][0]
        assert "does not delete 2.1.106-yanked" in ran.json["warnings"][0]
        checked = tagger(None, "check", str(shop), "--json")
        assert (checked.code, checked.json["emptied"], "half_removed" in checked.json) == (0, ["2.1.106-yanked"], False)
        assert (
            "2.1.106-yanked holds a placeholder, and no longer marks a version" in tagger(None, "check", str(shop)).out
        )
        repaired = tagger(None, "repair", str(shop), "--json")
        assert (repaired.code, "2.1.106-yanked" in repaired.json["warnings"][0]) == (0, True), repaired.err
    again = tagger(None, "yank", str(shop), "2.1.106", "--undo")
    assert again.code == 0, again.err
    assert "is not yanked" in again.out or not deletes
    assert api.yank(str(shop), "2.1.106").marks == ("2.1.106-yanked",), "and it can be yanked again"
    assert held(shop)["latest"] == before["2.1.105"]


def test_undoing_a_yank_moves_only_the_floating_tags_that_belong_to_the_version(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    image = held(shop)["2.1.106"]
    api.yank(str(shop), "2.1.106")
    shop.image("2.2.0", "2.2.0")
    api.repair(str(shop))
    done = api.unyank(str(shop), "2.1.106")
    assert [move.tag for move in done.moved] == ["2.1"]
    now = held(shop)
    assert (now["2.1"], now["2"], now["latest"]) == (image, now["2.2.0"], now["2.2.0"])


def test_the_floating_tags_of_a_version_whose_mark_cannot_be_removed_are_checked_and_repaired(repository: str) -> None:
    with private_folder() as folder, Registry.start(folder, deletes=False) as keeping:
        shop = filled(Repository(keeping, repository))
        only = shop.image("3.0.0", "3.0.0")
        api.repair(str(shop))
        api.yank(str(shop), "3.0.0")
        api.unyank(str(shop), "3.0.0")
        assert api.check(str(shop)).ok
        shop.image("3.0", "stray")
        assert [state.tag for state in api.check(str(shop)).drift] == ["3.0"]
        assert [move.tag for move in api.repair(str(shop)).repaired] == ["3.0"]
        assert held(shop)["3.0"] == only.digest


def test_undoing_a_yank_restores_a_series_with_a_single_version(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    shop.image("1.0.0", "only")
    api.repair(str(shop))
    before = held(shop)
    api.yank(str(shop), "1.0.0")
    assert {move.tag for move in api.unyank(str(shop), "1.0.0").moved} == {"1.0", "1", "latest"}
    assert held(shop) == before


def test_a_yank_is_undone_in_every_variant_that_has_the_mark(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("2.1.106-alpine", "alpine")
    schemes = api.lines(api.Scheme(), ["default", "alpine"])
    api.repair(str(shop), schemes=schemes)
    before = held(shop)
    api.yank(str(shop), "2.1.106", schemes=schemes)
    assert {"2.1.106-yanked", "2.1.106-yanked-alpine"} <= held(shop).keys()
    done = api.unyank(str(shop), "2.1.106", schemes=schemes)
    assert set(done.restored) == {"2.1.106", "2.1.106-alpine"}
    assert held(shop) == before


def test_another_image_under_a_yanked_version_is_not_overwritten_by_its_mark(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    api.yank(str(shop), "2.1.106")
    shop.image("2.1.106", "another")
    before = held(shop)
    ran = tagger(None, "yank", str(shop), "2.1.106", "--undo")
    assert (ran.code, "holds a different image" in ran.error) == (3, True), ran.err
    assert held(shop) == before


@pytest.mark.parametrize(
    ("version", "says"),
    [("9.9.9", "has no yanked version 9.9.9"), ("2.1.106-yanked", "give the version itself, 2.1.106")],
)
def test_undoing_a_yank_needs_a_yanked_version(registry: Registry, repository: str, version: str, says: str) -> None:
    shop = filled(Repository(registry, repository))
    ran = tagger(None, "yank", str(shop), version, "--undo")
    assert (ran.code, says in ran.error) == (2, True), ran.err


def test_an_undo_without_the_right_to_remove_the_mark_puts_the_floating_tags_back(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    api.yank(str(shop), "2.1.106")
    before = held(shop)
    with Proxy(registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/2\.1\.106-yanked$", refusal(403, "DENIED", "immutable")))
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106", "--undo")
    assert (ran.code, "still marked as yanked" in ran.error) == (1, True), ran.err
    now = held(shop)
    assert now.pop("2.1.106") == before["2.1.106-yanked"], "the version tag alone was pushed already"
    assert now == before
    assert tagger(None, "yank", str(shop), "2.1.106", "--undo").code == 0


def test_a_registry_that_deletes_all_tags_of_an_image_does_not_lose_the_version(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    before = held(shop)
    api.yank(str(shop), "2.1.106")
    with Proxy(registry.host) as proxy:

        def all_at_once(request: Request) -> Response | None:
            tag = request.path.rpartition("/")[2]
            if request.method != "DELETE" or ":" in tag:
                return None
            if tag not in held(shop):
                return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
            status, _, _ = registry.request("DELETE", f"/v2/{shop.path}/manifests/{held(shop)[tag]}")
            return Response(status)

        proxy.intercept(all_at_once)
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106", "--undo")
    assert ran.code == 0, ran.err
    assert held(shop) == before


def test_a_concurrent_yank_and_undo_never_lose_the_image(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    image = held(shop)["2.1.106"]
    api.yank(str(shop), "2.1.106")
    with Proxy(registry.host) as proxy:
        undone: list[int] = []

        def undo_first(request: Request) -> Response | None:
            if request.method == "PUT" and request.path.endswith("/2.1.106") and not undone:
                undone.append(tagger(None, "yank", str(shop), "2.1.106", "--undo").code)
            return None

        api.unyank(str(shop), "2.1.106")
        mark = registry.manifest(shop.path, "2.1.106")
        assert registry.put(shop.path, "2.1.106-yanked", mark, OCI_MANIFEST) == 201
        proxy.intercept(undo_first)  # the yank has seen the mark, and is about to remove the version's tag
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106")
    assert (undone, ran.code) == ([0], 0), ran.err
    now = held(shop)
    assert (now["2.1.106-yanked"], now["latest"]) == (image, now["2.1.105"])


def test_the_same_image_is_released_again_with_force(shop: Repository) -> None:
    before = held(shop)
    api.yank(str(shop), "2.1.106")
    again = f"{shop}@{before['2.1.106']}"
    with pytest.raises(api.Refused, match="was yanked"):
        api.promote(again, "2.1.106")
    if "2.1.106" in held(shop):
        with pytest.raises(api.TaggerError, match="deletes switched off"):
            api.promote(again, "2.1.106", force=True)
        assert held(shop)["2.1.106-yanked"] == before["2.1.106"]
    else:
        assert api.promote(again, "2.1.106", force=True).outcome == "released"
        assert held(shop) == before


def test_a_failed_forced_release_leaves_the_version_yanked(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    better = shop.image("better", "better")
    api.yank(str(shop), "2.1.106")
    before = held(shop)
    with Proxy(registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/latest$", refusal(403, "DENIED", "immutable")))
        with pytest.raises(api.TaggerError):
            api.promote(f"{proxy.host}/{shop.path}@{better.digest}", "2.1.106", force=True)
    now = held(shop)
    assert {tag: now[tag] for tag in before} == before


PLACEHOLDER = placeholders("2.1.106")[0]


def test_a_yank_that_was_killed_at_the_version_tag_keeps_the_image_in_the_next_run(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    image = held(shop)["2.1.106"]
    mark = registry.manifest(shop.path, "2.1.106")
    assert registry.put(shop.path, "2.1.106-yanked", mark, OCI_MANIFEST) == 201
    assert registry.put(shop.path, "2.1.106", PLACEHOLDER.body, PLACEHOLDER.media_type) == 201
    done = api.yank(str(shop), "2.1.106")
    assert done.digests == (image,)
    now = held(shop)
    assert (now["2.1.106-yanked"], now["latest"]) == (image, now["2.1.105"])


def test_a_version_with_an_unfinished_removal_is_absent_and_named(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    better = shop.image("better", "better")
    assert registry.put(shop.path, "2.1.106", PLACEHOLDER.body, PLACEHOLDER.media_type) == 201
    checked = tagger(None, "check", str(shop), "--json")
    assert (checked.code, checked.json["half_removed"]) == (5, ["2.1.106"]), checked.err
    assert "2.1.106 holds a placeholder" in tagger(None, "check", str(shop)).out
    api.repair(str(shop))
    now = held(shop)
    assert {now[tag] for tag in ("2.1", "2", "latest")} == {now["2.1.105"]}
    assert api.promote(f"{shop}@{better.digest}", "2.1.106").outcome == "released"
    assert held(shop)["latest"] == better.digest
    assert registry.put(shop.path, "2.1.106", PLACEHOLDER.body, PLACEHOLDER.media_type) == 201
    api.remove(str(shop), "2.1.106")
    assert "2.1.106" not in registry.tags(shop.path)


@pytest.mark.usefixtures("hurried")
def test_a_repair_that_cannot_finish_a_removal_says_what_moved_and_names_the_tag(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    assert registry.put(shop.path, "2.1.106", PLACEHOLDER.body, PLACEHOLDER.media_type) == 201
    with Proxy(registry.host) as proxy:
        proxy.intercept(
            on("DELETE", rf"/manifests/{PLACEHOLDER.digest}$", refusal(403, "DENIED", "no right to delete"))
        )
        first = tagger(None, "repair", f"{proxy.host}/{shop.path}")
        now = held(shop)
        again = tagger(None, "repair", f"{proxy.host}/{shop.path}")
    assert {now[tag] for tag in ("2.1", "2", "latest")} == {now["2.1.105"]}
    assert (first.code, "moved: 2.1, 2, latest; still to remove: 2.1.106" in first.error) == (4, True), first.err
    assert (again.code, "does not let you delete" in again.error, "moved" in again.error) == (4, True, False), again.err
    assert tagger(None, "repair", str(shop)).code == 0
    assert "2.1.106" not in registry.tags(shop.path)


def test_a_floating_tag_that_cannot_leave_the_yanked_image_is_named(repository: str) -> None:
    with private_folder() as folder, Registry.start(folder, deletes=False) as keeping:
        shop = filled(Repository(keeping, repository))
        shop.image("2.2.0", "2.2.0")
        api.repair(str(shop))
        planned = tagger(None, "yank", str(shop), "2.2.0", "--dry-run", "--json").json
        done = tagger(None, "yank", str(shop), "2.2.0", "--json")
        assert done.code == 0, done.err
        for told in (planned, done.json):
            assert (told["removed"], told["kept"]) == ([], ["2.2", "2.2.0"])
            (warning,) = told["warnings"]
            assert ":2.2 still holds the yanked 2.2.0" in warning
        assert tagger(None, "check", str(shop)).code == 5


@pytest.mark.parametrize("lost", ["the mark", "the look at it"])
def test_a_yank_reports_a_mark_that_was_written_without_an_answer(
    registry: Registry, repository: str, lost: str
) -> None:
    shop = filled(Repository(registry, repository))
    with Proxy(registry.host) as proxy:
        method = "PUT" if lost == "the mark" else "HEAD"
        rule = proxy.lose_answer if lost == "the mark" else Response(drop=True)
        seen: list[str] = []
        before: list[str] = []

        def after_the_mark(request: Request) -> Response | None:
            if not request.path.endswith("2.1.106-yanked"):
                return None
            seen.append(request.method)
            if request.method == method and "PUT" in seen and seen.count(method) - before.count(method) <= 4:
                return rule(request) if callable(rule) else rule
            before[:] = before if "PUT" in seen else seen
            return None

        proxy.intercept(after_the_mark)
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106")
    now = held(shop)
    if ran.code == 0:
        assert "latest" not in {tag for tag, digest in now.items() if digest == now["2.1.106-yanked"]}
    else:
        assert (ran.code, "2.1.106 is marked as yanked" in ran.error) == (4, True), ran.err
        assert all(tag in ran.error for tag in ("2.1", "2", "latest"))
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0


def test_a_dry_run_of_a_yank_writes_nothing(shop: Repository) -> None:
    before = held(shop)
    ran = tagger(None, "yank", str(shop), "2.1.106", "--dry-run")
    assert (ran.code, "dry run: nothing was written" in ran.out) == (0, True), ran.err
    assert "move latest" in ran.out
    assert held(shop) == before


def test_yanking_again_finishes_an_interrupted_yank(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    with Proxy(registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/latest$", refusal(403, "DENIED", "immutable"), times=1))
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106")
        assert (ran.code, "latest" in ran.error) == (4, True), ran.err
        assert tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106").code == 0
    now = held(shop)
    assert "2.1.106" not in now
    assert now["latest"] == now["2.1.105"]
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0, "and once more changes nothing"
    assert held(shop) == now


@pytest.mark.usefixtures("no_waiting")
def test_a_registry_that_goes_away_during_a_yank_makes_the_error_name_the_tags(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    with Proxy(registry.host) as proxy:

        def gone(request: Request) -> Response | None:
            marked = any(r.method == "PUT" and r.path.endswith("2.1.106-yanked") for r in proxy.requests[:-1])
            return Response(drop=True) if marked and not request.path.endswith("2.1.106-yanked") else None

        proxy.intercept(gone)
        with pytest.raises(api.Unsettled) as caught:
            api.yank(f"{proxy.host}/{shop.path}", "2.1.106")
    assert set(caught.value.tags) >= {"2.1", "2", "latest"}
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0
    assert held(shop)["latest"] == held(shop)["2.1.105"]


def test_a_yank_succeeds_although_the_other_tags_of_its_image_are_unreadable(
    registry: Registry, repository: str
) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("stable", "2.1.106")
    with Proxy(registry.host) as proxy:
        proxy.intercept(on("HEAD", "/manifests/stable$", refusal(401, "UNAUTHORIZED", "log in")))
        ran = tagger(None, "yank", f"{proxy.host}/{shop.path}", "2.1.106", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["removed"] == ["2.1.106"]
    (warning,) = ran.json["warnings"]
    assert "tagger could not see which other tags hold the image of 2.1.106, because" in warning
    assert held(shop)["latest"] == held(shop)["2.1.105"]


def test_yanking_the_only_version_of_a_line_removes_its_floating_tags(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    shop.image("1.0.0", "only")
    api.repair(str(shop))
    done = api.yank(str(shop), "1.0.0")
    assert set(done.removed) == {"1.0.0", "1.0", "1", "latest"}
    assert set(held(shop)) == {"1.0.0-yanked"}


def test_both_spellings_of_a_yanked_version_are_removed(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("v2.1.106", "2.1.106")
    assert set(api.yank(str(shop), "2.1.106").removed) == {"2.1.106", "v2.1.106"}
    assert set(held(shop)) == {"2.0.9", "2.0", "2.1.105", "2.1.106-yanked", "2.1", "2", "latest"}


@pytest.mark.parametrize("tag", ["v2.1.106", "2.1.106"])
def test_a_tag_of_a_yanked_version_that_holds_another_image_stays_and_is_named(
    registry: Registry, repository: str, tag: str
) -> None:
    shop = filled(Repository(registry, repository))
    if tag == "2.1.106":
        api.yank(str(shop), "2.1.106")
    other = shop.image(tag, "pushed by hand")
    done = api.yank(str(shop), "2.1.106")
    assert held(shop)[tag] == other.digest
    (warning,) = done.warnings
    assert warning.startswith(f"{shop}:{tag} holds a different image from 2.1.106-yanked, so it stays")


def test_yanking_a_pre_release_moves_its_channel(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    for version in ("2.2.0-rc.1", "2.2.0-rc.2"):
        shop.image(version, version)
    schemes = [api.Scheme(channels=("rc",))]
    api.repair(str(shop), schemes=schemes)
    api.yank(str(shop), "2.2.0-rc.2", schemes=schemes)
    now = held(shop)
    assert set(now) == {"2.2.0-rc.1", "2.2.0-rc.2.yanked", "rc"}
    assert now["rc"] == now["2.2.0-rc.1"]


def test_a_listed_mark_without_an_image_marks_nothing(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("2.1.106-yanked", "ghost")
    registry.link_file(repository, "2.1.106-yanked").unlink()
    assert "2.1.106-yanked" in shop.tags()
    assert api.check(str(shop)).ok, "latest belongs to 2.1.106 still"


@pytest.mark.parametrize(
    ("version", "says"),
    [("9.9.9", "has no version 9.9.9"), ("2.1", "not a semantic version"), ("2.1.106-yanked", "is the mark")],
)
def test_a_missing_version_cannot_be_yanked(registry: Registry, repository: str, version: str, says: str) -> None:
    shop = filled(Repository(registry, repository))
    ran = tagger(None, "yank", str(shop), version)
    assert (ran.code, says in ran.error) == (2, True), ran.err


def test_a_floating_tag_of_a_newer_version_with_the_same_image_is_not_out_of_place() -> None:
    repository = Shelf.published({"2.1.105": "same", "2.1.106": "same"})
    assert isinstance(repository, Shelf)
    for dry_run in (True, False):
        assert yank(repository, [Scheme()], "2.1.105", dry_run=dry_run).warnings == ()
    assert check(repository, [Scheme()]).ok


@pytest.mark.parametrize(
    ("rebuilds", "absent"), [(["1.0.1-r0", "1.0.1-r1"], ""), (["1.0.1-r1"], "1.0.1-r0"), (["1.0.1-r1"], "1.0.2")]
)
@pytest.mark.parametrize("others", [{}, {"1.0.0": "a"}])
def test_a_dry_run_of_a_yank_of_rebuilds_shows_each_tag_once_and_all_that_the_yank_changes(
    rebuilds: list[str], absent: str, others: dict[str, str]
) -> None:
    scheme = Scheme(revisions="-r{n}")
    repository = Shelf(ghosts={Tag(absent)} if absent else set())
    for tag, image in (others | dict.fromkeys((*rebuilds, "1.0.1", "1.0", "1", "latest"), "b")).items():
        repository.hold(tag, image)
    for version in ("1.0.1-r1", "1.0.1"):
        before = replace(repository, held=dict(repository.held), ghosts={*repository.ghosts})
        shown, done = (yank(before, [scheme], version, dry_run=dry_run) for dry_run in (True, False))
        assert (shown.moved, {*shown.removed}, shown.kept) == (done.moved, {*done.removed}, done.kept)
        assert len(shown.removed) == len({*shown.removed})
        assert check(before, [scheme]).ok
