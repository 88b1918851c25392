"""Rebuilds, builds and calendar versions on a real registry: what each release moves, and what stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Ran, start, tagger, wait
from pushed import Repository
from services import Daemon, Registry

import tagger as api

REBUILT = 'revisions = "-r{n}"\n'
EDGE = '[lines.edge]\nversions = "main-{n}"\nfloats = ["edge"]\n'


@pytest.fixture
def shop(registry: Registry, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A new repository. The test runs in its own folder, for settings."""
    monkeypatch.chdir(tmp_path)
    return Repository(registry, repository)


def settings(text: str) -> None:
    """Write the settings."""
    Path("tagger.toml").write_text(text)


def promote(shop: Repository, letter: str, version: str, *options: str) -> Ran:
    """Release the image of a letter in a repository, from another one."""
    source = Repository(shop.registry, f"{shop.path}-ci")
    source.image(letter, letter)
    return tagger(None, "promote", f"{source}:{letter}", version, "--to", str(shop), *options)


def retag(shop: Repository, tag: str, other: str) -> None:
    """Point a tag at the image of another one."""
    manifest = shop.registry.manifest(shop.path, tag)
    shop.registry.put(shop.path, other, manifest, json.loads(manifest)["mediaType"])


def held(shop: Repository) -> dict[str, str]:
    """The letter that each tag holds."""
    letters = shop.registry.snapshot(f"{shop.path}-ci")
    of = {digest: letter for letter, digest in letters.items()}
    return {tag: of[digest] for tag, digest in shop.registry.snapshot(shop.path).items()}


# -- rebuilds --------------------------------------------------------------------------------------------------------


def rebuilt(shop: Repository) -> None:
    """Release 2.1.106 and rebuild it twice."""
    settings(REBUILT)
    for letter, version, options in (
        ("p", "2.1.105", ()),
        ("a", "2.1.106", ()),
        ("b", "2.1.106", ("--revision",)),
        ("c", "2.1.106", ("--revision",)),
    ):
        assert promote(shop, letter, version, *options).code == 0


REVISIONS = {"2.1.106-r0": "a", "2.1.106-r1": "b", "2.1.106-r2": "c"}


def test_a_rebuild_is_immutable_and_the_plain_tag_follows_it(shop: Repository) -> None:
    rebuilt(shop)
    floats = dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "c")
    assert held(shop) == {"2.1.105": "p", **REVISIONS, **floats}
    again = promote(shop, "b", "2.1.106", "--revision", "--json")
    assert (again.code, again.json["outcome"], again.json["version"]) == (0, "unchanged", "2.1.106-r1")
    assert held(shop) == {"2.1.105": "p", **REVISIONS, **floats}
    refused = promote(shop, "d", "2.1.106")
    assert (refused.code, "publish this image as the next revision with --revision" in refused.err) == (3, True)


def test_a_dry_run_shows_the_tag_that_the_previous_image_keeps(shop: Repository) -> None:
    settings(REBUILT)
    promote(shop, "a", "2.1.106")
    before = held(shop)
    shown = promote(shop, "b", "2.1.106", "--revision", "--dry-run")
    assert "create 2.1.106-r1" in shown.out.replace("  ", " ")
    assert "2.1.106-r0" in shown.out
    assert held(shop) == before


def test_two_concurrent_rebuilds_are_both_published(shop: Repository) -> None:
    settings(REBUILT)
    promote(shop, "a", "2.1.106")
    source = Repository(shop.registry, f"{shop.path}-ci")
    running = []
    for letter in "bc":
        source.image(letter, letter)
        words = ("promote", f"{source}:{letter}", "2.1.106", "--to", str(shop), "--revision")
        running.append(start(None, *words))
    assert [wait(each).code for each in running] == [0, 0]
    after = held(shop)
    assert {after[f"2.1.106-r{number}"] for number in range(3)} == {"a", "b", "c"}
    assert {after[tag] for tag in ("2.1.106", "2.1", "2", "latest")} == {after["2.1.106-r2"]}


def test_a_rebuild_that_a_gate_refuses_creates_and_moves_no_tag(shop: Repository) -> None:
    settings(REBUILT)
    promote(shop, "a", "2.1.106")
    before = held(shop)
    refused = promote(shop, "b", "2.1.106", "--revision", "--gate", "false")
    assert refused.code == 6
    assert {tag: letter for tag, letter in held(shop).items() if "candidate" not in tag} == before
    assert promote(shop, "b", "2.1.106", "--revision", "--gate", "true").code == 0
    assert held(shop)["2.1.106-r0"] == "a"
    assert {held(shop)[tag] for tag in ("2.1.106-r1", "2.1.106", "2.1", "2", "latest")} == {"b"}
    assert tagger(None, "check", str(shop)).code == 0


