"""The functions that correct tags, as the commands `repair` and `yank` do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Unpack

from tagger.repository import repair as drift
from tagger.repository import unyank as back
from tagger.repository import yank as withdrawal
from tagger.repository.repair import Repair
from tagger.repository.unyank import Unyank
from tagger.repository.yank import Yank
from tagger.rules.lines import PLAIN
from tagger.rules.scheme import Scheme
from tagger.wiring.access import Access, alone


def repair(
    repository: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    among: Collection[str] | None = None,
    **access: Unpack[Access],
) -> Repair:
    """Move every drifted floating tag back to the image of its version.

    Only tags of `among` change, if it is given.

    Raises Unsettled when some could not be moved, InputError when there is no such repository, and TaggerError for
    every other failure.
    """
    return drift.repair(alone(repository, access), schemes, dry_run=dry_run, among=among)


def yank(
    repository: str,
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Yank:
    """Withdraw a version: floating tags go back to the previous one, and the image stays as VERSION-yanked.

    Raises InputError if it is not published, Unsettled if some tags are not where they belong in the end, and
    TaggerError for every other failure.
    """
    return withdrawal.yank(alone(repository, access), schemes, version, dry_run=dry_run)


def unyank(
    repository: str,
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Unyank:
    """Bring a yanked version back: its tag gets the image of the mark, floating tags follow, and the mark goes.

    Raises InputError if it is neither yanked nor published, Refused if its tag holds another image than its mark,
    Unsettled if some tags are not where they belong in the end, and TaggerError for every other failure.
    """
    return back.unyank(alone(repository, access), schemes, version, dry_run=dry_run)
