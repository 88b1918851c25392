"""The tag rules: how versions are spelt as tags, and where the floating tags of a repository belong.

The one idea: the floating tags are a pure function, `resolve`, of the version tags. No other module knows how a tag
is spelt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from semver import Version

from tagger.errors import InputError, InvalidVersion, Refused, printable
from tagger.reference import Tag, parse_tag

__all__ = ["Scheme", "Version", "floating", "newest_first", "parse_version", "published", "resolve"]

_MAJOR_MINOR_LATEST = ("{major}.{minor}", "{major}", "latest")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How versions are spelt as tags, and which floating tags a version competes for, the most specific first."""

    floats: tuple[str, ...] = _MAJOR_MINOR_LATEST

    def version_tag(self, version: Version) -> Tag:
        """Spell a version.

        >>> Scheme().version_tag(Version(2, 1, 106))
        '2.1.106'

        Raises InvalidReference when the tag gets too long.
        """
        return parse_tag(str(version))

    def floating_tags(self, version: Version) -> tuple[Tag, ...]:
        """Give the cascade of a version; a pre-release has none, and 0.y.z none of its major alone.

        Semver promises nothing within 0.y (semver.org, rule 4), so a tag `0` would promise what nobody keeps.

        >>> Scheme().floating_tags(Version(2, 1, 106))
        ('2.1', '2', 'latest')
        >>> Scheme().floating_tags(Version(0, 2, 0))
        ('0.2', 'latest')
        >>> Scheme().floating_tags(Version(2, 2, 0, "rc.1"))
        ()
        """
        if version.prerelease:
            return ()
        return tuple(
            parse_tag(template.format(major=version.major, minor=version.minor, patch=version.patch))
            for template in self.floats
            if version.major or "{major}" not in template or "{minor}" in template
        )

    def tags(self, version: Version) -> tuple[Tag, ...]:
        """Give the version tag and its cascade.

        >>> Scheme().tags(Version(2, 1, 106))
        ('2.1.106', '2.1', '2', 'latest')
        """
        return (self.version_tag(version), *self.floating_tags(version))

    def parse(self, tag: str) -> Version | None:
        """Read a version tag, with or without a leading `v`; None for every other tag.

        >>> Scheme().parse("v2.1.106")
        Version(major=2, minor=1, patch=106, prerelease=None, build=None)
        >>> Scheme().parse("2.1"), Scheme().parse("20240101")
        (None, None)
        """
        spelling = tag.removeprefix("v")
        # Most tags of a large repository that are no versions fail here, at a tenth of what the grammar costs.
        if spelling.count(".") < 2 or not spelling[:1].isdigit():  # noqa: PLR2004 - a version has two dots
            return None
        try:
            version = Version.parse(spelling)
        except ValueError:
            return None
        return None if version.build else version


def parse_version(text: str, *, build_metadata: str = "refuse") -> Version:
    """Parse the version to release: strict SemVer 2.0.0, a leading `v` allowed.

    `build_metadata` is "refuse" or "drop": a tag cannot hold the `+` (OCI distribution spec, tag grammar).

    >>> str(parse_version("v2.1.106"))
    '2.1.106'
    >>> str(parse_version("2.1.106+build.5", build_metadata="drop"))
    '2.1.106'

    Raises InvalidVersion, InputError for another `build_metadata`, and Refused for build metadata.
    """
    if build_metadata not in ("refuse", "drop"):
        raise InputError(
            f"--build-metadata takes 'refuse' or 'drop', not '{printable(build_metadata)}': give one of the two"
        )
    try:
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersion(
            f"'{printable(text)}' is not a semantic version: give MAJOR.MINOR.PATCH without leading zeros,"
            " such as 2.1.106 or 3.0.0-rc.1"
        ) from None
    if version.build and build_metadata != "drop":
        plain = version.replace(build=None)
        raise Refused(
            f"{printable(text)} carries build metadata, and a tag cannot hold '+': release {plain}, or let"
            " --build-metadata drop cut it off"
        )
    return version.replace(build=None) if version.build else version


def published(tags: Iterable[str], scheme: Scheme) -> dict[Version, Tag]:
    """Say which versions a tag list holds, and the tag of each; the scheme's own spelling goes before another.

    >>> published(["latest", "v1.0.0", "1.0.0", "1.1"], Scheme())
    {Version(major=1, minor=0, patch=0, prerelease=None, build=None): '1.0.0'}
    """
    found: dict[Version, Tag] = {}
    for tag in tags:
        version = scheme.parse(tag)
        if version is not None and (version not in found or tag == scheme.version_tag(version)):
            found[version] = Tag(tag)
    return found


def resolve(versions: Iterable[Version], scheme: Scheme) -> Mapping[Tag, Version]:
    """Say which version every tag belongs to when exactly these versions are published.

    >>> from semver import Version
    >>> found = resolve([Version.parse(v) for v in ("1.9.9", "2.0.7", "2.1.106")], Scheme())
    >>> {tag: str(version) for tag, version in found.items() if tag in ("1.9", "2.0", "2", "latest")}
    {'1.9': '1.9.9', 'latest': '2.1.106', '2.0': '2.0.7', '2': '2.1.106'}
    """
    return {tag: version for version in sorted(versions, key=_precedence) for tag in scheme.tags(version)}


def floating(versions: Iterable[Version], scheme: Scheme) -> dict[Tag, Version]:
    """Say which version every floating tag belongs to: `resolve` without the version tags, the newest versions first.

    >>> {tag: str(v) for tag, v in floating([Version(1, 9, 9), Version(2, 1, 106)], Scheme()).items()}
    {'2.1': '2.1.106', '2': '2.1.106', 'latest': '2.1.106', '1.9': '1.9.9', '1': '1.9.9'}
    """
    found: dict[Tag, Version] = {}
    for version in newest_first(versions):
        for tag in scheme.floating_tags(version):
            found.setdefault(tag, version)
    return found


def newest_first(versions: Iterable[Version]) -> list[Version]:
    """Sort versions by precedence (semver.org, rule 11), the greatest first."""
    return sorted(versions, key=_precedence, reverse=True)


def _precedence(version: Version) -> tuple[int, int, int, bool, list[tuple[bool, int, str]]]:
    """Give a sort key in the order of semver.org, rule 11; comparing Versions themselves takes ten times as long."""
    identifiers = version.prerelease.split(".") if version.prerelease else []
    return version.major, version.minor, version.patch, not identifiers, [_identifier(i) for i in identifiers]


def _identifier(text: str) -> tuple[bool, int, str]:
    """Order numbers by value, which without leading zeros is length before text, and before words."""
    return (False, len(text), text) if text.isdigit() else (True, 0, text)
