"""The tag rules: how versions are spelt as tags, and where the floating tags of a repository belong.

The one idea: the floating tags are a pure function, `resolve`, of the version tags. No other module knows how a tag
is spelt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from string import Formatter

from semver import Version

from tagger.errors import InputError, InvalidReference, InvalidVersion, Refused
from tagger.names import LONGEST_TAG, Tag, parse_tag
from tagger.text import printable

__all__ = [
    "DEFAULT_VARIANT",
    "Scheme",
    "Version",
    "floating",
    "in_channel",
    "lines",
    "mark",
    "marks",
    "nearly_first",
    "newest_first",
    "other_lines",
    "parse_version",
    "published",
    "resolve",
    "spells_mark",
    "understood",
    "yanked_by",
]

DEFAULT_VARIANT = "default"
"""How the plain line is named among variants."""

_YANKED = "yanked"
# As an identifier of its own, or with what may be the name of a variant behind it.
_MARK = re.compile(rf"(?:^|\.){_YANKED}(?=$|[.-])")
_MAJOR_MINOR_LATEST = ("{major}.{minor}", "{major}", "latest")
_FIELDS = ("major", "minor", "patch")
_NUMBER = "(?:0|[1-9][0-9]*)"
_EXAMPLE = (7, 8, 9)
# What begins with `v` and a digit would read as a version, or as a floating tag under the prefix `v`.
_WORD = re.compile(r"(?!v[0-9])[A-Za-z_][A-Za-z0-9._-]*")
_STAGE = re.compile(r"(?:alpha|beta|rc|pre|preview|snapshot)[0-9]*(?![A-Za-z0-9_])", re.IGNORECASE)
_CHANNEL = re.compile(r"[A-Za-z][0-9A-Za-z-]*")
_LINE = re.compile(rf"{_NUMBER}(?:\.{_NUMBER})?")
_STAGE_IDENTIFIER = re.compile(r"(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary)[0-9]*", re.IGNORECASE)
# Tags of lines that nobody told us of. Numbers with more digits are dates or builds.
_FOREIGN_VERSION = re.compile(
    r"(?P<prefix>(?:[A-Za-z][A-Za-z._-]*-)?)v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-(?P<variant>[A-Za-z][A-Za-z0-9._-]*))?"
)
_FOREIGN_FLOATING = re.compile(
    r"(?P<prefix>(?:[A-Za-z][A-Za-z._-]*-)?)v?[0-9]{1,4}(?:\.[0-9]{1,4})?(?:-[A-Za-z][A-Za-z0-9._-]*)?"
)
_FOREIGN_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
# Leading zeros, two parts or four, a capital V, words behind a dot: what other rules than SemVer call a version.
_NEARLY = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)+)(?:[._+-][A-Za-z0-9._-]*)?")
_LONE_DIGIT = re.compile(r"(?<![A-Za-z0-9])[0-9]")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How versions are spelt as tags, and which floating tags a version competes for, the most specific first.

    `floats` are templates. `variant` makes a line of its own, whose tags end in `-variant` and whose `latest` is the
    variant's name ("": the plain line). `prefix` stands before versions and before floating tags that begin with a
    number. `aliases` are pairs of a floating tag and the line it is bound to, `MAJOR` or `MAJOR.MINOR`; one that a
    template would give too is taken over. `channels` are pre-releases with a floating tag. The versions of `ignore`
    compete for nothing, and the tags of `ignored_tags` are not taken for versions by other rules. `zero_major` gives
    0.y.z the tag `0`.

    `variants` are all variants that the image is known to have, from which alone the plain line can tell
    `2.1.106-alpine` from a pre-release. One that it does not know is read as a pre-release; it holds no floating tag
    even so, since a variant follows a hyphen and a channel's pre-releases have none.

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
        literals = [len("".join(texts)) - 2 for texts, names in map(_pieces, self.floats) if names]
        object.__setattr__(self, "_suffix", suffix)
        object.__setattr__(self, "_others", others)
        object.__setattr__(self, "_bound", dict(self.aliases))
        # A floating tag has at most the digits of its version, beside which a version tag has two dots.
        object.__setattr__(self, "_longest", LONGEST_TAG - max(0, 0, *literals))
        _check(self)

    def version_tag(self, version: Version) -> Tag:
        """Spell a version.

        >>> Scheme().version_tag(Version(2, 1, 106))
        '2.1.106'
        >>> Scheme(variant="alpine", prefix="v").version_tag(Version(2, 2, 0, "rc.1"))
        'v2.2.0-rc.1-alpine'

        Raises InvalidReference when the tag gets too long, and InputError for a pre-release spelt like a variant.
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
                f"release {tag.removesuffix(other)} with --variant {other[1:]}, or name the pre-release otherwise",
            )
        return tag

    def floating_tags(self, version: Version) -> tuple[Tag, ...]:
        """Give the cascade of a version; of a pre-release its channel alone, and for 0.y.z none of its major alone.

        Semver promises nothing within 0.y (semver.org, rule 4), so a tag `0` would promise what nobody keeps.

        >>> Scheme().floating_tags(Version(2, 1, 106))
        ('2.1', '2', 'latest')
        >>> Scheme().floating_tags(Version(0, 2, 0))
        ('0.2', 'latest')
        >>> Scheme().floating_tags(Version(2, 2, 0, "rc.1"))
        ()
        >>> Scheme(variant="alpine", aliases=(("lts", "2"),), channels=("rc",)).floating_tags(Version(2, 1, 106))
        ('2.1-alpine', '2-alpine', 'alpine', 'lts-alpine', 'rc-alpine')
        """
        if not self.counts(version) or yanked_by(version):
            return ()
        if version.prerelease:
            names = [channel for channel in self.channels if in_channel(version, channel)]
        else:
            names = [*self._lines_of(version), *self.channels]
        return tuple(self.spell(name) for name in names)

    def tags(self, version: Version) -> tuple[Tag, ...]:
        """Give the version tag and its cascade.

        >>> Scheme().tags(Version(2, 1, 106))
        ('2.1.106', '2.1', '2', 'latest')
        """
        return (self.version_tag(version), *self.floating_tags(version))

    def spell(self, name: str) -> Tag:
        """Spell the floating tag of this line that the plain line calls `name`.

        >>> Scheme(variant="alpine").spell("lts"), Scheme(variant="alpine").spell("latest")
        ('lts-alpine', 'alpine')

        Raises InvalidReference for what is no tag.
        """
        return parse_tag(_in_line(name, self.variant))

    def counts(self, version: Version) -> bool:
        """Say whether a version counts: whether it is not one of those to ignore."""
        return not self.ignore or version not in self.ignore

    def parse(self, tag: str) -> Version | None:
        """Read a version tag of this line; None for every other tag.

        A leading `v` may be there or not, whatever the prefix; any other prefix has to be there, since it tells lines
        apart. A tag that ends like several variants belongs to the longest one.

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
        spelling = tag[len(given) :]
        if len(self.prefix) + len(spelling) + len(self._suffix) > self._longest:
            return None
        return _read(spelling)

    def could_float(self, tag: str) -> bool:
        """Say whether a tag is spelt like a floating tag of this line.

        >>> Scheme().could_float("2.1"), Scheme().could_float("2.01"), Scheme().could_float("2.1.106")
        (True, False, False)
        """
        return any(spelling.pattern.fullmatch(tag) for spelling in _spellings(self))

    def nearly(self, tag: str) -> tuple[int, ...] | None:
        """Read the numbers of a tag of this line that is nearly a version; None for every other tag.

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

    def _lines_of(self, version: Version) -> Iterable[str]:
        """Name the floating tags of the lines that a stable version is in, without the variant."""
        names = [
            _filled(self.prefix, template, version.major, version.minor, version.patch)
            for template in self.floats
            if version.major or self.zero_major or "{major}" not in template or "{minor}" in template
        ]
        if not self.aliases:
            return names
        bound = [name for name, line in self.aliases if f"{version}.".startswith(f"{line}.")]
        return dict.fromkeys([*(name for name in names if name not in self._bound or name in bound), *bound])