@pytest.mark.engine
def test_an_engine_releases_a_rebuild(shop: Repository, engine: Daemon) -> None:
    settings(REBUILT)
    names = {letter: f"lab/{shop.path}-{letter}".replace("/", "-") for letter in "abc"}
    for letter, name in names.items():
        engine.image(name, letter)
    target = ("--registry", shop.registry.host, "--repository", shop.path)
    for letter, options in (("a", ()), ("b", ("--revision",)), ("a", ("--revision",)), ("c", ("--revision",))):
        assert tagger(engine, "release", names[letter], "2.1.106", *target, *options).code == 0
    digests = shop.registry.snapshot(shop.path)
    assert [*digests] == ["2", "2.1", "2.1.106", "2.1.106-r0", "2.1.106-r1", "2.1.106-r2", "latest"]
    assert len(set(digests.values())) == 3
    assert {digests[tag] for tag in ("2.1.106", "2.1", "2", "latest")} == {digests["2.1.106-r2"]}


def test_commands_that_read_understand_rebuilds(shop: Repository) -> None:
    rebuilt(shop)
    assert tagger(None, "check", str(shop)).code == 0
    shown = tagger(None, "ls", str(shop), "--json").json
    assert [row["tag"] for row in shown["versions"]] == ["2.1.106-r2", "2.1.106-r1", "2.1.106-r0", "2.1.105"]
    assert shown["versions"][0]["floating"] == ["2.1.106", "2.1", "2", "latest"]
    assert tagger(None, "next", str(shop), "--patch").out == "2.1.107\n"
    retag(shop, "2.1.106-r0", "2.1.106")
    drifted = tagger(None, "check", str(shop), "--json")
    assert (drifted.code, [each["tag"] for each in drifted.json["drift"]]) == (5, ["2.1.106"])
    assert tagger(None, "repair", str(shop)).code == 0
    assert held(shop)["2.1.106"] == "c"


def test_a_single_rebuild_is_yanked_and_brought_back(shop: Repository) -> None:
    rebuilt(shop)
    before = held(shop)
    assert tagger(None, "yank", str(shop), "2.1.106-r2").code == 0
    after = held(shop)
    assert (after["2.1.106"], after["latest"], after["2.1.106-r2-yanked"]) == ("b", "b", "c")
    assert "2.1.106-r2" not in after
    assert tagger(None, "check", str(shop)).code == 0
    assert tagger(None, "yank", "--undo", str(shop), "2.1.106-r2").code == 0
    assert held(shop) == before


def test_a_version_is_yanked_with_all_its_rebuilds_and_brought_back(shop: Repository) -> None:
    rebuilt(shop)
    before = held(shop)
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0
    marks = {f"{tag}-yanked": letter for tag, letter in REVISIONS.items()}
    assert held(shop) == {"2.1.105": "p", **marks, **dict.fromkeys(("2.1", "2", "latest"), "p")}
    assert tagger(None, "check", str(shop)).code == 0
    assert tagger(None, "yank", "--undo", str(shop), "2.1.106").code == 0
    assert held(shop) == before


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("2.1.106-r2", {"2.1.106-r0": "a", "2.1.106-r1": "b", **dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "b")}),
        ("2.1.106", dict.fromkeys(("2.1", "2", "latest"), "p")),
    ],
)
def test_a_rebuild_or_a_version_with_all_of_them_is_removed(shop: Repository, name: str, left: dict[str, str]) -> None:
    rebuilt(shop)
    assert tagger(None, "rm", str(shop), name, "--yes").code == 0
    assert held(shop) == {"2.1.105": "p", **left}


def test_old_rebuilds_are_pruned(shop: Repository) -> None:
    rebuilt(shop)
    ran = tagger(None, "prune", str(shop), "--keep", "5", "--keep-revisions", "1", "--yes")
    assert ran.code == 0
    floats = dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "c")
    assert held(shop) == {"2.1.105": "p", "2.1.106-r2": "c", **floats}
    assert tagger(None, "prune", str(shop), "--keep", "1", "--yes").code == 0
    assert held(shop) == {"2.1.106-r2": "c", **floats}


def test_the_candidate_of_an_old_rebuild_is_listed_and_pruned(shop: Repository) -> None:
    settings(REBUILT)
    promote(shop, "a", "2.1.106", "--revision")
    refused = promote(shop, "b", "2.1.106", "--revision", "--gate", "false")
    assert refused.code == 6, refused.err
    [waiting] = [tag for tag in held(shop) if tag.startswith("2.1.106-r1-candidate.")]
    assert waiting in [each["tag"] for each in tagger(None, "ls", str(shop), "--json").json["versions"]]
    promote(shop, "c", "2.1.107", "--revision")
    ran = tagger(None, "prune", str(shop), "--keep", "1", "--yes", "--json")
    assert waiting in ran.json["removed"], ran.err
    assert waiting not in held(shop)


