"""The state of a release while it runs: of its version tag at each placement, and of all that it wrote."""

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
    """This release has not pushed the version tag; `digest` is that of our image, as far as it is known."""

    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A push was begun, and our image has not been seen; if it `may_land`, the push has no known end either."""

    may_land: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """Our image was pushed and seen; `served` is false if the registry lists it but does not serve it."""

    digest: Digest
    served: bool = True


@dataclass(frozen=True, slots=True)
class Foreign:
    """The Engine pushed something else than our image."""

    digest: Digest


State = NotBegun | Unknown | Ours | Foreign


@dataclass(slots=True)
class Share:
    """One placement's share of a release while it runs.

    `first` is what was seen before anything was written, `seen` what was seen after the version tag was pushed, and
    `plan` the plan in force. `written` is what this release wrote under each floating tag, `unmarked` what the mark of
    a yanked version held, `unknown` the floating tags that held no known version's image, `named` those that keep what
    a plain version tag held. `now` is where tags were seen last; those `in_doubt` could not be put back, or nobody
    knows where they are.
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
        """The digest of our image here, as far as it is known."""
        return self.state.digest if isinstance(self.state, NotBegun | Ours) else None

    @property
    def unserved(self) -> bool:
        """Whether the registry does not serve what was pushed."""
        return isinstance(self.state, Ours) and not self.state.served

    @property
    def pushed(self) -> bool:
        """Whether a push of the version tag was begun."""
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
        """List the floating tags that are to be written."""
        return [change.tag for change in self.plan.floating_changes if change.action in WRITES]


@dataclass(slots=True)
class Run:
    """A release while it runs; `sights` is what was seen at each placement, if somebody has looked just now.

    `ran` are the gates that ran and `ran_after` the commands after the release, `evidence` is what was looked for
    and `candidates` the tags under which images wait for that, `waiting` their local tags, and `notes` are warnings.
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
        """Report what happens; an error of whoever listens must not stop the release."""
        with contextlib.suppress(Exception):
            self.told(line)
