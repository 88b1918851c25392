"""A command to run for an image: its words, its information about the image, and its result. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Self

from tagger.errors import InputError
from tagger.names import Digest, Repository
from tagger.text import printable
from tagger.values import dataclass

GATE_SECONDS = 1800.0
"""How long a command may take by default."""

_PLACE = re.compile(r"\{(reference|digest|version|repository)\}")
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Subject:
    """The image of a command: its repository, its digest there, and the version to release."""

    repository: Repository
    digest: Digest
    version: str

    @property
    def reference(self) -> str:
        """The image by its digest, which nobody can move."""
        return f"{self.repository}@{self.digest}"

    def told(self) -> Mapping[str, str]:
        """The information about the image, by the names of the placeholders in a command."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "version": self.version,
            "repository": str(self.repository),
        }

    def variables(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"TAGGER_{name.upper()}": value for name, value in self.told().items()}


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the user wrote it, and its words; no shell reads them."""

    text: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a command into words, by the quotes of a shell.

        >>> Command.parse("cosign sign --annotations 'by=the team' {reference}").words
        ('cosign', 'sign', '--annotations', 'by=the team', '{reference}')

        Raises InputError.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise InputError(f"the command {printable(text)} cannot be read ({error})", "check its quotes") from None
        if not words or not words[0]:
            raise InputError("a command to run is empty", "give one, such as 'cosign sign {reference}'")
        return cls(text, tuple(words))

    def __str__(self) -> str:
        """Show the command, short enough for a message."""
        return printable(self.text, _LONGEST_SHOWN)

    @property
    def name(self) -> str:
        """The name of the program, without its folder."""
        return printable(PurePath(self.words[0]).name, _LONGEST_SHOWN)

    def about(self, subject: Subject) -> list[str]:
        """Return the words, with `{reference}` and the like replaced by the names of the image.

        >>> here = Subject(Repository.parse("registry.local:5000/ui"), Digest("sha256:" + "0" * 64), "2.1.106")
        >>> Command.parse("scan --format '{{.Level}}' {repository}:{version}").about(here)
        ['scan', '--format', '{{.Level}}', 'registry.local:5000/ui:2.1.106']
        """
        told = subject.told()
        return [_PLACE.sub(lambda found: told[found[1]], word) for word in self.words]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has run: its subject, why it failed (None: it did not), and its last lines."""

    command: Command
    subject: Subject
    failed: str | None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """Evidence of one kind about an image: where it is, and why it does not count (None: it is present)."""

    kind: str
    subject: Subject
    where: tuple[str, ...]
    lacks: str | None


def ending(code: int) -> str | None:
    """Return why a process that ended with this code failed, in words; None if it did not.

    >>> ending(0), ending(3), ending(-9)
    (None, 'ended with exit code 3', 'was killed by signal 9')
    """
    if code == 0:
        return None
    return f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"


def parsed(texts: Sequence[str]) -> tuple[Command, ...]:
    """Parse commands. Raises InputError.

    >>> parsed(["cosign sign {reference}"])[0].words
    ('cosign', 'sign', '{reference}')
    """
    return tuple(map(Command.parse, texts))