def lines(scheme: Scheme, variants: Iterable[str], known: Iterable[str] = ()) -> tuple[Scheme, ...]:
    """Give the scheme of each line to release or to read: of each of these variants, the plain one being `default`.

    `known` are further variants of the image, which are not asked for; no line mistakes their tags for its own.

    >>> [line.version_tag(Version(2, 1, 106)) for line in lines(Scheme(), ["default", "alpine"])]
    ['2.1.106', '2.1.106-alpine']

    Raises InputError when a variant is named twice, and when two lines would spell the same tag.
    """
    asked = list(variants) or [DEFAULT_VARIANT]
    twice = next((name for number, name in enumerate(asked) if name in asked[:number]), None)
    if twice is not None:
        raise InputError(f"variant '{printable(twice)}' is named twice", "name it once")
    everyone = frozenset({*asked, *known} - {DEFAULT_VARIANT})
    found = {
        name: replace(scheme, variant="" if name == DEFAULT_VARIANT else name, variants=everyone)
        for name in (DEFAULT_VARIANT, *sorted(everyone))
    }
    _check_apart([*found.values()])
    return tuple(found[name] for name in asked)


def in_channel(version: Version, channel: str) -> bool:
    """Say whether a version is a pre-release of a channel: its first identifier is the channel, and no hyphen follows.

    A variant that nobody told us of follows a hyphen: `2.2.0-rc.1-alpine` is no pre-release of the plain line.

    >>> [in_channel(Version.parse(f"2.2.0-{text}"), "rc") for text in ("rc", "rc.1", "rc1", "rc-alpine", "rc.1-alpine")]
    [True, True, False, False, False]
    """
    first, _, rest = (version.prerelease or "").partition(".")
    return first == channel and "-" not in rest


