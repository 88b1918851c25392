"""One image on two registries: commands take both, say where they disagree, and end with the worst exit code."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from command import Ran, asked, start, tagger
from doubles import Proxy, Request, Response, on, refusal
from pushed import Repository
from services import Registry

import tagger as api
from tagger.cli.several import severity

pytestmark = pytest.mark.engine

VERSIONS = ("2.0.9", "2.1.105", "2.1.106")
UNREACHABLE = "127.0.0.1:9"


@pytest.fixture
def pair(registry: Registry, elsewhere: Registry, repository: str) -> tuple[Repository, Repository]:
    """One image on two registries, with three versions and their floating tags."""
    found = Repository(registry, repository), Repository(elsewhere, repository)
    for each in found:
        for version in VERSIONS:
            each.image(version, version)
        api.repair(str(each))
    return found


@pytest.fixture
def settings(pair: tuple[Repository, Repository], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write tagger.toml with a table `gallery` for that image."""
    monkeypatch.chdir(tmp_path)
    registries = ", ".join(f'"{each.registry.host}"' for each in pair)
    (tmp_path / "tagger.toml").write_text(
        f'registries = [{registries}]\n[images.gallery]\nrepository = "{pair[0].path}"\n'
    )


def held(repository: Repository) -> dict[str, str]:
    """Return where each tag points."""
    return repository.registry.snapshot(repository.path)


def names(ran: Ran) -> list[str]:
    """The repositories of a list of JSON objects."""
    return [each["repository"] for each in ran.json]


# -- the meaning of a name -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("words", [["check", "gallery"], ["check"], ["ls", "gallery"], ["ls"], ["repair", "gallery"]])
def test_a_name_from_the_settings_means_all_of_its_registries(
    pair: tuple[Repository, Repository], words: list[str]
) -> None:
    ran = tagger(None, *words, "--json")
    assert (ran.code, names(ran)) == (0, [*map(str, pair)]), ran.err
    assert not any("differs" in each for each in ran.json)
    assert all(str(each) in tagger(None, *words).out for each in pair)


@pytest.mark.usefixtures("settings")
def test_check_without_a_name_checks_every_image_of_the_settings(
    pair: tuple[Repository, Repository], tmp_path: Path
) -> None:
    one, other = pair
    api_path = f"{one.path}-api"
    for each in pair:
        Repository(each.registry, api_path).image("1.0.0", "api")
    file = tmp_path / "tagger.toml"
    file.write_text(
        file.read_text() + f'[images.api]\nrepository = "{api_path}"\nregistries = ["{other.registry.host}"]\n'
    )
    ran = tagger(None, "check", "--json")
    assert names(ran) == [str(one), str(other), f"{other.registry.host}/{api_path}"]
    assert (ran.code, [each["ok"] for each in ran.json]) == (5, [True, True, False])


def test_check_without_a_name_needs_settings_with_a_repository_and_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tagger(None, "check")
    assert (ran.code, ran.error.partition(":")[0]) == (2, "the settings name no repository")
    (tmp_path / "tagger.toml").write_text("[images.gallery]\n")
    assert "no registry for images.gallery" in tagger(None, "check").error


@pytest.mark.usefixtures("settings")
def test_next_follows_the_greatest_version_of_all_registries(pair: tuple[Repository, Repository]) -> None:
    pair[1].image("2.2.0", "2.2.0")
    assert tagger(None, "next", "gallery", "--patch").out == "2.2.1\n"


@pytest.mark.usefixtures("settings")
def test_doctor_examines_each_registry_of_a_name(pair: tuple[Repository, Repository]) -> None:
    found = tagger(None, "doctor", "gallery", "--json").json["findings"]
    assert {each["repository"] for each in found} == {None, *map(str, pair)}


# -- where they disagree ----------------------------------------------------------------------------------------------


