"""The version after the published ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from enum import StrEnum

import semver

from tagger.errors import InputError
from tagger.rules.numbering import Numbering
from tagger.rules.version import Version, in_channel, newest_first, parse_version, spells_mark
from tagger.text import printable

_TODAY: dict[str, Callable[[date], int]] = {
    "YYYY": lambda today: today.year,
    **dict.fromkeys(("YY", "0Y"), lambda today: today.year % 100),
    **dict.fromkeys(("MM", "0M"), lambda today: today.month),
    **dict.fromkeys(("WW", "0W"), lambda today: today.isocalendar().week),
    **dict.fromkeys(("DD", "0D"), lambda today: today.day),
}
"""The fields of dates (calver.org)."""
_LABEL = re.compile(r"[0-9A-Za-z-]*[A-Za-z-][0-9A-Za-z-]*")


class Part(StrEnum):
    """The part of a version that a release raises: for bug fixes, new features, or breaking changes (semver.org)."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


def check_label(label: str) -> None:
    """Raise InputError for a label that no pre-release can begin with."""
    if spells_mark(label):
        raise InputError(
            f"'{printable(label)}' would mark a version as yanked", "give another label, such as rc or beta"
        )
    if not _LABEL.fullmatch(label):
        raise InputError(
            f"'{printable(label)}' is not a pre-release label", "give letters, digits and hyphens, such as rc or beta"
        )


def successor(
    versions: Iterable[Version], stable: Version | None, part: Part | None, label: str | None = None
) -> Version:
    """Return the version after the greatest `stable` one (None: there is none): a part raised, or a pre-release.

    With a label and no part, the current series of pre-releases goes on, or one for the next patch begins.

    >>> found = [Version.parse(text) for text in ("2.1.106", "2.2.0-rc.1")]
    >>> [str(successor(found, found[0], *asked)) for asked in ((Part.MINOR,), (None, "rc"), (None, "beta"))]
    ['2.2.0', '2.2.0-rc.2', '2.1.107-beta.1']
    """
    newest = newest_first(versions)
    greatest = Version.parse("0.0.0") if stable is None else stable
    base = _raised(greatest, part or Part.PATCH)
    if newest and stable is None:  # the first release ends a series of pre-releases
        base = max(base, newest[0].stable)
    if label is None:
        return base
    ahead = [v for v in newest if v > greatest and in_channel(v, label)]
    if ahead and part is None:
        base = ahead[0].stable
    taken = [int(n) for v in ahead if v.stable == base and (n := v.prerelease[len(label) + 1 :]).isdigit()]
    return parse_version(f"{base}-{label}.{max(taken, default=0) + 1}")


def following(numbering: Numbering, newest: Version | None, today: date) -> Version:
    """Return the version of a template after the newest one (None: there is none).

    Fields of dates get today's date, and on a new date the count begins again; otherwise the last number goes up.

    >>> [str(following(Numbering(text), Numbering(text).read(newest), date(2026, 3, 14))) for text, newest in
    ...  (("main-{n}", "main-1234"), ("{YYYY}.{0M}.{n}", "2026.02.7"), ("{YYYY}.{0M}.{n}", "2026.03.1"))]
    ['main-1235', '2026.03.0', '2026.03.2']

    Raises InputError when all fields are of dates, and today's version is published.
    """
    dates = [_TODAY[name](today) if name in _TODAY else None for name in numbering.names]
    before = newest.numbers if newest else tuple(-1 for _ in dates)
    days = [(now, then) for now, then in zip(dates, before, strict=True) if now is not None]
    if [now for now, _ in days] > [then for _, then in days] or newest is None:
        return numbering.asked(numbering.spell([now or 0 for now in dates]))
    counts = [place for place, now in enumerate(dates) if now is None][-1:]
    if not counts:
        raise InputError(f"{newest} is published already", "add a counting field to the template, such as {n}")
    return numbering.asked(numbering.spell([then + (place in counts) for place, then in enumerate(before)]))


def _raised(version: Version, part: Part) -> Version:
    release = semver.Version.parse(version.text)
    raised = {Part.PATCH: release.bump_patch, Part.MINOR: release.bump_minor, Part.MAJOR: release.bump_major}[part]()
    return Version.parse(str(raised))
