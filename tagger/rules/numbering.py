"""The spelling of versions without prefix and variant: SemVer or a template, with or without revisions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, replace

from tagger.errors import InputError, InvalidVersion
from tagger.names import parse_tag
from tagger.rules import spelling
from tagger.rules.candidate import candidate_in, is_candidate
from tagger.rules.template import LONGEST_NUMBER, Field, Template, Token
from tagger.rules.version import Version, check_build_metadata, mark, parse_version, read, spells_mark, yanked_by
from tagger.text import printable
from tagger.values import dataclass

_SEMVER_FIELDS = ("{major}", "{minor}", "{patch}")
_MARKED = re.compile(r"(.+)[.-]yanked", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Numbering:
    """The spelling of a line of versions: `versions` is a template ("": SemVer), `revisions` the one of rebuilds.

    Without `revisions` ("") nothing is a rebuild.

    Raises InputError for a template that could not be read back.
    """

    versions: str = ""
    revisions: str = ""
    _template: Template | None = field(init=False, repr=False, compare=False)
    _rebuilt: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        template = Template.parse(self.versions) if self.versions else None
        revision = Template.parse(self.revisions) if self.revisions else None
        if template:
            _check_versions(self.versions, template)
        if revision:
            _check_revisions(self.revisions, revision)
        object.__setattr__(self, "_template", template)
        rebuilt = re.compile("(.+?)" + revision.pattern.pattern, re.DOTALL) if revision else None
        object.__setattr__(self, "_rebuilt", rebuilt)
        if template and self.ends_like_a_revision(template.sample):
            raise InputError(
                f"versions '{printable(self.versions)}' end like revisions '{printable(self.revisions)}', such as"
                f" {template.sample}",
                "give revisions another form, such as -rebuild{n}",
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """The number fields of the template, from left to right."""
        return tuple(map(str, self._template.fields)) if self._template else _SEMVER_FIELDS

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the number fields."""
        return tuple(field.strip("{}") for field in self.fields)

    @property
    def begins_with_number(self) -> bool:
        """Whether the text of a version begins with a number, so that a `v` may precede it."""
        return self._template is None or self._template.begins_with_number

    @property
    def sample(self) -> str:
        """The text of an example version."""
        return self._template.sample if self._template else "7.8.9"

    def rows(self) -> list[tuple[Token, ...]]:
        """The literals and fields of versions without a revision and with one; of SemVer, of stable versions."""
        plain = (self._template or Template.parse(".".join(_SEMVER_FIELDS))).tokens
        return [plain, (*plain, *Template.parse(self.revisions).tokens)] if self.revisions else [plain]

    @property
    def floats(self) -> tuple[str, ...]:
        """The usual floating tags of such versions: each leading part with a number, and `latest`.

        >>> Numbering().floats, Numbering("{YYYY}.{0M}.{n}").floats, Numbering("main-{n}").floats
        (('{major}.{minor}', '{major}', 'latest'), ('{YYYY}.{0M}', '{YYYY}', 'latest'), ('latest',))
        """
        if self._template is None:
            return ("{major}.{minor}", "{major}", "latest")
        tokens, found = self._template.tokens, []
        for end, token in enumerate(tokens):
            if isinstance(token, str) and end and len(tokens) > end + 1:
                found.append("".join(map(str, tokens[:end])))
        return (*reversed(found), "latest")

    def spell(self, numbers: Sequence[int]) -> str:
        """Return the text of the version with these numbers."""
        return self._template.spell(numbers) if self._template else ".".join(map(str, numbers))

    def read(self, text: str) -> Version | None:
        """Return the version that a text spells; None if it spells none.

        >>> found = Numbering(revisions="-r{n}").read("2.1.106-r3")
        >>> found.text, found.revision, str(Numbering(revisions="-r{n}").plain(found))
        ('2.1.106-r3', 3, '2.1.106')
        >>> Numbering("main-{n}").read("main-1234").numbers, Numbering("main-{n}").read("main-01")
        ((1234,), None)
        """
        if self._template is None and self._rebuilt is None:
            return read(text)
        marked = _MARKED.fullmatch(text)
        if marked and (found := self._unmarked(marked[1])) and mark(found).text == text:
            return mark(found)
        return candidate_in(text, self._unmarked) or self._unmarked(text)

    def asked(self, text: str, *, build_metadata: str = "refuse") -> Version:
        """Return the version to release. Raises what `parse_version` raises."""
        check_build_metadata(build_metadata)
        if self._template is None and self._rebuilt is None:
            return parse_version(text, build_metadata=build_metadata)
        if self._template is None:
            found = self.read(parse_version(text, build_metadata=build_metadata).text)
        else:
            found = self.read(text) or (self.read(text.removeprefix("v")) if self.begins_with_number else None)
        if found is None and self._template is None:
            raise InvalidVersion(
                f"'{printable(text)}' ends like two revisions", "give MAJOR.MINOR.PATCH with at most one"
            )
        if found is None:
            raise InvalidVersion(
                f"'{printable(text)}' does not match the template '{self.versions}'",
                f"give one such as {self.sample}",
            )
        return found

    def plain(self, version: Version) -> Version:
        """Return a version without its revision, which counts as revision 0.

        >>> numbering = Numbering(revisions="-r{n}")
        >>> str(numbering.plain(numbering.asked("2.1.106-r3")))
        '2.1.106'
        """
        if version.revision is None or yanked_by(version) or is_candidate(version):
            return version
        return replace(version, text=self._split(version.text)[0], revision=0)

    def rebuilt(self, version: Version, revision: int) -> Version:
        """Return the revision of a version with this number.

        >>> str(Numbering(revisions="-r{n}").rebuilt(Version.parse("2.1.106"), 3))
        '2.1.106-r3'
        """
        plain = self.plain(version)
        return replace(plain, text=plain.text + Template.parse(self.revisions).spell([revision]), revision=revision)

    def is_plain(self, version: Version) -> bool:
        """Return whether a version lacks a revision although the line has revisions."""
        return version.revision == 0 and self.plain(version) == version

    def ends_like_a_revision(self, text: str) -> bool:
        """Return whether a text after a version would be read as its revision."""
        return self._split(f"x{text}") != (f"x{text}", None)

    def _unmarked(self, text: str) -> Version | None:
        base, revision = self._split(text)
        found = self._base(base)
        if found is None or self._rebuilt is None:
            return found
        # A version whose own text ends like a revision or a mark could be read in two ways.
        if self._split(base)[1] is not None or yanked_by(found):
            return None
        return replace(found, text=text, revision=revision or 0)

    def _split(self, text: str) -> tuple[str, int | None]:
        """Split off the revision; None without one."""
        found = self._rebuilt.fullmatch(text) if self._rebuilt else None
        return (found[1], int(found[2])) if found and len(found[2]) <= LONGEST_NUMBER else (text, None)

    def _base(self, text: str) -> Version | None:
        if self._template is None:
            return read(text)
        numbers = self._template.read(text)
        return None if numbers is None else Version(text, numbers)


SEMVER = Numbering()
"""Strict semantic versions, without revisions."""


def _check_versions(text: str, template: Template) -> None:
    names = [field.name for field in template.fields]
    if not names:
        raise InputError(f"versions '{printable(text)}' has no number field", "give one, such as main-{n}")
    spelling.check_once("number field", names)
    sample = template.sample
    parse_tag(sample)
    if spells_mark(sample.partition("-")[2]):
        raise InputError(
            f"versions '{printable(text)}' would mark versions as yanked, such as {sample}", "choose another template"
        )


def _check_revisions(text: str, template: Template) -> None:
    if len(template.fields) != 1 or not isinstance(first := template.tokens[0], str) or first[0] not in "-_.":
        raise InputError(
            f"revisions '{printable(text)}' cannot be distinguished from a version",
            "begin with '-', '_' or '.', and use one number field, such as -r{n}",
        )
    parse_tag(f"x{template.sample}")
    if not isinstance(template.tokens[-1], Field) or "yanked" in text:
        raise InputError(f"revisions '{printable(text)}' does not end in its number", "write it such as -r{n}")
