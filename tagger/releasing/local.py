"""The local tags that a release makes in the Engine."""

from __future__ import annotations

from collections.abc import Collection

from tagger.errors import TaggerError
from tagger.names import Digest, Reference
from tagger.releasing.order import Engine


class LocalTags:
    """The local tags that a release made, and what they held before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images: dict[Reference, Digest] = {}
        self._before: dict[Reference, Digest | None] = {}

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image, and remember what it held."""
        held = self._engine.tagged(reference)
        self._images[reference] = image
        self._before.setdefault(reference, held.id if held else None)
        self._engine.tag(image, reference)

    def put_back(self, published: Collection[Reference]) -> list[Reference]:
        """Put back all local tags but those `published`, and return those that the Engine did not put back.

        A tag that another program has moved stays as it is.
        """
        return [r for r in self._before if r not in published and not self._restored(r)]

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
