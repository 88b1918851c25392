"""Drift: what a check finds with few requests, and how a repair fixes it."""

from __future__ import annotations

import json

import pytest
from command import tagger
from doubles import ModelRegistry, on, refusal
from model import image
from services import Registry
from shelf import Shelf

import tagger as api
from tagger.cli.render.text import check_text, repair_text
from tagger.errors import InputError
from tagger.names import Tag
from tagger.repository.check import Check, check
from tagger.repository.repair import repair
from tagger.rules.lines import apart, lines
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

SCHEME = Scheme()


def shelf(*versions: str, **held: str) -> Shelf:
    """Publish versions, each with its own image."""
    found = Shelf.published(versions, **held)
    assert isinstance(found, Shelf)
    return found


def drifted(found: Check) -> dict[str, tuple[str | None, str]]:
    """Return for each tag the version that it holds and the one that it should hold."""
    return {s.tag: (str(s.version) if s.version else None, str(s.expected)) for s in found.drift}


def test_a_repository_without_drift_passes_the_check() -> None:
    assert check(shelf("1.0.0", "2.0.7", "2.1.106", "2.2.0-rc.1", nightly="other"), [SCHEME]).ok


def test_drift_is_shown_with_the_actual_and_the_expected_image() -> None:
    repository = shelf("1.0.0", "2.0.7", "2.1.105", "2.1.106", latest="2.0.7", **{"2": "other"})
    del repository.held[Tag("2.0")]
    assert drifted(check(repository, [SCHEME])) == {
        "latest": ("2.0.7", "2.1.106"),
        "2": (None, "2.1.106"),
        "2.0": (None, "2.0.7"),
    }


def test_a_listed_but_absent_floating_tag_is_drift_and_an_absent_version_does_not_count() -> None:
    repository = shelf("1.0.0", "1.0.1")
    repository.ghosts = {Tag("9.9.9"), Tag("latest")}
    del repository.held[Tag("latest")]
    assert drifted(check(repository, [SCHEME])) == {"latest": (None, "1.0.1")}


def test_tags_that_belong_to_no_version_are_not_drift() -> None:
    assert check(shelf("2.2.0-rc.1", latest="other", **{"20240101": "other", "3": "other"}), [SCHEME]).ok


def test_a_check_says_what_it_checked_and_which_tags_belong_to_unknown_lines() -> None:
    others = {"alpine": "x", "2.1.106-alpine": "x", "lts": "x", "build-77": "x", "20240101": "x", "sha256-0f.sig": "x"}
    found = check(shelf("2.1.106", "2.2.0-rc.1", **others), [SCHEME])
    assert (found.ok, found.checked, found.not_looked_at) == (True, ("2.1", "2", "latest"), ("alpine", "lts"))
    assert check_text(found) == f"{found.repository}: no drift, 3 floating tags checked; not looked at: alpine, lts"


@pytest.mark.parametrize(
    ("further", "named"),
    [
        (["2.1.106-alpine"], ["2.1.106-alpine"]),
        (["2.1.105-alpine", "2.1.106-alpine", "2.1-alpine", "2-alpine"], ["2-alpine", "2.1-alpine"]),
        (["api-1.0.0", "api-1.0", "api-1"], ["api-1", "api-1.0"]),
        (["build-77", "2026.03.01-1", "pr-12"], []),
        (["2.1.105-yanked", "3.0.0-beta.2"], []),
        (["3", "1.9"], ["1.9", "3"]),
    ],
)
def test_tags_of_other_lines_are_named_by_their_floating_tags(further: list[str], named: list[str]) -> None:
    repository = shelf("2.1.106", **dict.fromkeys(further, "other"))
    assert [*check(repository, [SCHEME]).not_looked_at] == named


def test_lines_that_a_command_leaves_out_are_named() -> None:
    plain, alpine = lines(Scheme(), ["default", "alpine"])
    repository = shelf("2.1.106", **dict.fromkeys(("2.1.106-alpine", "2.1-alpine", "2-alpine", "alpine"), "other"))
    assert check(repository, [plain]).not_looked_at == ("2-alpine", "2.1-alpine", "alpine")
    assert check(repository, [alpine]).not_looked_at == ("2", "2.1", "latest")
    assert check(repository, [plain, alpine]).not_looked_at == ()


