"""A proposal of settings for a repository, from its list of tags and the content of a few of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tagger.errors import InputError
from tagger.names import Digest, Tag
from tagger.rules.fit import Fit, Held, fit
from tagger.rules.habits import Habits, habits, is_of, mistaken, words
from tagger.rules.lines import apart
from tagger.rules.numbering import Numbering
from tagger.rules.readings import Reading, readings
from tagger.rules.scheme import Scheme
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.rules.version import Version, yanked_by
from tagger.values import dataclass

_MOST_VARIANTS = 64
_DATE = re.compile(r"(?:.*[^0-9])?(?:19|20)[0-9]{2}(-?)(?:0[1-9]|1[0-2])\1[0-3][0-9](?:[^0-9].*)?", re.DOTALL)
_SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}(?:\..*)?")


@dataclass(frozen=True, slots=True)
class Drifted:
    """A floating tag in another place than in a proposal: the version that it holds (None: unknown)."""

    tag: Tag
    holds: Version | None
    expected: Version


@dataclass(frozen=True, slots=True)
class Line:
    """A line of versions in a list: the scheme of each variant, and the state of its floating tags.

    `name` is "" for the line at the top of the settings. `mistaken` are version tags to ignore. The next
    version after the `newest` would move the tags of `moves` and create those of `creates`.
    """

    name: str
    schemes: tuple[Scheme, ...]
    versions: int
    newest: Version
    right: tuple[Tag, ...]
    drifted: tuple[Drifted, ...]
    missing: tuple[Tag, ...]
    mistaken: tuple[Tag, ...]
    moves: tuple[Tag, ...]
    creates: tuple[Tag, ...]
    reasons: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants by their names in the settings."""
        return tuple(scheme.variant or DEFAULT_VARIANT for scheme in self.schemes)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The lines in a list of tags, and the unexplained tags by what they seem to be.

    As long as tags are `wanted`, their content would decide something, and there are no lines yet.
    """

    lines: tuple[Line, ...] = ()
    not_understood: tuple[tuple[str, tuple[Tag, ...]], ...] = ()
    wanted: tuple[Tag, ...] = ()


def propose(tags: Iterable[Tag], digests: Mapping[Tag, Digest | None]) -> Proposal:
    """Propose settings by a list of tags and the content of some; read those that are `wanted`, and call it again.

    >>> held = {Tag("1.0.1"): Digest("a"), Tag("latest"): Digest("a")}
    >>> found = propose([Tag("1.0.0"), *held, Tag("main")], held | {Tag("main"): Digest("b")})
    >>> found.lines[0].schemes[0].floats, found.lines[0].right
    (('latest',), ('latest',))
    """
    listed, held = [*dict.fromkeys(tags)], Held(digests)
    left, found, refused = listed, list[Line](), set[tuple[str, str]]()
    while (best := _best(left, held, refused, further=bool(found))) and not held.wanted:
        line = _line(best, left, held, found)
        if held.wanted:
            break
        refused.add(best.reading.numbering)
        if line:
            claimed = _claimed(line, left)
            found.append(line)
            left = [tag for tag in left if tag not in claimed]
    if held.wanted:
        return Proposal(wanted=(*held.wanted,))
    return Proposal((*found,), (*_not_understood(left, found),))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A reading, its fit in each variant with the usual floating tags, and words that hold the newest version."""

    reading: Reading
    fits: tuple[Fit, ...]
    words: tuple[Tag, ...]

    @property
    def floats(self) -> int:
        return sum(len(each.right) for each in self.fits) + len(self.words)

    @property
    def missing(self) -> int:
        return sum(len(each.missing) for each in self.fits)

    @property
    def weight(self) -> int:
        """The number of tags that it explains."""
        return len({tag for each in self.fits for tag in each.understood}) + self.floats


