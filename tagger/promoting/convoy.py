"""The images of a promotion. For a release this is an Engine: it "pushes" a tag by writing the manifest of its image.

Every image is copied to all of its repositories before the first tag, so a failed copy leaves no tag.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import field
from functools import partial

from tagger.errors import TaggerError
from tagger.names import Digest, Reference, Registry
from tagger.promoting.copy import Courier
from tagger.registry.repository import RemoteRepository
from tagger.values import dataclass


@dataclass(slots=True)
class Convoy:
    """The couriers of all images. A release makes a local tag before each push; it says which image the push is for."""

    couriers: Sequence[Courier]
    _images: dict[Reference, Digest] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _copied: bool = False
    _failed: TaggerError | None = None

    def tagged(self, reference: Reference) -> None:  # noqa: ARG002 - an Engine's signature
        """None, since there are no local tags."""
        return

    def tag(self, image: Digest, reference: Reference) -> None:
        """Note which image a tag is for."""
        self._images[reference] = image

    def untag(self, reference: Reference) -> None:
        """Do nothing, since there are no local tags."""

    def push(self, reference: Reference) -> Digest:
        """Copy every image, if that is not done yet, and write the manifest under the tag.

        Raises what `Courier.bring` raises.
        """
        assert reference.tag, "a release pushes tags"  # noqa: S101 - it does
        courier = self._courier(reference)
        self._copy_all()
        courier.targets[reference.repository].put(reference.tag, courier.original.manifest)
        return courier.original.digest

    def _courier(self, reference: Reference) -> Courier:
        """Return the courier of a tag's image; the same image may come from two sources, to two repositories."""
        image, target = self._images[reference], reference.repository
        return next(each for each in self.couriers if each.original.id == image and target in each.targets)

    def _copy_all(self) -> None:
        """Copy to all registries concurrently, but to each one image after the other, because they may share layers."""
        with self._lock:
            if self._failed:
                raise self._failed
            if self._copied:
                return
            routes: dict[Registry, list[tuple[Courier, RemoteRepository]]] = {}
            for courier in self.couriers:
                for target in courier.targets.values():
                    routes.setdefault(target.name.registry, []).append((courier, target))
            deadline = self.couriers[0].original.deadline
            try:
                deadline.at_once([partial(_copy, route) for route in routes.values()])
            except TaggerError as error:
                self._failed = error
                raise
            self._copied = True


def _copy(route: Sequence[tuple[Courier, RemoteRepository]]) -> None:
    for courier, target in route:
        courier.bring(target)