def test_a_named_line_without_any_version_is_bad_input() -> None:
    (alpine,) = lines(Scheme(), ["alpine"])
    top, edge = apart([[SCHEME], [Scheme(versions="main-{n}", floats=("edge",), line="edge")]])
    for named, says in (
        ([alpine], "no version of variant alpine"),
        ([SCHEME, alpine], "no version of variant alpine"),
        ([Scheme(prefix="api-")], "no version of the plain variant with prefix api-"),
        ([*top, *edge], "no version of the plain variant in line edge"),
        (edge, "no version of the plain variant in line edge"),
    ):
        with pytest.raises(InputError, match=says):
            check(shelf("2.1.106", nightly="other"), named)
    with pytest.raises(InputError, match="no version of the plain variant in line default"):
        check(shelf(nightly="other"), top)


def test_a_floating_tag_that_holds_a_yanked_version_is_always_drift() -> None:
    repository = shelf("2.0.7", "2.1.105", **{"2.1.106-yanked": "bad", "2.1": "bad", "latest": "bad", "2": "2.1.105"})
    repository.hold("2.2.0-yanked", "worse")
    repository.hold("2.2", "worse")
    found = check(repository, [SCHEME])
    assert {s.tag: (str(s.version), s.expected and str(s.expected)) for s in found.drift} == {
        "2.1": ("2.1.106-yanked", "2.1.105"),
        "latest": ("2.1.106-yanked", "2.1.105"),
        "2.2": ("2.2.0-yanked", None),
    }
    text = check_text(found)
    assert "  latest holds 2.1.106, which was yanked (sha256:" in text
    assert f"), but no version claims it: remove it with tagger rm {found.repository} 2.2" in text
    repository.hold("2.2", "of somebody")
    assert [s.tag for s in check(repository, [SCHEME]).drift] == ["2.1", "latest"], "that may be a build number"


def test_an_image_that_was_yanked_under_one_version_may_be_released_under_another() -> None:
    assert check(shelf("2.1.107", **{"2.1.106-yanked": "2.1.107"}), [SCHEME]).ok


def test_a_missing_tag_is_distinguished_from_a_listed_tag_without_an_image() -> None:
    repository = shelf("2.0.7", "2.1.106")
    repository.ghosts = {Tag("latest")}
    for tag in ("latest", "2.0"):
        del repository.held[Tag(tag)]
    said = check_text(check(repository, [SCHEME])).splitlines()
    assert "  latest is listed without an image, but should hold 2.1.106" in said
    assert "  2.0 is missing, but should hold 2.0.7" in said


def test_a_check_asks_about_two_digests_for_each_floating_tag() -> None:
    repository = shelf(*(f"2.{minor}.{patch}" for minor in range(5) for patch in range(20)))
    asked: list[str] = []
    around = repository.around

    def count(operation: str) -> object:
        asked.append(operation)
        return around(operation)

    repository.around = count  # type: ignore[assignment] # the context manager passes through
    assert check(repository, [SCHEME]).ok
    floats = 5 + 2
    assert len([operation for operation in asked if operation.startswith("head")]) <= 2 * floats


def test_an_absent_repository_is_distinguished_from_an_empty_one() -> None:
    with pytest.raises(InputError, match=r"there is no repository gallery/ui at registry\.local:5000: check the name"):
        check(Shelf(), [SCHEME])
    assert check(shelf(nightly="other"), [SCHEME]).ok


def test_a_repair_moves_every_drifted_tag_to_the_right_digest_and_then_has_nothing_to_do() -> None:
    repository = shelf("1.0.0", "2.0.7", "2.1.106", latest="2.0.7", **{"2": "other"})
    planned = repair(repository, [SCHEME], dry_run=True)
    assert repository.held[Tag("latest")] == image("2.0.7").manifest.digest
    done = repair(repository, [SCHEME], dry_run=False)
    assert planned.repaired == done.repaired
    assert {(m.tag, m.after, m.version) for m in done.repaired} == {
        (tag, image("2.1.106").manifest.digest, parse_version("2.1.106")) for tag in ("latest", "2")
    }
    assert check(repository, [SCHEME]).ok
    assert repair(repository, [SCHEME], dry_run=False).repaired == ()