def _best(left: Sequence[Tag], held: Held, refused: Collection[tuple[str, str]], *, further: bool) -> _Candidate | None:
    """Return the reading that explains most tags; a `further` line needs a floating tag."""
    found = [
        candidate
        for reading in readings(left)
        if reading.numbering not in refused and (candidate := _candidate(reading, left, held)) and candidate.weight
    ]
    # Without a floating tag, a list of builds or dates has nothing to keep where it is.
    usual = () if further else (False, False, False)
    found = [each for each in found if each.floats or each.reading.simple == usual]
    if further:
        found = [each for each in found if not each.reading.is_lone_number]
    return min(found, key=lambda each: (-each.weight, each.missing, each.reading.simple), default=None)


def _candidate(reading: Reading, left: Sequence[Tag], held: Held) -> _Candidate | None:
    plain = _scheme(reading)
    if plain is None:
        return None
    suffixes = [name for name, _ in reading.suffixes(left).most_common(_MOST_VARIANTS)]
    names = frozenset(name for name in suffixes if _is_variant(plain, name))
    blind, there, named = _blind(plain, names, left), {*left}, words(left)
    # A variant without any floating tag has nothing to keep where it is.
    floating = frozenset(
        name
        for name, each in blind.items()
        if name and (there & {*each.wrong} or any(word.endswith(f"-{name}") for word in named))
    )
    if floating != names:
        blind = _blind(plain, floating, left)
    fits = [each.held_by(held) for name, each in blind.items() if not name or name in floating]
    newest = [(each, stable[0]) for each in fits if (stable := each.stable)]
    held_by = [w for w in named if any(is_of(w, each.scheme) and held.alike(w, each.tag(v)) for each, v in newest)]
    return _Candidate(reading, (*fits,), (*held_by,)) if fits else None


def _blind(plain: Scheme, names: frozenset[str], left: Sequence[Tag]) -> dict[str, Fit]:
    """Return the fit of each variant with versions before any tag is read."""
    nothing = Held(dict.fromkeys(left))
    found = {name: fit(left, replace(plain, variant=name, variants=names), nothing) for name in ("", *sorted(names))}
    return {name: each for name, each in found.items() if each.published.versions}


def _scheme(reading: Reading) -> Scheme | None:
    """Return the plain scheme of a reading, with the usual floating tags; None for one that tagger cannot read."""
    try:
        usual = Numbering(reading.versions, reading.revisions).floats
        return Scheme(usual, prefix=reading.before, versions=reading.versions, revisions=reading.revisions)
    except InputError:
        return None


def _is_variant(scheme: Scheme, name: str) -> bool:
    try:
        replace(scheme, variants=frozenset({name}))
    except InputError:
        return False
    return True


# -- one line --------------------------------------------------------------------------------------------------------


def _line(candidate: _Candidate, left: Sequence[Tag], held: Held, before: Sequence[Line]) -> Line | None:
    """Find the settings of a line; None if it would have the tags of another line, or if a digest is missing."""
    fits = candidate.fits
    base = max(fits, key=lambda each: (len(each.right), not each.scheme.variant))
    ignored = frozenset(() if candidate.reading.versions else mistaken(base, held))
    fits = tuple(each.under(replace(each.scheme, ignore=ignored), held) for each in fits)
    base = next(each for each in fits if each.scheme.variant == base.scheme.variant)
    if not base.stable:
        return None
    name = _named(candidate.reading, before)
    found = habits(fits, base, left, held, name)
    try:
        apart([*(line.schemes for line in before), found.schemes])
    except InputError:
        return None
    wrong = tuple(base.tag(version) for version in base.published.versions if version in ignored)
    return _stands(found, base, wrong, left, held)


def _stands(found: Habits, base: Fit, wrong: tuple[Tag, ...], left: Sequence[Tag], held: Held) -> Line:
    """Return a line with the state of its floating tags, and its `wrong` versions to ignore."""
    final, newest, there = [fit(left, scheme, held) for scheme in found.schemes], base.stable[0], {*left}
    first = [tag for each in final for tag in each.scheme.floating_tags(newest) if newest in each.published.versions]
    return Line(
        name=found.schemes[0].line,
        schemes=found.schemes,
        versions=len({tag for each in final for tag in each.understood}),
        newest=newest,
        right=tuple(tag for each in final for tag in each.right),
        drifted=tuple(
            Drifted(tag, each.holder(tag, held), owner) for each in final for tag, owner in each.wrong.items()
        ),
        missing=tuple(tag for each in final for tag in each.missing),
        mistaken=wrong,
        moves=tuple(tag for tag in first if tag in there),
        creates=tuple(tag for tag in first if tag not in there),
        reasons=(*_reasons(base, found.schemes), *found.reasons, *_why_ignored(wrong, newest)),
    )


