"""Yank: a bad version is out of the running, and its image is still there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command import tagger
from doubles import Proxy, Request, Response, on, refusal
from pushed import Repository
from services import Engine, Registry, private_folder

import tagger as api
from tagger.oci.manifest import OCI_MANIFEST
from tagger.oci.placeholder import placeholders

pytestmark = pytest.mark.engine


@pytest.fixture(params=["deletes", "keeps"])
def shop(request: pytest.FixtureRequest, registry: Registry, repository: str) -> Iterator[Repository]:
    """Give a repository with three versions, in a registry that deletes and in one that does not."""
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
    """Say where each tag points."""
    return repository.registry.snapshot(repository.path)


def test_a_yanked_version_is_kept_under_its_mark_and_nothing_floats_to_it(shop: Repository) -> None:
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


def test_a_yanked_version_is_released_again_by_force_alone(engine: Engine, registry: Registry, repository: str) -> None:
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


def test_a_yanked_version_is_brought_back_as_unyank_is_told(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    before = held(shop)
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0
    recipe = "tagger promote REPOSITORY:VERSION-yanked VERSION --force"
    assert recipe in tagger(None, "unyank", str(shop), "2.1.106").error
    words = recipe.replace("REPOSITORY", str(shop)).replace("VERSION", "2.1.106").split()
    ran = tagger(None, *words[1:])
    assert ran.code == 0, ran.err
    assert held(shop) == before


def test_the_same_image_is_taken_back_by_force(shop: Repository) -> None:
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


def test_a_release_that_is_forced_and_fails_leaves_the_version_yanked(registry: Registry, repository: str) -> None:
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


def test_a_yank_that_was_killed_at_the_version_tag_keeps_the_image_when_it_runs_again(
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


def test_a_version_whose_removal_broke_off_is_absent_and_named(registry: Registry, repository: str) -> None:
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
def test_a_yank_whose_mark_was_written_without_an_answer_says_so(
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


def test_yanking_again_finishes_what_broke_off(registry: Registry, repository: str) -> None:
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
def test_a_registry_that_goes_away_in_the_middle_has_the_tags_named(registry: Registry, repository: str) -> None:
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


def test_the_only_version_of_a_line_takes_its_floating_tags_along(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    shop.image("1.0.0", "only")
    api.repair(str(shop))
    done = api.yank(str(shop), "1.0.0")
    assert set(done.removed) == {"1.0.0", "1.0", "1", "latest"}
    assert set(held(shop)) == {"1.0.0-yanked"}


def test_both_spellings_of_a_yanked_version_go(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("v2.1.106", "2.1.106")
    assert set(api.yank(str(shop), "2.1.106").removed) == {"2.1.106", "v2.1.106"}
    assert set(held(shop)) == {"2.0.9", "2.0", "2.1.105", "2.1.106-yanked", "2.1", "2", "latest"}


def test_a_pre_release_of_a_channel_is_yanked_out_of_it(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    for version in ("2.2.0-rc.1", "2.2.0-rc.2"):
        shop.image(version, version)
    schemes = [api.Scheme(channels=("rc",))]
    api.repair(str(shop), schemes=schemes)
    api.yank(str(shop), "2.2.0-rc.2", schemes=schemes)
    now = held(shop)
    assert set(now) == {"2.2.0-rc.1", "2.2.0-rc.2.yanked", "rc"}
    assert now["rc"] == now["2.2.0-rc.1"]


def test_a_listed_mark_that_leads_nowhere_marks_nothing(registry: Registry, repository: str) -> None:
    shop = filled(Repository(registry, repository))
    shop.image("2.1.106-yanked", "ghost")
    registry.link_file(repository, "2.1.106-yanked").unlink()
    assert "2.1.106-yanked" in shop.tags()
    assert api.check(str(shop)).ok, "latest belongs to 2.1.106 still"


@pytest.mark.parametrize(
    ("version", "says"),
    [("9.9.9", "has no version 9.9.9"), ("2.1", "not a semantic version"), ("2.1.106-yanked", "is the mark")],
)
def test_what_is_not_there_is_not_yanked(registry: Registry, repository: str, version: str, says: str) -> None:
    shop = filled(Repository(registry, repository))
    ran = tagger(None, "yank", str(shop), version)
    assert (ran.code, says in ran.error) == (2, True), ran.err
