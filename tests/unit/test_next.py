"""The next version, from what is published."""

from __future__ import annotations

from dataclasses import replace

import pytest
from model import ModelRepository

from tagger.errors import InputError
from tagger.names import Tag
from tagger.repository.next import next_version
from tagger.rules.lines import lines
from tagger.rules.next import Part
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

PATCH, MINOR, MAJOR = Part.PATCH, Part.MINOR, Part.MAJOR
ROWS: list[tuple[list[str], Part | None, str | None, str]] = [
    ([], PATCH, None, "0.0.1"),
    ([], MINOR, None, "0.1.0"),
    ([], MAJOR, None, "1.0.0"),
    (["2.1.106"], PATCH, None, "2.1.107"),
    (["2.1.106"], MINOR, None, "2.2.0"),
    (["2.1.106"], MAJOR, None, "3.0.0"),
    (["1.9.9", "2.1.9", "2.1.10"], PATCH, None, "2.1.11"),
    (["0.2.0"], MINOR, None, "0.3.0"),
    (["2.1.106", "2.2.0-rc.1"], MINOR, None, "2.2.0"),
    (["2.1.106", "3.0.0-rc.1"], PATCH, None, "2.1.107"),
    ([], None, "rc", "0.0.1-rc.1"),
    ([], MINOR, "rc", "0.1.0-rc.1"),
    (["2.1.106"], None, "rc", "2.1.107-rc.1"),
    (["2.1.106"], MINOR, "rc", "2.2.0-rc.1"),
    (["2.1.106", "2.2.0-rc.1", "2.2.0-rc.9", "2.2.0-rc.10"], None, "rc", "2.2.0-rc.11"),
    (["2.1.106", "2.2.0-rc.1"], MINOR, "rc", "2.2.0-rc.2"),
    (["2.1.106", "2.2.0-rc.1"], None, "beta", "2.1.107-beta.1"),
    (["2.2.0", "2.2.0-rc.1"], None, "rc", "2.2.1-rc.1"),
    (["2.0.0-rc.1"], MAJOR, None, "2.0.0"),
    (["2.0.0-rc.1"], PATCH, None, "2.0.0"),
    (["2.0.0-rc.1"], None, "beta", "2.0.0-beta.1"),
    (["0.1.0-rc.1"], MAJOR, None, "1.0.0"),
    (["2.1.106", "2.2.0-rc"], None, "rc", "2.2.0-rc.1"),
    (["2.1.106", "3.0.0-candidate.0123456789ab"], MINOR, None, "2.2.0"),
    (["3.0.0-candidate.0123456789ab"], MINOR, None, "0.1.0"),
    (["2.2.0-rc.1", "2.2.0-rc.2-candidate.0123456789ab"], None, "rc", "2.2.0-rc.2"),
]


@pytest.mark.parametrize(("versions", "part", "label", "expected"), ROWS)
def test_the_next_version_follows_the_greatest_released_one(
    versions: list[str], part: Part | None, label: str | None, expected: str
) -> None:
    found = next_version(ModelRepository.published(versions), [Scheme()], part, label, first=not versions)
    assert str(found) == expected


def test_a_repository_that_does_not_exist_has_no_next_version_but_a_first_one() -> None:
    with pytest.raises(InputError, match="there is no repository"):
        next_version(ModelRepository(), [Scheme()], MINOR)
    assert str(next_version(ModelRepository(), [Scheme()], MINOR, first=True)) == "0.1.0"


def test_a_listed_but_absent_version_is_not_the_greatest() -> None:
    repository = ModelRepository.published(["1.0.0"])
    repository.ghosts = {Tag("9.9.9")}
    assert str(next_version(repository, [Scheme()], PATCH)) == "1.0.1"


@pytest.mark.parametrize("label", ["yanked", "yanked-alpine"])
def test_the_label_of_yanked_versions_is_bad_input(label: str) -> None:
    with pytest.raises(InputError, match="would mark a version as yanked: give another label"):
        next_version(ModelRepository.published(["2.1.106"]), [Scheme()], None, label)


@pytest.mark.parametrize("label", ["", "1", "r c", "rc.1", "rc\n"])
def test_an_invalid_label_is_bad_input(label: str) -> None:
    with pytest.raises(InputError, match="not a pre-release label: give letters"):
        next_version(ModelRepository(), [Scheme()], None, label)


def test_an_ignored_version_is_not_the_greatest() -> None:
    repository = ModelRepository.published(["2.1.106", "9999.0.0", "9998.0.0-rc.1"])
    scheme = Scheme(ignore=frozenset(map(parse_version, ["9999.0.0", "9998.0.0-rc.1"])))
    assert str(next_version(repository, [scheme], PATCH)) == "2.1.107"
    assert str(next_version(repository, [scheme], None, "rc")) == "2.1.107-rc.1"


@pytest.mark.parametrize(
    ("part", "label", "expected"),
    [(PATCH, None, "2.1.109"), (MINOR, None, "2.3.0"), (MAJOR, None, "3.0.0"), (MINOR, "rc", "2.2.0-rc.3")],
)
def test_an_ignored_version_that_is_published_is_not_the_next_one(part: Part, label: str | None, expected: str) -> None:
    ignored = ["2.1.107", "2.1.108", "2.2.0", "2.2.0-rc.2"]
    repository = ModelRepository.published(["2.1.106", "2.2.0-rc.1", *ignored])
    scheme = Scheme(ignore=frozenset(map(parse_version, [*ignored, "9.0.0"])))
    assert str(next_version(repository, [scheme], part, label)) == expected


def test_an_ignored_build_that_is_published_is_not_the_next_one() -> None:
    scheme = Scheme(versions="main-{n}", floats=("edge",))
    repository = ModelRepository.published([], **{"main-7": "a", "main-8": "b"})
    ignoring = replace(scheme, ignore=frozenset({scheme.numbering.asked("main-8")}))
    assert str(next_version(repository, [ignoring], None)) == "main-9"


def test_each_variant_has_its_own_next_version() -> None:
    repository = ModelRepository.published(["2.1.106"], **{"3.0.0-alpine": "a", "3.0.1-rc.4-alpine": "b"})
    plain, alpine = lines(Scheme(), ["default", "alpine"])
    assert [str(next_version(repository, [scheme], MINOR)) for scheme in (plain, alpine)] == ["2.2.0", "3.1.0"]
    assert [str(next_version(repository, [scheme], None, "rc")) for scheme in (plain, alpine)] == [
        "2.1.107-rc.1",
        "3.0.1-rc.5",
    ]


def test_an_unknown_variant_does_not_count_as_a_pre_release_of_next() -> None:
    repository = ModelRepository.published(["2.1.106"], **{"2.2.0-rc.7-alpine": "a", "2.1.107-alpine": "b"})
    assert str(next_version(repository, [Scheme()], None, "rc")) == "2.1.107-rc.1"
    assert str(next_version(repository, [Scheme()], MINOR)) == "2.2.0"
