"""How versions are spelt as tags, and which floating tags a version competes for. No other module spells a tag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from tagger.errors import InputError, InvalidReference
from tagger.names import LONGEST_TAG, Tag, parse_tag
from tagger.rules import spelling
from tagger.rules.candidate import is_candidate
from tagger.rules.spelling import DEFAULT_VARIANT, NUMBER, Spelling, filled, in_variant
from tagger.rules.version import Version, in_channel, is_usual_stage, read, yanked_by
from tagger.text import printable

_MAJOR_MINOR_LATEST = ("{major}.{minor}", "{major}", "latest")
_EXAMPLE = (7, 8, 9)
# Leading zeros, two parts or four, a capital V, words behind a dot: what other rules than SemVer call a version.
_NEARLY = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)+)(?:[._+-][A-Za-z0-9._-]*)?")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one variant of an image spells its versions, and its floating tags, the most specific first.

    `floats` are templates. Tags of a `variant` end in `-variant`, and its `latest` is its name ("": the plain
    variant). `prefix` comes before versions and before floating tags that begin with a number. `aliases` are pairs of
    a floating tag and its series, `MAJOR` or `MAJOR.MINOR`; an alias takes over a tag that a template would spell too.
    `channels` are pre-releases with a floating tag. The versions of `ignore` compete for nothing, and the tags of
    `ignored_tags` are not taken for versions by other rules. `zero_major` allows the tag `0` for 0.y.z.

    `variants` are all known variants of the image; they alone tell `2.1.106-alpine` from a pre-release. An unknown
    variant reads as a pre-release, but holds no floating tag: it follows a hyphen, and a channel's pre-releases have
    none.

    Raises InputError for whatever could not be read back from a tag, or would be read as something else.
    """

    floats: tuple[str, ...] = _MAJOR_MINOR_LATEST
    variant: str = ""
    prefix: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ()
    ignore: frozenset[Version] = frozenset()
    zero_major: bool = False
    variants: frozenset[str] = frozenset()
    ignored_tags: frozenset[str] = frozenset()
    _suffix: str = field(init=False, repr=False, compare=False)
    _others: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _bound: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        suffix = f"-{self.variant}" if self.variant else ""
        others = tuple(f"-{v}" for v in sorted(self.variants) if v and v != self.variant and f"-{v}".endswith(suffix))
        literals = [len("".join(texts)) - 2 for texts, names in map(spelling.pieces, self.floats) if names]
        object.__setattr__(self, "_suffix", suffix)
        object.__setattr__(self, "_others", others)
        object.__setattr__(self, "_bound", dict(self.aliases))
        # A floating tag has at most the digits of its version, beside which a version tag has two dots.
        object.__setattr__(self, "_longest", LONGEST_TAG - max(0, 0, *literals))
        _check(self)

    def version_tag(self, version: Version) -> Tag:
        """Return the tag of a version.

        >>> Scheme().version_tag(Version(2, 1, 106))
        '2.1.106'
        >>> Scheme(variant="alpine", prefix="v").version_tag(Version(2, 2, 0, "rc.1"))
        'v2.2.0-rc.1-alpine'

        Raises InvalidReference for a tag that is too long, and InputError for a pre-release spelt like a variant.
        """
        tag = parse_tag(f"{self.prefix}{version}{self._suffix}")
        if len(tag) > self._longest:
            raise InvalidReference(
                f"{printable(tag, 40)} has {len(tag)} characters, and its floating tags would get too long",
                f"shorten it to at most {self._longest}",
            )
        if version.prerelease and tag.endswith(self._others):
            other = max((o for o in self._others if tag.endswith(o)), key=len)
            raise InputError(
                f"{version} would be tagged {tag}, which belongs to variant {other[1:]}",
                f"release {tag.removesuffix(other)} with --variant {other[1:]}, or rename the pre-release",
            )
        return tag

    def floating_tags(self, version: Version) -> tuple[Tag, ...]:
        """Return the floating tags that a version competes for; a pre-release competes only for its channel.

        0.y.z has no tag of its major version: semver promises nothing within 0.y (semver.org, rule 4), so a tag `0`
        would promise what nobody keeps.

        >>> Scheme().floating_tags(Version(2, 1, 106))
        ('2.1', '2', 'latest')
        >>> Scheme().floating_tags(Version(0, 2, 0))
        ('0.2', 'latest')
        >>> Scheme().floating_tags(Version(2, 2, 0, "rc.1"))
        ()
        >>> Scheme(variant="alpine", aliases=(("lts", "2"),), channels=("rc",)).floating_tags(Version(2, 1, 106))
        ('2.1-alpine', '2-alpine', 'alpine', 'lts-alpine', 'rc-alpine')
        """
        if not self.counts(version) or yanked_by(version) or is_candidate(version):
            return ()
        if version.prerelease:
            names = [channel for channel in self.channels if in_channel(version, channel)]
        else:
            names = [*self._names(version), *self.channels]
        return tuple(self.spell(name) for name in names)

    def tags(self, version: Version) -> tuple[Tag, ...]:
        """Return the version tag and the floating tags that the version competes for.

        >>> Scheme().tags(Version(2, 1, 106))
        ('2.1.106', '2.1', '2', 'latest')
        """
        return (self.version_tag(version), *self.floating_tags(version))

    def spell(self, name: str) -> Tag:
        """Return this variant's spelling of the floating tag that the plain variant calls `name`.

        >>> Scheme(variant="alpine").spell("lts"), Scheme(variant="alpine").spell("latest")
        ('lts-alpine', 'alpine')

        Raises InvalidReference if the result is not a tag.
        """
        return parse_tag(in_variant(name, self.variant))

    def counts(self, version: Version) -> bool:
        """Return whether a version is not one of those to ignore."""
        return not self.ignore or version not in self.ignore

    def understands(self, version: Version) -> bool:
        """Return whether a version is stable, or a pre-release whose stage is known: a usual one, or a channel.

        Any other may be a rebuild, an architecture, or a variant that the settings do not name.

        >>> [Scheme().understands(Version.parse(f"2.1.106-{text}")) for text in ("rc.1", "alpine", "r0")]
        [True, False, False]
        """
        if not version.prerelease or any(in_channel(version, channel) for channel in self.channels):
            return True
        return is_usual_stage(version.prerelease)

    def parse(self, tag: str) -> Version | None:
        """Return the version that a tag of this variant spells; None for every other tag.

        A leading `v` is optional, whatever the prefix. Any other prefix is required. A tag that ends like several
        variants belongs to the longest one.

        >>> Scheme().parse("v2.1.106")
        Version(major=2, minor=1, patch=106, prerelease=None, build=None)
        >>> Scheme().parse("2.1"), Scheme().parse("20240101")
        (None, None)
        >>> Scheme(variants=frozenset({"alpine"})).parse("2.1.106-alpine")
        """
        if self._others and tag.endswith(self._others):
            return None
        if self._suffix:
            if not tag.endswith(self._suffix):
                return None
            tag = tag[: -len(self._suffix)]
        given = self.prefix if self.prefix not in {"", "v"} else "v" if tag.startswith("v") else ""
        if given and not tag.startswith(given):
            return None
        spelt = tag[len(given) :]
        if len(self.prefix) + len(spelt) + len(self._suffix) > self._longest:
            return None
        return read(spelt)

    def could_float(self, tag: str) -> bool:
        """Return whether a tag is spelt like a floating tag of this variant.

        >>> Scheme().could_float("2.1"), Scheme().could_float("2.01"), Scheme().could_float("2.1.106")
        (True, False, False)
        """
        return any(each.pattern.fullmatch(tag) for each in _spellings(self))

    def nearly(self, tag: str) -> tuple[int, ...] | None:
        """Return the numbers of a tag of this variant that is nearly a version; None for every other tag.

        >>> Scheme().nearly("2026.03.0"), Scheme().nearly("12.5.5.201"), Scheme().nearly("V1.2")
        ((2026, 3, 0), (12, 5, 5, 201), (1, 2))
        >>> Scheme().nearly("2.1.106"), Scheme().nearly("20240101"), Scheme().nearly("nightly")
        (None, None, None)
        """
        given = "" if self.prefix == "v" else self.prefix
        if tag in self.ignored_tags or not tag.startswith(given) or not tag.endswith(self._suffix):
            return None
        if self._others and tag.endswith(self._others):
            return None
        found = _NEARLY.fullmatch(tag[len(given) : len(tag) - len(self._suffix)])
        if not found or self.parse(tag):
            return None
        return tuple(map(int, found[1].split(".")))

    def _names(self, version: Version) -> Iterable[str]:
        """Return the names of the floating tags that a stable version competes for, without the variant."""
        names = [
            filled(self.prefix, template, version.major, version.minor, version.patch)
            for template in self.floats
            if version.major or self.zero_major or "{major}" not in template or "{minor}" in template
        ]
        if not self.aliases:
            return names
        bound = [name for name, series in self.aliases if f"{version}.".startswith(f"{series}.")]
        return dict.fromkeys([*(name for name in names if name not in self._bound or name in bound), *bound])


