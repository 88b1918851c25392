"""Repositories and an Engine in memory, for properties: an operation can be counted, failed, delayed or answered late.

Every operation runs inside `around(name)`, a context manager that a test may replace: what it raises on the way in
keeps the operation from happening, what it raises on the way out loses only the answer.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clocks import Skipping

from tagger.errors import TaggerError, Unreadable
from tagger.events import Progress
from tagger.names import Digest, Reference, Repository, Tag
from tagger.oci.manifest import OCI_MANIFEST, Descriptor, Manifest
from tagger.releasing import steps
from tagger.releasing.order import Engine, Opened, Order, Target
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.rules.resolve import resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, parse_version
from tagger.work import Deadline

Around = Callable[[str], AbstractContextManager[None]]
T = TypeVar("T")


def undisturbed(_operation: str) -> AbstractContextManager[None]:
    """Let every operation pass."""
    return contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class ModelImage:
    """An image: its ID in the Engine, and its manifest; the Engine does not know the digest before a push."""

    id: Digest
    manifest: Manifest
    digest: Digest | None = None


@functools.cache
def image(name: str) -> ModelImage:
    """Make an image that differs from every image of another name."""
    image_id = Digest(f"sha256:{hashlib.sha256(name.encode()).hexdigest()}")
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {"digest": image_id}, "layers": []}
    return ModelImage(image_id, Manifest.of(OCI_MANIFEST, json.dumps(body).encode()))


def every_tag(versions: Iterable[Version], scheme: Scheme) -> dict[Tag, Version]:
    """Return which version every tag belongs to when exactly these are published, version tags included."""
    found = list(versions)
    return {scheme.version_tag(version): version for version in found} | resolve(found, scheme)


def placed(name: str, repositories: Iterable[Target], schemes: Iterable[Scheme] = (Scheme(),)) -> Opened:
    """Place the image of that name in each repository, under each scheme."""
    targets = {repository.name: repository for repository in repositories}
    placements = [Placement("image-gallery", target, scheme) for target in targets for scheme in schemes]
    return Opened(placements, {"image-gallery": image(name)}, targets)


def release(engine: Engine, opened: Opened, order: Order, progress: Progress = lambda _: None) -> Release:
    """Release as `tagger.release` does, and raise a failure with the release that failed."""
    return steps.release(engine, opened, order, progress).or_raise()


@dataclass(slots=True)
class ModelRepository:
    """A repository as a dict: `held` says which digest every tag points at.

    `ghosts` are listed and absent, `hidden` are there and not listed; no read says where a tag of `unreadable` points
    until it is written again. Those of `together` can be put by one request, those of `half_removed` hold a
    placeholder.
    """

    name: Repository = field(default_factory=lambda: Repository.parse("registry.local:5000/gallery/ui"))
    held: dict[Tag, Digest] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    ghosts: set[Tag] = field(default_factory=set)
    hidden: set[Tag] = field(default_factory=set)
    unreadable: set[Tag] = field(default_factory=set)
    together: set[Tag] = field(default_factory=set)
    half_removed: set[Tag] = field(default_factory=set)
    clock: Skipping = field(default_factory=Skipping)
    deadline: Deadline = field(init=False)
    around: Around = undisturbed
    writes: list[str] = field(default_factory=list)
    _past: list[Mapping[Tag, Digest]] = field(default_factory=list)
    _shown: Mapping[Tag, Digest] | None = None

    def __post_init__(self) -> None:
        self.deadline = Deadline(clock=self.clock, pool=OneByOne)

    @classmethod
    def published(cls, versions: Mapping[str, str] | Iterable[str] = (), **held: str) -> ModelRepository:
        """Publish each version with the image named (by default its own), and put every floating tag where it belongs.

        `held` names further tags and their images, `latest="2.1.105"`: a drifted or a foreign one.
        """
        repository = cls()
        images = dict(versions) if isinstance(versions, Mapping) else {version: version for version in versions}
        for tag, version in every_tag([parse_version(v) for v in images], Scheme()).items():
            repository.hold(tag, images[str(version)])
        for further, name in held.items():
            repository.hold(further, name)
        return repository

    def hold(self, tag: str, name: str) -> None:
        """Point a tag at the image of that name."""
        self.write(Tag(tag), image(name).manifest)

    def write(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest, and keep that."""
        self.held[tag] = manifest.digest
        self.manifests[manifest.digest] = manifest
        self.ghosts.discard(tag)
        self.unreadable.discard(tag)

    def answer_late(self, lists: int) -> None:
        """Answer that many lists, and every other read until the next list, as they are now."""
        self._past = [dict(self.held)] * lists

    def listed(self) -> Sequence[Tag] | None:
        """List every tag; a model without tags does not exist."""
        return self.tags() or None

    def tags(self) -> Sequence[Tag]:
        """List every tag."""
        with self.around("list"):
            self._shown = self._past.pop() if self._past else None
            return [*(tag for tag in self._seen if tag not in self.hidden), *self.ghosts]

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Return where a tag points, or whether a digest is there."""
        with self.around(f"head {tag}"):
            if ":" in tag:
                return Digest(tag) if tag in self.manifests else None
            self._check_readable(Tag(tag))
            return self._seen.get(Tag(tag))

    def is_index(self, digest: Digest) -> bool:
        """Whether a digest is that of an index."""
        return digest in self.manifests and self.manifests[digest].is_index

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Return what a tag points at, or whether a digest is there."""
        digest = Digest(tag) if ":" in tag else self.digest(Tag(tag))
        manifest = self.manifests.get(digest) if digest else None
        return Descriptor(manifest.media_type, manifest.digest) if manifest else None

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """A manifest."""
        with self.around(f"get {reference}"):
            if ":" in reference:
                return self.manifests.get(Digest(reference))
            self._check_readable(Tag(reference))
            digest = self._seen.get(Tag(reference))
            return self.manifests[digest] if digest else None

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest."""
        with self.around(f"put {tag}"):
            self.writes.append(f"put {tag}")
            self.write(tag, manifest)

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> Collection[Tag]:
        """Point at a manifest those tags that one request can write together: by default none."""
        taken = [tag for tag in tags if tag in self.together]
        with self.around(f"put {' '.join(tags)}"):
            for tag in taken:
                self.write(tag, manifest)
        self.writes += [f"put {' '.join(taken)}"] * bool(taken)
        return taken

    def check_push(self) -> None:
        """Let every push in."""
        with self.around("ask for the right to push"):
            pass

    def check_removal(self) -> None:
        """Let every tag go."""

    def is_half_removed(self, tag: Tag) -> bool:
        """No removal is ever interrupted: a tag goes at once."""
        return tag in self.half_removed

    def remove(self, tag: Tag) -> None:
        """Remove a tag."""
        with self.around(f"remove {tag}"):
            self.writes.append(f"remove {tag}")
            self.held.pop(tag, None)
            self.unreadable.discard(tag)

    @property
    def _seen(self) -> Mapping[Tag, Digest]:
        return self.held if self._shown is None else self._shown

    def _check_readable(self, tag: Tag) -> None:
        if tag in self.unreadable:
            raise Unreadable(f"{self.name} fails to say where {tag} points: try again")


@dataclass(slots=True)
class ModelEngine:
    """An Engine that has `images`; like the real one, it pushes whatever a local tag points at when the push starts."""

    repositories: Sequence[ModelRepository]
    images: Sequence[ModelImage]
    local: dict[Reference, Digest] = field(default_factory=dict)
    around: Around = undisturbed

    def tagged(self, reference: Reference) -> ModelImage | None:
        """The image behind a local tag."""
        with self.around(f"inspect {reference.tag}"):
            return self._image(self.local[reference]) if reference in self.local else None

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image."""
        with self.around(f"tag {reference.tag}"):
            self.local[reference] = self._image(image).id

    def untag(self, reference: Reference) -> None:
        """Remove a local tag."""
        with self.around(f"untag {reference.tag}"):
            del self.local[reference]

    def push(self, reference: Reference) -> Digest:
        """Push a tag, in two operations: others may act between its start and its end."""
        assert reference.tag
        with self.around(f"start to push {reference.tag}"):
            manifest = self._image(self.local[reference]).manifest
        with self.around(f"push {reference.tag}"):
            repository = next(r for r in self.repositories if r.name == reference.repository)
            repository.write(reference.tag, manifest)
            return manifest.digest

    def _image(self, image_id: Digest) -> ModelImage:
        return next(image for image in self.images if image.id == image_id)


