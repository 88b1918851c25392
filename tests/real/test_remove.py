"""Removing: floating tags go back first, then the named tags go, and nothing else does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import ModelRegistry, Request, Response
from hypothesis import given
from hypothesis import strategies as st
from model import Crash, Fault, ModelEngine, every_tag, image, placed, release, undisturbed
from services import CraneRegistry, Engine, Registry, private_folder
from shelf import Shelf, remove, remove_all

import tagger as api
from tagger.errors import (
    Abandoned,
    BadAnswer,
    Immutable,
    InputError,
    Interrupted,
    Refused,
    TaggerError,
    Unreadable,
    Unsettled,
)
from tagger.names import Tag
from tagger.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from tagger.oci.placeholder import ARTIFACT_TYPE
from tagger.registry.answer import Answer
from tagger.registry.delete import Deleting
from tagger.releasing.order import Order
from tagger.repository.repair import repair
from tagger.repository.yank import yank
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

SCHEME = Scheme()


def shelf(*versions: str, **held: str) -> Shelf:
    """Publish versions, each with its own image."""
    found = Shelf.published(versions, **held)
    assert isinstance(found, Shelf)
    return found


def names(repository: Shelf) -> dict[str, str]:
    """Return which version's image each tag holds."""
    known = {image(v).manifest.digest: v for v in ("2.1.105", "2.1.106", "2.0.7", "1.0.0", "2.2.0-rc.1", "other")}
    return {str(tag): known.get(digest, "?") for tag, digest in repository.held.items()}


# -- what goes and what stays --------------------------------------------------------------------------------------


def test_floating_tags_fall_back_and_the_version_is_removed() -> None:
    repository = shelf("2.0.7", "2.1.105", "2.1.106", nightly="other")
    done = remove(repository, [SCHEME], ["2.1.106"])
    assert names(repository) == {
        "2.0.7": "2.0.7", "2.0": "2.0.7", "2.1.105": "2.1.105", "nightly": "other",
        "2.1": "2.1.105", "2": "2.1.105", "latest": "2.1.105",
    }  # fmt: skip
    assert done.removed == ("2.1.106",)
    assert {(str(m.tag), str(m.version)) for m in done.moved} == {
        ("2.1", "2.1.105"), ("2", "2.1.105"), ("latest", "2.1.105"),
    }  # fmt: skip


def test_floating_tags_without_a_version_are_removed_too() -> None:
    repository = shelf("1.0.0", "2.1.106")
    done = remove(repository, [SCHEME], ["2.1.106"])
    assert names(repository) == {"1.0.0": "1.0.0", "1.0": "1.0.0", "1": "1.0.0", "latest": "1.0.0"}
    assert set(done.removed) == {"2.1.106", "2.1", "2"}


def test_a_sibling_that_shares_the_digest_stays() -> None:
    repository = shelf("2.1.105", "2.1.106", nightly="2.1.106")
    repository.hold("2.1.105", "2.1.106")  # one image under two versions
    done = remove(repository, [SCHEME], ["2.1.106"])
    assert names(repository) == dict.fromkeys(("2.1.105", "2.1", "2", "latest", "nightly"), "2.1.106")
    assert done.removed == ("2.1.106",)


def test_other_tags_are_put_back_in_a_registry_that_deletes_all_tags_of_an_image() -> None:
    repository = shelf("1.0.0", "2.1.105", "2.1.106", nightly="2.1.106")
    repository.deletes = "siblings"
    before = dict(repository.held)
    with pytest.raises(Refused, match=r"deletes an image with every tag on it \(1, 1\.0\.0 went with 1\.0\)"):
        remove(repository, [SCHEME], ["2.1.106", "1.0.0"])
    assert repository.held == before


def test_a_drifted_floating_tag_is_left_to_a_repair() -> None:
    repository = shelf("2.0.7", "2.1.105", "2.1.106", latest="2.0.7", **{"2": "other"})
    done = remove(repository, [SCHEME], ["2.1.106"])
    assert (names(repository)["2.1"], names(repository)["2"], names(repository)["latest"]) == (
        "2.1.105",
        "other",
        "2.0.7",
    )
    assert [move.tag for move in done.moved] == ["2.1"]


