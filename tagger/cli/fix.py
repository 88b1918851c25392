"""The commands that correct tags: `repair`, `apply` and `yank`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import FIX, command
from tagger.cli.failure import failing
from tagger.cli.fleet import Asked, is_asked, one, run
from tagger.cli.options import (
    Access,
    Many,
    Plan,
    RepositoriesArgument,
    RepositoryArgument,
    Rules,
    Where,
    Writing,
    option,
)
from tagger.cli.settings import Place, places
from tagger.cli.several import Shown, write

if TYPE_CHECKING:
    from tagger.repository.repair import Repair


@command(app, FIX)
def repair(
    repository: RepositoriesArgument = None,
    *,
    where: Where,
    plan: Plan = None,
    many: Many,
    how: Writing,
) -> None:
    """Move drifted floating tags back to where they belong.

    The published versions decide where that is. tagger writes the tags in the registry, so no digest changes.
    """
    from tagger.api import fix as api
    from tagger.cli.render import json, text

    def fixed(place: Place, *, dry_run: bool) -> Repair:
        return api.repair(place.repository, dry_run=dry_run, **place.words)

    with failing(repository, as_json=how.as_json):
        shown = Shown(text.repair_text, json.repair_content, wrote=lambda done: bool(done.repaired or done.removed))
        if is_asked(many, repository, plan):
            looks = how.dry_run or plan is not None
            asked = Asked("repair", partial(fixed, dry_run=looks), shown, looks, plan)
            run(asked, many, repository, where, as_json=how.as_json)
        write(places(where, one(repository)), fixed, shown, how)


@command(app, FIX)
def yank(
    repository: RepositoryArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The version to withdraw.", autocompletion=offer.tags_there)
    ],
    *,
    undo: Annotated[
        bool, option(None, "Bring the version back, with the image kept as VERSION-yanked.", "--undo")
    ] = False,
    where: Where,
    how: Writing,
) -> None:
    """Withdraw a bad version. Floating tags go back to the one before; the image stays as VERSION-yanked.

    If the registry can delete, the version's own tag goes too. --undo restores that tag and the floating tags that
    belong to it, and removes the mark VERSION-yanked. To release another image under a yanked version, use tagger
    release --force.
    """
    from tagger.api import fix as api
    from tagger.cli.render import json, text

    do: Callable[..., Any] = api.unyank if undo else api.yank
    shown: Shown[Any] = (
        Shown(text.unyank_text, json.unyank_content) if undo else Shown(text.yank_text, json.yank_content)
    )

    def write_one(place: Place, *, dry_run: bool) -> Any:
        return do(place.repository, version, dry_run=dry_run, **place.words)

    with failing(repository, as_json=how.as_json):
        write(places(where, repository), write_one, shown, how)


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
        apply_plan(plan, many, Where(access=access, rules=rules))
