"""The changes of a release to each tag, and the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum

from tagger.names import SHORT_DIGEST, Digest, Tag
from tagger.rules.resolve import Published
from tagger.rules.version import Version
from tagger.values import dataclass


class Action(StrEnum):
    """The kind of change to a tag."""

    CREATE = "create"
    MOVE = "move"
    KEEP = "keep"
    UNCHANGED = "unchanged"
    REFUSE = "refuse"


WRITES = frozenset({Action.CREATE, Action.MOVE})


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one tag: the digest before and after (None: absent, or not known yet), and the reason.

    A kept floating tag has `drifted` if it does not hold the image of `version`, to which it belongs.
    """

    tag: Tag
    action: Action
    version: Version
    before: Digest | None
    after: Digest | None
    reason: str | None = None
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation of a registry: its list of tags, and the digests of the relevant tags.

    `published` is the list without absent version tags and marks; such marks are `lost_marks`. `sure` are versions that
    count even if they are not listed, and their tags. A tag whose digest is None is absent; the registry has one in
    `unreadable`, but fails to say where it points. For floating tags that are out of place, `holders` has the version
    whose image they hold, and `nearly` the tag, if that is only nearly a version.
    """

    published: Published
    digests: Mapping[Tag, Digest | None]
    unreadable: frozenset[Tag] = frozenset()
    sure: Mapping[Version, Tag] = field(default_factory=dict)
    lost_marks: frozenset[Tag] = frozenset()
    holders: Mapping[Tag, Version] = field(default_factory=dict)
    nearly: Mapping[Tag, Tag] = field(default_factory=dict)

    @property
    def versions(self) -> Mapping[Version, Tag]:
        """The counted versions, and the tag of each."""
        return {**self.published.versions, **self.sure} if self.sure else self.published.versions

    @property
    def yanked(self) -> Mapping[Version, Tag]:
        """The versions that are marked as yanked, and the mark of each."""
        return self.published.yanked

    @property
    def listed(self) -> tuple[Tag, ...]:
        """The list of tags."""
        return self.published.tags

    def owners(self, further: Iterable[Version] = ()) -> Mapping[Tag, Version]:
        """Return the version that each floating tag belongs to, if further versions count too."""
        return self.published.owners_with({*self.sure, *further})

    def holds(self, tag: Tag) -> str:
        """Return in words what a floating tag holds.

        >>> from tagger.rules.scheme import Scheme
        >>> seen = Observed(Published.of([], Scheme()), {Tag("latest"): Digest("sha256:" + "0" * 64)})
        >>> seen.holds(Tag("latest"))
        'it holds sha256:000000000000 now'
        """
        if tag in self.unreadable:
            return "the registry cannot say where it points now"
        digest = self.digests.get(tag)
        if digest is None:
            return "it is missing now"
        return f"it holds {self.holders.get(tag) or self.nearly.get(tag) or digest[:SHORT_DIGEST]} now"


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one release in one repository: the version tag's first, then the floating tags'.

    `named` is the tag that keeps the image of a plain version tag before that follows a rebuild; None: not needed.
    """

    version: Version
    changes: tuple[Change, ...]
    named: Change | None = None

    @property
    def refused(self) -> str | None:
        """The reason for refusing this release, if there is one."""
        return next((c.reason for c in self.changes if c.action is Action.REFUSE), None)

    @property
    def version_change(self) -> Change:
        """The change of the version tag."""
        return self.changes[0]

    @property
    def floating_changes(self) -> tuple[Change, ...]:
        """The changes of the floating tags, the most specific first."""
        return self.changes[1:]

    @property
    def writes(self) -> bool:
        """Whether the plan writes anything."""
        return any(c.action in WRITES for c in self.changes)


def plan(version: Version, image: Digest | None, observed: Observed, *, overwrite: bool = False) -> Plan:
    """Plan the release of a version whose image has the digest `image` in this repository (None: not known yet).

    Refuses a version tag that holds another digest, unless `overwrite`.

    >>> from tagger.rules.scheme import Scheme
    >>> seen = Observed(Published.of(["2.1.106"], Scheme()),
    ...                 {Tag("latest"): Digest("sha256:new"), Tag("2.1.106"): Digest("sha256:new")})
    >>> for change in plan(Version.parse("1.9.9"), None, seen).changes:
    ...     print(change.action, change.tag, change.reason)
    create 1.9.9 None
    create 1.9 None
    create 1 None
    keep latest 2.1.106 is newer
    """
    if rebuilt := _rebuilt(version, observed):
        first = _change_of_rebuilt(version, image, rebuilt, observed)
    else:
        first = _version_change(version, image, observed, overwrite=overwrite)
    owners = observed.owners([version])
    floats = [
        _floating_change(tag, owners[tag], version, image, observed, overwrite=overwrite)
        for tag in observed.published.scheme.floating_tags(version)
    ]
    changes = (first, *floats)
    refused = next((change.tag for change in changes if change.action is Action.REFUSE), None)
    if refused:
        reason = f"{version if refused == first.tag else refused} is refused"
        changes = tuple(
            c if c.action is Action.REFUSE else replace(c, action=Action.KEEP, after=c.before, reason=reason)
            for c in changes
        )
        return Plan(version, changes)
    return Plan(version, changes, _named(version, image, observed))


