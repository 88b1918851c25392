"""Proposals agree with the floating tags that maintainers set by hand, and say what they cannot explain."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies
from lists import FILE, REPOSITORY, SETTINGS, Read, lists, page, read, read_all, settings
from lists import TagList as Tags
from shelf import Shelf

from tagger.cli.render.text import proposal_text
from tagger.config.propose import as_toml
from tagger.config.read import read as read_settings
from tagger.names import Tag
from tagger.repository.propose import propose as propose_for
from tagger.rules.propose import propose
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme

TAGS = re.findall(
    r"\S+",
    """
0 0.1 0.1.0 01.2.3 1 1-slim 1.02 1.2 1.2-alpine 1.2.3 1.2.3.4 1.2.3.5 1.2.4 1.2.4-1.2.4 1.2.4-3 1.2.4-alpine
1.2.4-alpine-slim 1.2.4-alpine3.19 1.2.4-default 1.2.4-latest 1.2.4-r1 1.2.4-r2 1.2.4-rc.1 1.2.4-slim 1.2.4-v1
1.2.4-yanked 1.2.5_7 1.2.5_build7 2 2.0 2.0.0 2.0.0-beta.2 2026.01.0 2026.02 2026.02.1 20240101 20240102 9999.0.0 V1.2
alpine alpine-slim alpine3.19 api api-1.0 api-1.0.0 beta build.1 default default-12 edge latest latest-alpine lts main
main-12 main-13 n1 rc rc-1 rc-2 sha-abc123 slim stable v v1 v1.2.4 yanked
""",
)
LISTS = {tags.name: tags for tags in lists()}


def by_rule(found: Read, folder: Path) -> dict[str, str | None]:
    """Return what each floating tag should hold by the settings that `init` writes, as a later command reads them."""
    (folder / "tagger.toml").write_text(as_toml(REPOSITORY, found.proposal))
    (folder / ".git").mkdir(exist_ok=True)
    held = found.of.held
    owners: dict[str, str | None] = {}
    for scheme in read_settings({}, {}, folder, str(REPOSITORY)).all_schemes():
        published = Published.of(held, scheme)
        for tag, owner in resolve(published.versions, scheme).items():
            owners[tag] = held[published.versions[owner]]
    return owners


def named(*rows: str) -> Read:
    """Let `init` read a list, in which each row is an image."""
    return read(Tags("some", "", rows))


def check_settings_of(found: Read, tmp_path: Path) -> None:
    """Check that a later command sees by the settings what the proposal says of every floating tag."""
    every = found.proposal.lines
    told = {each.tag for line in every for each in line.drifted} | {tag for line in every for tag in line.missing}
    owners = by_rule(found, tmp_path) if every else {}
    held = found.of.held
    assert {tag for tag, digest in owners.items() if held.get(Tag(tag)) != digest} == told
    assert {tag for line in every for tag in line.right} == owners.keys() - told


@pytest.mark.parametrize("name", LISTS)
def test_the_settings_that_init_writes_keep_floating_tags_where_maintainers_set_them(name: str, tmp_path: Path) -> None:
    check_settings_of(read(LISTS[name]), tmp_path)


@given(strategies.dictionaries(strategies.sampled_from(TAGS), strategies.integers(0, 7), max_size=20))
def test_the_proposed_settings_read_back_as_the_proposal_for_any_tags(
    tmp_path_factory: pytest.TempPathFactory, held: dict[str, int]
) -> None:
    rows = [", ".join(tag for tag, image in held.items() if image == row) for row in {*held.values()}]
    check_settings_of(named(*rows), tmp_path_factory.mktemp("settings"))


def test_the_page_of_lists_is_up_to_date_and_most_floating_tags_agree() -> None:
    found = read_all()
    assert FILE.read_text() == page(found), "PYTHONPATH=tests/support python tests/support/lists.py writes it"
    assert SETTINGS.read_text() == settings(found), "so it does with these"
    floating = sum(len(each.of.held) - each.versions for each in found)
    assert len(found) >= 40
    assert sum(each.right for each in found) > 0.8 * floating
    assert sum(each.drift for each in found) < 0.02 * floating


def test_a_version_far_above_all_others_that_no_floating_tag_holds_is_ignored() -> None:
    (line,) = named("1.2.3", "1.2.4, 1.2, 1, latest", "2024.1.0", "9999.0.0").proposal.lines
    assert (line.mistaken, line.drifted, line.missing) == (("2024.1.0", "9999.0.0"), (), ())
    assert str(line.newest) == "1.2.4"
    (calendar,) = named("1.2.4, 1.2, 1", "2024.1.0, 2024.1, 2024, latest").proposal.lines
    assert calendar.mistaken == ()


def test_an_intentionally_older_latest_is_an_alias_and_a_forgotten_one_is_drift() -> None:
    (kept,) = named("24.1.0, 24.1, 24, latest", "25.0.0, 25.0, 25").proposal.lines
    assert (kept.schemes[0].aliases, kept.drifted) == ((("latest", "24"),), ())
    (forgotten,) = named("1.2.4, 1.2, 1, latest", "1.1.0, 1.1", "1.0.0, 1.0", "1.2.5").proposal.lines
    drifted = [(each.tag, str(each.holds), str(each.expected)) for each in forgotten.drifted]
    assert drifted == [(tag, "1.2.4", "1.2.5") for tag in ("1.2", "1", "latest")]
    assert forgotten.schemes[0].floats == Scheme().floats


def test_a_branch_that_holds_the_newest_version_by_chance_is_left_alone() -> None:
    found = named("1.2.4, 1.2, 1, latest, main, stable").proposal
    assert found.lines[0].schemes[0].floats == ("{major}.{minor}", "{major}", "latest", "stable")
    assert found.not_understood == (("other tags", ("main",)),)


def test_a_channel_and_a_variant_are_recognized_by_their_floating_tags() -> None:
    (line,) = named(
        "1.2.4, 1.2, 1, latest", "1.3.0-rc.2, rc", "1.3.0-rc.1", "1.2.4-slim, 1.2-slim, 1-slim, slim", "1.2.4-arm64"
    ).proposal.lines
    assert (line.schemes[0].channels, line.variants) == (("rc",), ("default", "slim"))


def test_rebuilds_are_revisions_if_the_version_s_own_tag_follows_them() -> None:
    (line,) = named(
        "2.1.105-r1, 2.1.105", "2.1.106-r2", "2.1.106-r3, 2.1.106, 2.1, 2, latest", "2.0.0, 2.0"
    ).proposal.lines
    assert (line.schemes[0].revisions, line.drifted, line.missing) == ("-r{n}", (), ())
    assert line.moves == ("2.1.106", "2.1", "2", "latest")
    (plain,) = named("2.1.106, 2.1, 2, latest", "2.1.106-r3").proposal.lines
    assert plain.schemes[0].revisions == ""


@pytest.mark.parametrize(
    ("rows", "versions", "revisions"),
    [
        (["20241101", "20241108, latest"], "{YYYY}{0M}{0D}", ""),
        (["2024-11-01", "2024-11-08, latest"], "{YYYY}-{0M}-{0D}", ""),
        (["RELEASE.2024-11-01", "RELEASE.2024-11-08, latest"], "RELEASE.{YYYY}-{0M}-{0D}", ""),
        (["24.04.1, 24.04", "24.10.0, 24.10, latest"], "{YY}.{0M}.{patch}", ""),
        (["14.0, 14, latest", "13.0, 13"], "{major}.{minor}", ""),
        (["build-76", "build-77, latest"], "build-{n}", ""),
        (["4.0.9-ls44, 4.0.9", "4.0.10-ls45, 4.0.10, latest"], "", "-ls{n}"),
        (["4.0.9.1-ls4, 4.0.9.1", "4.0.10.2-ls5, 4.0.10.2, latest"], "{major}.{minor}.{patch}.{build}", "-ls{n}"),
        (["1.2.4-1", "1.2.4-2, 1.2.4, 1.2, 1, latest"], "", "-{n}"),
    ],
)
def test_common_ways_of_numbering_are_recognized(rows: list[str], versions: str, revisions: str) -> None:
    (line,) = named(*rows).proposal.lines
    assert (line.schemes[0].versions, line.schemes[0].revisions) == (versions, revisions)
    assert (line.drifted, line.missing) == ((), ())


def test_calendars_builds_and_other_lines_are_recognized_by_their_floating_tags() -> None:
    (calendar,) = named("2026.02.0, 2026.02", "2026.03.0", "2026.03.1, 2026.03, 2026, latest").proposal.lines
    assert (calendar.schemes[0].versions, str(calendar.newest)) == ("{YYYY}.{0M}.{patch}", "2026.03.1")
    (builds,) = named("main-1233", "main-1234, edge", "main-99").proposal.lines
    assert (builds.schemes[0].versions, builds.schemes[0].floats) == ("main-{n}", ("edge",))
    (four,) = named("25.5.6.14, 25.5.6, 25.5", "25.6.2.5, 25.6.2, 25.6, latest").proposal.lines
    assert four.schemes[0].versions == "{major}.{minor}.{patch}.{build}"
    top, beside = named("1.2.4, 1.2, 1, latest", "main-1233", "main-1234, edge").proposal.lines
    assert (top.name, top.schemes[0].versions) == ("", "")
    assert (beside.name, beside.schemes[0].versions, beside.moves) == ("main", "main-{n}", ("edge",))


def test_lines_that_could_spell_the_same_tag_are_not_proposed_together() -> None:
    found = named("1.2.4, 1.2, 1, latest", "20240101, edge").proposal
    assert [line.name for line in found.lines] == [""]
    assert found.not_understood == (("dates", ("20240101",)), ("other tags", ("edge",)))


def test_only_tags_that_decide_something_are_read() -> None:
    versions = [f"1.{minor}.{patch}" for minor in range(9) for patch in range(9)]
    rows = [f"{each}, {each.removesuffix('.8')}" if each.endswith(".8") else each for each in versions]
    found = named(*rows, "pr-1", "pr-2", "sha-0f0f0f0")
    assert found.right == 9
    assert len(found.asked) == 18


def test_an_unreadable_tag_decides_nothing_and_is_named() -> None:
    repository = Shelf.published(["1.0.0", "1.1.0"])
    assert isinstance(repository, Shelf)
    repository.unreadable = {Tag("latest")}
    found = propose_for(repository)
    (line,) = found.proposal.lines
    assert (found.unreadable, line.right) == (("latest",), ("1.1", "1", "1.0"))
    assert "does not say what these tags hold: latest" in proposal_text(found)


def test_a_repository_without_floating_tags_gets_none_and_that_is_reported() -> None:
    (line,) = named("8.3.1", "7.17.5").proposal.lines
    assert (line.schemes[0].floats, line.moves, line.creates) == ((), (), ())
    assert [reason for reason in line.reasons if reason.startswith("floats []: ")]


def test_an_empty_list_and_one_of_branches_give_no_line() -> None:
    assert propose([], {}).lines == ()
    assert named("main", "pr-12").proposal.lines == ()


def test_the_file_is_a_settings_file() -> None:
    file = as_toml(REPOSITORY, named("v1.2.4, v1.2, v1, latest").proposal)
    assert tomllib.loads(file) == {"registries": ["registry.local:5000"], "repository": "gallery/ui", "prefix": "v"}
