"""The form of git tags of one image in a repository: `gallery/v{version}`."""

from __future__ import annotations

from tagger.errors import InputError
from tagger.text import printable
from tagger.values import dataclass

_FIELD = "{version}"


@dataclass(frozen=True, slots=True)
class GitTag:
    """A template of git tags: the text before the version, and the text after it."""

    before: str
    behind: str

    @classmethod
    def parse(cls, text: str) -> GitTag:
        """Parse a template.

        >>> GitTag.parse("gallery/v{version}").version_in("gallery/v2.1.106")
        '2.1.106'

        Raises InputError for one without a place for the version.
        """
        before, field, behind = text.partition(_FIELD)
        if not field or not {"{", "}"}.isdisjoint(before + behind):
            raise InputError(
                f"the git tag '{printable(text)}' does not say where the version is",
                f"write {_FIELD} in it once, such as gallery/v{_FIELD}",
            )
        return cls(before, behind)

    def version_in(self, tag: str) -> str | None:
        """Return the text in the place of the version; None for a tag of another form.

        >>> form = GitTag.parse("gallery/v{version}")
        >>> [form.version_in(tag) for tag in ("gallery/v2.1.106", "api/v2.1.106", "v2.1.106", "gallery/vv2.1.106")]
        ['2.1.106', None, None, None]
        >>> GitTag.parse("gallery/{version}").version_in("gallery/vendor-12")
        'vendor-12'
        """
        fits = len(tag) > len(self.before + self.behind) and tag.startswith(self.before) and tag.endswith(self.behind)
        text = tag[len(self.before) : len(tag) - len(self.behind)]
        # A version may be given with a leading v, but here the template says whether there is one.
        return text if fits and not (text[:1] == "v" and text[1:2].isdigit()) else None

    def __str__(self) -> str:
        return f"{self.before}{_FIELD}{self.behind}"
