"""The lines of versions and the variants of one repository, which never spell each other's tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tagger.errors import InputError
from tagger.rules import spelling
from tagger.rules.apart import check_apart
from tagger.rules.numbering import Numbering
from tagger.rules.scheme import Scheme
from tagger.rules.spelling import DEFAULT_VARIANT

PLAIN = (Scheme(),)
"""The plain line, with the default rules."""


def numbering_of(schemes: Sequence[Scheme]) -> Numbering:
    """Return how all of these schemes write versions. Raises InputError if they differ, or if there is none."""
    found = dict.fromkeys(scheme.numbering for scheme in schemes)
    if not found:
        raise InputError("no image or no scheme is given", "give at least one of each")
    if len(found) > 1:
        raise InputError("these images spell versions in different ways", "name one of them, or one line with --line")
    return next(iter(found))


def lines(scheme: Scheme, variants: Iterable[str], known: Iterable[str] = ()) -> tuple[Scheme, ...]:
    """Return the scheme of each of these variants, or without a name the plain one, which is called `default`.

    `known` are further variants of the image: no scheme reads their tags as its own.

    >>> [line.version_tag(Numbering().asked("2.1.106")) for line in lines(Scheme(), ["default", "alpine"])]
    ['2.1.106', '2.1.106-alpine']

    Raises InputError when a variant is named twice, and when two variants would spell the same tag.
    """
    asked = list(variants) or [DEFAULT_VARIANT]
    spelling.check_once("variant", asked)
    everyone = frozenset({*asked, *known} - {DEFAULT_VARIANT})
    found = {
        name: replace(scheme, variant="" if name == DEFAULT_VARIANT else name, variants=everyone)
        for name in (DEFAULT_VARIANT, *sorted(everyone))
    }
    check_apart([*found.values()])
    return tuple(found[name] for name in asked)


def apart(lines: Sequence[Sequence[Scheme]]) -> list[tuple[Scheme, ...]]:
    """Return the schemes of lines in one repository, which know of each other.

    Raises InputError when two lines could spell the same tag.
    """
    if len(lines) == 1:
        return [tuple(lines[0])]
    check_apart([scheme for line in lines for scheme in line])
    return [
        tuple(
            replace(scheme, beside=tuple(o for other in lines if other is not line for o in other)) for scheme in line
        )
        for line in lines
    ]
