"""One line's share of a release while it runs, and what a release asks of an Engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tagger.errors import TaggerError
from tagger.names import Digest, Reference, Repository, Tag
from tagger.oci.manifest import Manifest
from tagger.releasing.placement import Placement
from tagger.repository.observe import Tags
from tagger.rules.plan import Observed, Plan
from tagger.rules.scheme import Scheme, Version


class FloatsVia(StrEnum):
    """What moves the floating tags: a push through the Engine, or a manifest PUT to the registry."""

    ENGINE = "engine"
    REGISTRY = "registry"


class Target(Tags, Protocol):
    """A repository that images are pushed to."""

    def check_push(self) -> None:
        """Find out whether a push would be let in; raise Refused when it would not."""

    def check_removal(self) -> None:
        """Find out whether a tag can be taken away; raise Refused when none can."""


class Image(Protocol):
    """An image as a release sees it."""

    @property
    def id(self) -> Digest:
        """Give the Engine's ID."""

    @property
    def digest(self) -> Digest | None:
        """Give the digest that it has in every registry, None where the Engine's store does not know."""


class Engine(Protocol):
    """An Engine as a release sees it."""

    def tagged(self, reference: Reference) -> Image | None:
        """Give the image behind a local tag."""

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image."""

    def untag(self, reference: Reference) -> None:
        """Take a local tag away."""

    def push(self, reference: Reference) -> Digest:
        """Push a tag and give its digest."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Placements, with the images that their names stand for and their repositories opened."""

    placements: Sequence[Placement]
    images: Mapping[str, Image]
    targets: Mapping[Repository, Target]


@dataclass(frozen=True, slots=True)
class Order:
    """Which version is to be released, and how; under `assume_newest` no other version is known."""

    version: Version
    via: FloatsVia = FloatsVia.ENGINE
    overwrite: bool = False
    dry_run: bool = False
    assume_newest: bool = False


@dataclass(slots=True)
class Share:
    """One placement's share of a release while it runs.

    `first` is what was seen before anything was written, `plan` the plan in force, `digest` that of our image as far as
    it is known, `pushed` whether the push of the version tag was begun, `broken_off` that it has no known end, `unread`
    that the registry did not serve what was pushed, `wrong` the digest of a push that was not our image, `wrote` what
    was written under each floating tag, `unknown` what floating tags held that is no known version's image,
    `overwritten` that digest if somebody else had just moved all of them to it, `seen` what was seen after the version
    tag was pushed, `unmarked` what the mark held that said that this version was yanked. `now` says where tags were
    seen last; nobody knows about those `in_doubt`, or they could not be put back.
    """

    placement: Placement
    image: Image
    repository: Target
    first: Observed
    plan: Plan
    digest: Digest | None
    pushed: bool = False
    broken_off: bool = False
    unread: bool = False
    wrong: Digest | None = None
    overwritten: Digest | None = None
    seen: Observed | None = None
    unmarked: Manifest | None = None
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)
    unknown: Mapping[Tag, Digest] = field(default_factory=dict)
    now: dict[Tag, Digest | None] = field(default_factory=dict)
    in_doubt: set[Tag] = field(default_factory=set)

    @property
    def scheme(self) -> Scheme:
        """Give the line's scheme."""
        return self.placement.scheme

    @property
    def version_tag(self) -> Tag:
        """Give the tag that spells the version."""
        return self.plan.version_change.tag

    @property
    def reference(self) -> Reference:
        """Give the full name of the version tag."""
        return self.repository.name.tagged(self.version_tag)

    @property
    def before(self) -> Digest | None:
        """Give what the version tag held before this release."""
        return self.first.digests.get(self.version_tag)

    @property
    def published_before(self) -> Digest | None:
        """Give what the version was before this release, under whichever spelling."""
        return self.first.digests.get(self.first.versions.get(self.plan.version, self.version_tag))

    @property
    def written(self) -> set[Tag]:
        """Name the floating tags that this release was about to write, or has written."""
        return set(self.wrote)

    @property
    def stands(self) -> bool:
        """Say whether the version tag is known to hold our image."""
        held = self.now.get(self.version_tag, self.before)
        return held is not None and held == self.digest and self.version_tag not in self.in_doubt


class LocalTags:
    """The local tags that a release made, and what they were before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images: dict[Reference, Digest] = {}
        self._before: dict[Reference, Digest | None] = {}

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image, and remember what it was."""
        held = self._engine.tagged(reference)
        self._images[reference] = image
        self._before.setdefault(reference, held.id if held else None)
        self._engine.tag(image, reference)

    def put_back(self, standing: Collection[Reference]) -> list[Reference]:
        """Put back the local tags but those `standing`, and give those that the Engine did not let go back.

        A tag that another program has moved meanwhile is left to it.
        """
        return [r for r in self._before if r not in standing and not self._restored(r)]

    def _restored(self, reference: Reference) -> bool:
        try:
            now, before = self._engine.tagged(reference), self._before[reference]
            if now is None or now.id != self._images[reference]:
                return True
            if before is None:
                self._engine.untag(reference)
            else:
                self._engine.tag(before, reference)
        except TaggerError:
            return False
        return True
