"""The rules that the floating tags of a line follow: templates, aliases, channels and versions to ignore."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tagger.errors import InputError
from tagger.names import Tag
from tagger.rules.fit import Fit, Held, fit
from tagger.rules.lines import lines
from tagger.rules.scheme import Scheme
from tagger.rules.spelling import DEFAULT_VARIANT, in_variant
from tagger.rules.version import Version
from tagger.values import dataclass

_MOST_WORDS, _MOST_ALIASES = 48, 8
_FAR, _FURTHER = 10, 8
_WORD = re.compile(r"(?!sha-)[A-Za-z]+(?:[._-][A-Za-z]+)*")
# A tag that follows a branch may hold the newest version by chance.
_BRANCH = re.compile(r"main|master|trunk|head|dev|devel|develop|development|edge|nightly|test|testing|staging|unstable")
# Names for the newest version, not for a series.
_ROLE = re.compile(r"current|mainline|fresh|new|newest|rolling|release|stable|prod|production|default")


@dataclass(frozen=True, slots=True)
class Rule:
    """A template, an alias or a channel that floating tags follow, and why."""

    kind: str
    name: str
    reason: str
    series: str = ""

    def on(self, scheme: Scheme) -> Scheme:
        """Add the rule to a scheme. Raises InputError if it cannot have both."""
        match self.kind:
            case "floats":
                return replace(scheme, floats=(*scheme.floats, self.name))
            case "alias":
                return replace(scheme, aliases=(*scheme.aliases, (self.name, self.series)))
            case _:
                return replace(scheme, channels=(*scheme.channels, self.name))


@dataclass(frozen=True, slots=True)
class Habits:
    """The variants that follow rules, the scheme of each, and the reasons for the rules."""

    fits: tuple[Fit, ...]
    schemes: tuple[Scheme, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _View:
    """The fit of a line's variants, the variant with the most evidence, and the tags that no other line explains."""

    fits: tuple[Fit, ...]
    base: Fit
    tags: Sequence[Tag]
    held: Held

    def name_of(self, tag: Tag) -> str:
        """Return the plain variant's name of a floating tag of the main variant."""
        return plain_name(tag, self.base.scheme.variant)

    def is_usual(self, name: str) -> bool:
        """Return whether at least half of the variants with versions have a floating tag of this name."""
        there = {*self.tags}
        having = [in_variant(name, each.scheme.variant) in there for each in self.fits if each.stable]
        return sum(having) * 2 >= len(having)


def habits(fits: tuple[Fit, ...], base: Fit, tags: Sequence[Tag], held: Held, line: str) -> Habits:
    """Find the rules that most floating tags of a line follow, and the variants that follow them."""
    rules, schemes = list[Rule](), tuple[Scheme, ...]()
    for _ in range(2):  # variants that do not follow the rules do not decide them
        view = _View(fits, base, tags, held)
        rules = [*_channels(view), *_templates(view)]
        rules += _words_of(view, {rule.name for rule in rules})
        bare = replace(base.scheme, floats=(), variant="", variants=frozenset(), line=line)
        rules, schemes = _adopted(bare, rules, [each.scheme.variant or DEFAULT_VARIANT for each in fits])
        tried = [fit(tags, scheme, held) for scheme in schemes]
        kept = {each.scheme.variant for each in tried if each.is_good(held)} or {base.scheme.variant}
        fits = tuple(each for each in fits if each.scheme.variant in kept)
        schemes = tuple(scheme for scheme in schemes if scheme.variant in kept)
    names = [scheme.variant or DEFAULT_VARIANT for scheme in schemes]
    return Habits(fits, lines(replace(schemes[0], variant=""), names), tuple(rule.reason for rule in rules))


def _adopted(bare: Scheme, rules: Iterable[Rule], variants: Sequence[str]) -> tuple[list[Rule], tuple[Scheme, ...]]:
    """Add rules one by one, without those that would claim a tag of an earlier one."""
    adopted, schemes = list[Rule](), lines(bare, variants)
    for rule in rules:
        try:
            bare = rule.on(bare)
            schemes = lines(bare, variants)
        except InputError:
            bare = replace(schemes[0], variant="", variants=frozenset())
        else:
            adopted.append(rule)
    return adopted, schemes


def mistaken(base: Fit, held: Held) -> Iterator[Version]:
    """Yield the versions that are far above the greatest one with a floating tag of its own."""
    above = list[Version]()
    for version in base.stable:
        own = [tag for tag in base.scheme.floating_tags(version) if tag in base.published.tags]
        if any(held.alike(tag, base.tag(version)) for tag in own):
            far = max(_FAR * version.numbers[0], version.numbers[0] + _FURTHER)
            yield from (each for each in above if each.numbers[0] >= far)
            return
        above.append(version)


def words(tags: Iterable[Tag]) -> list[Tag]:
    """Return the tags that are words, up to a limit of requests; the shortest are the likeliest."""
    found = [tag for tag in tags if _WORD.fullmatch(tag) and tag != "latest"]
    return sorted(found, key=len)[:_MOST_WORDS]


