"""A model repository whose tags can be removed, as in each kind of registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model import ModelRepository

from tagger.errors import BadAnswer, Refused
from tagger.names import Digest, Tag
from tagger.repository import remove as removal
from tagger.repository.removal import Removable
from tagger.repository.remove import Removal
from tagger.rules.scheme import Scheme


@dataclass(slots=True)
class Shelf(ModelRepository):
    """A repository of a registry that deletes a "tag", its "siblings" with it, or "nothing"; `stuck` digests stay."""

    deletes: str = "tag"
    stuck: frozenset[Digest] = frozenset()

    def listed(self) -> Sequence[Tag] | None:
        """List every tag, None if there never was one."""
        return ModelRepository.tags(self) if self.manifests else None

    def check_removal(self) -> None:
        """Whether this kind of registry removes tags."""
        if self.deletes == "nothing":
            raise Refused("deletes are off: switch them on")

    def remove(self, tag: Tag) -> None:
        """Remove one tag; one of `stuck` stays, and in a registry of the kind "siblings" its image goes too."""
        held = self.held.get(tag)
        if held in self.stuck:
            with self.around(f"remove {tag}"):
                raise BadAnswer(f"{tag} stays: try again")
        ModelRepository.remove(self, tag)
        if self.deletes == "siblings" and held:
            self.held = {other: digest for other, digest in self.held.items() if digest != held}
            del self.manifests[held]


def remove(
    repository: Removable,
    schemes: Sequence[Scheme],
    names: Sequence[str],
    *,
    dry_run: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Removal:
    """Remove as `tagger.remove` does, and raise a failure with what was already done."""
    return removal.remove(repository, schemes, names, dry_run=dry_run, note=note).or_raise()


def remove_all(repository: Removable, schemes: Sequence[Scheme], *, dry_run: bool = False) -> Removal:
    """Remove every tag, as `tagger.remove_all` does."""
    return removal.remove_all(repository, schemes, dry_run=dry_run).or_raise()
