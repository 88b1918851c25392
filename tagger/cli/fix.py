"""The commands that put things right: `repair`, `apply` and `yank`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import FIX, command
from tagger.cli.failure import failing
from tagger.cli.fleet import Asked, is_asked, one, run
from tagger.cli.options import Access, Also, DryRun, Json, Many, Plan, RepositoriesArgument, RepositoryArgument, Rules
from tagger.cli.settings import Place, places
from tagger.cli.several import Shown, write

if TYPE_CHECKING:
    from tagger.repository.repair import Repair


@command(app, FIX)
def repair(
    repository: RepositoriesArgument = None,
    *,
    also: Also = None,
    dry_run: DryRun = False,
    plan: Plan = None,
    many: Many,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Move drifted floating tags back to where they belong.

    The published versions decide where that is. tagger writes the tags in the registry, so no digest changes.
    """
    from tagger import api
    from tagger.cli.render import json, text

    def fixed(place: Place, *, dry_run: bool) -> Repair:
        return api.repair(place.repository, dry_run=dry_run, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.repair_text, json.repair_content, wrote=lambda done: bool(done.repaired or done.removed))
        if is_asked(many, repository, plan):
            looks = dry_run or plan is not None
            asked = Asked("repair", partial(fixed, dry_run=looks), shown, looks, plan)
            run(asked, many, repository, also, access=access, rules=rules, as_json=as_json)
        where = places(rules, access, one(repository), also)
        write(where, fixed, shown, dry_run=dry_run, as_json=as_json)


@command(app, FIX)
def yank(
    repository: RepositoryArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The version to withdraw.", autocompletion=offer.tags_there)
    ],
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring the version back, with the image kept as VERSION-yanked.")
    ] = False,
    also: Also = None,
    dry_run: DryRun = False,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Withdraw a bad version. Floating tags go back to the one before; the image stays as VERSION-yanked.

    If the registry can delete, the version's own tag goes too. --undo restores that tag and the floating tags that
    belong to it, and removes the mark VERSION-yanked. To release another image under a yanked version, use tagger
    release --force.
    """
    from tagger import api
    from tagger.cli.render import json, text

    with failing(repository, as_json=as_json):
        where = places(rules, access, repository, also)
        if undo:
            write(
                where,
                lambda place, dry_run: api.unyank(place.repository, version, dry_run=dry_run, **place.words),
                Shown(text.unyank_text, json.unyank_content),
                dry_run=dry_run,
                as_json=as_json,
            )
        write(
            where,
            lambda place, dry_run: api.yank(place.repository, version, dry_run=dry_run, **place.words),
            Shown(text.yank_text, json.yank_content),
            dry_run=dry_run,
            as_json=as_json,
        )


@command(app, FIX)
def apply(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="A file that tagger repair --plan or tagger prune --plan wrote.")
    ],
    *,
    many: Many,
    access: Access,
    rules: Rules,
) -> None:
    """Make exactly the changes in a plan, in every repository where it still holds.

    If a tag of the plan has moved since, tagger refuses that repository (exit code 3) and goes on with the others. It
    reads the whole plan before it changes anything.

    Example: tagger repair registry.local:5000/gallery/ui --plan plan.ndjson && tagger apply plan.ndjson
    """
    from tagger.cli.applying import apply_plan

    with failing():
        apply_plan(plan, many, access=access, rules=rules)
