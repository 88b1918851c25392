"""The commands that put things right: `repair` and `yank`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import FIX, command
from tagger.cli.failure import failing
from tagger.cli.fleet import Asked, is_asked, one, run
from tagger.cli.options import Access, Also, DryRun, Json, Many, RepositoriesArgument, RepositoryArgument, Rules
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
    many: Many,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Put floating tags back where the published versions say they belong.

    They move in the registry, so every digest stays the same.
    """
    from tagger import api
    from tagger.cli.render import json, text

    def mend(place: Place, *, dry_run: bool) -> Repair:
        return api.repair(place.repository, dry_run=dry_run, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.repair_text, json.repair_content, wrote=lambda done: bool(done.repaired or done.removed))
        if is_asked(many, repository):
            asked = Asked("repair", partial(mend, dry_run=dry_run), shown, dry_run)
            run(asked, many, repository, also, access=access, rules=rules, as_json=as_json)
        where = places(rules, access, one(repository), also)
        write(where, mend, shown, dry_run=dry_run, as_json=as_json)


@command(app, FIX)
def yank(
    repository: RepositoryArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The version to withdraw.", autocompletion=offer.tags_there)
    ],
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring the version back, with the image that its mark holds.")
    ] = False,
    also: Also = None,
    dry_run: DryRun = False,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Withdraw a bad version. Floating tags go back to the one before; the image stays as VERSION-yanked.

    Its own tag is removed if the registry can delete. --undo brings the version back: its tag, the floating tags that
    belong to it, and then the mark goes. Only --force releases another image under a yanked version.
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
