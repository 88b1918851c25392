"""Schemes: how versions are spelt as tags, and which floating tags a version competes for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial

from tagger.errors import InputError, InvalidReference
from tagger.names import LONGEST_TAG, Tag, parse_tag
from tagger.rules import spelling
from tagger.rules.apart import check_apart
from tagger.rules.candidate import is_candidate
from tagger.rules.numbering import Numbering
from tagger.rules.spelling import Spelling, float_template, in_variant, row
from tagger.rules.template import Template, Token
from tagger.rules.version import Version, in_channel, is_usual_stage, yanked_by
from tagger.text import printable
from tagger.values import dataclass

# Versions by other rules than SemVer: leading zeros, two parts or four, a capital V, words after a dot.
_NEARLY = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)+)(?:[._+-][A-Za-z0-9._-]*)?")


@dataclass(frozen=True, slots=True)
class Scheme:
    """The spelling of versions of one variant, and its floating tags, the most specific first.

    `floats` are templates. Tags of a `variant` end in `-variant`, and its `latest` is its name ("": the plain
    variant). `prefix` comes before versions and before floating tags that begin with a number. `aliases` are pairs of
    a floating tag and its series, `MAJOR` or `MAJOR.MINOR`; an alias takes over a tag that a template would spell too.
    `channels` are pre-releases with a floating tag. The versions in `ignore` compete for nothing, and the tags in
    `ignored_tags` do not count as versions by other rules. `zero_major` allows the tag `0` for 0.y.z.

    `versions` and `revisions` say how versions are written: see `Numbering`. `line` is the name of these rules among
    those of the repository, and `beside` are the others: no tag of theirs is one of this line.

    `variants` are all known variants of the image; only they distinguish `2.1.106-alpine` from a pre-release. An
    unknown variant reads as a pre-release, but holds no floating tag: it follows a hyphen, and a channel's pre-releases
    have none.

    Raises InputError for a value that could not be read back from a tag, or would be read as something else.
    """

    floats: tuple[str, ...] = Numbering().floats
    variant: str = ""
    prefix: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ()
    ignore: frozenset[Version] = frozenset()
    zero_major: bool = False
    variants: frozenset[str] = frozenset()
    ignored_tags: frozenset[str] = frozenset()
    versions: str = ""
    revisions: str = ""
    line: str = ""
    beside: tuple[Scheme, ...] = ()
    numbering: Numbering = field(init=False, repr=False, compare=False)
    _floats: tuple[Template, ...] = field(init=False, repr=False, compare=False)
    _suffix: str = field(init=False, repr=False, compare=False)
    _others: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _bound: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        suffix = f"-{self.variant}" if self.variant else ""
        others = tuple(f"-{v}" for v in sorted(self.variants) if v and v != self.variant and f"-{v}".endswith(suffix))
        numbering = Numbering(self.versions, self.revisions)
        floats = tuple(float_template(text, numbering.fields) for text in self.floats)
        own = _literals(numbering.rows()[0])
        literals = [_literals(template.tokens) for template in floats if template.fields]
        object.__setattr__(self, "numbering", numbering)
        object.__setattr__(self, "_floats", floats)
        object.__setattr__(self, "_suffix", suffix)
        object.__setattr__(self, "_others", others)
        object.__setattr__(self, "_bound", dict(self.aliases))
        # A floating tag has no more digits than its version, but perhaps longer texts between them.
        object.__setattr__(self, "_longest", LONGEST_TAG - max(0, *(count - own for count in literals), 0))
        _check(self)

    def version_tag(self, version: Version) -> Tag:
        """Return the tag of a version.

        >>> Scheme().version_tag(Version.parse("2.1.106"))
        '2.1.106'
        >>> Scheme(variant="alpine", prefix="v").version_tag(Version.parse("2.2.0-rc.1"))
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
                f"give {tag.removesuffix(other)} with --variant {other[1:]}, or rename the pre-release",
            )
        return tag

    def floating_tags(self, version: Version) -> tuple[Tag, ...]:
        """Return the floating tags that a version competes for; a pre-release competes only for its channel.

        0.y.z has no tag of its major version: semver promises nothing within 0.y (semver.org, rule 4), so a tag `0`
        would be a false promise.

        >>> Scheme().floating_tags(Version.parse("2.1.106"))
        ('2.1', '2', 'latest')
        >>> Scheme().floating_tags(Version.parse("0.2.0"))
        ('0.2', 'latest')
        >>> Scheme().floating_tags(Version.parse("2.2.0-rc.1"))
        ()
        >>> Scheme(variant="alpine", aliases=(("lts", "2"),), channels=("rc",)).floating_tags(Version.parse("2.1.106"))
        ('2.1-alpine', '2-alpine', 'alpine', 'lts-alpine', 'rc-alpine')
        >>> numbered = Numbering(revisions="-r{n}").asked("2.1.106-r3")
        >>> Scheme(revisions="-r{n}").floating_tags(numbered)
        ('2.1.106', '2.1', '2', 'latest')
        """
        if not self.counts(version) or yanked_by(version) or is_candidate(version):
            return ()
        if version.prerelease:
            names = [channel for channel in self.channels if in_channel(version, channel)]
        else:
            names = [*self._names(version), *self.channels]
        plain = self.numbering.plain(version)
        own = [self.version_tag(plain)] if plain != version else []
        return (*own, *(self.spell(name) for name in names))

    def tags(self, version: Version) -> tuple[Tag, ...]:
        """Return the version tag and the floating tags that the version competes for.

        >>> Scheme().tags(Version.parse("2.1.106"))
        ('2.1.106', '2.1', '2', 'latest')
        """
        return (self.version_tag(version), *self.floating_tags(version))

    def sample(self) -> tuple[Tag, ...]:
        """Return the tags of an example version.

        >>> Scheme().sample()
        ('7.8.9', '7.8', '7', 'latest')
        """
        return self.tags(self.numbering.asked(self.numbering.sample))

    def spell(self, name: str) -> Tag:
        """Return this variant's spelling of the plain variant's floating tag `name`.

        >>> Scheme(variant="alpine").spell("lts"), Scheme(variant="alpine").spell("latest")
        ('lts-alpine', 'alpine')

        Raises InvalidReference if the result is not a tag.
        """
        return parse_tag(in_variant(name, self.variant))

    def counts(self, version: Version) -> bool:
        """Return whether a version is not one of those to ignore.

        >>> version = Version.parse("9.0.0")
        >>> Scheme().counts(version), Scheme(ignore=frozenset({version})).counts(version)
        (True, False)
        """
        return not self.ignore or not {version, self.numbering.plain(version)} & self.ignore

    def understands(self, version: Version) -> bool:
        """Return whether a version is stable, or a pre-release of a known stage: a usual one, a channel, a candidate.

        Any other may be a rebuild, an architecture, or a variant that the settings do not name.

        >>> [Scheme().understands(Version.parse(f"2.1.106-{text}")) for text in ("rc.1", "alpine", "r0")]
        [True, False, False]
        """
        if not version.prerelease or any(in_channel(version, channel) for channel in self.channels):
            return True
        return is_usual_stage(version.prerelease) or is_candidate(version)

    def parse(self, tag: str) -> Version | None:
        """Return the version that a tag of this variant spells; None for every other tag.

        A leading `v` is optional, whatever the prefix. Any other prefix is required. A tag that ends like several
        variants belongs to the longest one.

        >>> Scheme().parse("v2.1.106")
        Version(text='2.1.106', numbers=(2, 1, 106), prerelease='', revision=None)
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
        if self.prefix in {"", "v"} and self.numbering.begins_with_number:
            tag = tag.removeprefix("v")
        elif tag.startswith(self.prefix):
            tag = tag[len(self.prefix) :]
        else:
            return None
        if len(self.prefix) + len(tag) + len(self._suffix) > self._longest:
            return None
        return self.numbering.read(tag)

    def could_float(self, tag: str) -> bool:
        """Return whether a tag is spelt like a floating tag of this variant.

        >>> Scheme().could_float("2.1"), Scheme().could_float("2.01"), Scheme().could_float("2.1.106")
        (True, False, False)
        """
        return any(each.spells(tag) for each in self.spellings())

    def spellings(self) -> Iterator[Spelling]:
        """Yield the spellings of floating tags of this variant."""
        of = partial(Spelling, line=self.line, variant=self.variant)
        for text, template in zip(self.floats, self._floats, strict=True):
            yield of("template", text, tokens=row(self.prefix, template.tokens, self.variant))
        for name, _ in self.aliases:
            yield of("alias", name, tokens=(self.spell(name),))
        for name in self.channels:
            yield of("channel", name, tokens=(self.spell(name),))

    def version_spellings(self) -> Iterator[Spelling]:
        """Yield the spellings of version tags of this variant; for SemVer, only those of stable versions."""
        before, behind = [self.prefix] if self.prefix else [], [self._suffix] if self._suffix else []
        for tokens in self.numbering.rows():
            whole = (*before, *tokens, *behind)
            yield Spelling("version", self.versions or "MAJOR.MINOR.PATCH", self.line, self.variant, whole)

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
        if not self.numbering.begins_with_number or any(other.parse(tag) for other in self.beside):
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
            (self.prefix if template.begins_with_number else "") + template.spell(version.numbers)
            for template in self._floats
            if self.versions or version.numbers[0] or self.zero_major or len(template.fields) != 1
        ]
        if not self.aliases:
            return names
        text = self.numbering.plain(version).text
        bound = [name for name, series in self.aliases if spelling.is_in(text, series)]
        return dict.fromkeys([*(name for name in names if name not in self._bound or name in bound), *bound])


def _literals(tokens: Iterable[Token]) -> int:
    """Count the characters beside the numbers."""
    return sum(len(token) for token in tokens if isinstance(token, str))


def _check(scheme: Scheme) -> None:
    spelling.check_prefix(scheme.prefix)
    for variant in {*scheme.variants, *([scheme.variant] if scheme.variant else ())}:
        spelling.check_variant(variant, scheme.channels)
        if scheme.numbering.ends_like_a_revision(f"-{variant}"):
            raise InputError(
                f"variant '{printable(variant)}' could be a revision of the form '{scheme.revisions}'",
                "rename one of them",
            )
    for name, series in scheme.aliases:
        spelling.check_alias(name, series, numbered=bool(scheme.versions))
    if scheme.versions and scheme.channels:
        raise InputError(
            f"versions '{printable(scheme.versions)}' have no pre-releases, so channels do not apply",
            "leave out channels",
        )
    for channel in scheme.channels:
        spelling.check_channel(channel)
    spelling.check_once("alias", [name for name, _ in scheme.aliases])
    spelling.check_once("channel", scheme.channels)
    check_apart([scheme])
