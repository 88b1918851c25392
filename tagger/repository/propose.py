"""`tagger init`: the settings that a repository seems to follow, found with few requests."""

from __future__ import annotations

from tagger.errors import Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.repository.observe import Listed, ask, published
from tagger.rules import propose as rules
from tagger.rules.propose import Proposal
from tagger.rules.scheme import Scheme
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal for a repository, the number of its tags, and the unreadable ones."""

    repository: Repository
    tags: int
    proposal: Proposal
    unreadable: tuple[Tag, ...] = ()


def propose(repository: Listed) -> Proposed:
    """Propose settings: list the tags, and read the floating tags and the versions that they may hold.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = published(repository, [Scheme()])[0].tags
    known: dict[Tag, Digest | None] = {}
    unreadable: list[Tag] = []
    while (found := rules.propose(tags, known)).wanted:
        for tag, answer in ask(repository, found.wanted).items():
            known[tag] = None if isinstance(answer, Unreadable) else answer
            unreadable += [tag] if isinstance(answer, Unreadable) else []
    return Proposed(repository.name, len(tags), found, (*unreadable,))