def test_rebuilds_may_be_numbered_without_a_letter(shop: Repository) -> None:
    settings('revisions = "-{n}"\n')
    promote(shop, "a", "2.1.106")
    promote(shop, "b", "2.1.106", "--revision")
    assert held(shop) == {
        "2.1.106-0": "a", "2.1.106-1": "b", **dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "b")
    }  # fmt: skip
    settings("")
    assert promote(shop, "c", "2.1.106-3").code == 0  # a pre-release
    assert held(shop)["2.1.106"] == "b"


# -- builds and calendars --------------------------------------------------------------------------------------------


def test_an_older_build_that_ends_last_does_not_move_the_tag_back(shop: Repository) -> None:
    settings('versions = "main-{n}"\nfloats = ["edge"]\n')
    promote(shop, "b", "main-1234")
    assert held(shop) == {"main-1234": "b", "edge": "b"}
    late = promote(shop, "a", "main-1233", "--json")
    assert (late.code, late.json["repositories"][0]["tags"][1]["reason"]) == (0, "main-1234 is newer")
    promote(shop, "c", "main-1240")
    assert held(shop) == {"main-1233": "a", "main-1234": "b", "main-1240": "c", "edge": "c"}
    assert tagger(None, "next", str(shop)).out == "main-1241\n"
    assert tagger(None, "check", str(shop)).code == 0


@pytest.mark.parametrize(
    ("versions", "floats", "released", "after"),
    [
        ("{YYYY}.{0M}.{patch}", None, "2026.03.1", ["2026.03.1", "2026.03", "2026", "latest"]),
        ("{YYYY}{0M}{0D}", ["latest"], "20260314", ["20260314", "latest"]),
        ("{major}.{minor}.{patch}.{build}", ["{major}.{minor}"], "12.5.5.201", ["12.5.5.201", "12.5"]),
        ("{YY}.{0M}", ["{YY}", "rolling"], "26.04", ["26.04", "26", "rolling"]),
        ("build-{n:04}", ["newest"], "build-0042", ["build-0042", "newest"]),
    ],
)
def test_calendar_versions_and_builds_have_the_floating_tags_of_their_fields(
    shop: Repository, versions: str, floats: list[str] | None, released: str, after: list[str]
) -> None:
    settings(f"versions = {json.dumps(versions)}\n" + (f"floats = {json.dumps(floats)}\n" if floats else ""))
    assert promote(shop, "a", released).code == 0
    assert [*held(shop)] == sorted(after)
    assert tagger(None, "tags", released).out.split() == after
    wrong = promote(shop, "b", "2.1.106-rc.1")
    assert (wrong.code, "does not match the template" in wrong.err) == (2, True)


def test_several_lines_share_a_repository_and_ignore_each_other(shop: Repository) -> None:
    settings(EDGE)
    promote(shop, "a", "2.1.106")
    promote(shop, "b", "main-7", "--line", "edge")
    floats = dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "a")
    assert held(shop) == {**floats, "main-7": "b", "edge": "b"}
    lost = promote(shop, "c", "main-8")
    assert (lost.code, lost.err.count("\n")) == (2, 1)
    assert tagger(None, "check", str(shop), "--json").json["checked"] == ["2.1", "2", "latest", "edge"]
    retag(shop, "2.1.106", "edge")
    assert tagger(None, "check", str(shop), "--line", "default").code == 0
    assert tagger(None, "check", str(shop)).code == 5
    assert tagger(None, "repair", str(shop), "--line", "edge").code == 0
    assert held(shop) == {**floats, "main-7": "b", "edge": "b"}
    assert tagger(None, "rm", str(shop), "main-7", "--yes").code == 0
    assert held(shop) == floats
    unknown = tagger(None, "ls", str(shop), "--line", "egde")
    assert (unknown.code, "the lines are default, edge" in unknown.err) == (2, True)


def test_lines_that_could_spell_the_same_tag_are_refused(shop: Repository) -> None:
    settings('[lines.calendar]\nversions = "{YYYY}.{0M}.{patch}"\nfloats = ["stable"]\n')
    ran = tagger(None, "ls", str(shop))
    assert (ran.code, "1212.12.12" in ran.err) == (2, True)


def test_versions_that_look_like_rebuilds_are_named_without_settings_for_them(shop: Repository) -> None:
    for tag in ("2.1.106", "2.1.106-r1", "2.1.106-r2", "2.1.105", "2.1.105-r1"):
        shop.image(tag, tag)
    api.repair(str(shop))
    ran = tagger(None, "check", str(shop))
    assert 'revisions = "-r{n}"' in ran.out + ran.err
