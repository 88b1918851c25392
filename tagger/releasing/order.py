"""The order of a release, and what it needs: images, repositories, and an Engine that pushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from tagger.gating.command import GATE_SECONDS, Command
from tagger.names import Digest, Reference, Repository
from tagger.oci.evidence import Evidence, Origin
from tagger.releasing.placement import Placement
from tagger.repository.observe import Tags
from tagger.rules.version import Version
from tagger.values import dataclass


class FloatsVia(StrEnum):
    """How floating tags move: the Engine pushes them, or tagger writes them to the registry by a manifest PUT."""

    ENGINE = "engine"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Order:
    """Which version to release, and how.

    `assume_newest`: no other version is read. `as_revision`: the version gets its next revision.

    No tag moves before all `gates` have succeeded for the exact digest, and all kinds of evidence in `require` exist.
    Each gate has `gate_seconds`, and so has each command that runs `after` the release.
    """

    version: Version
    via: FloatsVia = FloatsVia.ENGINE
    overwrite: bool = False
    dry_run: bool = False
    assume_newest: bool = False
    as_revision: bool = False
    gates: tuple[Command, ...] = ()
    gate_seconds: float = GATE_SECONDS
    after: tuple[Command, ...] = ()
    require: tuple[str, ...] = ()

    @property
    def judges(self) -> bool:
        """Whether there are gates or required evidence."""
        return bool(self.gates or self.require)


class Target(Tags, Protocol):
    """A repository to which images are pushed."""

    def check_push(self) -> None:
        """Raise Refused if the registry would not accept a push."""

    def check_removal(self) -> None:
        """Raise Refused if the registry deletes no tags."""


class Image(Protocol):
    """An image of an Engine, or a promoted one."""

    @property
    def id(self) -> Digest:
        """Its ID in the Engine."""

    @property
    def digest(self) -> Digest | None:
        """Its digest in every registry; None if the Engine's store does not know it."""


class Engine(Protocol):
    """An Engine, or a replacement."""

    def tagged(self, reference: Reference) -> Image | None:
        """Return the image behind a local tag."""

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image."""

    def untag(self, reference: Reference) -> None:
        """Remove a local tag."""

    def push(self, reference: Reference) -> Digest:
        """Push a tag, and return its digest."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Placements with their images and their opened repositories.

    `evidence` finds the evidence for an image, and `origins` are the required sources of images.
    """

    placements: Sequence[Placement]
    images: Mapping[str, Image]
    targets: Mapping[Repository, Target]
    evidence: Callable[[Repository, Digest], Evidence] = lambda _, digest: Evidence(digest)
    origins: Mapping[str, Origin] = field(default_factory=dict)
