"""Versions: their grammar, their order, and the pre-releases with a meaning for tagger."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field, replace
from functools import total_ordering

import semver

from tagger.errors import InputError, InvalidVersion, Refused
from tagger.text import printable
from tagger.values import dataclass

_YANKED = "yanked"
# As a separate identifier; the name of a variant may follow.
_MARK = re.compile(rf"(?:^|\.){_YANKED}(?=$|[.-])")
_STAGE = re.compile(r"(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary)[0-9]*", re.IGNORECASE)


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A version's text, and its sort order: its numbers, its pre-release ("": stable), its revision.

    SemVer has three numbers. Where a scheme counts rebuilds, `revision` is the number of this one, else None.
    """

    text: str
    numbers: tuple[int, ...] = field(compare=False)
    prerelease: str = field(default="", compare=False)
    revision: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.text

    def __lt__(self, other: Version) -> bool:
        return precedence(self) < precedence(other)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Parse strict SemVer 2.0.0, and drop build metadata.

        >>> Version.parse("3.0.0-rc.1")
        Version(text='3.0.0-rc.1', numbers=(3, 0, 0), prerelease='rc.1', revision=None)

        Raises ValueError.
        """
        found = semver.Version.parse(text)
        return cls(text.partition("+")[0], (found.major, found.minor, found.patch), found.prerelease or "")

    @property
    def stable(self) -> Version:
        """The version without its pre-release."""
        return self if not self.prerelease else Version(".".join(map(str, self.numbers)), self.numbers)


def check_build_metadata(handling: str) -> None:
    """Raise InputError for a way to handle build metadata that is neither "refuse" nor "drop"."""
    if handling not in ("refuse", "drop"):
        raise InputError(
            f"--build-metadata takes 'refuse' or 'drop', not '{printable(handling)}'", "choose one of the two"
        )


def parse_version(text: str, *, build_metadata: str = "refuse") -> Version:
    """Return the version to release: strict SemVer 2.0.0, a leading `v` allowed.

    `build_metadata` is "refuse" or "drop": a tag cannot hold the `+` (OCI distribution spec, tag grammar).

    >>> str(parse_version("v2.1.106"))
    '2.1.106'
    >>> str(parse_version("2.1.106+build.5", build_metadata="drop"))
    '2.1.106'

    Raises InvalidVersion, InputError for another `build_metadata`, and Refused for build metadata.
    """
    check_build_metadata(build_metadata)
    try:
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersion(
            f"'{printable(text)}' is not a semantic version",
            "give MAJOR.MINOR.PATCH without leading zeros, such as 2.1.106 or 3.0.0-rc.1",
        ) from None
    if "+" in text and build_metadata != "drop":
        raise Refused(
            f"{printable(text)} has build metadata, but a tag cannot contain '+'",
            f"release {version}, or drop the metadata with --build-metadata drop",
        )
    return version


def read(spelling: str) -> Version | None:
    """Return the version that a tag spells after its prefix and suffix are cut off; None if it spells none."""
    # Most tags of a large repository that are not versions fail here, at a tenth of the grammar's cost.
    if spelling.count(".") < 2 or not spelling[:1].isdigit() or "+" in spelling:  # noqa: PLR2004 - a version has two
        return None
    try:
        return Version.parse(spelling)
    except ValueError:
        return None


# -- pre-releases ----------------------------------------------------------------------------------------------------


def in_channel(version: Version, channel: str) -> bool:
    """Return whether the first identifier of a pre-release is the channel, and no hyphen follows.

    A variant that nobody configured follows a hyphen: `2.2.0-rc.1-alpine` is not a pre-release of `rc`.

    >>> [in_channel(Version.parse(f"2.2.0-{text}"), "rc") for text in ("rc", "rc.1", "rc1", "rc-alpine", "rc.1-alpine")]
    [True, True, False, False, False]
    """
    first, _, rest = version.prerelease.partition(".")
    return first == channel and "-" not in rest


def is_usual_stage(prerelease: str) -> bool:
    """Return whether a pre-release is of a usual stage (rc, beta2, dev, ...), with no hyphen.

    >>> [is_usual_stage(text) for text in ("rc.1", "beta2", "dev.7", "SNAPSHOT", "alpine", "1", "r0", "rc.1-alpine")]
    [True, True, True, True, False, False, False, False]
    """
    return "-" not in prerelease and bool(_STAGE.fullmatch(prerelease.partition(".")[0]))


def mark(version: Version) -> Version:
    """Return the mark of a yanked version: a pre-release that no floating tag ever follows.

    >>> str(mark(Version.parse("2.1.106"))), str(mark(Version.parse("2.2.0-rc.1")))
    ('2.1.106-yanked', '2.2.0-rc.1.yanked')
    """
    if version.prerelease:
        return replace(version, text=f"{version}.{_YANKED}", prerelease=f"{version.prerelease}.{_YANKED}")
    return replace(version, text=f"{version}-{_YANKED}", prerelease=_YANKED)


def yanked_by(version: Version) -> Version | None:
    """Return the version that this one marks as yanked; None if it is not a mark.

    >>> str(yanked_by(Version.parse("2.2.0-rc.1.yanked"))), yanked_by(Version.parse("2.2.0-rc.1"))
    ('2.2.0-rc.1', None)
    """
    before, _, last = version.prerelease.rpartition(".")
    if last != _YANKED:
        return None
    return replace(version, text=version.text[: -len(_YANKED) - 1], prerelease=before)


def spells_mark(text: str) -> bool:
    """Return whether a pre-release or variant of this name would spell the mark of a yanked version, in any variant.

    >>> [spells_mark(text) for text in ("yanked", "rc.1.yanked", "yanked-alpine", "unyanked", "rc.1", "")]
    [True, True, True, False, False, False]
    """
    return bool(_MARK.search(text))


# -- order -----------------------------------------------------------------------------------------------------------


def newest_first(versions: Iterable[Version]) -> list[Version]:
    """Return the versions by precedence (semver.org, rule 11), the greatest first.

    >>> print(*newest_first(map(Version.parse, ("2.1.9", "2.1.106", "2.1.106-rc.1"))))
    2.1.106 2.1.106-rc.1 2.1.9
    """
    return sorted(versions, key=precedence, reverse=True)


Precedence = tuple[tuple[int, ...], bool, list[tuple[bool, int, str]], int]


def precedence(version: Version) -> Precedence:
    """Return a sort key: the numbers from left to right, the pre-release (semver.org, rule 11), the revision.

    Sorting by it is faster than comparing versions, which computes it each time.
    """
    identifiers = version.prerelease.split(".") if version.prerelease else []
    return version.numbers, not identifiers, [_identifier(i) for i in identifiers], version.revision or 0


def _identifier(text: str) -> tuple[bool, int, str]:
    """Order numbers before words, and by value: without leading zeros, that means length and then text."""
    return (False, len(text), text) if text.isdigit() else (True, 0, text)
