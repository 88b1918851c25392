"""The parts of floating tags: templates, names and prefixes, refused unless they can be read back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from tagger.errors import InputError
from tagger.names import Tag, parse_tag
from tagger.rules.template import (
    NUMBER,
    Field,
    Piece,
    Template,
    Token,
    meet,
    pattern,
    pieces,
    run_together,
    tokens_of,
)
from tagger.rules.version import spells_mark
from tagger.text import printable
from tagger.values import dataclass

DEFAULT_VARIANT = "default"
"""The name of the plain variant, whose tags have no suffix."""

# A name with `v` and a digit first would read as a version, or as a floating tag with the prefix `v`.
_WORD = re.compile(r"(?!v[0-9])[A-Za-z_][A-Za-z0-9._-]*")
_STAGE = re.compile(r"(?:alpha|beta|rc|pre|preview|snapshot)[0-9]*(?![A-Za-z0-9_])", re.IGNORECASE)
_CHANNEL = re.compile(r"[A-Za-z][0-9A-Za-z-]*")
_SERIES = re.compile(rf"{NUMBER}(?:\.{NUMBER})?")
_LONE_DIGIT = re.compile(r"(?<![A-Za-z0-9])[0-9]")


@dataclass(frozen=True)
class Spelling:
    """The tags from one name of a line: the kind of name, its owner, and the pieces of its tags."""

    kind: str
    name: str
    line: str
    variant: str
    tokens: tuple[Token, ...]

    @cached_property
    def example(self) -> Tag:
        """One of the tags. Raises InvalidReference if it is no tag."""
        return parse_tag("".join(token if isinstance(token, str) else token.sample for token in self.tokens))

    @cached_property
    def _pieces(self) -> Sequence[Piece]:
        return pieces(self.tokens)

    def spells(self, tag: str) -> bool:
        """Return whether a tag is one of these."""
        return bool(re.fullmatch(pattern(self.tokens), tag))

    def meets(self, other: Spelling) -> bool:
        """Return whether both can spell the same tag; an alias may take over a template's tag in its own variant."""
        mine = (self.line, self.variant) == (other.line, other.variant)
        if mine and {self.kind, other.kind} == {"template", "alias"}:
            return False
        return meet(self._pieces, other._pieces)

    def __str__(self) -> str:
        line = f" of line {self.line}" if self.line else ""
        return f"{self.kind} '{self.name}'{line}" + (f" of variant {self.variant}" if self.variant else "")


def in_variant(name: str, variant: str) -> str:
    """Return a variant's spelling of the plain variant's floating tag `name`.

    >>> in_variant("2.1", "alpine"), in_variant("latest", "alpine"), in_variant("2.1", "")
    ('2.1-alpine', 'alpine', '2.1')
    """
    if not variant:
        return name
    return variant if name == "latest" else f"{name}-{variant}"


def row(prefix: str, tokens: tuple[Token, ...], variant: str) -> tuple[Token, ...]:
    """Return a variant's spelling of a floating tag; one that begins with a number gets the prefix."""
    if tokens == ("latest",):
        return (in_variant("latest", variant),)
    before = (prefix,) if prefix and isinstance(next(iter(tokens), ""), Field) else ()
    return (*before, *tokens, *((f"-{variant}",) if variant else ()))


def is_in(version: str, series: str) -> bool:
    """Return whether a version belongs to a series, which is the beginning of its text.

    >>> is_in("2.1.106", "2.1"), is_in("2.10.6", "2.1"), is_in("2026.03.0", "2026")
    (True, False, True)
    """
    return version.startswith(series) and not version[len(series) :][:1].isalnum()


def float_template(text: str, fields: Sequence[str]) -> Template:
    """Parse the template of a floating tag for versions with these fields.

    Raises InputError for a template whose tags could not be read back.
    """
    words = " and ".join(filter(None, (", ".join(fields[:-1]), fields[-1])))
    tokens = tokens_of(text)
    names = [str(token) for token in tokens or () if isinstance(token, Field)]
    if tokens is None or any(name not in fields for name in names):
        raise InputError(f"template '{printable(text)}' is malformed", f"use only {words}")
    if (*names,) != (*fields[: len(names)],):
        raise InputError(
            f"template '{printable(text)}' is ambiguous, because different series would share its tag",
            f"use {', then '.join(fields)}, each once",
        )
    lone = [token for token in tokens if isinstance(token, str) and _LONE_DIGIT.search(token)]
    if run_together(tokens) or (names and lone):
        raise InputError(
            f"template '{printable(text)}' is ambiguous, because its numbers run into each other",
            "put a dot or a letter between them, and put other digits only after letters",
        )
    return Template.parse(text)


def check_prefix(prefix: str) -> None:
    """Raise InputError for a prefix that cannot be distinguished from a version."""
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
            f"variant '{shown}' would mark versions as yanked, because 2.1.106-{shown} could be such a mark",
            "choose another name",
        )
    if _STAGE.match(variant) or variant in channels:
        raise InputError(
            f"variant '{shown}' looks like a pre-release, so 2.1.106-{shown} would be ambiguous",
            "choose another name, or release it as a version of its own",
        )


def check_alias(name: str, series: str, *, numbered: bool = False) -> None:
    """Raise InputError for an alias that is not a tag, or is not bound to a series of versions.

    For versions `numbered` by a template, the beginning of any version is a series.
    """
    parse_tag(name)
    if not (parse_tag(series) if numbered else _SERIES.fullmatch(series)):
        raise InputError(
            f"alias '{printable(name)}' follows '{printable(series)}', which is not a series of versions",
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
    """Raise InputError for a repeated name."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise InputError(f"{what} '{printable(twice)}' is named twice", "name it once")


def _ends_in_digit(text: str) -> bool:
    return text[-1:].isdigit()
