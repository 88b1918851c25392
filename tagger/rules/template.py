"""Templates: texts with number fields, such as `{YYYY}.{0M}.{patch}`, that spell numbers and read them back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from string import Formatter

from tagger.errors import InputError
from tagger.text import printable
from tagger.values import dataclass

NUMBER = "(?:0|[1-9][0-9]*)"
LONGEST_NUMBER = 128  # digits: no tag has more characters
_NAME = re.compile(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|n")
_PADDED = re.compile(r"0([1-9])")
# calver.org, "Scheme": patterns and, if fixed, widths.
_CALENDAR = {
    "YYYY": ("[1-9][0-9]{3}", 4),
    "YY": ("(?:0|[1-9][0-9]{0,2})", 0),
    "0Y": ("[0-9]{2}", 2),
    "MM": ("(?:[1-9]|1[0-2])", 0),
    "0M": ("(?:0[1-9]|1[0-2])", 2),
    "WW": ("(?:[1-9]|[1-4][0-9]|5[0-3])", 0),
    "0W": ("(?:0[1-9]|[1-4][0-9]|5[0-3])", 2),
    "DD": ("(?:[1-9]|[12][0-9]|3[01])", 0),
    "0D": ("(?:0[1-9]|[12][0-9]|3[01])", 2),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A number field: the pattern of its spellings, its padded width, and whether it is never longer."""

    name: str
    pattern: str
    width: int = 0
    fixed: bool = False

    @property
    def sample(self) -> str:
        """A spelling that every other field accepts if they have a common spelling."""
        return ("12" * 5)[: self.width or 2]

    def __str__(self) -> str:
        return f"{{{self.name}}}"


Token = str | Field


@dataclass(frozen=True, slots=True)
class Template:
    """A template: its literal texts and fields in order."""

    tokens: tuple[Token, ...]
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse a template.

        >>> found = Template.parse("{YYYY}.{0M}.{patch}")
        >>> found.spell([2026, 3, 0]), found.read("2026.03.0"), found.read("2026.3.0")
        ('2026.03.0', (2026, 3, 0), None)

        Raises InputError for a template whose texts could not be read back.
        """
        tokens = tokens_of(text)
        if tokens is None:
            raise InputError(
                f"template '{printable(text)}' is malformed",
                "write number fields in braces, such as {major}, {n}, {YYYY}, {0M} or {n:04}",
            )
        if run_together(tokens):
            raise InputError(
                f"template '{printable(text)}' is ambiguous, because its numbers run into each other",
                "put a dot or a letter between them, and put other digits only after letters",
            )
        return cls(tokens, re.compile(pattern(tokens)))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, from left to right."""
        return tuple(token for token in self.tokens if isinstance(token, Field))

    @property
    def begins_with_number(self) -> bool:
        """Return whether a field comes first."""
        return bool(self.tokens) and isinstance(self.tokens[0], Field)

    def spell(self, numbers: Sequence[int]) -> str:
        """Return the template with its fields filled from left to right; extra numbers are ignored.

        >>> Template.parse("main-{n}").spell((7,))
        'main-7'
        """
        left = iter(numbers)
        return "".join(t if isinstance(t, str) else str(next(left)).zfill(t.width) for t in self.tokens)

    def read(self, text: str) -> tuple[int, ...] | None:
        """Return the numbers that a text spells; None if it spells none.

        >>> Template.parse("{major}.{minor}").read("2.1"), Template.parse("{major}.{minor}").read("2")
        ((2, 1), None)
        """
        found = self.pattern.fullmatch(text)
        if not found or any(len(number) > LONGEST_NUMBER for number in found.groups()):
            return None
        return tuple(map(int, found.groups()))

    @property
    def sample(self) -> str:
        """A text that the template spells."""
        return "".join(token if isinstance(token, str) else token.sample for token in self.tokens)


def pattern(tokens: Iterable[Token]) -> str:
    """Return the pattern of all texts of a row of literals and fields, with a group for each field."""
    return "".join(re.escape(token) if isinstance(token, str) else f"({token.pattern})" for token in tokens)


def tokens_of(text: str) -> tuple[Token, ...] | None:
    """Split a template into its literal texts and fields; None if it is malformed.

    >>> [str(token) for token in tokens_of("{major}.{minor}")], tokens_of("{major")
    (['{major}', '.', '{minor}'], None)
    """
    found: list[Token] = []
    try:
        for literal, name, spec, conversion in Formatter().parse(text):
            found += [literal] if literal else []
            if name is None:
                continue
            if conversion or not _NAME.fullmatch(name) or (spec and not _PADDED.fullmatch(spec)):
                return None
            found.append(_field(name, spec or ""))
    except ValueError:
        return None
    return tuple(found)


def _field(name: str, spec: str) -> Field:
    if name in _CALENDAR and not spec:
        pattern, width = _CALENDAR[name]
        return Field(name, pattern, width, fixed=bool(width))
    if padded := _PADDED.fullmatch(spec):
        width = int(padded[1])
        return Field(f"{name}:{spec}", f"(?:[0-9]{{{width}}}|[1-9][0-9]{{{width},}})", width)
    return Field(name, NUMBER)


def run_together(tokens: Sequence[Token]) -> bool:
    """Return whether the border between two pieces is ambiguous somewhere."""
    return any(_meets_badly(one, other) for one, other in pairwise(tokens))


def _meets_badly(one: Token, other: Token) -> bool:
    if isinstance(one, str):
        return one[-1].isdigit()
    if isinstance(other, str):
        return other[0].isdigit()
    return not (one.fixed and other.fixed)


# -- two templates ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of digits, or the text between two runs, which may be a pattern."""

    sample: str
    pattern: str | None = None

    def meets(self, other: Piece) -> bool:
        """Return whether both allow the same text."""
        if self.pattern is None and other.pattern is None:
            return self.sample == other.sample
        return self._allows(other.sample) or other._allows(self.sample)

    def _allows(self, text: str) -> bool:
        return self.sample == text if self.pattern is None else bool(re.fullmatch(self.pattern, text))


def pieces(tokens: Iterable[Token]) -> list[Piece]:
    """Split a row of literals and fields into runs of digits and the texts between them."""
    found: list[Piece] = []
    for _, group in groupby(tokens, key=lambda token: isinstance(token, str)):
        row = [*group]
        texts = "".join(token for token in row if isinstance(token, str))
        fields = [token for token in row if isinstance(token, Field)]
        found += [Piece(text) for text in re.findall("[0-9]+|[^0-9]+", texts)]
        if fields:
            found.append(Piece("".join(f.sample for f in fields), "".join(f.pattern for f in fields)))
    return found


def meet(one: Sequence[Piece], other: Sequence[Piece]) -> bool:
    """Return whether two rows can spell the same text.

    >>> spelt = [pieces(Template.parse(text).tokens) for text in ("{n}-{0M}", "{YYYY}-{n}", "v{n}-{0M}")]
    >>> meet(spelt[0], spelt[1]), meet(spelt[1], spelt[2])
    (True, False)
    """
    return len(one) == len(other) and all(a.meets(b) for a, b in zip(one, other, strict=True))
