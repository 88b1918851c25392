"""Versions: strict SemVer 2.0.0, their order, and the pre-releases that mean something to tagger."""

from __future__ import annotations

import re
from collections.abc import Iterable

import semver

from tagger.errors import InputError, InvalidVersion, Refused
from tagger.text import printable

Version = semver.Version

_YANKED = "yanked"
# As an identifier of its own; what may be the name of a variant can follow it.
_MARK = re.compile(rf"(?:^|\.){_YANKED}(?=$|[.-])")
_STAGE = re.compile(r"(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary)[0-9]*", re.IGNORECASE)


def parse_version(text: str, *, build_metadata: str = "refuse") -> Version:
    """Return the version to release: strict SemVer 2.0.0, a leading `v` allowed.

    `build_metadata` is "refuse" or "drop": a tag cannot hold the `+` (OCI distribution spec, tag grammar).

    >>> str(parse_version("v2.1.106"))
    '2.1.106'
    >>> str(parse_version("2.1.106+build.5", build_metadata="drop"))
    '2.1.106'

    Raises InvalidVersion, InputError for another `build_metadata`, and Refused for build metadata.
    """
    if build_metadata not in ("refuse", "drop"):
        raise InputError(
            f"--build-metadata takes 'refuse' or 'drop', not '{printable(build_metadata)}'", "give one of the two"
        )
    try:
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersion(
            f"'{printable(text)}' is not a semantic version",
            "give MAJOR.MINOR.PATCH without leading zeros, such as 2.1.106 or 3.0.0-rc.1",
        ) from None
    if version.build and build_metadata != "drop":
        plain = version.replace(build=None)
        raise Refused(
            f"{printable(text)} carries build metadata, and a tag cannot hold '+'",
            f"release {plain}, or let --build-metadata drop cut it off",
        )
    return version.replace(build=None) if version.build else version


def read(spelling: str) -> Version | None:
    """Return the version that a tag spells after its prefix and suffix are cut off; None if it spells none."""
    # Most tags of a large repository that are not versions fail here, at a tenth of the grammar's cost.
    if spelling.count(".") < 2 or not spelling[:1].isdigit():  # noqa: PLR2004 - a version has two dots
        return None
    try:
        version = Version.parse(spelling)
    except ValueError:
        return None
    return None if version.build else version


# -- pre-releases ----------------------------------------------------------------------------------------------------


def in_channel(version: Version, channel: str) -> bool:
    """Return whether the first identifier of a pre-release is the channel, and no hyphen follows.

    A variant that nobody configured follows a hyphen: `2.2.0-rc.1-alpine` is not a pre-release of `rc`.

    >>> [in_channel(Version.parse(f"2.2.0-{text}"), "rc") for text in ("rc", "rc.1", "rc1", "rc-alpine", "rc.1-alpine")]
    [True, True, False, False, False]
    """
    first, _, rest = (version.prerelease or "").partition(".")
    return first == channel and "-" not in rest


def is_usual_stage(prerelease: str) -> bool:
    """Return whether a pre-release is of a usual stage (rc, beta2, dev, ...), with no hyphen.

    >>> [is_usual_stage(text) for text in ("rc.1", "beta2", "dev.7", "SNAPSHOT", "alpine", "1", "r0", "rc.1-alpine")]
    [True, True, True, True, False, False, False, False]
    """
    return "-" not in prerelease and bool(_STAGE.fullmatch(prerelease.partition(".")[0]))


def mark(version: Version) -> Version:
    """Return the version under which a yanked one is kept: a pre-release that no floating tag ever follows.

    >>> str(mark(Version(2, 1, 106))), str(mark(Version(2, 2, 0, "rc.1")))
    ('2.1.106-yanked', '2.2.0-rc.1.yanked')
    """
    return version.replace(prerelease=f"{version.prerelease}.{_YANKED}" if version.prerelease else _YANKED)


def yanked_by(version: Version) -> Version | None:
    """Return the version that this one marks as yanked; None if it is not a mark.

    >>> str(yanked_by(Version(2, 2, 0, "rc.1.yanked"))), yanked_by(Version(2, 2, 0, "rc.1"))
    ('2.2.0-rc.1', None)
    """
    if not version.prerelease or not version.prerelease.endswith(_YANKED):
        return None
    before, dot, last = version.prerelease.rpartition(".")
    return version.replace(prerelease=before if dot else None) if last == _YANKED else None


def spells_mark(text: str) -> bool:
    """Return whether a pre-release or variant of this name would spell the mark of a yanked version, in any variant.

    >>> [spells_mark(text) for text in ("yanked", "rc.1.yanked", "yanked-alpine", "unyanked", "rc.1", "")]
    [True, True, True, False, False, False]
    """
    return bool(_MARK.search(text))


# -- order -----------------------------------------------------------------------------------------------------------


def newest_first(versions: Iterable[Version]) -> list[Version]:
    """Return the versions by precedence (semver.org, rule 11), the greatest first."""
    return sorted(versions, key=precedence, reverse=True)


def precedence(version: Version) -> tuple[int, int, int, bool, list[tuple[bool, int, str]]]:
    """Return a sort key in the order of semver.org, rule 11; comparing Versions themselves takes ten times as long."""
    identifiers = version.prerelease.split(".") if version.prerelease else []
    return version.major, version.minor, version.patch, not identifiers, [_identifier(i) for i in identifiers]


def _identifier(text: str) -> tuple[bool, int, str]:
    """Order numbers before words, and by value: without leading zeros that is length, then text."""
    return (False, len(text), text) if text.isdigit() else (True, 0, text)
