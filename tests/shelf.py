"""A model repository whose tags can be removed, as registries of each kind do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model import ModelRepository

from tagger.errors import Refused, RegistryError
from tagger.manifest import Descriptor
from tagger.reference import Digest, Tag


@dataclass(slots=True)
class Shelf(ModelRepository):
    """A repository of a registry that deletes "tag", "digest" or "nothing"; `stuck` digests stay whatever is asked."""

    deletes: str = "tag"
    throw_away: bool = True
    stuck: frozenset[Digest] = frozenset()

    def listed(self) -> Sequence[Tag] | None:
        """List every tag, None if there never was one."""
        return ModelRepository.tags(self) if self.manifests else None

    def descriptor(self, tag: Tag) -> Descriptor | None:
        """Say what a tag points at."""
        digest = self.digest(tag)
        return Descriptor(self.manifests[digest].media_type, digest) if digest else None

    def deletes_single_tags(self) -> bool:
        """Say which kind of registry this is."""
        if self.deletes == "nothing":
            raise Refused("deletes are off: switch them on")
        return self.deletes == "tag"

    def delete(self, reference: Tag | Digest) -> None:
        """Delete a tag, or a digest with every tag on it and every index that lists it."""
        with self.around(f"delete {reference}"):
            if ":" not in reference:
                assert self.deletes == "tag", "this registry answers 400 to that"
                self.held.pop(Tag(reference), None)
                self.unreadable.discard(Tag(reference))
                return
            digest = Digest(reference)
            if digest in self.stuck:
                raise RegistryError(f"{digest} stays: try again")
            broken = {digest}
            while more := {d for d, m in self.manifests.items() if broken & {*m.children()}} - broken:
                broken |= more
            self.held = {tag: held for tag, held in self.held.items() if held not in broken}

    def remove(self, tag: Tag) -> None:
        """Take one tag away by a throw-away manifest, where the registry takes that."""
        if not self.throw_away:
            raise RegistryError("an empty index is not accepted: ask whoever runs it")
        ModelRepository.remove(self, tag)