@pytest.mark.parametrize("at", ["remove 2.2", "remove 2.2.0", "put 2"])
def test_every_tag_is_named_when_a_second_interruption_leaves_a_write_running(at: str) -> None:
    repository = shelf("2.1.106", "2.2.0")

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == at:
            repository.around = undisturbed
            raise Abandoned
        yield

    repository.around = around
    with pytest.raises(TaggerError, match=r"could not see what became of 2\.2\.0, 2\.2, 2, latest") as caught:
        remove(repository, [SCHEME], ["2.2.0"])
    assert caught.value.exit_code == 4


def test_a_tag_that_somebody_moves_during_a_removal_is_left_and_named() -> None:
    repository = shelf("1.0.0", "2.1.106", nightly="other")
    looks: list[str] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        looks.append(operation)
        if operation == "head nightly" and looks.count(operation) == 2:
            repository.hold("nightly", "2.1.105")
        yield

    repository.around = around
    with pytest.raises(Unsettled, match="still there, or unknown: nightly"):
        remove(repository, [SCHEME], ["1.0.0", "nightly"])
    assert names(repository)["nightly"] == "2.1.105"


@pytest.mark.parametrize("at", ["remove 2.1.106", "remove 2.1", "head 2.1"])
def test_a_release_during_a_removal_keeps_its_floating_tags(at: str) -> None:
    repository = shelf("1.0.0", "2.1.106")
    engine = ModelEngine([repository], [image("2.1.105")])
    done: list[str] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        yield
        if operation == at and not done:
            done.append(operation)
            release(engine, placed("2.1.105", [repository]), Order(parse_version("2.1.107")))

    repository.around = around
    remove(repository, [SCHEME], ["2.1.106"])
    assert done
    assert {names(repository).get(tag) for tag in ("2.1.107", "2.1", "2", "latest")} == {"2.1.105"}


def test_floating_tags_that_a_rival_moves_to_the_removed_version_fall_back() -> None:
    repository = shelf("1.0.0", "2.0.7", "2.1.105", "2.1.106")
    done: list[str] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == "remove 2.1.105" and not done:
            done.append(operation)
            assert {move.tag for move in remove(repository, [SCHEME], ["2.1.106"]).moved} == {"2.1", "2", "latest"}
        yield

    repository.around = around
    removed = remove(repository, [SCHEME], ["2.1.105"])
    assert done
    assert names(repository) == {
        "1.0.0": "1.0.0", "1.0": "1.0.0", "1": "1.0.0",
        "2.0.7": "2.0.7", "2.0": "2.0.7", "2": "2.0.7", "latest": "2.0.7",
    }  # fmt: skip
    assert removed.removed == ("2.1.105", "2.1")
    assert {(move.tag, str(move.version)) for move in removed.moved} == {("2", "2.0.7"), ("latest", "2.0.7")}


def test_floating_tags_that_a_rival_moves_to_the_yanked_version_fall_back() -> None:
    repository = shelf("1.0.0", "2.0.7", "2.1.105", "2.1.106")
    done: list[str] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == "put 2.1.105-yanked" and not done:
            done.append(operation)
            remove(repository, [SCHEME], ["2.1.106"])
        yield

    repository.around = around
    yanked = yank(repository, [SCHEME], "2.1.105")
    assert done
    assert {tag for tag, version in names(repository).items() if version == "2.1.105"} == {"2.1.105-yanked"}
    assert {names(repository)[tag] for tag in ("2", "latest")} == {"2.0.7"}
    assert yanked.removed == ("2.1.105", "2.1")
    assert {(move.tag, str(move.version)) for move in yanked.moved} == {("2", "2.0.7"), ("latest", "2.0.7")}


def test_a_signature_stays_while_an_unreadable_tag_may_hold_its_image() -> None:
    repository = shelf("1.0.0", "2.1.106", nightly="2.1.106")
    signature = f"{repository.held[Tag('2.1.106')].replace(':', '-')}.sig"
    repository.hold(signature, "a signature")
    repository.unreadable = {Tag("nightly")}
    assert "2.1.106" in remove(repository, [SCHEME], ["2.1.106"]).removed
    assert {signature, "nightly"} <= repository.held.keys()