def test_a_repair_says_which_tags_it_creates_and_which_it_moves() -> None:
    repository = shelf("2.0.7", "2.1.106", latest="2.0.7")
    del repository.held[Tag("2.0")]
    said = repair_text(repair(repository, [SCHEME], dry_run=True)).splitlines()
    assert sorted(line.partition(": sha256:")[0] for line in said[1:3]) == ["  create 2.0", "  move latest"]


def test_a_write_repairs_an_unreadable_tag() -> None:
    repository = shelf("1.0.0", "2.1.106")
    repository.unreadable = {Tag("latest")}
    assert drifted(check(repository, [SCHEME])) == {"latest": (None, "2.1.106")}
    assert [move.tag for move in repair(repository, [SCHEME], dry_run=False).repaired] == ["latest"]
    assert check(repository, [SCHEME]).ok


# -- a real registry -----------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_real_registry_is_checked_and_repaired_with_an_index_among_its_images(
    registry: Registry, repository: str
) -> None:
    empty = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    old, new = (json.dumps({**empty, "annotations": {"n": n}}).encode() for n in ("old", "new"))
    for tag, body in {"1.0.0": old, "1.0": old, "1": old, "1.1.0": new, "latest": old}.items():
        assert registry.put(repository, tag, body, str(empty["mediaType"])) == 201
    target = f"{registry.host}/{repository}"
    assert {s.tag: s.digest is None for s in api.check(target).drift} == {"1.1": True, "1": False, "latest": False}
    api.repair(target)
    assert api.check(target).ok
    assert registry.manifest(repository, "latest") == new


@pytest.mark.engine
def test_a_damaged_tag_of_a_real_registry_is_repaired(registry: Registry, repository: str) -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []})
    for tag in ("1.0.0", "1.0", "1", "latest"):
        registry.put(repository, tag, body.encode(), "application/vnd.oci.image.index.v1+json")
    registry.link_file(repository, "latest").write_bytes(b"")
    target = f"{registry.host}/{repository}"
    assert [s.tag for s in api.check(target).drift] == ["latest"]
    assert [move.tag for move in api.repair(target).repaired] == ["latest"]
    assert api.check(target).ok


def test_a_check_sends_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagger.work.AT_ONCE", 2)
    with ModelRegistry() as model:
        versions = {f"2.{minor}.{patch}": f"{minor}.{patch}".encode() for minor in range(4) for patch in range(25)}
        digests = model.seed("gallery/ui", versions)
        held = model.repositories["gallery/ui"]
        held.update({f"2.{minor}": digests[f"2.{minor}.24"] for minor in range(4)})
        held.update({"2": digests["2.3.24"], "latest": digests["2.3.24"]})
        assert api.check(f"{model.host}/gallery/ui").ok
        heads = [request.path for request in model.requests if request.method == "HEAD"]
        assert len(heads) == len(set(heads)) == 4 + 2 + 4


@pytest.mark.parametrize("command", ["ls", "check", "repair"])
def test_a_newest_version_that_a_policy_blocks_is_named_with_the_registrys_reason(
    model: ModelRegistry, command: str
) -> None:
    model.seed("app", {"1.0.0": b"old", "1.0.1": b"vulnerable", "latest": b"old"})
    blocked = refusal(412, "PROJECTPOLICYVIOLATION", "current image with 9 vulnerabilities cannot be pulled")
    for method in ("HEAD", "GET"):
        model.intercept(on(method, "/manifests/1.0.1$", blocked))
    ran = tagger(None, command, f"{model.host}/app")
    assert ran.code == 1
    assert f"does not say where {model.host}/app:1.0.1 points" in ran.error
    assert "PROJECTPOLICYVIOLATION: current image with 9 vulnerabilities cannot be pulled" in ran.error
    assert ran.error.endswith("check whether a policy or a running scan of the registry blocks it")


def test_a_version_that_is_readable_at_the_second_attempt_is_not_a_problem(model: ModelRegistry) -> None:
    model.seed("app", {"1.0.0": b"new", "1.0": b"new", "1": b"new", "latest": b"new"})
    model.intercept(on("HEAD", "/manifests/1.0.0$", refusal(501, "UNSUPPORTED", "busy"), times=1))
    model.intercept(on("GET", "/manifests/1.0.0$", refusal(412, "PRECONDITION", "scanning"), times=1))
    assert tagger(None, "check", f"{model.host}/app").code == 0