def understood(version: Version, scheme: Scheme) -> bool:
    """Say whether a version is stable, or a pre-release whose stage is known: a usual one, or a channel of the line.

    Any other may be a rebuild, an architecture, or a variant that the settings do not name.

    >>> [understood(Version.parse(f"2.1.106-{text}"), Scheme()) for text in ("rc.1", "beta2", "dev.7", "SNAPSHOT")]
    [True, True, True, True]
    >>> [understood(Version.parse(f"2.1.106-{text}"), Scheme()) for text in ("alpine", "1", "r0", "rc.1-alpine")]
    [False, False, False, False]
    """
    if not version.prerelease or any(in_channel(version, channel) for channel in scheme.channels):
        return True
    first, _, _ = version.prerelease.partition(".")
    return "-" not in version.prerelease and bool(_STAGE_IDENTIFIER.fullmatch(first))


def other_lines(tags: Iterable[str], schemes: Sequence[Scheme], known: Collection[str]) -> list[Tag]:
    """Name the tags that look like floating tags and are not `known`; of a line without one, its newest version tag.

    >>> found = ["2.1.106", "2.1", "2.1.106-alpine", "alpine", "lts", "2.1.105-slim", "2.1.106-slim", "build-77"]
    >>> other_lines(found, [Scheme()], {"2.1"})
    ['2.1.106-slim', 'alpine', 'lts']
    """
    strange = [tag for tag in tags if tag not in known and not _is_ours(tag, schemes)]
    newest: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {}
    for tag in strange:
        if found := _FOREIGN_VERSION.fullmatch(tag):
            line, number = (found["prefix"], found["variant"] or ""), tuple(map(int, found.group(2, 3, 4)))
            newest[line] = max(newest.get(line, (number, tag)), (number, tag))
    prefixes = {prefix for prefix, _ in newest} | {""}
    floats = [
        tag
        for tag in strange
        if _FOREIGN_WORD.fullmatch(tag) or ((found := _FOREIGN_FLOATING.fullmatch(tag)) and found["prefix"] in prefixes)
    ]
    alone = [
        tag
        for (prefix, variant), (_, tag) in newest.items()
        if not any(name.startswith(prefix) and name.endswith(variant) for name in floats)
    ]
    return sorted(map(Tag, {*floats, *alone}))


def _is_ours(tag: str, schemes: Sequence[Scheme]) -> bool:
    """Say whether a tag is a version tag of one of these lines, and no other line can mean it."""
    read = [(version, scheme) for scheme in schemes if (version := scheme.parse(tag))]
    return any(understood(version, scheme) or yanked_by(version) for version, scheme in read)


def _read(spelling: str) -> Version | None:
    # Most tags of a large repository that are no versions fail here, at a tenth of what the grammar costs.
    if spelling.count(".") < 2 or not spelling[:1].isdigit():  # noqa: PLR2004 - a version has two dots
        return None
    try:
        version = Version.parse(spelling)
    except ValueError:
        return None
    return None if version.build else version


