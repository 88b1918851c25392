"""The old versions that may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from tagger.errors import InputError
from tagger.names import Tag
from tagger.rules.resolve import Published
from tagger.rules.version import Version, newest_first, yanked_by
from tagger.text import printable
from tagger.values import dataclass

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True)
class Policy:
    """The versions to keep: the newest `keep` stable ones of each minor series, in the newest `keep_minors` of a major.

    Each kept version keeps its newest `keep_revisions` (None: all). With a template, versions of a series have all
    numbers except the last in common. Without `keep_minors` every series keeps some. An image that is younger than
    `older_than`, or of unknown age, stays.

    Raises InputError for numbers that would keep nothing.
    """

    keep: int
    keep_minors: int | None = None
    keep_revisions: int | None = None
    older_than: timedelta | None = None

    def __post_init__(self) -> None:
        if any(number is not None and number < 1 for number in (self.keep, self.keep_minors, self.keep_revisions)):
            raise InputError(
                "--keep, --keep-minors and --keep-revisions must be at least 1",
                "to empty a repository, use tagger rm --all",
            )


def parse_age(text: str) -> timedelta:
    """Parse an age in days.

    >>> parse_age("180d").days
    180

    Raises InputError.
    """
    found = _DAYS.fullmatch(text)
    if not found:
        raise InputError(f"'{printable(text)}' is not an age", "give days, such as 180d")
    return timedelta(days=int(found[1]))


def superseded(versions: Iterable[Version], policy: Policy) -> list[Version]:
    """Return the versions that a policy does not keep by their numbers, the newest first.

    A pre-release goes with the stable versions above it; the mark of a yanked version stays.

    >>> found = [Version.parse(v) for v in ("2.0.0", "2.0.1", "2.1.0", "2.1.1-rc.1", "2.1.1", "2.1.2")]
    >>> [str(v) for v in superseded(found, Policy(keep=1))]
    ['2.1.1', '2.1.1-rc.1', '2.1.0', '2.0.0']
    >>> [str(v) for v in superseded(found, Policy(keep=2, keep_minors=1))]
    ['2.1.1-rc.1', '2.1.0', '2.0.1', '2.0.0']
    """
    ordered = [version for version in newest_first(versions) if not yanked_by(version)]
    every: dict[tuple[int, ...], list[Version]] = {}
    for version in ordered:
        every.setdefault(version.numbers[:-1], []).append(version)
    minors: dict[tuple[int, ...], int] = {}
    going: set[Version] = set()
    for numbers, series in every.items():
        major = numbers[:-1]
        stable = [version for version in series if not version.prerelease]
        if not stable:
            continue
        minors[major] = minors.get(major, 0) + 1
        if policy.keep_minors is not None and minors[major] > policy.keep_minors:
            going.update(series)
            continue
        found = [*dict.fromkeys(version.numbers for version in stable)]
        if len(found) > policy.keep:
            oldest = [version for version in stable if version.numbers == found[policy.keep - 1]][-1]
            going.update(series[series.index(oldest) + 1 :])
    going.update(_old_revisions(ordered, policy.keep_revisions))
    return [version for version in ordered if version in going]


def _old_revisions(ordered: Iterable[Version], keep: int | None) -> Iterator[Version]:
    """Yield the revisions of each version after the newest ones to keep, the newest first."""
    count: dict[tuple[object, ...], int] = {}
    for version in ordered if keep is not None else ():
        base = (version.numbers, version.prerelease)
        count[base] = count.get(base, 0) + 1
        if keep is not None and count[base] > keep:
            yield version


def superseded_tags(every: Iterable[Published], policy: Policy) -> tuple[list[Tag], list[Tag]]:
    """Return the tags, in every spelling, that a policy does not keep by number, and the not understood ones."""
    going: dict[Tag, None] = {}
    strange: dict[Tag, None] = {}
    for published in every:
        spelt: dict[Version, list[Tag]] = {}
        for tag, version in published.spelt.items():
            spelt.setdefault(version, []).append(tag)
        for version in superseded(published.versions, policy):
            understood = published.scheme.understands(version)
            (going if understood else strange).update(dict.fromkeys(spelt[version]))
    return [tag for tag in going if tag not in strange], [*strange]
