"""A release writes the tags that should follow its version, keeps the others, and gives the reason."""

import contextlib
from collections.abc import Iterator

import pytest
from model import ModelRepository, image
from model import placed as placed_in

from tagger.names import Digest, Tag
from tagger.releasing.observe import look
from tagger.rules.plan import WRITES, Action, Change, Observed, Plan, plan
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

SCHEME = Scheme()


def repository(already: str) -> ModelRepository:
    """Publish versions (`2.1.106`, `2.1.106 at another image`) and their floating tags, but `latest at 2.1.105`."""
    places = [(tag, name if at else tag) for tag, at, name in (p.partition(" at ") for p in already.split(", ") if p)]
    published = ModelRepository.published({tag: name for tag, name in places if tag[0].isdigit() and SCHEME.parse(tag)})
    for tag, name in places:
        published.hold(tag, name)
    return published


def seen_of(published: ModelRepository, scheme: Scheme, release: str) -> Observed:
    """Look at a repository as the release of a version does first."""
    opened = placed_in(release, [published], [scheme])
    (seen,) = look(opened.placements, opened.targets, parse_version(release))
    return seen


def planned(already: str, release: str, *, overwrite: bool = False) -> Plan:
    return plan_in(repository(already), release, overwrite=overwrite)


def plan_in(published: ModelRepository, release: str, *, overwrite: bool = False) -> Plan:
    """Plan the release of a version, whose image has the version for its name."""
    version = parse_version(release)
    seen = seen_of(published, SCHEME, release)
    return plan(version, image(release).manifest.digest, seen, overwrite=overwrite)


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
2.1.107                             | 2.0.8      | 2.0.8, 2.0                  | 2, latest: 2.1.107 is newer
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


def test_a_refusal_fixes_no_drift_either() -> None:
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


def test_the_other_spelling_of_the_version_is_the_same_version() -> None:
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


def test_an_unreadable_floating_tag_is_written_again() -> None:
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


def test_a_floating_tag_of_a_newer_version_is_kept_wherever_it_is() -> None:
    published = repository("2.1.106, 2.1.107, 3.0.0, 2 at 2.1.106")
    published.unreadable = {Tag("latest")}
    found = plan_in(published, "2.0.8")
    assert told(found)[2:] == [
        "keep 2: 2.1.107 is newer (it holds 2.1.106 now: see tagger check)",
        "keep latest: 3.0.0 is newer (the registry cannot say where it points now: see tagger check)",
    ]
    del published.held[Tag("2")]
    published.hold("latest", "a nightly build")
    found = plan_in(published, "2.0.8")
    nightly = image("a nightly build").manifest.digest
    assert told(found)[2:] == [
        "keep 2: 2.1.107 is newer (it is missing now: see tagger check)",
        f"keep latest: 3.0.0 is newer (it holds {nightly[:19]} now: see tagger check)",
    ]
    assert all(c.before == c.after and c.drifted for c in found.changes[2:])


def test_the_first_release_into_an_old_repository_keeps_latest_if_a_stray_version_is_newer() -> None:
    found = planned("1.2.3, 1.2.4, 2024.1.0, 2024.1 at 1.2.4, 2024 at 1.2.4, latest at 1.2.4", "1.2.5")
    assert told(found) == [
        "create 1.2.5",
        "move 1.2",
        "move 1",
        "keep latest: 2024.1.0 is newer (it holds 1.2.4 now: see tagger check)",
    ]


NEARLY = ["2026.03.0", "12.5.5.201", "20.04", "V2.1.105", "2.1.105.Final", "v12.5.5.201", "1.02.3-rc.1"]


@pytest.mark.parametrize("near", NEARLY)
def test_a_floating_tag_that_holds_a_near_version_is_refused(near: str) -> None:
    published = repository("2.1.104, latest at another rule")
    published.hold(near, "another rule")
    found = plan_in(published, "2.1.106")
    assert found.refused == (
        f"latest holds the image of {near}, which is almost a version, so this repository may follow other rules: add"
        f" {near} to ignore, choose other floats, or move latest with --force"
    )
    assert told(found)[:3] == [f"keep {tag}: latest is refused" for tag in ("2.1.106", "2.1", "2")]
    assert not found.writes
    assert told(plan_in(published, "2.1.106", overwrite=True)) == [
        "create 2.1.106", "move 2.1", "move 2", f"move latest: forced: it holds the image of {near}",
    ]  # fmt: skip


def test_near_versions_are_read_only_where_no_version_explains_a_floating_tag() -> None:
    published = repository("2.1.105")
    for near in NEARLY:
        published.hold(near, "another rule")
    asked: list[str] = []

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        asked.append(operation)
        yield

    published.around = around
    assert not plan_in(published, "2.1.106").refused
    assert not {f"head {near}" for near in NEARLY} & set(asked)


def test_an_ignored_or_floating_near_version_is_no_reason_to_refuse() -> None:
    version = parse_version("2.1.106")
    published = repository("2.1.104, latest at another rule, 2.1 at another rule, 2 at another rule")
    published.hold("2026.03.0", "another rule")
    scheme = Scheme(ignored_tags=frozenset({"2026.03.0"}))
    seen = seen_of(published, scheme, "2.1.106")
    found = plan(version, image("2.1.106").manifest.digest, seen)
    assert told(found) == ["create 2.1.106", "move 2.1", "move 2", "move latest"]


def test_a_listed_version_that_is_absent_keeps_nothing() -> None:
    published = repository("2.1.105")
    published.ghosts = {Tag("9.9.9")}
    assert told(plan_in(published, "2.1.106")) == ["create 2.1.106", "move 2.1", "move 2", "move latest"]


def test_a_plan_needs_no_digest_of_the_image() -> None:
    published = Published.of(["2.1.105"], SCHEME)
    seen = Observed(published, {Tag("2.1.105"): Digest("sha256:old"), Tag("latest"): Digest("sha256:old")})
    found = plan(parse_version("2.1.106"), None, seen)
    assert [(c.action, c.before, c.after) for c in found.changes] == [
        (Action.CREATE, None, None),
        (Action.CREATE, None, None),
        (Action.CREATE, None, None),
        (Action.MOVE, "sha256:old", None),
    ]


def test_every_change_names_the_version_that_its_tag_will_hold() -> None:
    found = planned("2.0.6, 2.1.106", "2.0.7")
    assert [str(c.version) for c in found.changes] == ["2.0.7", "2.0.7", "2.1.106", "2.1.106"]
    assert found.version_change == found.changes[0]
    assert found.floating_changes == found.changes[1:]
