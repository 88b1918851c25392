"""Tags that look like those of unconfigured variants and rebuilds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from tagger.names import Tag
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import yanked_by

# Numbers with more digits are dates or builds.
_VERSION = re.compile(
    r"(?P<prefix>(?:[A-Za-z][A-Za-z._-]*-)?)v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-(?P<variant>[A-Za-z][A-Za-z0-9._-]*))?"
)
_FLOATING = re.compile(
    r"(?P<prefix>(?:[A-Za-z][A-Za-z._-]*-)?)v?[0-9]{1,4}(?:\.[0-9]{1,4})?(?:-[A-Za-z][A-Za-z0-9._-]*)?"
)
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")


def foreign(tags: Iterable[str], schemes: Sequence[Scheme], known: Collection[str]) -> list[Tag]:
    """Return unknown tags that look like floating tags; for a variant without one, its newest version.

    >>> found = ["2.1.106", "2.1", "2.1.106-alpine", "alpine", "lts", "2.1.105-slim", "2.1.106-slim", "build-77"]
    >>> foreign(found, [Scheme()], {"2.1"})
    ['2.1.106-slim', 'alpine', 'lts']
    """
    strange = [tag for tag in tags if tag not in known and not _is_ours(tag, schemes)]
    newest: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {}
    for tag in strange:
        if found := _VERSION.fullmatch(tag):
            variant, number = (found["prefix"], found["variant"] or ""), tuple(map(int, found.group(2, 3, 4)))
            newest[variant] = max(newest.get(variant, (number, tag)), (number, tag))
    prefixes = {prefix for prefix, _ in newest} | {""}
    floats = [
        tag
        for tag in strange
        if _WORD.fullmatch(tag) or ((found := _FLOATING.fullmatch(tag)) and found["prefix"] in prefixes)
    ]
    alone = [
        tag
        for (prefix, variant), (_, tag) in newest.items()
        if not any(name.startswith(prefix) and name.endswith(variant) for name in floats)
    ]
    return sorted(map(Tag, {*floats, *alone}))


_REVISIONS = {"-r{n}": re.compile("r[0-9]+"), "-{n}": re.compile("[0-9]+")}


def like_rebuilds(published: Published) -> str | None:
    """Return a hint if pre-releases look like rebuilds of published versions, or None.

    >>> like_rebuilds(Published.of(["2.1.106", "2.1.106-r1", "2.1.106-r2"], Scheme()))
    'tags such as 2.1.106-r2 look like rebuilds of 2.1.106: if they are, set revisions = "-r{n}"'
    """
    scheme, versions = published.scheme, published.versions
    if scheme.revisions or scheme.versions:
        return None
    for template, pattern in _REVISIONS.items():
        like = [version for version in versions if pattern.fullmatch(version.prerelease) and version.stable in versions]
        if len(like) > 1:
            newest = max(like)
            return (
                f"tags such as {versions[newest]} look like rebuilds of {newest.stable}: if they are, set revisions ="
                f' "{template}"'
            )
    return None


def _is_ours(tag: str, schemes: Sequence[Scheme]) -> bool:
    """Return whether a tag is a version tag of one of these schemes, and not possibly of another variant."""
    read = [(version, scheme) for scheme in schemes if (version := scheme.parse(tag))]
    return any(scheme.understands(version) or yanked_by(version) for version, scheme in read)
