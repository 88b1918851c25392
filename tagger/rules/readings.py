"""The readings of a list of tags as versions: prefix, template and revisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from tagger.values import dataclass

_TAG = re.compile(
    r"(?P<prefix>(?:[A-Za-z](?:[A-Za-z0-9._-]*?[A-Za-z._-])??)?)(?P<core>[0-9]+(?:[._][0-9]+)*)(?P<rest>(?:[-_.].*)?)",
    re.DOTALL,
)
# A hash, or a word that happens to end in digits, is not a prefix.
_PREFIX = re.compile(r"|[A-Za-z]+|.*[-_.]", re.DOTALL)
_REVISION = re.compile(
    r"(?P<before>-(?:[A-Za-z0-9.]+-)*(?:r|rev|rel|release|ls|p|patch|b|build)?[-.]?|_build|_r|_)[0-9]+"
)
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
# What separates a variant elsewhere separates the numbers of a day.
_DAY = re.compile(
    r"(?P<prefix>(?:[A-Za-z](?:[A-Za-z0-9._-]*?[A-Za-z._-])??)?)"
    r"(?P<core>(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))(?P<rest>(?:[-_.].*)?)",
    re.DOTALL,
)
_MONTH = re.compile(r"0[1-9]|1[0-2]")
_NAMES = ("major", "minor", "patch", "build", "fifth", "sixth")
_MOST, _MOST_REVISIONS = 48, 6
_SEMVER = (".", ".")


@dataclass(frozen=True, slots=True)
class Reading:
    """A way to read tags as versions: their `prefix`, their template ("": SemVer), and that of revisions ("": none).

    `separators` are the characters between a version's numbers.
    """

    prefix: str = ""
    versions: str = ""
    revisions: str = ""
    separators: tuple[str, ...] = _SEMVER

    @property
    def simple(self) -> tuple[bool, bool, bool]:
        """A sort key: the simpler of two readings is smaller."""
        return bool(self.revisions), bool(self.versions), self.prefix not in {"", "v"}

    @property
    def is_lone_number(self) -> bool:
        """Whether a version is one number and no date: beside other versions, it is probably a floating tag."""
        return not self.separators and self.prefix in {"", "v"} and "{YYYY}" not in self.versions

    @property
    def before(self) -> str:
        """The prefix of a scheme; a template has its own."""
        return "" if self.versions.startswith(self.prefix) else self.prefix

    @property
    def numbering(self) -> tuple[str, str]:
        """A key that differs between all lines of a repository; otherwise one would read the versions of another."""
        return "" if self.prefix == "v" else self.prefix, self.versions

    def suffixes(self, tags: Iterable[str]) -> Counter[str]:
        """Count the texts after a version and a hyphen in these tags that may be names of variants.

        >>> dict(Reading().suffixes(["2.1.106-alpine", "v2.1.105-alpine", "2.1.106-rc.1-slim", "2.1"]))
        {'alpine': 2, 'rc.1-slim': 1}
        """
        before = "v?" if self.prefix in {"", "v"} else re.escape(self.prefix)
        numbers = "[0-9]+".join(("", *map(re.escape, self.separators), ""))
        revision = f"(?:{re.escape(self.revisions.partition('{')[0])}[0-9]+)?" if self.revisions else ""
        found = re.compile(f"{before}{numbers}{revision}-([A-Za-z].*)", re.DOTALL)
        return Counter(match[1] for tag in tags if (match := found.fullmatch(tag)))


def readings(tags: Iterable[str]) -> list[Reading]:
    """Return the ways to read a list, those that fit most tags first.

    >>> [(each.prefix, each.versions) for each in readings(["2.1.106", "v2.1.105", "main-77", "20240101"])]
    [('', ''), ('v', ''), ('main-', 'main-{n}'), ('', '{YYYY}{0M}{0D}'), ('', '{major}')]
    """
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[tuple[str, ...], str]]] = {}
    for tag in tags:
        found = _DAY.fullmatch(tag) or _TAG.fullmatch(tag)
        if found and _PREFIX.fullmatch(found["prefix"]):
            separators = (*re.findall("[._-]", found["core"]),)
            numbers = (*re.split("[._-]", found["core"]),)
            groups.setdefault((found["prefix"], separators), []).append((numbers, found["rest"]))
    largest = sorted(groups, key=lambda key: len(groups[key]), reverse=True)
    every = (each for key in largest for each in _of_group(*key, groups[key]))
    return [*dict.fromkeys(islice(every, _MOST))]


def _of_group(
    prefix: str, separators: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], str]]
) -> Iterator[Reading]:
    """Yield the readings of tags with a common prefix and common separators."""
    counted = Counter(found["before"] for _, rest in rows if (found := _REVISION.fullmatch(rest)))
    revisions = ["", *(f"{before}{{n}}" for before, _ in counted.most_common(_MOST_REVISIONS))]
    for template in _templates(separators, [numbers for numbers, _ in rows], named=prefix not in {"", "v"}):
        for revision in revisions:
            if template is None:
                yield Reading(prefix, "", revision, separators)
            elif prefix not in {"", "v"}:
                yield Reading(prefix, prefix + template, revision, separators)
            else:
                yield Reading(prefix, template, revision, separators)


def _templates(separators: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, named: bool) -> Iterator[str | None]:
    """Yield the templates of versions with these numbers; None for SemVer."""
    if len(separators) >= len(_NAMES):
        return
    if "-" in separators:
        yield "{YYYY}-{0M}-{0D}"
        return
    padded = [row for row in rows if any(_is_padded(number) for number in row)]
    if not separators and any(_DATE.fullmatch(row[0]) for row in rows):
        yield "{YYYY}{0M}{0D}"
    if len(padded) < len(rows):
        if separators == _SEMVER:
            yield None
        else:
            names = _NAMES[: len(separators) + 1] if separators or not named else ("n",)
            yield _joined([f"{{{name}}}" for name in names], separators)
    if padded:
        yield _joined(_padded_fields(padded), separators)


def _padded_fields(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the fields of zero-padded numbers: years and months if they look like those."""
    columns = [*zip(*rows, strict=True)]
    fields = []
    for name, column in zip(_NAMES, columns, strict=False):
        padded = next((number for number in column if _is_padded(number)), None)
        fields.append(f"{{{name}:0{len(padded)}}}" if padded else f"{{{name}}}")
    months = len(columns) > 1 and all(map(_MONTH.fullmatch, columns[1]))
    if months and not any(map(_is_padded, columns[0])):
        fields[:2] = ["{YYYY}" if all(len(year) == len("2026") for year in columns[0]) else "{YY}", "{0M}"]
    return fields


def _is_padded(number: str) -> bool:
    return len(number) > 1 and number.startswith("0")


def _joined(fields: Sequence[str], separators: Sequence[str]) -> str:
    return "".join(f"{field}{separator}" for field, separator in zip(fields, (*separators, ""), strict=True))
