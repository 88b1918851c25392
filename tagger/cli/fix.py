"""The commands that put things right: `repair` and `yank`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tagger.cli.app import app
from tagger.cli.command import FIX, command
from tagger.cli.failure import failing
from tagger.cli.options import Access, DryRun, Json, RepositoryArgument, Rules
from tagger.cli.render.console import show
from tagger.cli.settings import reaching, schemes


@command(app, FIX)
def repair(
    repository: RepositoryArgument, *, dry_run: DryRun = False, access: Access, rules: Rules, as_json: Json = False
) -> None:
    """Put floating tags back where the published versions say they belong.

    They move in the registry, so every digest stays the same.
    """
    from tagger import api
    from tagger.cli.render import json, text

    with failing(repository, as_json=as_json):
        words = reaching(access, repository)
        done = api.repair(repository, schemes=schemes(rules, repository), dry_run=dry_run, **words)
        show(json.as_json(json.repair_content(done)) if as_json else text.repair_text(done))


@command(app, FIX)
def yank(
    repository: RepositoryArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to withdraw.")],
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring the version back, with the image that its mark holds.")
    ] = False,
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
        words: dict[str, Any] = {"schemes": schemes(rules, repository), **reaching(access, repository)}
        if undo:
            back = api.unyank(repository, version, dry_run=dry_run, **words)
            show(json.as_json(json.unyank_content(back)) if as_json else text.unyank_text(back))
        else:
            done = api.yank(repository, version, dry_run=dry_run, **words)
            show(json.as_json(json.yank_content(done)) if as_json else text.yank_text(done))