def test_signatures_are_removed_with_the_last_tag_of_their_image() -> None:
    repository = shelf("1.0.0", "2.1.105", "2.1.106", nightly="2.1.105")
    hanging = {v: repository.held[Tag(v)].replace(":", "-") for v in ("2.1.105", "2.1.106")}
    for version, name in hanging.items():
        repository.hold(f"{name}.sig", f"signature of {version}")
        repository.hold(name, f"what refers to {version}")
    inner = repository.held[Tag(f"{hanging['2.1.106']}.sig")].replace(":", "-")
    repository.hold(f"{inner}.att", "what hangs on the signature")
    done = remove(repository, [SCHEME], ["2.1.106", "2.1.105"])
    assert {*done.removed} >= {hanging["2.1.106"], f"{hanging['2.1.106']}.sig", f"{inner}.att"}
    assert {f"{hanging['2.1.105']}.sig", hanging["2.1.105"], "nightly"} <= repository.held.keys()


def test_a_manifest_that_an_index_lists_is_not_deleted_under_it() -> None:
    repository = shelf("1.0.0", "2.1.106")
    child = repository.held[Tag("2.1.106")]
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"digest": child}]}
    repository.write(Tag("multi"), Manifest.of(OCI_INDEX, json.dumps(body).encode()))
    remove(repository, [SCHEME], ["2.1.106"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest", "multi"}


def index_of(*entries: object) -> Manifest:
    """Make an index of these entries."""
    return Manifest.of(
        OCI_INDEX, json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    )


def test_a_manifest_that_an_index_of_indexes_lists_is_not_deleted_under_it() -> None:
    repository = shelf("1.0.0", "2.1.106")
    inner = index_of({"mediaType": OCI_MANIFEST, "digest": repository.held[Tag("2.1.106")]})
    repository.manifests[inner.digest] = inner
    repository.write(Tag("nested"), index_of({"mediaType": OCI_INDEX, "digest": inner.digest}))
    remove(repository, [SCHEME], ["2.1.106"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest", "nested"}


@pytest.mark.parametrize("broken", [None, 7, [], {}, {"digest": None}, {"digest": "sha256:12"}])
def test_a_broken_entry_of_an_index_hides_no_other_one(broken: object) -> None:
    repository = shelf("1.0.0", "2.1.106")
    child = {"mediaType": OCI_MANIFEST, "digest": repository.held[Tag("2.1.106")]}
    repository.write(Tag("multi"), index_of(broken, child))
    remove(repository, [SCHEME], ["2.1.106"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest", "multi"}


def test_an_unreadable_index_prevents_the_removal_of_what_it_may_list() -> None:
    repository = shelf("1.0.0", "2.1.106")
    inner = index_of({"digest": repository.held[Tag("2.1.106")]})
    repository.manifests[inner.digest] = inner
    repository.write(Tag("nested"), index_of({"mediaType": OCI_INDEX, "digest": inner.digest}))

    @contextlib.contextmanager
    def unread(operation: str) -> Iterator[None]:
        if operation == f"get {inner.digest}":
            raise Unreadable("the registry failed to read that (HTTP 500): try again")
        yield

    repository.around = unread
    remove(repository, [SCHEME], ["2.1.106"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest", "nested"}


def test_a_floating_tag_is_removed_when_it_is_named() -> None:
    repository = shelf("2.1.106")
    assert remove(repository, [SCHEME], ["latest"]).removed == ("latest",)
    assert set(repository.held) == {"2.1.106", "2.1", "2"}


def test_a_version_is_found_under_its_other_spelling() -> None:
    repository = shelf()
    repository.hold("v1.0.0", "1.0.0")
    assert remove(repository, [SCHEME], ["1.0.0"]).removed == ("v1.0.0",)


@pytest.mark.parametrize("prefix", ["", "api-"])
def test_a_version_of_another_variant_is_removed_only_with_that_variant(prefix: str) -> None:
    tag, variants = f"{prefix}2.1.106-debian", frozenset({"alpine", "debian"})
    alpine, debian = [Scheme(variant=name, variants=variants, prefix=prefix) for name in sorted(variants)]
    repository = shelf(**{tag: "2.1.106", "debian": "2.1.106", f"{prefix}2.1.105-alpine": "2.1.105"})
    before = dict(repository.held)
    with pytest.raises(InputError, match="has none of these tags"):
        remove(repository, [alpine], [tag])
    assert repository.held == before
    assert {*remove(repository, [alpine, debian], [tag]).removed} == {tag, "debian"}


def test_an_interruption_after_everything_is_gone_does_not_advise_a_removal_of_the_other_spelling() -> None:
    repository = shelf("2.1.106", **{"v2.1.106": "other"})

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        yield
        if operation == "remove 2.1.106":
            raise KeyboardInterrupt

    repository.around = around
    with pytest.raises(Interrupted) as caught:
        remove(repository, [SCHEME], ["2.1.106"])
    says = "interrupted; moved: 2.1, 2, latest; everything that you named is gone"
    assert (str(caught.value), caught.value.exit_code) == (says, 130)
    assert set(names(repository).values()) == {"other"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_no_floating_tag_stays_on_the_last_rebuild_of_a_version_beside_an_absent_one(dry_run: bool) -> None:
    floats = ("1.0", "1", "latest")
    repository = shelf(**{"1.0.0": "1.0.0", **dict.fromkeys(("1.0.1-r1", "1.0.1", *floats), "other")})
    repository.ghosts = {Tag("1.0.1-r0")}
    done = remove(repository, [Scheme(revisions="-r{n}")], ["1.0.1-r1"], dry_run=dry_run)
    assert ({*done.removed}, {move.tag for move in done.moved}) == ({"1.0.1-r1", "1.0.1"}, {*floats})
    assert dry_run or names(repository) == dict.fromkeys(("1.0.0", *floats), "1.0.0")


def test_a_missing_tag_is_reported_and_does_not_stop_the_rest() -> None:
    repository = shelf("2.1.106")
    said: list[str] = []
    assert remove(repository, [SCHEME], ["2.1.106", "9.9.9"], note=said.append).removed[0] == "2.1.106"
    assert ["9.9.9" in line for line in said] == [True]
    with pytest.raises(InputError, match="none of these tags: tagger ls"):
        remove(shelf("1.0.0"), [SCHEME], ["9.9.9"])


def test_nothing_moves_where_deletes_are_off() -> None:
    repository = shelf("2.1.105", "2.1.106")
    repository.deletes = "nothing"
    before = dict(repository.held)
    with pytest.raises(Refused, match="switch them on"):
        remove(repository, [SCHEME], ["2.1.106"])
    assert (repository.held, repository.writes) == (before, [])


def test_a_dry_run_shows_the_same_and_writes_nothing() -> None:
    repository = shelf("1.0.0", "2.1.105", "2.1.106")
    before = dict(repository.held)
    planned = remove(repository, [SCHEME], ["2.1.106", "2.1.105"], dry_run=True)
    assert repository.held == before
    done = remove(repository, [SCHEME], ["2.1.106", "2.1.105"])
    assert (planned.removed, planned.moved) == (done.removed, done.moved)


def test_all_empties_the_repository() -> None:
    repository = shelf("1.0.0", "2.1.106", "2.2.0-rc.1", nightly="other")
    before = set(repository.held)
    assert set(remove_all(repository, [SCHEME]).removed) == before
    assert repository.held == {}
    assert remove_all(repository, [SCHEME]).removed == ()


def test_after_a_failed_delete_the_tag_is_read_and_the_floating_tags_go_back() -> None:
    repository = shelf("2.1.105", "2.1.106")
    before = dict(repository.held)
    repository.stuck = frozenset({image("2.1.106").manifest.digest})
    with pytest.raises(TaggerError, match="nothing was removed"):
        remove(repository, [SCHEME], ["2.1.106"])
    assert repository.held == before


def test_the_remaining_ones_of_several_versions_are_named() -> None:
    repository = shelf("1.0.0", "2.1.105", "2.1.106")
    repository.stuck = frozenset({image("2.1.105").manifest.digest})
    with pytest.raises(Unsettled, match=r"still there, or unknown: 2\.1\.105") as caught:
        remove(repository, [SCHEME], ["1.0.0", "2.1.105"])
    assert caught.value.removal
    assert set(caught.value.removal.removed) == {"1.0.0", "1.0", "1"}
    assert set(repository.held) == {"2.1.105", "2.1.106", "2.1", "2", "latest"}


@pytest.mark.parametrize("after", [False, True])
def test_a_removal_that_fails_anywhere_loses_no_other_tag_and_the_next_run_finishes_it(after: bool) -> None:
    steps = Fault(-1)
    trial = shelf("1.0.0", "2.1.105", "2.1.106", nightly="other")
    trial.around = steps
    remove(trial, [SCHEME], ["2.1.106"])
    for at in range(len(steps.operations)):
        repository = shelf("1.0.0", "2.1.105", "2.1.106", nightly="other")
        others = {**repository.held}
        repository.around = Fault(at, lambda what: BadAnswer(f"{what} failed: try again"), after=after)
        try:
            remove(repository, [SCHEME], ["2.1.106"])
        except TaggerError:
            assert set(repository.held) >= set(others) - {"2.1.106"}
            if "2.1.106" in repository.held:
                remove(repository, [SCHEME], ["2.1.106"])
        assert set(repository.held) == set(others) - {"2.1.106"}
        assert correct(repository)


def test_a_version_that_stays_gets_its_floating_tags_back() -> None:
    repository = shelf("2.1.106", "2.2.0")
    before = dict(repository.held)

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == "remove 2.2.0":
            raise Immutable("2.2.0 is immutable")
        yield

    repository.around = around
    with pytest.raises(Immutable) as caught:
        remove(repository, [SCHEME], ["2.2.0"])
    assert repository.held == before
    assert caught.value.removal
    assert (caught.value.removal.removed, caught.value.removal.moved) == ((), ())


@pytest.mark.parametrize("at", ["put 2", "remove 2.2", "remove 2.2.0"])
def test_the_same_command_finishes_a_killed_removal(at: str) -> None:
    repository = shelf("2.1.106", "2.2.0")

    @contextlib.contextmanager
    def killed(operation: str) -> Iterator[None]:
        if operation == at or (at == "put 2" and operation.startswith("put 2 ")):
            raise Crash
        yield

    repository.around = killed
    with pytest.raises(Crash):
        remove(repository, [SCHEME], ["2.2.0"])
    repository.around = undisturbed
    remove(repository, [SCHEME], ["2.2.0"])
    assert names(repository) == dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "2.1.106")


# -- the placeholder is never left behind --------------------------------------------------------------------

EMPTY = ARTIFACT_TYPE.encode()


@pytest.fixture
def beside() -> Iterator[tuple[ModelRegistry, dict[str, str]]]:
    """A registry that deletes by digest alone, and a version that shares its digest with `keep`."""
    with ModelRegistry(deletes="digest") as model:
        digests = model.seed("gallery/ui", {"1.0.0": b"one", "1.0.1": b"two"})
        held = model.repositories["gallery/ui"]
        held.update(dict.fromkeys(("1.0", "1", "latest", "keep"), digests["1.0.1"]))
        yield model, dict(held)


def holds_nothing_empty(model: ModelRegistry) -> bool:
    """Check that no tag holds the placeholder."""
    held = model.repositories["gallery/ui"].values()
    return not any(EMPTY in model.manifests["gallery/ui", digest][1] for digest in held)


def test_an_interruption_puts_the_tag_back(
    beside: tuple[ModelRegistry, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, before = beside
    delete = Deleting._delete

    def interrupted(remote: Deleting, reference: Tag) -> Answer:
        if ("gallery/ui", reference) in model.manifests and EMPTY in model.manifests["gallery/ui", reference][1]:
            raise KeyboardInterrupt
        return delete(remote, reference)

    monkeypatch.setattr(Deleting, "_delete", interrupted)
    with pytest.raises(Interrupted, match=r"still there, or unknown: 1\.0\.1"):
        api.remove(f"{model.host}/gallery/ui", "1.0.1")
    assert model.repositories["gallery/ui"] == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.usefixtures("no_waiting")
def test_a_lost_answer_leaves_the_tag_unchanged_or_removed(
    beside: tuple[ModelRegistry, dict[str, str]], method: str, applied: bool
) -> None:
    model, before = beside

    def lose(request: Request) -> Response | None:
        placeholder = EMPTY in request.body or any(
            path in request.path for (_, path), (_, body) in model.manifests.items() if EMPTY in body
        )
        if request.method != method or not placeholder:
            return None
        return model.lose_answer(request) if applied else Response(drop=True)

    model.intercept(lose)
    gone = {k: v for k, v in before.items() if k != "1.0.1"} | dict.fromkeys(("1.0", "1", "latest"), before["1.0.0"])
    if method == "DELETE" and applied:
        api.remove(f"{model.host}/gallery/ui", "1.0.1")
        assert model.repositories["gallery/ui"] == gone
    else:
        with pytest.raises(TaggerError) as caught:
            api.remove(f"{model.host}/gallery/ui", "1.0.1")
        assert caught.value.exit_code == 1
        assert model.repositories["gallery/ui"] == before
    assert holds_nothing_empty(model)


@pytest.mark.usefixtures("no_waiting")
def test_a_registry_that_goes_away_during_a_removal_makes_the_error_name_the_tag_and_its_image(
    beside: tuple[ModelRegistry, dict[str, str]],
) -> None:
    model, before = beside
    down = False

    def fail(request: Request) -> Response | None:
        nonlocal down
        answer = Response(drop=True) if down else None
        if request.method == "PUT" and EMPTY in request.body:
            down = True
        return answer

    model.intercept(fail)
    with pytest.raises(Unsettled) as caught:
        api.remove(f"{model.host}/gallery/ui", "1.0.1")
    assert "1.0.1" in str(caught.value)
    assert before["1.0.1"] in str(caught.value)


def test_the_floating_tags_move_to_the_other_spelling_of_a_removed_version() -> None:
    repository = shelf("1.0.0")
    repository.hold("v1.0.0", "other")
    done = remove(repository, [SCHEME], ["1.0.0"])
    assert names(repository) == dict.fromkeys(("v1.0.0", "1.0", "1", "latest"), "other")
    assert {move.tag for move in done.moved} == {"1.0", "1", "latest"}
    remove(repository, [SCHEME], ["v1.0.0"])
    assert repository.held == {}


def test_an_unreadable_tag_can_be_removed_and_does_not_stop_other_removals() -> None:
    repository = shelf("1.0.0", "1.0.1", nightly="other")
    repository.unreadable = {Tag("nightly")}
    remove(repository, [SCHEME], ["1.0.1"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest", "nightly"}
    remove(repository, [SCHEME], ["nightly"])
    assert set(repository.held) == {"1.0.0", "1.0", "1", "latest"}


@pytest.mark.engine
def test_a_listed_tag_without_an_image_is_removed_from_a_real_registry_s_list(
    engine: Engine, registry: Registry, repository: str
) -> None:
    publish(engine, registry, repository, {"1.0.0": "a", "ghost": "b"})
    registry.link_file(repository, "ghost").write_text("sha256:" + "0" * 64)
    target = f"{registry.host}/{repository}"
    assert api.ls(target).other == ("ghost",)
    assert api.remove(target, "ghost").removed == ("ghost",)
    assert registry.tags(repository) == ["1.0.0"]


# -- the law -------------------------------------------------------------------------------------------------------


def correct(repository: Shelf) -> bool:
    """Whether every tag that `resolve` names is where it puts it."""
    goal = every_tag(Published.of(repository.held, SCHEME).versions, SCHEME)
    spelt = Published.of(repository.held, SCHEME).versions
    return all(repository.held.get(tag) == repository.held[spelt[version]] for tag, version in goal.items())


VERSIONS = st.sampled_from(["0.1.0", "1.0.0", "1.0.1", "1.1.0", "2.0.0", "2.0.0-rc.1", "2.1.0"])
IMAGES = st.sampled_from(["a", "b", "c"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("release"), VERSIONS, IMAGES),
        st.tuples(st.just("rm"), VERSIONS, IMAGES),
        st.tuples(st.just("repair"), VERSIONS, IMAGES),
    ),
    max_size=12,
)


@given(operations=OPERATIONS)
def test_any_sequence_of_commands_keeps_every_floating_tag_right_and_loses_no_other_tag(
    operations: list[tuple[str, str, str]],
) -> None:
    repository = Shelf()
    repository.hold("nightly", "a")
    engine = ModelEngine([repository], [image(name) for name in "abc"])
    for operation, version, name in operations:
        before = dict(repository.held)
        try:
            if operation == "release":
                release(engine, placed(name, [repository]), Order(parse_version(version)))
            elif operation == "rm":
                remove(repository, [SCHEME], [version])
            else:
                repair(repository, [SCHEME], dry_run=False)
        except Refused:
            assert (operation, repository.held) == ("release", before)
        except InputError:
            assert (operation, version in before) == ("rm", False)
        assert correct(repository)
        gone = before.keys() - repository.held.keys()
        allowed = {version, *SCHEME.floating_tags(parse_version(version))} if operation == "rm" else set()
        assert gone <= allowed
        claimed = every_tag(Published.of(repository.held, SCHEME).versions, SCHEME)
        assert not gone & claimed.keys()


# -- real registries -----------------------------------------------------------------------------------------------


def publish(engine: Engine, registry: Registry, path: str, tags: dict[str, str]) -> dict[str, str]:
    """Push images known by a letter with docker alone, and return the digest of each letter."""
    digests = {}
    for tag, letter in tags.items():
        name = f"{registry.host}/{path}:{tag}"
        engine.image(name, letter)
        engine.docker("push", "--quiet", name)
        digests[letter] = registry.digest(path, tag) or ""
    return digests


STATE = {
    "1.0.0": "z", "1.0": "z", "1": "z",
    "2.1.105": "a", "2.1.106": "b", "2.1": "b", "2": "b", "latest": "b", "nightly": "c",
}  # fmt: skip
WITHOUT_106 = {k: v for k, v in STATE.items() if k != "2.1.106"} | {"2.1": "a", "2": "a", "latest": "a"}


@pytest.mark.engine
def test_the_named_tags_are_removed_from_a_real_registry_that_deletes_by_digest(
    engine: Engine, registry: Registry, repository: str
) -> None:
    digests = publish(engine, registry, repository, STATE)
    api.remove(f"{registry.host}/{repository}", "2.1.106")
    assert registry.snapshot(repository) == {tag: digests[letter] for tag, letter in WITHOUT_106.items()}
    assert registry.digest(repository, digests["b"]), "something else may come to hold the image, so that stays"
    assert api.check(f"{registry.host}/{repository}").ok


@pytest.mark.engine
def test_one_of_two_versions_with_one_digest_is_removed_alone_from_a_real_registry(
    engine: Engine, registry: Registry, repository: str
) -> None:
    digests = publish(
        engine, registry, repository, {"2.1.105": "a", "2.1.106": "a", "2.1": "a", "2": "a", "latest": "a"}
    )
    api.remove(f"{registry.host}/{repository}", "2.1.106")
    assert registry.snapshot(repository) == dict.fromkeys(("2.1.105", "2.1", "2", "latest"), digests["a"])


@pytest.mark.engine
def test_a_real_registry_is_emptied(engine: Engine, registry: Registry, repository: str) -> None:
    publish(engine, registry, repository, STATE)
    assert set(api.remove_all(f"{registry.host}/{repository}").removed) == set(STATE)
    assert registry.tags(repository) == []
    assert api.ls(f"{registry.host}/{repository}").versions == ()


@pytest.mark.engine
def test_a_real_registry_with_deletes_off_keeps_everything_and_the_error_says_how_to_allow_them(
    engine: Engine, repository: str
) -> None:
    with private_folder() as folder, Registry.start(folder, deletes=False) as registry:
        digests = publish(engine, registry, repository, STATE)
        with pytest.raises(Refused, match=r"storage\.delete\.enabled"):
            api.remove(f"{registry.host}/{repository}", "2.1.106")
        assert registry.snapshot(repository) == {tag: digests[letter] for tag, letter in STATE.items()}


@pytest.mark.crane
def test_the_named_tags_are_removed_from_a_real_registry_that_deletes_by_tag(
    engine: Engine, crane: Path, repository: str
) -> None:
    with private_folder() as folder, CraneRegistry.serve(crane, folder) as registry:
        digests = publish(engine, registry, repository, STATE)
        target = f"{registry.host}/{repository}"
        assert api.remove(target, "2.1.106").removed == ("2.1.106",)
        assert registry.snapshot(repository) == {tag: digests[letter] for tag, letter in WITHOUT_106.items()}
        assert set(api.remove(target, "1.0.0").removed) == {"1.0.0", "1.0", "1"}
        assert api.check(target).ok
        api.remove_all(target)
        assert registry.tags(repository) == []
