"""`tagger apply`: make the changes of a plan where it still fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tagger.cli.fleet import Asked, Ended, Run, deadline_of, ended_in, sharing
from tagger.cli.options import Many, Where
from tagger.cli.render.console import say
from tagger.cli.settings import Place, reader
from tagger.cli.several import Shown
from tagger.errors import InputError
from tagger.text import counted, printable

if TYPE_CHECKING:
    from tagger.fleet.plan import Planned
    from tagger.wiring.access import Shared

_APPLY = "apply"


def apply_plan(plan: str, many: Many, where: Where) -> NoReturn:
    """Make the changes of a plan, show each result when it ends, and exit with the worst code.

    Raises InputError for an incomplete plan.
    """
    from tagger.fleet.entry import Ran
    from tagger.fleet.names import Shard

    if many.listed is not None:
        raise InputError("a plan already names its repositories", "leave out --from")
    shard = Shard() if many.shard is None else Shard.parse(many.shard)
    _check_whole(plan)
    place_of = reader(where)

    def task(spelt: str, planned: Planned, shared: Shared) -> Ended:
        return ended_in(spelt, _asked(planned), many, lambda: sharing(place_of(spelt), shared))

    named = ((each.repository, each) for each in _read(plan) if shard.has(each.repository))
    Run(Ran(_APPLY, dry_run=False), many, deadline_of(many), shard.count).each(named, task)


def _read(plan: str) -> Iterator[Planned]:
    from tagger.fleet.journal import results
    from tagger.fleet.plan import planned

    return planned(found for _, found in results(plan))


def _check_whole(plan: str) -> None:
    """Raise InputError for a plan with an invalid line, or with an incomplete one at its end."""
    from tagger.fleet.journal import results

    whole = failed = 0
    try:
        for length, found in results(plan):
            whole += length
            failed += found.exit_code != 0
        if whole != Path(plan).stat().st_size:
            raise InputError(
                f"the last line of {printable(plan)} is incomplete", "finish the plan with --plan and --resume"
            )
        count = sum(1 for _ in _read(plan))
    except OSError as error:
        raise InputError(
            f"'{printable(plan)}' cannot be read ({error.strerror})", "give the file that --plan wrote"
        ) from None
    say(f"the plan changes {counted(count, 'repository')}")
    if failed:
        say(f"note: the plan leaves out {failed}, because tagger could not look there")


def _asked(planned: Planned) -> Asked[Any]:
    """Return the work in one repository: the command's own decision now, if it is the planned one."""
    from tagger.api import clean_up, fix, look
    from tagger.cli.render import json, text

    tags = [*planned.tags]

    def repair(place: Place) -> object:
        now = fix.repair(place.repository, dry_run=True, **place.words)
        planned.check(json.repair_content(now), look.digests(place.repository, tags, **place.reaching))
        return fix.repair(place.repository, among=tags, **place.words)

    def prune(place: Place) -> object:
        limits: dict[str, Any] = dict(planned.limits)
        now = clean_up.prune(place.repository, **limits, dry_run=True, **place.words)
        planned.check(json.pruning_content(now), look.digests(place.repository, tags, **place.reaching))
        return clean_up.prune(place.repository, **limits, among=now.removed, **place.words)

    if planned.command == "prune":
        return Asked(_APPLY, prune, Shown(text.pruning_text, json.pruning_content), dry_run=False)
    return Asked(_APPLY, repair, Shown(text.repair_text, json.repair_content), dry_run=False)
