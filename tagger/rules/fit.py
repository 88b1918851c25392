"""How well a scheme fits a repository: which floating tags are where it puts them, as far as known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace

from tagger.names import Digest, Tag
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, newest_first, yanked_by
from tagger.values import dataclass

_SEARCHED, _BATCH = 64, 8


@dataclass(slots=True)
class Held:
    """The known content of tags (None: absent), and the unreadable tags."""

    digests: Mapping[Tag, Digest | None]
    wanted: dict[Tag, None] = field(default_factory=dict)

    def of(self, tag: Tag) -> Digest | None:
        """Return what a tag holds; None if it is absent or not known yet."""
        if tag not in self.digests:
            self.wanted[tag] = None
        return self.digests.get(tag)

    def alike(self, one: Tag, other: Tag) -> bool:
        """Return whether two tags are known to hold the same."""
        digests = (self.of(one), self.of(other))
        return digests[0] is not None and digests[0] == digests[1]

    def holder(self, tag: Tag, candidates: Iterable[Tag]) -> Tag | None:
        """Return the first of some tags that holds the same as a tag; it asks for a few of them at a time."""
        digest, likely = self.of(tag), [*candidates]
        if digest is None:
            return None
        known = next((each for each in likely if self.digests.get(each) == digest), None)
        unknown = [each for each in likely[:_SEARCHED] if each not in self.digests]
        if known is None and unknown:
            self.wanted |= dict.fromkeys(unknown[:_BATCH])
        return known


@dataclass(frozen=True, slots=True)
class Fit:
    """The floating tags of one variant: the right ones, the wrong ones, and the missing ones."""

    scheme: Scheme
    published: Published
    right: Mapping[Tag, Version]
    wrong: Mapping[Tag, Version]
    missing: Mapping[Tag, Version]

    @property
    def stable(self) -> list[Version]:
        """The counted versions that floating tags can follow, the newest first."""
        return [v for v in newest_first(self.published.versions) if not v.prerelease and self.scheme.counts(v)]

    @property
    def understood(self) -> list[Tag]:
        """The version tags, without ambiguous ones."""
        spelt = self.published.spelt.items()
        return [tag for tag, version in spelt if self.scheme.understands(version) or yanked_by(version)]

    def held_by(self, held: Held) -> Fit:
        """Return the same comparison with other known content."""
        return compared(self.published, held)

    def under(self, scheme: Scheme, held: Held) -> Fit:
        """Return the same comparison under a scheme with the same versions and other floating tags."""
        return compared(replace(self.published, scheme=scheme), held)

    def tag(self, version: Version) -> Tag:
        """Return the tag of a published version."""
        return self.published.versions[version]

    def late(self, held: Held) -> dict[Tag, Version]:
        """Return the tags that still hold an older version of their series, and that version."""
        found = {tag: self.holder(tag, held) for tag in self.wrong}
        return {tag: version for tag, version in found.items() if version and tag in self.scheme.floating_tags(version)}

    def is_good(self, held: Held) -> bool:
        """Return whether there are floating tags, and most are right or only behind."""
        practised = len(self.right) + len(self.late(held))
        return 0 < practised >= len(self.wrong) + len(self.missing) - len(self.late(held))

    def holder(self, tag: Tag, held: Held) -> Version | None:
        """Return the version whose image a tag holds: one that leads a series, or else the newest."""
        leading = {*self.right.values(), *self.wrong.values(), *self.missing.values()}
        likely = sorted(newest_first(self.published.versions), key=lambda version: version not in leading)
        of = {self.tag(version): version for version in likely}
        found = held.holder(tag, of)
        return of[found] if found else None


def fit(tags: Collection[Tag], scheme: Scheme, held: Held) -> Fit:
    """Compare the floating tags that a variant should have with those that it has.

    >>> held = Held({Tag(tag): Digest(image) for tag, image in [("1.0.1", "b"), ("1.0", "b"), ("latest", "a")]})
    >>> found = fit([Tag("1.0.0"), Tag("1.0.1"), Tag("1.0"), Tag("latest")], Scheme(), held)
    >>> [*found.right], [*found.wrong], [*found.missing]
    (['1.0'], ['latest'], ['1'])
    """
    return compared(Published.of(tags, scheme), held)


def compared(published: Published, held: Held) -> Fit:
    """Compare the floating tags that a variant should have with those that it has, by its published tags.

    >>> found = compared(Published.of(["1.0.0", "1.0"], Scheme()), Held({}))
    >>> [*found.wrong], [*found.held_by(Held({Tag("1.0.0"): Digest("a"), Tag("1.0"): Digest("a")})).right]
    (['1.0'], ['1.0'])
    """
    listed = {*published.tags}
    right, wrong, missing = {}, {}, {}
    for tag, owner in published.owners.items():
        if tag not in listed:
            missing[tag] = owner
        elif held.alike(tag, published.versions[owner]):
            right[tag] = owner
        else:
            wrong[tag] = owner
    return Fit(published.scheme, published, right, wrong, missing)
