"""The settings for a repository as it is: proposed from its list of tags, and from what a few of them hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tagger.errors import InputError
from tagger.names import Digest, Tag
from tagger.rules.fit import Fit, Held, fit
from tagger.rules.readings import Reading, readings
from tagger.rules.scheme import Scheme, lines
from tagger.rules.spelling import DEFAULT_VARIANT, in_variant
from tagger.rules.version import Version, yanked_by

_MOST_VARIANTS, _MOST_WORDS, _MOST_ALIASES = 64, 48, 8
_WORD = re.compile(r"[A-Za-z]+(?:[._-][A-Za-z]+)*")
# What follows a branch may hold the newest version by chance.
_BRANCH = re.compile(r"main|master|trunk|head|dev|devel|develop|development|edge|nightly|test|testing|staging|unstable")
_DATE = re.compile(r"(?:.*[^0-9])?(?:19|20)[0-9]{6}(?:[^0-9].*)?")
_SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}(?:\..*)?")
_FAR, _FURTHER = 10, 8


@dataclass(frozen=True, slots=True)
class Drifted:
    """A floating tag that is elsewhere than a proposal puts it: the version that it holds (None: of none known)."""

    tag: Tag
    holds: Version | None
    expected: Version


@dataclass(frozen=True, slots=True)
class Line:
    """A line of versions that a list shows: the scheme of each variant, and how its floating tags stand.

    `name` is "" for the one that the settings have at their top. `mistaken` are version tags to ignore. The next
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
        """The variants by the names that the settings have for them."""
        return tuple(scheme.variant or DEFAULT_VARIANT for scheme in self.schemes)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a list of tags shows: its lines, and the tags that none of them explains, by what they seem to be.

    While tags are `wanted`, what they hold would decide something, and there are no lines yet.
    """

    lines: tuple[Line, ...] = ()
    not_understood: tuple[tuple[str, tuple[Tag, ...]], ...] = ()
    wanted: tuple[Tag, ...] = ()


def propose(tags: Iterable[Tag], digests: Mapping[Tag, Digest | None]) -> Proposal:
    """Propose settings by a list of tags and what some of them hold; ask for the rest that is `wanted`, and try again.

    >>> held = {Tag("1.0.1"): Digest("a"), Tag("latest"): Digest("a")}
    >>> found = propose([Tag("1.0.0"), *held, Tag("main")], held | {Tag("main"): Digest("b")})
    >>> found.lines[0].schemes[0].floats, found.lines[0].right
    (('latest',), ('latest',))
    """
    listed, held = [*dict.fromkeys(tags)], Held(digests)
    left, found, refused = listed, list[Line](), set[tuple[str, str]]()
    while not found and (best := _best(left, held, refused, further=bool(found))) and not held.wanted:
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
    """A reading, how it fits in each variant with the usual floating tags, and words that hold the newest version."""

    reading: Reading
    fits: tuple[Fit, ...]
    words: tuple[Tag, ...]

    @property
    def floats(self) -> int:
        return sum(len(each.right) for each in self.fits) + len(self.words)

    @property
    def weight(self) -> int:
        """How many tags it explains."""
        return len({tag for each in self.fits for tag in each.understood}) + self.floats


def _best(left: Sequence[Tag], held: Held, refused: Collection[tuple[str, str]], *, further: bool) -> _Candidate | None:
    """Return the reading that explains most tags; a `further` line needs a floating tag."""
    found = [
        candidate
        for reading in readings(left)
        if reading.numbering not in refused and (candidate := _candidate(reading, left, held)) and candidate.weight
    ]
    found = [each for each in found if each.floats or not further]
    return min(found, key=lambda each: (-each.weight, each.reading.simple), default=None)


def _candidate(reading: Reading, left: Sequence[Tag], held: Held) -> _Candidate | None:
    plain = _scheme(reading)
    if plain is None:
        return None
    suffixes = [name for name, _ in reading.suffixes(left).most_common(_MOST_VARIANTS)]
    names = frozenset(name for name in suffixes if _is_variant(plain, name))
    there, fits = {*left}, []
    for name in ("", *sorted(names)):
        scheme = replace(plain, variant=name, variants=names)
        blind = fit(left, scheme, Held(dict.fromkeys(left)))
        # A variant without any floating tag has nothing to keep where it is.
        if blind.published.versions and (not name or there & {*blind.wrong}):
            fits.append(fit(left, scheme, held))
    if not fits:
        return None
    newest = [each.tag(stable[0]) for each in fits if (stable := each.stable)]
    words = [tag for tag in _words(left) if any(held.alike(tag, each) for each in newest)] if newest else []
    return _Candidate(reading, (*fits,), (*words,))


def _scheme(reading: Reading) -> Scheme | None:
    """Return the plain scheme of a reading, with the usual floating tags; None for one that tagger cannot read."""
    if reading.versions or reading.revisions:
        return None
    try:
        return Scheme(prefix=reading.prefix)
    except InputError:
        return None


def _is_variant(scheme: Scheme, name: str) -> bool:
    try:
        replace(scheme, variants=frozenset({name}))
    except InputError:
        return False
    return True


def _words(tags: Iterable[Tag]) -> list[Tag]:
    """Return the tags that are words, at most as many as it is worth to ask for; the shortest are the likeliest."""
    found = [tag for tag in tags if _WORD.fullmatch(tag) and tag != "latest"]
    return sorted(found, key=len)[:_MOST_WORDS]


# -- one line --------------------------------------------------------------------------------------------------------


def _line(candidate: _Candidate, left: Sequence[Tag], held: Held, before: Sequence[Line]) -> Line | None:
    """Work out the settings of a line; None for one that would have the tags of another, or lacks a digest."""
    fits = candidate.fits
    base = max(fits, key=lambda each: (len(each.right), not each.scheme.variant))
    ignored = frozenset(_mistaken(base, held))
    fits = tuple(fit(left, replace(each.scheme, ignore=ignored), held) for each in fits)
    base = next(each for each in fits if each.scheme.variant == base.scheme.variant)
    if not base.stable:
        return None
    fits, rules, reasons = _rules(fits, base, left, held)
    if held.wanted:
        return None
    names = [each.scheme.variant or DEFAULT_VARIANT for each in fits]
    schemes = _agreed(rules, names)
    final = [fit(left, scheme, held) for scheme in schemes]
    mistaken = [base.tag(version) for version in base.published.versions if version in ignored]
    if mistaken:
        holds = f"no floating tag holds {'it' if len(mistaken) == 1 else 'them'}"
        reasons.append(f"ignore {', '.join(mistaken)}: far above {base.stable[0]}, and {holds}")
    if held.wanted:
        return None
    name = _named(candidate.reading, before)
    newest = base.stable[0]
    there = {*left}
    first = [tag for each in final for tag in each.scheme.floating_tags(newest) if newest in each.published.versions]
    return Line(
        name,
        (*schemes,),
        len({tag for each in final for tag in each.understood}),
        newest,
        tuple(tag for each in final for tag in each.right),
        tuple(Drifted(tag, each.holder(tag, held), owner) for each in final for tag, owner in each.wrong.items()),
        tuple(tag for each in final for tag in each.missing),
        (*mistaken,),
        tuple(tag for tag in first if tag in there),
        tuple(tag for tag in first if tag not in there),
        (*reasons,),
    )


def _agreed(rules: Scheme, names: Sequence[str]) -> tuple[Scheme, ...]:
    """Return the scheme of each variant; whatever the rules refuse together is left out."""
    weaker = (
        rules,
        replace(rules, channels=()),
        replace(rules, channels=(), aliases=()),
        replace(rules, channels=(), aliases=(), floats=tuple(f for f in rules.floats if "{" in f or f == "latest")),
    )
    for each in weaker:
        try:
            return lines(each, names)
        except InputError:
            continue
    return lines(replace(weaker[-1], floats=()), names)


def _mistaken(base: Fit, held: Held) -> Iterator[Version]:
    """Yield the versions that are far above the greatest one that a floating tag of its own holds."""
    above = list[Version]()
    for version in base.stable:
        own = [tag for tag in base.scheme.floating_tags(version) if tag in base.published.tags]
        if any(held.alike(tag, base.tag(version)) for tag in own):
            major = _major(version)
            far = max(_FAR * major, major + _FURTHER)
            yield from (each for each in above if _major(each) >= far)
            return
        above.append(version)


def _major(version: Version) -> int:
    return int(re.split("[^0-9]", str(version))[0] or 0)


def _rules(
    fits: tuple[Fit, ...], base: Fit, left: Sequence[Tag], held: Held
) -> tuple[tuple[Fit, ...], Scheme, list[str]]:
    """Return the variants that keep to the rules, those rules as a plain scheme, and why they are so."""
    scheme, reasons = base.scheme, list[str]()
    for _ in range(2):  # the variants that do not keep to the rules have no say in them
        floats, aliases, reasons = _floats(fits, base, left, held)
        scheme = replace(base.scheme, floats=floats, aliases=aliases)
        tried = [fit(left, replace(scheme, variant=each.scheme.variant), held) for each in fits]
        kept = {each.scheme.variant for each in tried if each.is_good(held)}
        if not kept:
            kept = {base.scheme.variant}
        fits = tuple(each for each in fits if each.scheme.variant in kept)
    names, words = _named_floats(fits, base, scheme, left, held)
    literals = tuple(name for name, series in names.items() if series is None)
    bound = tuple((name, series) for name, series in names.items() if series is not None)
    channels = _channels(base, left, held)
    reasons += [*words, *(f"channel {name}: it holds the newest of stable versions and {name}'s" for name in channels)]
    floats, aliases = (*scheme.floats, *literals), (*scheme.aliases, *bound)
    return fits, replace(scheme, floats=floats, aliases=aliases, channels=channels, variant=""), reasons


def _floats(
    fits: Sequence[Fit], base: Fit, left: Sequence[Tag], held: Held
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], list[str]]:
    """Return the templates that most floating tags follow, the aliases for those that do not, and why."""
    floats, aliases, reasons = list[str](), dict[str, str](), list[str]()
    for template in base.scheme.floats:
        each_alone = [fit(left, replace(each.scheme, floats=(template,), aliases=()), held) for each in fits]
        own = next(each for each in each_alone if each.scheme.variant == base.scheme.variant)
        late = [tag for each in each_alone for tag in each.late(held)]
        right = sum(len(each.right) for each in each_alone)
        others = sum(len(each.wrong) + len(each.missing) for each in each_alone) - len(late)
        held_back = dict(_held_back(own, base, held))
        kept_up = base.stable[0] not in own.missing.values() or len(own.right) > _MOST_ALIASES
        if kept_up and 0 < right + len(late) - len(held_back) >= others:
            floats.append(template)
            total = right + len(late) + others
            reasons.append(f"floats {template}: {right} of {total} such tags hold the newest of their series")
        elif "{" in template:
            held_back |= {tag: _name_of(tag, base.scheme.variant).removeprefix(base.scheme.prefix) for tag in own.right}
        for tag, series in held_back.items():
            name = _name_of(tag, base.scheme.variant)
            if _is_usual(name, fits, left):
                aliases[name] = series
                reasons.append(f"alias {name} = {series}: it holds the newest {series}")
    return tuple(floats), tuple(aliases.items()), reasons


def _held_back(own: Fit, base: Fit, held: Held) -> Iterator[tuple[Tag, str]]:
    """Yield the floating tags that stay with an older series on purpose: the newer version has others of its own."""
    for tag, owner in own.wrong.items():
        holder = own.holder(tag, held)
        deliberate = any(version == owner for version in base.right.values())
        if holder and deliberate and not holder.prerelease and (series := _series(holder, own.stable)):
            yield tag, series


def _series(version: Version, stable: Sequence[Version]) -> str | None:
    """Return the widest series, such as `24` or `1.30`, whose newest version is this one; None if there is none.

    >>> found = [Version.parse(text) for text in ("2.0.0", "1.30.1", "1.30.0", "1.29.9")]
    >>> _series(found[1], found), _series(found[3], found), _series(found[2], found)
    ('1', '1.29', None)
    """
    text = str(version)
    for end in re.finditer(r"[._-]", text):
        series = text[: end.start()]
        inside = [each for each in stable if str(each).startswith(f"{series}{end[0]}")]
        if series[-1:].isdigit() and inside and inside[0] == version:
            return series
    return None


def _name_of(tag: Tag, variant: str) -> str:
    """Return what the plain variant calls a floating tag."""
    if not variant:
        return tag
    return "latest" if tag == variant else tag.removesuffix(f"-{variant}")


def _named_floats(
    fits: Sequence[Fit], base: Fit, scheme: Scheme, left: Sequence[Tag], held: Held
) -> tuple[dict[str, str | None], list[str]]:
    """Return the words that follow the newest version of a series, or of all (None), and why."""
    found, reasons = dict[str, str | None](), list[str]()
    taken: set[str] = {tag for each in fits for tag in (*each.right, *each.wrong)}
    taken |= {in_variant(name, each.scheme.variant) for each in fits for name, _ in scheme.aliases}
    usual = not base.scheme.floats or bool(base.right)
    for tag in _words(left):
        name = _name_of(tag, base.scheme.variant)
        if tag in taken or (usual and _BRANCH.fullmatch(name)) or in_variant(name, base.scheme.variant) != tag:
            continue
        holder = base.holder(tag, held)
        if holder is None or holder.prerelease or not base.scheme.counts(holder):
            continue
        series = None if holder == base.stable[0] else _series(holder, base.stable)
        if series is None and holder != base.stable[0]:
            continue
        if not _is_usual(name, fits, left):
            continue
        found[name] = series
        reasons.append(
            f"alias {name} = {series}: it holds {holder}, the newest {series}"
            if series
            else f"floats {name}: it holds {holder}, the newest version"
        )
    return found, reasons


def _is_usual(name: str, fits: Sequence[Fit], left: Collection[Tag]) -> bool:
    """Return whether at least half of the variants that have versions have a floating tag of this name."""
    there = {*left}
    having = [in_variant(name, each.scheme.variant) in there for each in fits if each.stable]
    return sum(having) * 2 >= len(having)


def _channels(base: Fit, left: Sequence[Tag], held: Held) -> tuple[str, ...]:
    """Return the labels of pre-releases whose floating tag holds the newest of stable versions and theirs."""
    labels = {version.prerelease.split(".")[0] for version in base.published.versions if version.prerelease}
    found = []
    for label in sorted(labels & {_name_of(tag, base.scheme.variant) for tag in left}):
        try:
            tried = fit(left, replace(base.scheme, floats=(), channels=(label,)), held)
        except InputError:
            continue
        if tried.right:
            found.append(label)
    return tuple(found)


def _named(reading: Reading, before: Sequence[Line]) -> str:
    """Name a line by what its versions begin with; the first one has no name."""
    if not before:
        return ""
    begin = (reading.prefix or re.split("[{]", reading.versions)[0]).strip("-_.")
    name = begin or ("date" if "{YYYY}" in reading.versions else "builds")
    taken = [line.name for line in before]
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
    """Say what a tag seems to be that no line explains."""
    if _SIGNATURE.fullmatch(tag):
        return "signatures and attestations"
    if any(version for scheme in schemes if (version := scheme.parse(tag)) and not yanked_by(version)):
        return "versions of variants or platforms that these settings leave out, or rebuilds"
    if any(scheme.could_float(tag) for scheme in schemes):
        return "spelled like floating tags, but no version competes for them"
    if _DATE.fullmatch(tag):
        return "dates"
    if any(scheme.nearly(tag) for scheme in schemes):
        return "nearly versions"
    return "other tags"
