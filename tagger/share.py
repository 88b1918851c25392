"""One repository's share of a release while it runs, and what a release asks of an Engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tagger.cascade import Scheme, Version
from tagger.plan import WRITES, Observed, Plan
from tagger.reference import Digest, Reference, Tag
from tagger.settle import Tags


class FloatsVia(StrEnum):
    """What moves the floating tags: a push through the Engine, or a manifest PUT to the registry."""

    ENGINE = "engine"
    REGISTRY = "registry"


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
class Order:
    """What is to be released, and how."""

    name: str
    image: Image
    version: Version
    scheme: Scheme = field(default_factory=Scheme)
    via: FloatsVia = FloatsVia.ENGINE
    overwrite: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Share:
    """One repository's share of a release while it runs.

    `first` is what was seen before anything was written, `plan` the plan in force, `digest` the version tag's digest
    once that is verified, `wrong` the digest of a push that was not our image, `settled` what was verified last. After
    a failure `lost` names what could not be put back, and `unknown` says that nobody knows whether the version landed.
    """

    repository: Tags
    first: Observed
    plan: Plan
    digest: Digest | None
    pushed: bool = False
    touched: bool = False
    wrong: Digest | None = None
    settled: Observed | None = None
    lost: Sequence[Tag] = ()
    unknown: bool = False

    @property
    def version_tag(self) -> Tag:
        """Give the tag that spells the version."""
        return self.plan.version_change.tag

    @property
    def before(self) -> Digest | None:
        """Give what the version tag held before this release."""
        return self.first.digests.get(self.version_tag)

    @property
    def overwrote(self) -> bool:
        """Say whether this release was forced over another image."""
        return self.pushed and self.before is not None and self.before != self.digest

    @property
    def written(self) -> list[Tag]:
        """Name the floating tags that this release was about to write, or has written."""
        return [c.tag for c in self.plan.floating_changes if self.touched and c.action in WRITES]

    @property
    def stands(self) -> bool:
        """Say whether the version is published here with our image."""
        return self.digest is not None and (self.pushed or self.before == self.digest)


class LocalTags:
    """The local tags that a release made, and what they were before."""

    def __init__(self, engine: Engine, image: Digest) -> None:
        self._engine = engine
        self._image = image
        self._before: dict[Reference, Digest | None] = {}

    def tag(self, reference: Reference) -> None:
        """Point a local tag at the image, and remember what it was."""
        held = self._engine.tagged(reference)
        self._before.setdefault(reference, held.id if held else None)
        self._engine.tag(self._image, reference)

    def put_back(self, standing: Sequence[Reference]) -> None:
        """Put back every local tag whose like in the registry does not stand, unless another program has moved it."""
        for reference, before in self._before.items():
            now = self._engine.tagged(reference)
            if reference in standing or now is None or now.id != self._image:
                continue
            if before is None:
                self._engine.untag(reference)
            else:
                self._engine.tag(before, reference)