def test_check_reports_what_one_registry_lacks_and_what_differs(pair: tuple[Repository, Repository]) -> None:
    one, other = pair
    newer = one.image("2.2.0", "2.2.0")
    api.repair(str(one))
    rebuilt = other.image("2.0.9", "another 2.0.9")
    api.repair(str(other))
    ran = tagger(None, "check", str(one), "--also", str(other), "--json")
    assert (ran.code, [each["ok"] for each in ran.json]) == (5, [True, True]), ran.err
    before = held(one)
    differs = {
        each["tag"]: {h["repository"]: (h["digest"], h["version"]) for h in each["held"]}
        for each in ran.json[0]["differs"]
    }
    assert differs == {
        "2.2.0": {str(one): (newer.digest, None), str(other): (None, None)},
        "2.0.9": {str(one): (before["2.0.9"], None), str(other): (rebuilt.digest, None)},
        "2.2": {str(one): (newer.digest, "2.2.0"), str(other): (None, None)},
        "2": {str(one): (newer.digest, "2.2.0"), str(other): (before["2.1.106"], "2.1.106")},
        "latest": {str(one): (newer.digest, "2.2.0"), str(other): (before["2.1.106"], "2.1.106")},
    }
    assert ran.json[1]["differs"] == ran.json[0]["differs"]
    lines = tagger(None, "check", str(one), "--also", str(other)).out.splitlines()
    assert lines[2] == "the repositories disagree:"
    assert lines[3] == f"  2.2.0: {one} has {newer.digest[:19]}, {other} has none"
    assert len(lines) == 8


def test_the_python_api_compares_repositories_too(pair: tuple[Repository, Repository]) -> None:
    one, other = pair
    one.image("2.2.0", "2.2.0")
    (first, *_) = api.compare([api.ls(str(one)), api.ls(str(other))])
    assert (first.tag, [bool(each.digest) for each in first.held]) == ("2.2.0", [True, False])
    with pytest.raises(api.InputError, match="a partial list"):
        api.compare([api.ls(str(one), limit=1), api.ls(str(other))])


def test_an_unreadable_registry_outweighs_drift_in_the_exit_code(pair: tuple[Repository, Repository]) -> None:
    one, _ = pair
    one.image("2.2.0", "2.2.0")
    ran = tagger(None, "check", str(one), "--also", f"{UNREACHABLE}/{one.path}", "--json")
    assert (ran.code, names(ran)) == (2, [str(one), f"{UNREACHABLE}/{one.path}"])
    assert (ran.json[0]["ok"], "error" in ran.json[1]) == (False, True)


# -- what writes ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("settings")
def test_repair_yank_rm_and_prune_write_to_both(pair: tuple[Repository, Repository]) -> None:
    for words in (
        ["yank", "gallery", "2.1.106"],
        ["yank", "gallery", "2.1.106", "--undo"],
        ["yank", "gallery", "2.1.106"],
        ["rm", "gallery", "2.0.9", "--yes"],
        ["prune", "gallery", "--keep", "1", "--yes"],
        ["repair", "gallery"],
    ):
        ran = tagger(None, *words, "--json")
        assert (ran.code, names(ran)) == (0, [*map(str, pair)]), ran.err
        assert held(pair[0]) == held(pair[1])
    assert held(pair[0]).keys() == {"2.1.105", "2.1.106-yanked", "2.1", "2", "latest"}


def test_a_version_that_one_registry_lacks_is_reported_and_the_other_registry_is_changed(
    pair: tuple[Repository, Repository],
) -> None:
    one, other = pair
    one.image("2.2.0", "2.2.0")
    ran = tagger(None, "yank", str(other), "2.2.0", "--also", str(one), "--json")
    assert (ran.code, ran.json[0]["note"]) == (0, f"{other} has no version 2.2.0"), ran.err
    assert ran.json[1]["yanked"] == ["2.2.0-yanked"]
    assert [each["tag"] for each in ran.json[0]["differs"]] == ["2.2.0-yanked"]
    gone = tagger(None, "yank", str(other), "2.2.0", "--also", str(one), "--dry-run")
    assert gone.out.splitlines()[:2] == [f"{other} has no version 2.2.0", str(one)]
    again = tagger(None, "rm", str(one), "2.2.0", "3.0.0", "--also", str(other), "--yes")
    assert (again.code, again.error.partition(" has none")[0]) == (2, str(one))
    assert str(other) in again.error