def _named(version: Version, image: Digest | None, observed: Observed) -> Change | None:
    """Return the change that keeps the image of a plain version tag before that tag moves to a rebuild.

    Without any revision it is revision 0. A later foreign image there gets the number before this one or, if that is
    taken, the next one.
    """
    published, numbering = observed.published, observed.published.scheme.numbering
    plain = numbering.plain(version)
    held = observed.digests.get(tag := published.scheme.version_tag(plain))
    if plain == version or held in (None, image):
        return None
    listed = published.revisions(plain)
    number = 0
    if plain not in listed:
        if tag in observed.holders or held in {observed.digests.get(own) for own in listed.values()}:
            return None
        numbers = {found.revision or 0 for found in {*listed, version}}
        before = (version.revision or 0) - 1
        number = before if before >= 0 and before not in numbers else max(numbers) + 1
    named = numbering.rebuilt(plain, number)
    return Change(published.scheme.version_tag(named), Action.CREATE, named, None, held, f"keeps what {tag} held")


def _version_change(version: Version, image: Digest | None, observed: Observed, *, overwrite: bool) -> Change:
    tag = observed.published.scheme.version_tag(version)
    before = observed.digests.get(tag)
    holder = observed.versions.get(version, tag)
    held = observed.digests.get(holder)
    if version in observed.yanked:
        return _change_of_yanked(tag, version, before, image, overwrite=overwrite)
    if tag in observed.unreadable:
        return Change(tag, Action.MOVE, version, None, image, "forced: overwrites what the registry cannot read")
    if held is None:
        return Change(tag, Action.CREATE, version, None, image)
    if held == image:
        action = Action.UNCHANGED if before == image else Action.CREATE
        return Change(tag, action, version, before, image, None if tag == holder else f"{holder} holds this image too")
    if overwrite:
        action = Action.MOVE if before else Action.CREATE
        return Change(tag, action, version, before, image, f"forced: overwrites {held}")
    reason = f"{holder} is published with another image, {held}: release a new version, or overwrite it with --force"
    return Change(tag, Action.REFUSE, version, before, before, reason)


def _rebuilt(version: Version, observed: Observed) -> Version | None:
    """Return the newest rebuild of a plain version, if it has any."""
    if not observed.published.scheme.numbering.is_plain(version):
        return None
    return max((found for found in observed.published.revisions(version) if found != version), default=None)


def _change_of_rebuilt(version: Version, image: Digest | None, rebuilt: Version, observed: Observed) -> Change:
    """Leave a plain version tag to the newest rebuild, which it follows."""
    tag = observed.published.scheme.version_tag(version)
    before = observed.digests.get(tag)
    if before and before == image:
        return Change(tag, Action.UNCHANGED, version, before, image)
    reason = f"{version} follows its rebuild {rebuilt}: publish this image as the next revision with --revision"
    return Change(tag, Action.REFUSE, version, before, before, reason)


def _change_of_yanked(
    tag: Tag, version: Version, before: Digest | None, image: Digest | None, *, overwrite: bool
) -> Change:
    if not overwrite:
        reason = (
            f"{version} was yanked: release a new version, bring this one back with tagger yank --undo, or release"
            " another image as it with --force"
        )
        return Change(tag, Action.REFUSE, version, before, before, reason)
    return Change(tag, Action.MOVE if before else Action.CREATE, version, before, image, "forced: it was yanked")


def _floating_change(
    tag: Tag, owner: Version, version: Version, image: Digest | None, observed: Observed, *, overwrite: bool
) -> Change:
    """Move a floating tag to the image of this release, or keep it: a repair moves what has drifted."""
    before = observed.digests.get(tag)
    if owner != version:
        place = observed.versions[owner]
        right = place in observed.unreadable or (before is not None and before == observed.digests[place])
        aside = "" if right else f" ({observed.holds(tag)}: see tagger check)"
        return Change(tag, Action.KEEP, owner, before, before, f"{owner} is newer{aside}", drifted=not right)
    if tag in observed.unreadable:
        return Change(tag, Action.MOVE, owner, None, image, observed.holds(tag))
    if before is None:
        return Change(tag, Action.CREATE, owner, None, image)
    if before == image:
        return Change(tag, Action.UNCHANGED, owner, before, image)
    if near := observed.nearly.get(tag):
        return _change_of_other_rules(tag, owner, before, image, near, overwrite=overwrite)
    return Change(tag, Action.MOVE, owner, before, image)


def _change_of_other_rules(
    tag: Tag, owner: Version, before: Digest, image: Digest | None, near: Tag, *, overwrite: bool
) -> Change:
    if overwrite:
        return Change(tag, Action.MOVE, owner, before, image, f"forced: it holds the image of {near}")
    reason = (
        f"{tag} holds the image of {near}, which is almost a version, so this repository may follow other rules: add"
        f" {near} to ignore, choose other floats, or move {tag} with --force"
    )
    return Change(tag, Action.REFUSE, owner, before, before, reason)
