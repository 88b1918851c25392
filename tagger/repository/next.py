"""The next version after those that are published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from tagger.errors import InputError
from tagger.names import Tag
from tagger.repository.check import Listed
from tagger.rules.scheme import (
    Scheme,
    Version,
    in_channel,
    newest_first,
    parse_version,
    published,
    spells_mark,
    yanked_by,
)
from tagger.text import printable

_NONE_YET = Version(0, 0, 0)
_LABEL = re.compile(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*")


class Part(StrEnum):
    """What a release changes: compatible bug fixes, compatible new features, or breaking changes (semver.org)."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


def successor(
    repository: Listed, schemes: Sequence[Scheme], part: Part | None, label: str | None = None, *, first: bool = False
) -> Version:
    """Give the version after the greatest one of these lines: the part is raised, or a pre-release `label` counted on.

    With a label alone, the pre-releases under way are counted on, else those of the next patch begin. A repository
    without a version counts as 0.0.0; it may be one that does not exist yet where this is its `first` version. Neither
    a version to ignore nor another variant counts.

    Raises InputError for a label that is none and for a repository that does not exist, and what the registry raises.
    """
    if label is not None and spells_mark(label):
        raise InputError(
            f"'{printable(label)}' would mark a version as yanked", "give another label, such as rc or beta"
        )
    if label is not None and not _LABEL.fullmatch(label):
        raise InputError(
            f"'{printable(label)}' is no pre-release label", "give letters, digits and hyphens, such as rc or beta"
        )
    tags = repository.listed()
    if tags is None and not first:
        raise InputError(
            f"there is no repository {repository.name.path} at {repository.name.registry}",
            "check the name, or give --first for the first version of a new one",
        )
    versions: dict[Version, list[Tag]] = {}
    for scheme in schemes:
        for version, tag in published(tags or (), scheme).items():
            if scheme.counts(version):
                versions.setdefault(yanked_by(version) or version, []).append(tag)  # a yanked one is taken too
    newest = newest_first(versions)
    stable = (v for v in newest if not v.prerelease)
    greatest = next((v for v in stable if any(repository.digest(tag) for tag in versions[v])), _NONE_YET)
    # What was only ever a pre-release is finished by its first release.
    begun = newest[0].finalize_version() if newest and greatest is _NONE_YET else _NONE_YET
    if label is None:
        return max(_raised(greatest, part or Part.PATCH), begun)
    ahead = [v for v in newest if v > greatest and in_channel(v, label)]
    under_way = ahead[0].finalize_version() if ahead and part is None else None
    base = under_way or max(_raised(greatest, part or Part.PATCH), begun)
    taken = [
        int(n) for v in ahead if v.finalize_version() == base and (n := str(v.prerelease)[len(label) + 1 :]).isdigit()
    ]
    return parse_version(f"{base}-{label}.{max(taken, default=0) + 1}")


def _raised(version: Version, part: Part) -> Version:
    match part:
        case Part.PATCH:
            return version.bump_patch()
        case Part.MINOR:
            return version.bump_minor()
        case Part.MAJOR:
            return version.bump_major()
