"""A release writes the tags that its version has earned, keeps the others, and gives a reason where one is due."""

import pytest
from model import ModelRepository, image

from tagger.cascade import Scheme, parse_version
from tagger.plan import WRITES, Action, Change, Observed, Plan, plan
from tagger.reference import Digest, Tag
from tagger.settle import observe

SCHEME = Scheme()


def repository(already: str) -> ModelRepository:
    """Publish versions (`2.1.106`, `2.1.106 at another image`) and their floating tags, but `latest at 2.1.105`."""
    places = [(tag, name if at else tag) for tag, at, name in (p.partition(" at ") for p in already.split(", ") if p)]
    published = ModelRepository.published({tag: name for tag, name in places if tag[0].isdigit() and SCHEME.parse(tag)})
    for tag, name in places:
        published.hold(tag, name)
    return published


def planned(already: str, release: str, *, overwrite: bool = False) -> Plan:
    return plan_in(repository(already), release, overwrite=overwrite)


def plan_in(published: ModelRepository, release: str, *, overwrite: bool = False) -> Plan:
    """Plan the release of a version, whose image has the version for its name."""
    version = parse_version(release)
    seen = observe(published, SCHEME, SCHEME.floating_tags(version), present=[version])
    return plan(version, image(release).manifest.digest, seen, SCHEME, overwrite=overwrite)


def told(found: Plan) -> list[str]:
    return [f"{c.action} {c.tag}" + (f": {c.reason}" if c.reason else "") for c in found.changes]


TABLE = """
already published                   | release    | written                     | kept, and the reason shown
                                    | 2.1.106    | 2.1.106, 2.1, 2, latest     |
2.1.105                             | 2.1.106    | 2.1.106, 2.1, 2, latest     |
1.9.8, 2.1.106                      | 1.9.9      | 1.9.9, 1.9, 1               | latest: 2.1.106 is newer
2.0.6, 2.1.106                      | 2.0.7      | 2.0.7, 2.0                  | 2, latest: 2.1.106 is newer
2.1.107                             | 2.1.106    | 2.1.106                     | 2.1, 2, latest: 2.1.107 is newer
2.1.106                             | 2.2.0-rc.1 | 2.2.0-rc.1                  |
2.2.0-rc.1                          | 2.1.106    | 2.1.106, 2.1, 2, latest     |
2.1.106                             | 2.1.106    |                             |
2.1.105, 2.1.106, latest at 2.1.105 | 2.1.106    | latest                      |
2.1.106, 2.1.107, latest at 2.1.106 | 2.0.8      | 2.0.8, 2.0, latest: 2.1.107 | 2: 2.1.107 is newer
2.1.106 at another image            | 2.1.106    |                             | 2.1, 2, latest: 2.1.106 is refused
0.1.9                               | 0.2.0      | 0.2.0, 0.2, latest          |
"""


@pytest.mark.parametrize("row", TABLE.splitlines()[2:])
def test_the_table_of_tag_rules_holds(row: str) -> None:
    already, release, written, kept = (cell.strip() for cell in row.split("|"))
    found = planned(already, release)
    keeps = [c for c in found.changes if c.action is Action.KEEP]
    tags, _, reason = kept.partition(": ")
    assert ", ".join(placed(c, release) for c in found.changes if c.action in WRITES) == written
    assert ", ".join(c.tag for c in keeps) == tags
    assert {c.reason for c in keeps} == ({reason} if reason else set())
    assert all((c.action is Action.CREATE) == (c.before is None) for c in found.changes)


def placed(change: Change, release: str) -> str:
    return change.tag if str(change.version) == release else f"{change.tag}: {change.version}"


def test_a_version_that_holds_another_image_is_refused_and_nothing_is_written() -> None:
    found = planned("2.1.105, 2.1.106 at another image", "2.1.106")
    held = image("another image").manifest.digest
    assert found.refused == (
        f"2.1.106 is published with another image, {held}: release a new version, or overwrite it with --force"
    )
    assert told(found)[1:] == [f"keep {tag}: 2.1.106 is refused" for tag in ("2.1", "2", "latest")]
    assert not found.writes
    assert all(c.before == c.after == held for c in found.changes)


