"""The versions whose images floating tags hold: found by reading the likeliest tags, a few at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tagger.errors import Unreadable
from tagger.names import Digest, Tag
from tagger.repository.observe import Tags, ask
from tagger.rules.plan import Observed
from tagger.rules.version import Version, newest_first
from tagger.values import dataclass

# A floating tag mostly holds the right version, or one shortly before; no more than this are read.
_SEARCHED = 64
_BATCH = 8


@dataclass(slots=True)
class Search:
    """A search for tags by their digests, which reads each tag once; `known` are the digests so far."""

    repository: Tags
    known: dict[Tag, Digest | Unreadable | None]

    def first_holder(self, digest: Digest, candidates: Collection[Tag]) -> Tag | None:
        """Return the first of the candidates that holds a digest."""
        likely = [*candidates][:_SEARCHED]
        for start in range(0, len(likely), _BATCH):
            batch = likely[start : start + _BATCH]
            self._ask(batch)
            if found := self._found(digest, batch):
                return found
        return None

    def any_holder(self, digest: Digest, candidates: Sequence[Tag]) -> Tag | None:
        """Return a candidate that holds a digest: the first of the known ones, if any."""
        likely = candidates[:_SEARCHED]
        for start in range(0, len(likely), _BATCH):
            if found := self._found(digest, candidates):
                return found
            self._ask(likely[start : start + _BATCH])
        return self._found(digest, candidates)

    def _ask(self, tags: Sequence[Tag]) -> None:
        self.known |= ask(self.repository, [tag for tag in tags if tag not in self.known])

    def _found(self, digest: Digest, candidates: Sequence[Tag]) -> Tag | None:
        return next((tag for tag in candidates if self.known.get(tag) == digest), None)


def holders(repository: Tags, observed: Observed, tags: Iterable[Tag]) -> tuple[dict[Tag, Version], dict[Tag, Tag]]:
    """Find whose image each of these floating tags holds: that of a version, or of a tag that is nearly a version.

    A tag with another image is in neither result. Versions that lead a series are read first, then the newest.
    """
    held = {tag: digest for tag in tags if (digest := observed.digests.get(tag))}
    if not held:
        return {}, {}
    search = Search(repository, dict(observed.digests))
    ordered, tag_of = likeliest_first(observed), observed.versions
    of = {tag: version for version, tag in tag_of.items()}
    versions: dict[Tag, Version] = {}
    for tag, digest in held.items():
        competing_first = sorted(ordered, key=lambda v: tag not in observed.published.scheme.floating_tags(v))
        if found := search.any_holder(digest, [tag_of[version] for version in competing_first]):
            versions[tag] = of[found]
    strange = {tag: digest for tag, digest in held.items() if tag not in versions}
    near = _near_versions(observed, held) if strange else []
    found_near = {tag: search.any_holder(digest, near) for tag, digest in strange.items()}
    return versions, {tag: found for tag, found in found_near.items() if found}


def likeliest_first(observed: Observed) -> list[Version]:
    """Return the counted versions: those that lead a series, then the others, the newest first."""
    leading = set(observed.owners().values())
    return sorted(newest_first(observed.versions), key=lambda version: version not in leading)


def _near_versions(observed: Observed, floats: Collection[Tag]) -> list[Tag]:
    """Return the tags that are nearly versions; one that reads as a floating tag counts only without any version."""
    near = [tag for tag in observed.published.nearly if tag not in floats]
    if observed.versions:
        near = [tag for tag in near if not observed.published.scheme.could_float(tag)]
    return near
