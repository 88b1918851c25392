"""Listing: versions newest first, the floating tags on each, and only the digests that the answer shows."""

from __future__ import annotations

from doubles import ModelRegistry
from hypothesis import given
from hypothesis import strategies as st
from shelf import Shelf

import tagger as api
from tagger.cli.render.text import listing_text
from tagger.names import Tag
from tagger.repository.check import check
from tagger.repository.listing import ls
from tagger.rules.scheme import Scheme

SCHEME = Scheme()


def shelf(*versions: str, **held: str) -> Shelf:
    """Publish versions, each with its own image."""
    found = Shelf.published(versions, **held)
    assert isinstance(found, Shelf)
    return found


def test_versions_are_listed_newest_first_with_their_floating_tags_and_other_tags_last() -> None:
    found = ls(shelf("1.0.0", "2.10.0", "2.9.1", "3.0.0-rc.1", nightly="x", **{"build-7": "x"}), [SCHEME])
    assert [(row.tag, row.floating) for row in found.versions] == [
        ("3.0.0-rc.1", ()),
        ("2.10.0", ("2.10", "2", "latest")),
        ("2.9.1", ("2.9",)),
        ("1.0.0", ("1.0", "1")),
    ]
    assert found.other == ("build-7", "nightly")


def test_drift_is_marked_with_where_the_tag_should_be() -> None:
    text = listing_text(ls(shelf("2.1.105", "2.1.106", latest="2.1.105"), [SCHEME]))
    assert "  latest holds 2.1.105 (sha256:" in text
    assert "), but should hold 2.1.106" in text


def test_a_floating_tag_is_shown_once_where_it_belongs_if_that_version_has_its_image() -> None:
    repository = shelf("2.1.105", "2.1.106")
    repository.hold("2.1.105", "2.1.106")
    found = ls(repository, [SCHEME])
    assert [(row.tag, row.floating) for row in found.versions] == [("2.1.106", ("2.1", "2", "latest")), ("2.1.105", ())]


@given(
    st.dictionaries(
        st.sampled_from(["1.0.0", "1.0.1", "1.1.0", "1.1.1", "2.0.0", "1.0.1-yanked", "1.1.1-yanked", "2.0.0-yanked"]),
        st.sampled_from("abc"),
        min_size=1,
    ),
    st.dictionaries(st.sampled_from(["1.0", "1.1", "1", "2.0", "2", "latest"]), st.sampled_from("abcd")),
    st.none() | st.integers(1, 4),
)
def test_ls_and_check_name_the_same_holder_and_ls_names_it_once(
    versions: dict[str, str], floats: dict[str, str], limit: int | None
) -> None:
    repository = shelf(**versions, **floats)
    found, checked = ls(repository, [SCHEME]), check(repository, [SCHEME])
    assert [*checked.drift] == [state for state in found.floating if not state.ok]
    shown = {state.tag: str(state.version) for state in found.floating if state.version}
    assert sorted((tag, row.tag) for row in found.versions for tag in row.floating) == sorted(shown.items())
    part = ls(repository, [SCHEME], limit)
    assert {state.tag: state for state in part.floating}.items() <= {
        state.tag: state for state in found.floating
    }.items()


def test_a_limit_shows_the_newest_versions_and_the_number_of_the_rest() -> None:
    found = ls(shelf(*(f"1.{minor}.0" for minor in range(30))), [SCHEME], limit=3)
    assert [row.tag for row in found.versions] == ["1.29.0", "1.28.0", "1.27.0"]
    assert "and 27 older (--limit 0 shows all)" in listing_text(found)


def test_a_repository_without_versions_is_listed_too() -> None:
    found = ls(shelf(nightly="x"), [SCHEME])
    assert (found.versions, found.floating, found.other, found.older) == ((), (), ("nightly",), 0)


def test_a_tag_without_an_image_is_not_a_version_but_is_shown() -> None:
    repository = shelf("1.0.0")
    repository.ghosts = {Tag("9.9.9")}
    found = ls(repository, [SCHEME])
    assert ([row.tag for row in found.versions], found.other, found.older) == (["1.0.0"], ("9.9.9",), 0)


def test_both_spellings_of_a_version_are_shown() -> None:
    repository = shelf("1.0.0")
    repository.hold("v1.0.0", "another")
    rows = ls(repository, [SCHEME]).versions
    assert [(row.tag, row.floating) for row in rows] == [("1.0.0", ("1.0", "1", "latest")), ("v1.0.0", ())]


def test_one_unreadable_version_does_not_hide_the_others() -> None:
    repository = shelf("1.0.0", "1.0.1", "1.0.2")
    repository.unreadable = {Tag("1.0.1")}
    found = ls(repository, [SCHEME])
    assert [(row.tag, row.digest is None) for row in found.versions] == [
        ("1.0.2", False), ("1.0.1", True), ("1.0.0", False),
    ]  # fmt: skip
    assert "1.0.1  cannot be read" in listing_text(found)


def test_only_the_shown_digests_are_requested() -> None:
    with ModelRegistry(page_size=100) as model:
        versions = {f"2.{minor}.{patch}": f"{minor}.{patch}".encode() for minor in range(4) for patch in range(75)}
        digests = model.seed("gallery/ui", versions)
        held = model.repositories["gallery/ui"]
        held.update({f"2.{minor}": digests[f"2.{minor}.74"] for minor in range(4)})
        held.update({"2": digests["2.3.74"], "latest": digests["2.3.74"]})
        found = api.ls(f"{model.host}/gallery/ui", limit=10)
        assert (len(found.versions), found.older) == (10, 290)
        heads = {request.path.rpartition("/")[2] for request in model.requests if request.method == "HEAD"}
        assert heads == {*(row.tag for row in found.versions), "2.3", "2", "latest"}


def test_the_version_that_a_drifted_tag_holds_is_found_with_few_requests() -> None:
    with ModelRegistry() as model:
        versions = {f"2.{minor}.{patch}": f"{minor}.{patch}".encode() for minor in range(4) for patch in range(75)}
        digests = model.seed("gallery/ui", versions)
        held = model.repositories["gallery/ui"]
        held.update({f"2.{minor}": digests[f"2.{minor}.74"] for minor in range(4)})
        held.update({"2": digests["2.3.74"], "latest": digests["2.2.74"]})
        found = api.ls(f"{model.host}/gallery/ui", limit=5)
        assert [(s.tag, str(s.version)) for s in found.floating if not s.ok] == [("latest", "2.2.74")]
        assert len([request for request in model.requests if request.method == "HEAD"]) <= 5 + 3 + 8


def test_three_thousand_tags_stay_readable() -> None:
    names = {f"build-{number}": "x" for number in range(3000)}
    lines = listing_text(ls(shelf("1.0.0", **names), [SCHEME])).splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith(" and 2950 more")