class Fault:
    """Count the operations, and fail number `at`: before it does anything, or after it has done everything.

    It fails once, or, if that is `lasting`, whenever the operation is tried again.
    """

    def __init__(
        self,
        at: int,
        error: Callable[[str], BaseException] = TaggerError,
        *,
        after: bool = False,
        lasting: bool = False,
    ) -> None:
        self.operations: list[str] = []
        self._lasting = lasting
        self._at = at
        self._error = error
        self._after = after

    @contextlib.contextmanager
    def __call__(self, operation: str) -> Iterator[None]:
        """Run one operation."""
        self.operations.append(operation)
        due = len(self.operations) - 1 == self._at
        due = due or (self._lasting and operation in self.operations[self._at : self._at + 1])
        if due and not self._after:
            raise self._error(operation)
        yield
        if due and self._after:
            raise self._error(operation)


class Crash(BaseException):
    """A killed process: nothing catches this, and nothing is put back."""


class Death:
    """Stop a releaser forever at operation `at`: before it, or after it."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._left = at
        self._after = after
        self.struck = False

    @contextlib.contextmanager
    def __call__(self, _operation: str) -> Iterator[None]:
        """Run one operation; once dead, none."""
        if self.struck:
            raise Crash
        self._left -= 1
        self.struck = self._left < 0
        if self.struck and not self._after:
            raise Crash
        yield
        if self.struck:
            raise Crash


class Turns:
    """Run tasks in threads, one operation at a time; `choose` says which of n threads is next."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._stopped = threading.Semaphore(0)
        self._mine = threading.local()

    @contextlib.contextmanager
    def __call__(self, _operation: str) -> Iterator[None]:
        """Wait for this thread's turn before one operation."""
        self._stopped.release()
        self._mine.turn.acquire()
        yield

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T | BaseException]:
        """Run the tasks to their ends; return what each returned or raised."""
        results: dict[int, T | BaseException] = {}
        turns = [threading.Semaphore(0) for _ in tasks]

        def work(number: int) -> None:
            self._mine.turn = turns[number]
            try:
                turns[number].acquire()
                results[number] = tasks[number]()
            except (Exception, KeyboardInterrupt, Crash) as problem:  # noqa: BLE001 - the test asks for it
                results[number] = problem
            self._stopped.release()

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(tasks))]
        for thread in threads:
            thread.start()
        while waiting := [number for number in range(len(tasks)) if number not in results]:
            turns[waiting[self._choose(len(waiting))]].release()
            self._stopped.acquire()
        for thread in threads:
            thread.join()
        return [results[number] for number in range(len(tasks))]


def bursts(chance: random.Random) -> Callable[[int], int]:
    """Choose who moves next, mostly for some moves in a row: in a race, one releaser must get far ahead of another."""
    lengths = iter(lambda: (chance.random(), chance.choice((1, 1, 3, 10, 30))), None)
    moves = (who for who, length in lengths for _ in range(length))
    return lambda waiting: int(next(moves) * waiting)


def both(outer: Around, inner: Around) -> Around:
    """Run every operation inside two."""

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        with outer(operation), inner(operation):
            yield

    return around


class OneByOne(Executor):
    """Stand in for a pool of threads: run each task when it is submitted, so that their order is the test's."""

    def __init__(self, _: int) -> None:
        pass

    def submit(self, task: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        """Run a task."""
        future: Future[T] = Future()
        try:
            future.set_result(task(*given, **named))
        except (Exception, KeyboardInterrupt, Crash) as problem:  # noqa: BLE001 - a pool keeps whatever it is
            future.set_exception(problem)
        return future
