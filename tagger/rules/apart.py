"""The check that no tag of a repository can be read in two ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Protocol

from tagger.errors import InputError
from tagger.rules.spelling import Spelling
from tagger.rules.version import Version, read

_APART = "give one of them a prefix, or another template"


class Spelt(Protocol):
    """The spelling of one variant of a line of versions."""

    @property
    def line(self) -> str:
        """The name of the line."""

    @property
    def versions(self) -> str:
        """The template of its versions ("": SemVer)."""

    def parse(self, tag: str) -> Version | None:
        """Return the version that a tag spells."""

    def spellings(self) -> Iterable[Spelling]:
        """Return how floating tags are spelt."""

    def version_spellings(self) -> Iterable[Spelling]:
        """Return how version tags are spelt."""


def check_apart(schemes: Sequence[Spelt]) -> None:
    """Raise InputError for floating tags that read as a version, and for two tags that can be spelt alike."""
    floats = [each for scheme in schemes for each in scheme.spellings()]
    versions = [each for scheme in schemes for each in scheme.version_spellings()]
    for one in floats:
        semver = not any(scheme.versions for scheme in schemes) and read(one.example.removeprefix("v"))
        if semver or any(scheme.parse(one.example) for scheme in schemes):
            raise InputError(f"{one} spells {one.example}, which is a version tag and never moves", "rename it")
    for one in versions:
        for scheme in schemes:
            if scheme.line != one.line and scheme.parse(one.example):
                raise InputError(f"{one} spells {one.example}, which is a version of {_named(scheme)} too", _APART)
    for one, other in combinations([*floats, *versions], 2):
        if one.meets(other):
            raise InputError(
                f"{one} and {other} can spell the same tag, such as"
                f" {other.example if one.spells(other.example) else one.example}",
                "rename one of them",
            )


def _named(scheme: Spelt) -> str:
    return f"line {scheme.line}" if scheme.line else "the line without a name"