def _in_line(name: str, variant: str) -> str:
    if not variant:
        return name
    return variant if name == "latest" else f"{name}-{variant}"


def _filled(prefix: str, template: str, major: object, minor: object, patch: object) -> str:
    text = template.format(major=major, minor=minor, patch=patch)
    return prefix + text if template.startswith("{") else text


def _pieces(template: str) -> tuple[list[str], list[str]]:
    """Split a template into its literal text and its fields. Raises InputError for one that could not be read back."""
    try:
        parsed = [(text, name, spec or conversion) for text, name, spec, conversion in Formatter().parse(template)]
    except ValueError:
        parsed = [(template, "", "malformed")]
    names = [name for _, name, _ in parsed if name is not None]
    if any(odd for *_, odd in parsed) or any(name not in _FIELDS for name in names):
        raise InputError(
            f"template '{printable(template)}' is malformed", "write it with {major}, {minor} and {patch} alone"
        )
    if (*names,) != _FIELDS[: len(names)]:
        raise InputError(
            f"template '{printable(template)}' cannot be read back, since versions of different lines would"
            f" share its tag",
            "use {major}, then {minor}, then {patch}, each once",
        )
    texts = [text for text, _, _ in parsed]
    before = texts[: len(names)]
    if not all(before[1:]) or (names and any(map(_LONE_DIGIT.search, texts))) or any(map(_ends_in_digit, before)):
        raise InputError(
            f"template '{printable(template)}' cannot be read back, since its numbers run into one another",
            "put a dot or a letter between them, and digits of its own behind letters alone",
        )
    return texts, names


def _ends_in_digit(text: str) -> bool:
    return text[-1:].isdigit()


def _check(scheme: Scheme) -> None:
    """Refuse whatever could not be read back. Raises InputError."""
    if scheme.prefix and (not _WORD.fullmatch(scheme.prefix) or _ends_in_digit(scheme.prefix)):
        raise InputError(
            f"prefix '{printable(scheme.prefix)}' would run into the version",
            "begin it with a letter, use letters, digits, '_', '.' and '-', and end it in no digit, such as"
            " v or release-",
        )
    for variant in {*scheme.variants, *([scheme.variant] if scheme.variant else ())}:
        _check_variant(variant, scheme)
    for name, line in scheme.aliases:
        _check_alias(name, line)
    for channel in scheme.channels:
        if not _CHANNEL.fullmatch(channel) or channel == "latest" or spells_mark(channel):
            raise InputError(
                f"channel '{printable(channel)}' is no pre-release label",
                "give letters, digits and hyphens, such as rc or beta",
            )
    for what, names in (("alias", [name for name, _ in scheme.aliases]), ("channel", scheme.channels)):
        twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            raise InputError(f"{what} '{printable(twice)}' is named twice", "name it once")
    _check_apart([scheme])


def _check_variant(variant: str, scheme: Scheme) -> None:
    shown = printable(variant)
    if not _WORD.fullmatch(variant) or variant in {"latest", DEFAULT_VARIANT}:
        raise InputError(
            f"'{shown}' cannot name a variant, whose tags end in it",
            "begin with a letter, use letters, digits, '_', '.' and '-', such as alpine (and leave latest,"
            " and v before a number, to versions)",
        )
    if spells_mark(variant):
        raise InputError(
            f"variant '{shown}' would mark versions as yanked, since 2.1.106-{shown} could be such a mark",
            "name it otherwise",
        )
    if _STAGE.match(variant) or variant in scheme.channels:
        raise InputError(
            f"variant '{shown}' looks like a pre-release, so that 2.1.106-{shown} could be either",
            "name it otherwise, or release it as a version of its own",
        )


def _check_alias(name: str, line: str) -> None:
    parse_tag(name)
    if not _LINE.fullmatch(line):
        raise InputError(
            f"alias '{printable(name)}' is bound to '{printable(line)}', which is no line",
            "give MAJOR or MAJOR.MINOR, such as 24 or 1.30",
        )