@pytest.mark.parametrize(
    "words", [["rm", "2.1.106", "--yes"], ["yank", "2.1.106"], ["prune", "--keep", "1", "--yes"], ["repair"]]
)
def test_nothing_is_written_when_one_of_two_cannot_be_reached(
    pair: tuple[Repository, Repository], words: list[str]
) -> None:
    one, _ = pair
    one.image("latest", "drifted")
    before = held(one)
    gone = f"{UNREACHABLE}/{one.path}"
    command, *rest = words
    ran = tagger(None, command, str(one), *rest, "--also", gone, "--json")
    assert (ran.code, held(one)) == (2, before), ran.err
    assert ran.json[0] == {
        "repository": str(one),
        "note": "nothing was written, because another repository has a problem",
    }
    assert (ran.json[1]["repository"], UNREACHABLE in ran.json[1]["error"]) == (gone, True)


def test_one_failed_registry_does_not_stop_the_other_and_the_worst_exit_code_counts(
    pair: tuple[Repository, Repository],
) -> None:
    one, other = pair
    with Proxy(one.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/2\.1\.106-yanked$", refusal(500, "UNKNOWN", "broken")))
        ran = tagger(None, "yank", f"{proxy.host}/{one.path}", "2.1.106", "--also", str(other), "--json")
    assert (ran.code, "and another repository has changed already" in ran.error) == (4, True), ran.err
    assert ("error" in ran.json[0], ran.json[1]["yanked"]) == (True, ["2.1.106-yanked"])
    assert held(other)["latest"] == held(other)["2.1.105"]


def test_a_refusal_by_one_registry_does_not_hide_a_change_in_the_other(pair: tuple[Repository, Repository]) -> None:
    one, other = pair
    with Proxy(other.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/2\.1\.105$", refusal(403, "DENIED", "no")))
        words = ["2.1.105", "--also", f"{proxy.host}/{other.path}", "--yes"]
        ran = tagger(None, "rm", str(one), *words)
        again = tagger(None, "rm", str(one), *words)
    assert ("2.1.105" in held(one), "2.1.105" in held(other)) == (False, True)
    assert (ran.code, "another repository has changed already" in ran.error) == (4, True), ran.err
    assert (again.code, "already" in again.error) == (3, False), "nothing was written"


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_rm_asks_once_for_both(pair: tuple[Repository, Repository], answer: str) -> None:
    one, other = pair
    ran = asked(lambda: answer, "rm", str(one), "2.1.106", "--also", str(other))
    assert (ran.code, ran.err.count("Remove these?")) == (0, 1)
    assert ran.err.index(str(one)) < ran.err.index(str(other)) < ran.err.index("Remove these?")
    assert {"2.1.106" in held(each) for each in pair} == {answer == "n\n"}


@pytest.mark.parametrize(
    ("method", "path", "code", "note"),
    [
        ("GET", "/tags/list", (130,), "nothing was written, because another repository has a problem"),
        ("PUT", r"/manifests/2\.1\.106-yanked$", (4, 130), "not started, because the command was interrupted"),
    ],
)
def test_no_further_repository_is_changed_after_a_signal(
    pair: tuple[Repository, Repository], method: str, path: str, code: tuple[int, ...], note: str
) -> None:
    one, other = pair
    before = held(other)
    process = None

    def interrupt(_: Request) -> Response | None:
        assert process
        process.send_signal(signal.SIGINT)
        return None

    with Proxy(one.registry.host) as proxy:
        proxy.intercept(on(method, path, interrupt, times=1))
        process = start(None, "yank", f"{proxy.host}/{one.path}", "2.1.106", "--also", str(other), "--json")
        ran = process.wait()
    assert ran.code in code, ran.err
    assert (held(other), ran.json[1]["note"]) == (before, note)


def test_misplaced_tags_outweigh_every_other_problem_in_the_exit_code() -> None:
    assert sorted([4, 0, 130, 2, 5, 1, 3], key=severity) == [0, 5, 3, 2, 1, 130, 4]