def _why_ignored(wrong: Sequence[Tag], newest: Version) -> Iterator[str]:
    if wrong:
        them = "it" if len(wrong) == 1 else "them"
        yield f"ignore {', '.join(wrong)}: far above {newest}, and no floating tag holds {them}"


def _reasons(base: Fit, schemes: Sequence[Scheme]) -> Iterator[str]:
    """Yield the reasons for a reading that differs from the defaults."""
    scheme, example = schemes[0], base.tag(base.stable[0])
    if scheme.versions:
        yield f"versions {scheme.versions}: {len(base.published.spelt)} tags have this form, such as {example}"
    if scheme.revisions:
        rebuilds = sum(bool(version.revision) for version in base.published.spelt.values())
        yield f"revisions {scheme.revisions}: {rebuilds} tags are rebuilds, such as {example}"
    with_v = sum(tag.startswith("v") for tag in base.understood)
    if scheme.prefix in {"", "v"} and 0 < with_v < len(base.understood):
        yield f"v: {with_v} of {len(base.understood)} version tags begin with it, and both spellings count"
    if scheme.prefix:
        yield f"prefix {scheme.prefix}: most tags of this line have it, such as {example}"
    if not scheme.floats:
        yield "floats []: no template fits, so a release creates no floating tag; change this if it should"
    if names := [each.variant for each in schemes if each.variant]:
        yield f"variants {', '.join(names)}: each has floating tags of its own"


def _named(reading: Reading, before: Sequence[Line]) -> str:
    """Name a line by the beginning of its versions; the first one has no name."""
    if not before:
        return ""
    begin = (reading.prefix or re.split("[{]", reading.versions)[0]).strip("-_.")
    name = begin or ("date" if "{YYYY}" in reading.versions else "builds")
    taken = [DEFAULT_VARIANT, *(line.name for line in before)]  # the settings call the first one so
    return name if name not in taken else f"{name}-{len(before)}"


# -- what is left ----------------------------------------------------------------------------------------------------


def _claimed(line: Line, tags: Collection[Tag]) -> set[Tag]:
    """Return the tags that a line explains."""
    nothing = Held(dict.fromkeys(tags))
    found = {*line.right, *(each.tag for each in line.drifted)}
    for scheme in line.schemes:
        found |= {*fit(tags, scheme, nothing).understood}
    return found


def _not_understood(left: Sequence[Tag], found: Sequence[Line]) -> Iterator[tuple[str, tuple[Tag, ...]]]:
    """Yield the tags that no line explains, by what they seem to be."""
    schemes = [scheme for line in found for scheme in line.schemes] or [Scheme()]
    groups: dict[str, list[Tag]] = {}
    for tag in left:
        groups.setdefault(_kind(tag, schemes), []).append(tag)
    for kind, tags in sorted(groups.items()):
        yield kind, tuple(sorted(tags))


def _kind(tag: Tag, schemes: Sequence[Scheme]) -> str:
    """Say what an unexplained tag seems to be."""
    if _SIGNATURE.fullmatch(tag):
        return "signatures and attestations"
    if any(version for scheme in schemes if (version := scheme.parse(tag)) and not yanked_by(version)):
        return "versions of variants or platforms that these settings leave out, or rebuilds"
    if _DATE.fullmatch(tag):
        return "dates"
    if any(scheme.could_float(tag) for scheme in schemes):
        return "spelled like floating tags, but no version competes for them"
    if any(scheme.nearly(tag) for scheme in schemes):
        return "nearly versions"
    return "other tags"
