"""The functions that remove tags, as the commands `rm` and `prune` do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Unpack

from tagger.events import silent
from tagger.repository import prune as retention
from tagger.repository import remove as removal
from tagger.repository.prune import Pruning
from tagger.repository.remove import Removal
from tagger.rules.keep import Policy, parse_age
from tagger.rules.lines import PLAIN
from tagger.rules.scheme import Scheme
from tagger.wiring.access import Access, alone


def remove(
    repository: str,
    *names: str,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Removal:
    """Remove versions and tags, and no other tag. Floating tags go back to the previous version first.

    Raises InputError if none of the names exists, Refused if the registry cannot delete or would delete another tag
    too, Unsettled if something is left, and TaggerError for every other failure.
    """
    found = removal.remove(
        alone(repository, access), schemes, names, dry_run=dry_run, note=access.get("progress", silent)
    )
    return found.or_raise()


def remove_all(
    repository: str,
    *,
    among: Collection[str] | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Removal:
    """Remove every tag of a repository, or only those in `among`. Raises what `remove` raises."""
    return removal.remove_all(alone(repository, access), schemes, dry_run=dry_run, among=among).or_raise()


def prune(
    repository: str,
    *,
    keep: int,
    keep_minors: int | None = None,
    keep_revisions: int | None = None,
    older_than: str | None = None,
    among: Collection[str] | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Pruning:
    """Remove old versions; the newest `keep` of each minor series stay, and so does an image that another tag holds.

    A pre-release stays unless its first identifier is a known stage, such as rc, or a channel of its variant.
    `keep_minors` keeps that many series of each major version, `keep_revisions` that many rebuilds of each version that
    stays; `older_than`, such as "180d", keeps what is younger.
    Only tags of `among` are removed, if it is given.

    Raises what `remove` raises, InputError for numbers that would keep nothing among it.
    """
    policy = Policy(keep, keep_minors, keep_revisions, parse_age(older_than) if older_than is not None else None)
    found = retention.prune(alone(repository, access), schemes, policy, dry_run=dry_run, among=among)
    return found.or_raise()