def _check_apart(schemes: Sequence[Scheme]) -> None:
    """Refuse floating tags that read as a version, and two that can be spelt alike. Raises InputError."""
    spellings = [spelling for scheme in schemes for spelling in _spellings(scheme)]
    for one in spellings:
        if _read(one.example.removeprefix("v")) or any(scheme.parse(one.example) for scheme in schemes):
            raise InputError(f"{one} spells {one.example}, which is a version tag and never moves", "name it otherwise")
    for one, other in combinations(spellings, 2):
        if one.meets(other):
            raise InputError(
                f"{one} and {other} can spell the same tag, such as"
                f" {other.example if one.pattern.fullmatch(other.example) else one.example}",
                "name one of them otherwise",
            )


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A floating tag of a line: what kind of name gives it, an example, and the pattern of all that it can be."""

    kind: str
    name: str
    variant: str
    example: Tag
    pattern: re.Pattern[str]

    def meets(self, other: _Spelling) -> bool:
        """Say whether both can spell one tag; an alias may take over what a template of its own line gives."""
        if self.variant == other.variant and {self.kind, other.kind} == {"template", "alias"}:
            return False
        return bool(self.pattern.fullmatch(other.example) or other.pattern.fullmatch(self.example))

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'" + (f" of variant {self.variant}" if self.variant else "")


def _spellings(scheme: Scheme) -> Iterator[_Spelling]:
    for template in scheme.floats:
        example = scheme.spell(_filled(scheme.prefix, template, *_EXAMPLE))
        # No tag holds a slash, and escaping leaves it as it is.
        unfilled = re.escape(_in_line(_filled(scheme.prefix, template, "/", "/", "/"), scheme.variant))
        yield _Spelling("template", template, scheme.variant, example, re.compile(unfilled.replace("/", _NUMBER)))
    named = [("alias", name) for name, _ in scheme.aliases] + [("channel", name) for name in scheme.channels]
    for kind, name in named:
        tag = scheme.spell(name)
        yield _Spelling(kind, name, scheme.variant, tag, re.compile(re.escape(tag)))


def parse_version(text: str, *, build_metadata: str = "refuse") -> Version:
    """Parse the version to release: strict SemVer 2.0.0, a leading `v` allowed.

    `build_metadata` is "refuse" or "drop": a tag cannot hold the `+` (OCI distribution spec, tag grammar).

    >>> str(parse_version("v2.1.106"))
    '2.1.106'
    >>> str(parse_version("2.1.106+build.5", build_metadata="drop"))
    '2.1.106'

    Raises InvalidVersion, InputError for another `build_metadata`, and Refused for build metadata.
    """
    if build_metadata not in ("refuse", "drop"):
        raise InputError(
            f"--build-metadata takes 'refuse' or 'drop', not '{printable(build_metadata)}'", "give one of the two"
        )
    try:
        version = Version.parse(text.removeprefix("v"))
    except ValueError:
        raise InvalidVersion(
            f"'{printable(text)}' is not a semantic version",
            "give MAJOR.MINOR.PATCH without leading zeros, such as 2.1.106 or 3.0.0-rc.1",
        ) from None
    if version.build and build_metadata != "drop":
        plain = version.replace(build=None)
        raise Refused(
            f"{printable(text)} carries build metadata, and a tag cannot hold '+'",
            f"release {plain}, or let --build-metadata drop cut it off",
        )
    return version.replace(build=None) if version.build else version


def published(tags: Iterable[str], scheme: Scheme) -> dict[Version, Tag]:
    """Say which versions a tag list holds, and the tag of each; the scheme's own spelling goes before another.

    One that is marked as yanked is not among them, though its tag may still be there; its mark is.

    >>> published(["latest", "v1.0.0", "1.0.0", "1.1", "1.0.1", "1.0.1-yanked"], Scheme()).values()
    dict_values(['1.0.0', '1.0.1-yanked'])
    """
    found: dict[Version, Tag] = {}
    for tag in tags:
        version = scheme.parse(tag)
        if version is not None and (version not in found or tag == scheme.version_tag(version)):
            found[version] = Tag(tag)
    yanked = marks(found.values(), scheme)
    return {version: tag for version, tag in found.items() if version not in yanked} if yanked else found


def marks(tags: Iterable[str], scheme: Scheme) -> dict[Version, Tag]:
    """Say which versions a tag list marks as yanked, and by which tag.

    >>> marks(["1.0.1", "1.0.1-yanked", "1.0.0"], Scheme()).values()
    dict_values(['1.0.1-yanked'])
    """
    # To parse costs ten times as much as to look, and most repositories have none.
    read = ((tag, scheme.parse(tag)) for tag in tags if _YANKED in tag)
    return {yanked: Tag(tag) for tag, version in read if version and (yanked := yanked_by(version))}


def mark(version: Version) -> Version:
    """Give the version under which a yanked one is kept: a pre-release, to which nothing ever floats.

    >>> str(mark(Version(2, 1, 106))), str(mark(Version(2, 2, 0, "rc.1")))
    ('2.1.106-yanked', '2.2.0-rc.1.yanked')
    """
    return version.replace(prerelease=f"{version.prerelease}.{_YANKED}" if version.prerelease else _YANKED)


def yanked_by(version: Version) -> Version | None:
    """Give the version that this one marks as yanked, None where it marks none.

    >>> str(yanked_by(Version(2, 2, 0, "rc.1.yanked"))), yanked_by(Version(2, 2, 0, "rc.1"))
    ('2.2.0-rc.1', None)
    """
    if not version.prerelease or not version.prerelease.endswith(_YANKED):
        return None
    before, dot, last = version.prerelease.rpartition(".")
    return version.replace(prerelease=before if dot else None) if last == _YANKED else None


def spells_mark(text: str) -> bool:
    """Say whether a pre-release or a variant of this name would spell the mark of a yanked version, in some line.

    >>> [spells_mark(text) for text in ("yanked", "rc.1.yanked", "yanked-alpine", "unyanked", "rc.1", "")]
    [True, True, True, False, False, False]
    """
    return bool(_MARK.search(text))


def resolve(versions: Iterable[Version], scheme: Scheme) -> Mapping[Tag, Version]:
    """Say which version every tag belongs to when exactly these versions are published.

    >>> from semver import Version
    >>> found = resolve([Version.parse(v) for v in ("1.9.9", "2.0.7", "2.1.106")], Scheme())
    >>> {tag: str(version) for tag, version in found.items() if tag in ("1.9", "2.0", "2", "latest")}
    {'1.9': '1.9.9', 'latest': '2.1.106', '2.0': '2.0.7', '2': '2.1.106'}
    """
    return {tag: version for version in sorted(versions, key=_precedence) for tag in scheme.tags(version)}


def floating(versions: Iterable[Version], scheme: Scheme) -> dict[Tag, Version]:
    """Say which version every floating tag belongs to: `resolve` without the version tags, the newest versions first.

    >>> {tag: str(v) for tag, v in floating([Version(1, 9, 9), Version(2, 1, 106)], Scheme()).items()}
    {'2.1': '2.1.106', '2': '2.1.106', 'latest': '2.1.106', '1.9': '1.9.9', '1': '1.9.9'}
    """
    found: dict[Tag, Version] = {}
    for version in newest_first(versions):
        for tag in scheme.floating_tags(version):
            found.setdefault(tag, version)
    return found


def nearly_first(tags: Iterable[str], scheme: Scheme) -> list[Tag]:
    """List the tags that are nearly versions of a line, the greatest numbers first.

    >>> nearly_first(["2.1.106", "2026.02.0", "2026.03.0", "latest"], Scheme())
    ['2026.03.0', '2026.02.0']
    """
    found = {tag: numbers for tag in tags if (numbers := scheme.nearly(tag))}
    return sorted(map(Tag, found), key=found.__getitem__, reverse=True)


def newest_first(versions: Iterable[Version]) -> list[Version]:
    """Sort versions by precedence (semver.org, rule 11), the greatest first."""
    return sorted(versions, key=_precedence, reverse=True)


def _precedence(version: Version) -> tuple[int, int, int, bool, list[tuple[bool, int, str]]]:
    """Give a sort key in the order of semver.org, rule 11; comparing Versions themselves takes ten times as long."""
    identifiers = version.prerelease.split(".") if version.prerelease else []
    return version.major, version.minor, version.patch, not identifiers, [_identifier(i) for i in identifiers]


def _identifier(text: str) -> tuple[bool, int, str]:
    """Order numbers by value, which without leading zeros is length before text, and before words."""
    return (False, len(text), text) if text.isdigit() else (True, 0, text)
