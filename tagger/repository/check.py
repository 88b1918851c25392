"""`tagger check`: finds drifted floating tags, and other damage in the repository."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tagger.errors import InputError
from tagger.names import Digest, Repository, Tag
from tagger.repository.floating import Floating, examine, half_removed
from tagger.repository.observe import Listed, observe, published
from tagger.repository.platforms import lost
from tagger.rules.foreign import foreign, like_rebuilds
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import yanked_by
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Incomplete:
    """An index with missing parts, and the floating tags that hold it."""

    digest: Digest
    tags: tuple[Tag, ...]
    missing: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check: the checked tags, the drifted ones, and those of unknown variants.

    `half_removed` are tags with an unfinished removal. `emptied` are marks of versions that count again, so the marks
    mean nothing. `hints` name settings that may be missing.
    """

    repository: Repository
    drift: tuple[Floating, ...]
    checked: tuple[Tag, ...]
    not_looked_at: tuple[Tag, ...]
    half_removed: tuple[Tag, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    hints: tuple[str, ...] = ()
    emptied: tuple[Tag, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every floating tag is where it should be, every removal is finished, and every index is complete."""
        return not self.drift and not self.half_removed and not self.incomplete


def check(repository: Listed, schemes: Sequence[Scheme]) -> Check:
    """Compare every floating tag of these variants with `resolve`, by about two digests for each.

    It also checks that all parts of their images exist.

    Raises InputError when there is no such repository, or no version of a named variant, and what the registry raises.
    """
    every = published(repository, schemes)
    for each in every:
        _check_named(repository.name, each, alone=len(every) == 1)
    parts = repository.deadline.at_once([partial(_examined, repository, each) for each in every])
    states = [state for part, _, _ in parts for state in part]
    checked = tuple(state.tag for state in states)
    drift = tuple(state for state in states if not state.ok)
    emptied = tuple(dict.fromkeys(tag for _, _, emptied in parts for tag in emptied))
    half = tuple(dict.fromkeys(tag for _, half, _ in parts for tag in half if tag not in emptied))
    others = tuple(foreign(every[0].tags, schemes, {*checked}))
    hints = tuple(filter(None, map(like_rebuilds, every)))
    return Check(repository.name, drift, checked, others, half, _incomplete(repository, states), hints, emptied)


def _check_named(name: Repository, published: Published, *, alone: bool) -> None:
    """Raise InputError for a variant without a version named by its name, prefix or line, or with others."""
    scheme = published.scheme
    named = scheme.variant or scheme.prefix not in {"", "v"} or scheme.beside or not alone
    if named and not published.versions:
        variant = f"of variant {scheme.variant}" if scheme.variant else "of the plain variant"
        line = f" in line {scheme.line or 'default'}" if scheme.beside else ""
        prefix = f" with prefix {scheme.prefix}" if scheme.prefix else ""
        raise InputError(f"{name} has no version {variant}{line}{prefix}", f"tagger ls {name} shows what it has")


def _examined(repository: Listed, published: Published) -> tuple[list[Floating], list[Tag], list[Tag]]:
    """Return the floating tags of a variant, the tags with an unfinished removal, and the marks that mean nothing."""
    floats = [*published.owners, *published.left_behind]
    observed = observe(repository, published, floats)
    half = half_removed(repository, published, observed)
    if observed.lost_marks:  # their versions count again, and so do the floating tags of those
        published = published.without(observed.lost_marks)
        floats = [*published.owners, *published.left_behind]
        observed = observe(repository, published, floats)
    emptied = [
        tag for tag in half if (version := published.scheme.parse(tag)) and yanked_by(version) in observed.versions
    ]
    return [*examine(repository, observed, published.tags, floats)], half, emptied


def _incomplete(repository: Listed, states: Sequence[Floating]) -> tuple[Incomplete, ...]:
    """Return the indexes under floating tags that have missing parts."""
    held: dict[Digest, list[Tag]] = {}
    for state in states:
        if state.digest:
            held.setdefault(state.digest, []).append(state.tag)
    missing = repository.deadline.at_once([partial(lost, repository, digest) for digest in held])
    found = zip(held.items(), missing, strict=True)
    return tuple(Incomplete(digest, tuple(tags), tuple(gone)) for (digest, tags), gone in found if gone)
