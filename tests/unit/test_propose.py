"""Proposals agree with the floating tags that maintainers set by hand, and say what they cannot explain."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from lists import FILE, Read, page, read, read_all
from lists import TagList as Tags

from tagger.config.propose import as_toml
from tagger.config.read import read as read_settings
from tagger.names import Repository, Tag
from tagger.rules.propose import propose
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme

REPOSITORY = Repository.parse("registry.local:5000/gallery/ui")


def by_rule(found: Read, folder: Path) -> dict[str, str | None]:
    """Give what each floating tag should hold by the settings that `init` writes, as a later command reads them."""
    (folder / "tagger.toml").write_text(as_toml(REPOSITORY, found.proposal))
    (folder / ".git").mkdir(exist_ok=True)
    held = found.of.held
    owners: dict[str, str | None] = {}
    for scheme in read_settings({}, {}, folder, str(REPOSITORY)).schemes():
        published = Published.of(held, scheme)
        for tag, owner in resolve(published.versions, scheme).items():
            owners[tag] = held[published.versions[owner]]
    return owners


def named(*rows: str) -> Read:
    """Let `init` read a list, in which each row is an image."""
    return read(Tags("some", "", rows))


@pytest.mark.parametrize("found", read_all(), ids=lambda found: found.of.name)
def test_the_settings_that_init_writes_keep_floating_tags_where_maintainers_set_them(
    found: Read, tmp_path: Path
) -> None:
    first = found.proposal.lines[:1]
    told = {each.tag for line in first for each in line.drifted} | {tag for line in first for tag in line.missing}
    owners = by_rule(found, tmp_path) if first else {}
    held = found.of.held
    assert {tag for tag, digest in owners.items() if held.get(Tag(tag)) != digest} == told
    assert {tag for line in first for tag in line.right} == owners.keys() - told


def test_the_page_of_lists_is_up_to_date_and_most_floating_tags_agree() -> None:
    found = read_all()
    assert FILE.read_text() == page(found), "PYTHONPATH=tests/support python tests/support/lists.py writes it"
    floating = sum(len(each.of.held) - each.versions for each in found)
    assert len(found) >= 40
    assert sum(each.right for each in found) > 0.6 * floating
    assert sum(each.drift for each in found) < 0.01 * floating


def test_a_version_far_above_all_others_that_no_floating_tag_holds_is_ignored() -> None:
    (line,) = named("1.2.3", "1.2.4, 1.2, 1, latest", "2024.1.0", "9999.0.0").proposal.lines
    assert (line.mistaken, line.drifted, line.missing) == (("2024.1.0", "9999.0.0"), (), ())
    assert str(line.newest) == "1.2.4"
    (calendar,) = named("1.2.4, 1.2, 1", "2024.1.0, 2024.1, 2024, latest").proposal.lines
    assert calendar.mistaken == ()


def test_latest_that_stays_behind_on_purpose_is_an_alias_and_one_that_was_forgotten_is_drift() -> None:
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


def test_a_channel_and_a_variant_are_seen_by_their_floating_tags() -> None:
    (line,) = named(
        "1.2.4, 1.2, 1, latest", "1.3.0-rc.2, rc", "1.3.0-rc.1", "1.2.4-slim, 1.2-slim, 1-slim, slim", "1.2.4-arm64"
    ).proposal.lines
    assert (line.schemes[0].channels, line.variants) == (("rc",), ("default", "slim"))


def test_only_what_decides_something_is_asked_for() -> None:
    versions = [f"1.{minor}.{patch}" for minor in range(9) for patch in range(9)]
    rows = [f"{each}, {each.removesuffix('.8')}" if each.endswith(".8") else each for each in versions]
    found = named(*rows, "pr-1", "pr-2", "sha-0f0f0f0")
    assert found.right == 9
    assert len(found.asked) == 18


def test_an_empty_list_and_one_of_branches_give_no_line() -> None:
    assert propose([], {}).lines == ()
    assert named("main", "pr-12").proposal.lines == ()


def test_the_file_is_a_settings_file() -> None:
    file = as_toml(REPOSITORY, named("v1.2.4, v1.2, v1, latest").proposal)
    assert tomllib.loads(file) == {"registries": ["registry.local:5000"], "repository": "gallery/ui", "prefix": "v"}
