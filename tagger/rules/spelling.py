"""The words that floating tags are spelt with: templates, names and prefixes, refused unless they can be read back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

from tagger.errors import InputError
from tagger.names import Tag, parse_tag
from tagger.rules.version import spells_mark
from tagger.text import printable

DEFAULT_VARIANT = "default"
"""The name of the plain variant, whose tags have no suffix."""

NUMBER = "(?:0|[1-9][0-9]*)"
_FIELDS = ("major", "minor", "patch")
# What begins with `v` and a digit would read as a version, or as a floating tag under the prefix `v`.
_WORD = re.compile(r"(?!v[0-9])[A-Za-z_][A-Za-z0-9._-]*")
_STAGE = re.compile(r"(?:alpha|beta|rc|pre|preview|snapshot)[0-9]*(?![A-Za-z0-9_])", re.IGNORECASE)
_CHANNEL = re.compile(r"[A-Za-z][0-9A-Za-z-]*")
_SERIES = re.compile(rf"{NUMBER}(?:\.{NUMBER})?")
_LONE_DIGIT = re.compile(r"(?<![A-Za-z0-9])[0-9]")


@dataclass(frozen=True, slots=True)
class Spelling:
    """A floating tag of a variant: the kind of name behind it, an example, and the pattern of all spellings."""

    kind: str
    name: str
    variant: str
    example: Tag
    pattern: re.Pattern[str]

    def meets(self, other: Spelling) -> bool:
        """Return whether both can spell one tag; an alias may take over a template's tag in its own variant."""
        if self.variant == other.variant and {self.kind, other.kind} == {"template", "alias"}:
            return False
        return bool(self.pattern.fullmatch(other.example) or other.pattern.fullmatch(self.example))

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'" + (f" of variant {self.variant}" if self.variant else "")


def in_variant(name: str, variant: str) -> str:
    """Return how a variant spells the floating tag that the plain variant calls `name`."""
    if not variant:
        return name
    return variant if name == "latest" else f"{name}-{variant}"


def filled(prefix: str, template: str, major: object, minor: object, patch: object) -> str:
    """Return a template with its numbers filled in; a prefix stands before one that begins with a number."""
    text = template.format(major=major, minor=minor, patch=patch)
    return prefix + text if template.startswith("{") else text


def pieces(template: str) -> tuple[list[str], list[str]]:
    """Split a template into its literal texts and its fields.

    Raises InputError for a template whose tags could not be read back.
    """
    try:
        parsed = [(text, name, spec or conversion) for text, name, spec, conversion in Formatter().parse(template)]
    except ValueError:
        parsed = [(template, "", "malformed")]
    names = [name for _, name, _ in parsed if name is not None]
    if any(odd for *_, odd in parsed) or any(name not in _FIELDS for name in names):
        raise InputError(
            f"template '{printable(template)}' is malformed", "write it with {major}, {minor} and {patch} only"
        )
    if (*names,) != _FIELDS[: len(names)]:
        raise InputError(
            f"template '{printable(template)}' cannot be read back, since different series would share its tag",
            "use {major}, then {minor}, then {patch}, each once",
        )
    texts = [text for text, _, _ in parsed]
    before = texts[: len(names)]
    if not all(before[1:]) or (names and any(map(_LONE_DIGIT.search, texts))) or any(map(_ends_in_digit, before)):
        raise InputError(
            f"template '{printable(template)}' cannot be read back, since its numbers run into each other",
            "put a dot or a letter between them, and put other digits only after letters",
        )
    return texts, names


def check_prefix(prefix: str) -> None:
    """Raise InputError for a prefix that cannot be told from a version."""
    if prefix and (not _WORD.fullmatch(prefix) or _ends_in_digit(prefix)):
        raise InputError(
            f"prefix '{printable(prefix)}' would run into the version",
            "begin it with a letter, use letters, digits, '_', '.' and '-', and do not end it in a digit, such as v or"
            " release-",
        )


def check_variant(variant: str, channels: Sequence[str]) -> None:
    """Raise InputError for the name of a variant that would read as a version or a pre-release."""
    shown = printable(variant)
    if not _WORD.fullmatch(variant) or variant in {"latest", DEFAULT_VARIANT}:
        raise InputError(
            f"'{shown}' cannot name a variant",
            "begin with a letter and use letters, digits, '_', '.' and '-', such as alpine, but not latest, default,"
            " or v and a digit",
        )
    if spells_mark(variant):
        raise InputError(
            f"variant '{shown}' would mark versions as yanked, since 2.1.106-{shown} could be such a mark",
            "choose another name",
        )
    if _STAGE.match(variant) or variant in channels:
        raise InputError(
            f"variant '{shown}' looks like a pre-release, so that 2.1.106-{shown} could be either",
            "choose another name, or release it as a version of its own",
        )


def check_alias(name: str, series: str) -> None:
    """Raise InputError for an alias that is not a tag, or is not bound to a series of versions."""
    parse_tag(name)
    if not _SERIES.fullmatch(series):
        raise InputError(
            f"alias '{printable(name)}' is bound to '{printable(series)}', which is not a series of versions",
            "give MAJOR or MAJOR.MINOR, such as 24 or 1.30",
        )


def check_channel(channel: str) -> None:
    """Raise InputError for a channel that is not a pre-release label."""
    if not _CHANNEL.fullmatch(channel) or channel == "latest" or spells_mark(channel):
        raise InputError(
            f"channel '{printable(channel)}' is not a pre-release label",
            "give letters, digits and hyphens, such as rc or beta",
        )


def check_once(what: str, names: Sequence[str]) -> None:
    """Raise InputError for a name that is given twice."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise InputError(f"{what} '{printable(twice)}' is named twice", "name it once")


def _ends_in_digit(text: str) -> bool:
    return text[-1:].isdigit()
