"""The right place of floating tags: `resolve`, a pure function of the listed versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from tagger.names import Tag
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, newest_first, precedence, yanked_by
from tagger.values import dataclass


def resolve(versions: Iterable[Version], scheme: Scheme) -> dict[Tag, Version]:
    """Return the version of every floating tag when exactly these versions are published, the newest first.

    >>> found = resolve([Version.parse(v) for v in ("1.9.9", "2.0.7", "2.1.106")], Scheme())
    >>> {tag: str(version) for tag, version in found.items()}
    {'2.1': '2.1.106', '2': '2.1.106', 'latest': '2.1.106', '2.0': '2.0.7', '1.9': '1.9.9', '1': '1.9.9'}
    """
    found: dict[Tag, Version] = {}
    for version in newest_first(versions):
        for tag in scheme.floating_tags(version):
            found.setdefault(tag, version)
    return found


@dataclass(frozen=True)
class Published:
    """The content of a list of tags for one variant: parsed once; everything else is computed on first use.

    `tags` is the list, `spelt` the versions of the version tags in it, in any spelling, marks included.
    """

    scheme: Scheme
    tags: tuple[Tag, ...]
    spelt: Mapping[Tag, Version]

    @classmethod
    def of(cls, tags: Iterable[str], scheme: Scheme) -> Published:
        """Parse a list.

        >>> found = Published.of(["latest", "v1.0.0", "1.0.0", "1.1", "1.0.1", "1.0.1-yanked"], Scheme())
        >>> [*found.versions.values()], [*found.yanked.values()], [*found.owners]
        (['1.0.0', '1.0.1-yanked'], ['1.0.1-yanked'], ['1.0', '1', 'latest'])
        """
        listed = (*map(Tag, tags),)
        spelt = {tag: version for tag in listed if (version := scheme.parse(tag))}
        return cls(scheme, listed, _versions_alone(spelt, scheme) if scheme.revisions else spelt)

    def relisted(self, gone: Collection[Tag]) -> Published:
        """Return the content of the list if some of its tags are absent."""
        return Published.of([tag for tag in self.tags if tag not in gone], self.scheme) if gone else self

    def without(self, gone: Collection[Tag]) -> Published:
        """Return the content of the list without some of its tags; the plain tag of a rebuild still is no version.

        >>> published = Published.of(["2.1.105", "2.1.106"], Scheme())
        >>> {tag: str(version) for tag, version in published.without([Tag("2.1.106")]).owners.items()}
        {'2.1': '2.1.105', '2': '2.1.105', 'latest': '2.1.105'}
        """
        if not gone:
            return self
        plain = self.scheme.numbering.plain
        rebuilt = {plain(version) for tag in gone if (version := self.spelt.get(tag)) and plain(version) != version}
        left = tuple(
            tag for tag in self.tags if tag not in gone and not (rebuilt and self.scheme.parse(tag) in rebuilt)
        )
        return replace(self, tags=left, spelt={tag: v for tag, v in self.spelt.items() if tag not in gone})

    @cached_property
    def versions(self) -> Mapping[Version, Tag]:
        """The counted versions, marks included, and the tag of each, preferably in the scheme's own spelling."""
        return {version: tag for version, tag in self._tags.items() if version not in self.yanked}

    @cached_property
    def yanked(self) -> Mapping[Version, Tag]:
        """The versions that are marked as yanked, and the mark of each."""
        return {yanked: tag for version, tag in self._tags.items() if (yanked := yanked_by(version))}

    @cached_property
    def owners(self) -> Mapping[Tag, Version]:
        """The version that each floating tag belongs to, the newest first."""
        return resolve(self.versions, self.scheme)

    def owners_with(self, further: Iterable[Version]) -> Mapping[Tag, Version]:
        """Return `owners` if these versions were published too.

        >>> found = Published.of(["1.0.0", "2.0.0"], Scheme()).owners_with([Version.parse("1.1.0")])
        >>> {tag: str(version) for tag, version in found.items() if tag in ("1.0", "1.1", "1", "latest")}
        {'latest': '2.0.0', '1.0': '1.0.0', '1': '1.1.0', '1.1': '1.1.0'}
        """
        found = dict(self.owners)
        for version in further:
            for tag in self.scheme.floating_tags(version):
                found[tag] = max(found.get(tag, version), version, key=precedence)
        return found

    def revisions(self, version: Version) -> Mapping[Version, Tag]:
        """Return all revisions of a version, and the tag of each.

        >>> found = Published.of(["2.1.106", "2.1.106-r0", "2.1.106-r1", "2.1.105"], Scheme(revisions="-r{n}"))
        >>> [*found.revisions(Version.parse("2.1.106")).values()], [*found.versions.values()]
        (['2.1.106-r0', '2.1.106-r1'], ['2.1.106-r0', '2.1.106-r1', '2.1.105'])
        """
        plain = self.scheme.numbering.plain
        return {found: tag for found, tag in self.versions.items() if plain(found) == plain(version)}

    def meant(self, version: Version, among: Iterable[Version] | None = None) -> list[Version]:
        """Return the versions that one means `among` others (None: the counted ones): all its revisions, or itself.

        >>> found = Published.of(["2.1.106-r0", "2.1.106-r1", "2.1.106"], Scheme(revisions="-r{n}"))
        >>> asked = found.scheme.numbering.asked
        >>> [[str(each) for each in found.meant(asked(text))] for text in ("2.1.106", "2.1.106-r1", "2.1.105")]
        [['2.1.106-r0', '2.1.106-r1'], ['2.1.106-r1'], ['2.1.105']]
        """
        plain = self.scheme.numbering.plain
        if not self.scheme.numbering.is_plain(version):
            return [version]
        others = self.versions if among is None else among
        return sorted(found for found in others if plain(found) == version) or [version]

    @cached_property
    def left_behind(self) -> Collection[Tag]:
        """The listed floating tags that yanked versions competed for, and that belong to no other version."""
        cascade = dict.fromkeys(tag for version in self.yanked for tag in self.scheme.floating_tags(version))
        listed = set(self.tags)
        return [tag for tag in cascade if tag in listed and tag not in self.owners]

    @cached_property
    def nearly(self) -> Collection[Tag]:
        """The tags that are nearly versions, the greatest numbers first.

        >>> Published.of(["2.1.106", "2026.02.0", "2026.03.0", "latest"], Scheme()).nearly
        ['2026.03.0', '2026.02.0']
        """
        found = {tag: numbers for tag in self.tags if (numbers := self.scheme.nearly(tag))}
        return sorted(found, key=found.__getitem__, reverse=True)

    @cached_property
    def _tags(self) -> Mapping[Version, Tag]:
        found: dict[Version, Tag] = {}
        for tag, version in self.spelt.items():
            if version not in found or tag == self.scheme.version_tag(version):
                found[version] = tag
        return found


def _versions_alone(spelt: Mapping[Tag, Version], scheme: Scheme) -> dict[Tag, Version]:
    """Leave out the plain tag of a version with a tag or mark of a revision: it follows the newest of them."""
    numbering = scheme.numbering
    counted = {yanked_by(version) or version for version in spelt.values()}
    rebuilt = {plain for version in counted if (plain := numbering.plain(version)) != version}
    return {tag: version for tag, version in spelt.items() if version not in rebuilt}