def test_a_refusal_mends_no_drift_either() -> None:
    found = planned("2.1.105, 2.1.106 at another image, latest at 2.1.105", "2.1.106")
    assert not found.writes
    assert found.changes[-1].after == image("2.1.105").manifest.digest


def test_force_overwrites_and_names_what_it_overwrote() -> None:
    found = planned("2.1.106 at another image", "2.1.106", overwrite=True)
    held = image("another image").manifest.digest
    assert told(found) == [f"move 2.1.106: forced: overwrites {held}", "move 2.1", "move 2", "move latest"]
    assert all((c.before, c.after) == (held, image("2.1.106").manifest.digest) for c in found.changes)


def test_force_without_another_image_changes_no_plan() -> None:
    for already in ("", "2.1.105", "2.1.106", "2.1.107"):
        assert planned(already, "2.1.106", overwrite=True) == planned(already, "2.1.106")


def test_the_other_spelling_of_the_version_is_the_version() -> None:
    found = planned("v2.1.106 at 2.1.106", "2.1.106")
    assert told(found)[0] == "create 2.1.106: v2.1.106 holds this image too"


def test_the_other_spelling_with_another_image_is_refused_by_its_own_name() -> None:
    found = planned("v2.1.106 at another image", "2.1.106")
    assert told(found)[0].startswith("refuse 2.1.106: v2.1.106 is published with another image")
    forced = planned("v2.1.106 at another image", "2.1.106", overwrite=True)
    assert told(forced)[0] == f"create 2.1.106: forced: overwrites {image('another image').manifest.digest}"


def test_the_other_spelling_of_a_newer_version_holds_its_floating_tags() -> None:
    found = planned("v2.1.107 at image, 2.1 at image, 2 at image, latest at image", "2.1.106")
    assert told(found)[1:] == [f"keep {tag}: 2.1.107 is newer" for tag in ("2.1", "2", "latest")]


def test_the_schemes_own_spelling_decides_where_both_are_published() -> None:
    found = planned("2.1.106, v2.1.106 at another image", "2.1.106")
    assert told(found)[0] == "unchanged 2.1.106"


def test_a_floating_tag_that_nobody_can_read_is_written_again() -> None:
    published = repository("2.1.105, 2.1.106")
    published.unreadable = {Tag("2"), Tag("latest")}
    found = plan_in(published, "2.1.106")
    assert told(found) == [
        "unchanged 2.1.106",
        "unchanged 2.1",
        "move 2: the registry cannot say where it points now",
        "move latest: the registry cannot say where it points now",
    ]
    assert {c.before for c in found.changes[2:]} == {None}


def test_a_floating_tag_of_a_newer_version_is_mended_where_it_is_missing_or_unreadable() -> None:
    published = repository("2.1.106, 2.1.107")
    del published.held[Tag("2")]
    published.unreadable = {Tag("latest")}
    found = plan_in(published, "2.0.8")
    assert told(found)[2:] == [
        "create 2: 2.1.107 is published and newer",
        "move latest: the registry cannot say where it points now",
    ]
    assert {c.after for c in found.changes[2:]} == {image("2.1.107").manifest.digest}


def test_a_listed_version_that_is_absent_keeps_nothing() -> None:
    published = repository("2.1.105")
    published.ghosts = {Tag("9.9.9")}
    assert told(plan_in(published, "2.1.106")) == ["create 2.1.106", "move 2.1", "move 2", "move latest"]


def test_an_image_whose_digest_is_not_known_yet_is_planned_all_the_same() -> None:
    versions = {parse_version("2.1.105"): Tag("2.1.105")}
    seen = Observed(versions, {Tag("2.1.105"): Digest("sha256:old"), Tag("latest"): Digest("sha256:old")})
    found = plan(parse_version("2.1.106"), None, seen, SCHEME)
    assert [(c.action, c.before, c.after) for c in found.changes] == [
        (Action.CREATE, None, None),
        (Action.CREATE, None, None),
        (Action.CREATE, None, None),
        (Action.MOVE, "sha256:old", None),
    ]


def test_every_change_names_the_version_that_its_tag_is_to_hold() -> None:
    found = planned("2.0.6, 2.1.106", "2.0.7")
    assert [str(c.version) for c in found.changes] == ["2.0.7", "2.0.7", "2.1.106", "2.1.106"]
    assert found.version_change == found.changes[0]
    assert found.floating_changes == found.changes[1:]
