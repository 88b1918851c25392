"""Repositories that should hold the same: what counts as a difference."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tagger.errors import InputError
from tagger.names import Digest, Repository, Tag
from tagger.repository.compare import compare
from tagger.repository.floating import Floating
from tagger.repository.listing import Listing, Row
from tagger.rules.version import parse_version


def listing(
    host: str, versions: Mapping[str, str | None], floating: Mapping[str, str | None], older: int = 0
) -> Listing:
    """List versions by what they hold (None: it cannot be read), and floating tags by the version that they hold."""
    return Listing(
        Repository.parse(f"{host}/app"),
        tuple(Row(parse_version(tag), Tag(tag), Digest(held) if held else None, ()) for tag, held in versions.items()),
        tuple(floating_tag(tag, version, versions) for tag, version in floating.items()),
        (),
        older,
    )


def floating_tag(tag: str, version: str | None, versions: Mapping[str, str | None]) -> Floating:
    """Build a floating tag that holds a version; None: it cannot be read."""
    held = versions.get(version or "")
    known = parse_version(version) if version else None
    return Floating(Tag(tag), Digest(held) if held else None, known, known, ok=True, unreadable=version is None)


def test_repositories_with_the_same_tags_do_not_differ() -> None:
    same = {"2.0.0": "a", "1.0.0": "b"}, {"2": "2.0.0", "latest": "2.0.0"}
    assert compare([listing("a.local", *same), listing("b.local", *same)]) == ()
    assert compare([listing("a.local", *same)]) == ()


def test_the_newest_versions_come_first_and_floating_tags_last() -> None:
    one = listing("a.local", {"1.0.0": "a"}, {"latest": "1.0.0"})
    other = listing("b.local", {"10.0.0": "b", "2.0.0": "c", "1.0.0": "a"}, {"latest": "10.0.0", "10": "10.0.0"})
    assert [each.tag for each in compare([one, other])] == ["10.0.0", "2.0.0", "latest", "10"]


def test_one_version_with_two_digests_is_one_difference_and_not_one_for_each_floating_tag() -> None:
    one = listing("a.local", {"1.0.0": "a"}, {"1": "1.0.0", "latest": "1.0.0"})
    other = listing("b.local", {"1.0.0": "b"}, {"1": "1.0.0", "latest": "1.0.0"})
    (found,) = compare([one, other])
    assert (found.tag, [each.digest for each in found.held]) == ("1.0.0", ["a", "b"])


def test_a_candidate_that_one_repository_keeps_is_not_a_difference() -> None:
    waits = "2.1.107-candidate.0123456789ab"
    assert not compare([listing("a.local", {"2.1.106": "a", waits: "b"}, {}), listing("b.local", {"2.1.106": "a"}, {})])


def test_the_third_of_three_is_compared_too() -> None:
    same = listing("a.local", {"1.0.0": "a"}, {})
    (found,) = compare([same, same, listing("c.local", {}, {})])
    assert [(str(each.repository), each.digest) for each in found.held] == [
        ("a.local/app", "a"),
        ("a.local/app", "a"),
        ("c.local/app", None),
    ]


@pytest.mark.parametrize("other", [{"1.0.0": "a"}, {"1.0.0": None}, {}])
def test_an_unreadable_tag_never_agrees(other: dict[str, str | None]) -> None:
    (found,) = compare([listing("a.local", {"1.0.0": None}, {}), listing("b.local", other, {})])
    assert [each.unreadable for each in found.held] == [True, other == {"1.0.0": None}]
    (found,) = compare([listing("a.local", {}, {"latest": None}), listing("b.local", {}, {"latest": None})])
    assert (found.tag, all(each.unreadable for each in found.held)) == ("latest", True)


def test_a_part_of_a_list_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="list every version"):
        compare([listing("a.local", {}, {}), listing("b.local", {}, {}, older=1)])
