"""The state of a running release: its version tag at each placement, and everything that it wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TypeVar

from tagger.events import Progress
from tagger.gating.command import Present, Ran
from tagger.names import Digest, Reference, Tag
from tagger.oci.manifest import Manifest
from tagger.releasing.local import LocalTags
from tagger.releasing.order import Engine, Image, Opened, Order, Target
from tagger.releasing.placement import Placement
from tagger.rules.plan import WRITES, Change, Observed, Plan
from tagger.rules.scheme import Scheme
from tagger.values import dataclass
from tagger.work import Deadline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NotBegun:
    """This release has not pushed the version tag; `digest` is that of our image, if known."""

    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A push began, and our image was not seen yet; if it `may_land`, the end of the push is unknown too."""

    may_land: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """Our image was pushed and seen; `served` is false if the registry lists it but does not serve it."""

    digest: Digest
    served: bool = True


@dataclass(frozen=True, slots=True)
class Foreign:
    """The Engine pushed another image."""

    digest: Digest


State = NotBegun | Unknown | Ours | Foreign


@dataclass(slots=True)
class Share:
    """One placement's share of a running release.

    `first` is the observation before any write, `seen` the one after the push of the version tag, and `plan` the
    current plan. `written` is what this release wrote to each floating tag, `unmarked` what the mark of a yanked
    version held, `unknown` the floating tags that held an unknown image, and `named` the tags that keep the old image
    of a plain version tag. `now` is the last known content of tags; those `in_doubt` could not be put back, or their
    content is unknown.
    """

    placement: Placement
    image: Image
    repository: Target
    first: Observed
    plan: Plan
    state: State
    seen: Observed | None = None
    unmarked: Manifest | None = None
    written: dict[Tag, set[Digest]] = field(default_factory=dict)
    unknown: Mapping[Tag, Digest] = field(default_factory=dict)
    named: dict[Tag, Change] = field(default_factory=dict)
    now: dict[Tag, Digest | None] = field(default_factory=dict)
    in_doubt: set[Tag] = field(default_factory=set)

    @property
    def scheme(self) -> Scheme:
        """The scheme under which the image is released."""
        return self.placement.scheme

    @property
    def digest(self) -> Digest | None:
        """The digest of our image here, if known."""
        return self.state.digest if isinstance(self.state, NotBegun | Ours) else None

    @property
    def unserved(self) -> bool:
        """Whether the registry does not serve the pushed image."""
        return isinstance(self.state, Ours) and not self.state.served

    @property
    def pushed(self) -> bool:
        """Whether a push of the version tag began."""
        return not isinstance(self.state, NotBegun)

    @property
    def begun(self) -> bool:
        """Whether this release has written anything here, or may have."""
        return self.pushed or bool(self.written)

    @property
    def version_tag(self) -> Tag:
        """The tag that spells the version."""
        return self.plan.version_change.tag

    @property
    def reference(self) -> Reference:
        """The full name of the version tag."""
        return self.repository.name.tagged(self.version_tag)

    @property
    def before(self) -> Digest | None:
        """What the version tag held before this release."""
        return self.first.digests.get(self.version_tag)

    @property
    def published_before(self) -> Digest | None:
        """What the version was before this release, under either spelling."""
        return self.first.digests.get(self.first.versions.get(self.plan.version, self.version_tag))

    @property
    def published(self) -> bool:
        """Whether the version tag is known to hold our image."""
        held = self.now.get(self.version_tag, self.before)
        return held is not None and held == self.digest and self.version_tag not in self.in_doubt

    def moves(self) -> list[Tag]:
        """List the floating tags to write."""
        return [change.tag for change in self.plan.floating_changes if change.action in WRITES]


@dataclass(slots=True)
class Run:
    """A running release; `sights` are fresh observations of the placements, if there are any.

    `ran` are the gates that ran, `ran_after` the commands after the release, and `evidence` the checked evidence.
    `candidates` are the tags under which images wait, `waiting` their local tags, and `notes` are warnings.
    """

    engine: Engine
    opened: Opened
    order: Order
    told: Progress
    local: LocalTags
    sights: Sequence[Observed] | None = None
    shares: list[Share] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    ran_after: list[Ran] = field(default_factory=list)
    evidence: list[Present] = field(default_factory=list)
    candidates: dict[Reference, Digest] = field(default_factory=dict)
    waiting: list[LocalTags] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def deadline(self) -> Deadline:
        """The time that the release has."""
        return next(iter(self.opened.targets.values())).deadline

    def at_once(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run tasks at once, and return their results."""
        return self.deadline.at_once(tasks)

    def progress(self, line: str) -> None:
        """Report progress; an error in the callback must not stop the release."""
        with contextlib.suppress(Exception):
            self.told(line)