def is_of(word: Tag, scheme: Scheme) -> bool:
    """Return whether a word can be a floating tag of a variant, and not of another variant in its end."""
    others = tuple(f"-{name}" for name in scheme.variants if name != scheme.variant)
    return in_variant(plain_name(word, scheme.variant), scheme.variant) == word and not word.endswith(others)


def plain_name(tag: Tag, variant: str) -> str:
    """Return the plain variant's name of a floating tag.

    >>> plain_name(Tag("alpine"), "alpine"), plain_name(Tag("lts-alpine"), "alpine")
    ('latest', 'lts')
    """
    if not variant:
        return tag
    return "latest" if tag == variant else tag.removesuffix(f"-{variant}")


# -- templates -------------------------------------------------------------------------------------------------------


def _templates(view: _View) -> Iterator[Rule]:
    """Yield the templates that most of their tags follow, and aliases for the other tags."""
    for template in view.base.scheme.floats:
        alone = [_by_template(each, template, view) for each in view.fits]
        own = next(each for each in alone if each.scheme.variant == view.base.scheme.variant)
        bound = dict(_held_back(own, view))
        late = sum(len(each.late(view.held)) for each in alone)
        right = sum(len(each.right) for each in alone)
        others = sum(len(each.wrong) + len(each.missing) for each in alone) - late
        kept_up = view.base.stable[0] not in own.missing.values() or len(own.right) > _MOST_ALIASES
        practised = 0 < right + late - len(bound) >= others and (right or "{" in template or not bound)
        if kept_up and practised:
            yield Rule("floats", template, f"floats {template}: {_share(template, right, right + late + others)}")
        elif "{" in template:
            bound |= {tag: view.name_of(tag).removeprefix(view.base.scheme.prefix) for tag in own.right}
        for tag, series in bound.items():
            if view.is_usual(name := view.name_of(tag)):
                yield Rule("alias", name, f"alias {name} = {series}: it holds the newest {series}", series)


def _share(template: str, right: int, total: int) -> str:
    """Say how many tags of a template are where it puts them.

    >>> _share("latest", 1, 1), _share("{major}", 2, 2)
    ('it holds the newest version', 'all 2 such tags hold the newest version of their series')
    """
    of_all, own = (" of their series", " of its series") if "{" in template else ("", "")
    if right == total == 1:
        return f"{'its tag' if own else 'it'} holds the newest version{own}"
    return f"{'all' if right == total else f'{right} of'} {total} such tags hold the newest version{of_all}"


def _by_template(of: Fit, template: str, view: _View) -> Fit:
    """Return the fit of a single template, without versions whose rebuilds move their tag."""
    found = of.under(replace(of.scheme, floats=(template,), aliases=()), view.held)

    def floating(tags: Mapping[Tag, Version]) -> dict[Tag, Version]:
        return {tag: version for tag, version in tags.items() if of.scheme.parse(tag) is None}

    return replace(found, right=floating(found.right), wrong=floating(found.wrong), missing=floating(found.missing))


def _held_back(own: Fit, view: _View) -> Iterator[tuple[Tag, str]]:
    """Yield the floating tags that intentionally stay at an older series: the newer version has its own ones."""
    released = {*view.base.right.values()}
    for tag, owner in own.wrong.items():
        holder = own.holder(tag, view.held)
        if holder and owner in released and not holder.prerelease and (series := _series(holder, own.stable)):
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


# -- words -----------------------------------------------------------------------------------------------------------


def _words_of(view: _View, taken: Collection[str]) -> Iterator[Rule]:
    """Yield the words that follow the newest version of a series, or of all."""
    newest, holders = view.base.stable[0], dict(_holders(view, taken))
    bound = any(holder != newest for holder in holders.values())
    for name, holder in holders.items():
        series = _series(holder, view.base.stable)
        if holder == newest and (not bound or series is None or _ROLE.fullmatch(name)):
            yield Rule("floats", name, f"floats {name}: it holds {holder}, the newest version")
        elif series:
            yield Rule("alias", name, f"alias {name} = {series}: it holds {holder}, the newest {series}", series)


def _holders(view: _View, taken: Collection[str]) -> Iterator[tuple[str, Version]]:
    """Yield the words of the main variant, and the version whose image each of them holds."""
    known = {tag for each in view.fits for tag in (*each.right, *each.wrong)}
    for tag in words(view.tags):
        name = view.name_of(tag)
        by_chance = not view.base.scheme.versions and _BRANCH.fullmatch(name)
        if tag in known or name in taken or by_chance or not is_of(tag, view.base.scheme) or not view.is_usual(name):
            continue
        holder = view.base.holder(tag, view.held)
        if holder and not holder.prerelease and view.base.scheme.counts(holder):
            yield name, holder


def _channels(view: _View) -> Iterator[Rule]:
    """Yield the labels of pre-releases whose floating tag holds the newest of their own and the stable versions."""
    labels = {version.prerelease.split(".")[0] for version in view.base.published.versions if version.prerelease}
    for label in sorted(labels & {view.name_of(tag) for tag in view.tags}):
        rule = Rule("channel", label, f"channel {label}: it holds the newest of stable versions and {label}'s")
        try:
            tried = view.base.under(rule.on(replace(view.base.scheme, floats=())), view.held)
        except InputError:
            continue
        if tried.right:
            yield rule