def lines(scheme: Scheme, variants: Iterable[str], known: Iterable[str] = ()) -> tuple[Scheme, ...]:
    """Return the scheme of each of these variants; the plain one is called `default`, and is meant if none is named.

    `known` are further variants of the image: no scheme takes their tags for its own.

    >>> [line.version_tag(Version(2, 1, 106)) for line in lines(Scheme(), ["default", "alpine"])]
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
    _check_apart([*found.values()])
    return tuple(found[name] for name in asked)


def _check(scheme: Scheme) -> None:
    spelling.check_prefix(scheme.prefix)
    for variant in {*scheme.variants, *([scheme.variant] if scheme.variant else ())}:
        spelling.check_variant(variant, scheme.channels)
    for name, series in scheme.aliases:
        spelling.check_alias(name, series)
    for channel in scheme.channels:
        spelling.check_channel(channel)
    spelling.check_once("alias", [name for name, _ in scheme.aliases])
    spelling.check_once("channel", scheme.channels)
    _check_apart([scheme])


def _check_apart(schemes: Sequence[Scheme]) -> None:
    """Raise InputError for floating tags that read as a version, and for two that can be spelt alike."""
    spellings = [each for scheme in schemes for each in _spellings(scheme)]
    for one in spellings:
        if read(one.example.removeprefix("v")) or any(scheme.parse(one.example) for scheme in schemes):
            raise InputError(f"{one} spells {one.example}, which is a version tag and never moves", "rename it")
    for one, other in combinations(spellings, 2):
        if one.meets(other):
            raise InputError(
                f"{one} and {other} can spell the same tag, such as"
                f" {other.example if one.pattern.fullmatch(other.example) else one.example}",
                "rename one of them",
            )


def _spellings(scheme: Scheme) -> Iterator[Spelling]:
    for template in scheme.floats:
        example = scheme.spell(filled(scheme.prefix, template, *_EXAMPLE))
        # No tag holds a slash, and escaping leaves it as it is.
        unfilled = re.escape(in_variant(filled(scheme.prefix, template, "/", "/", "/"), scheme.variant))
        yield Spelling("template", template, scheme.variant, example, re.compile(unfilled.replace("/", NUMBER)))
    named = [("alias", name) for name, _ in scheme.aliases] + [("channel", name) for name in scheme.channels]
    for kind, name in named:
        tag = scheme.spell(name)
        yield Spelling(kind, name, scheme.variant, tag, re.compile(re.escape(tag)))
