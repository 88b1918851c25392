"""The commands of the first day: `init`, `doctor`, `completion` and `help`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import SET_UP, command
from tagger.cli.completion import SHELLS, script
from tagger.cli.failure import failing
from tagger.cli.options import Access, Json, Verbose, words
from tagger.cli.render.console import say, show
from tagger.cli.settings import one_repository, reaching
from tagger.errors import InputError


@command(app, SET_UP)
def init(
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="[REPOSITORY]",
            help="The repository to read, or a table of the settings. Default: the one in the settings.",
            autocompletion=offer.tables,
        ),
    ] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Write tagger.toml here. Without it, tagger only prints.")
    ] = False,
    access: Access,
    as_json: Json = False,
) -> None:
    """Propose settings for a repository as it is, however old.

    tagger reads the list of tags and what the floating tags hold. It says which lines of versions it sees and why,
    which floating tags keep to rules, which versions look like mistakes, what it leaves alone, and what the next
    release would move. The proposed tagger.toml keeps every floating tag where it is, if rules can say that.

    It writes nothing to the registry, and overwrites no file.

    Example: tagger init registry.local:5000/gallery/ui
    """
    from tagger import api
    from tagger.cli.render import json, text
    from tagger.config.propose import as_toml, check_place
    from tagger.config.propose import write as written

    with failing(repository, as_json=as_json):
        if write:
            check_place(os.environ, Path())
        name = one_repository(repository)
        found = api.propose(name, **reaching(access, name))
        file = as_toml(found.repository, found.proposal)
        if write and not found.proposal.lines:
            raise InputError(f"{name} has no versions that tagger can read", "leave out --write to see what it has")
        path = str(written(file, Path())) if write else None
        if as_json:
            show(json.as_json(json.proposal_content(found, file, path)))
        else:
            show(text.proposal_text(found))
            show(f"wrote {path}" if path else f"\n# tagger.toml\n{file}")


@command(app, SET_UP)
def doctor(
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="[REPOSITORY]",
            help="A repository, or an image of the settings. Default: every image of the settings.",
            autocompletion=offer.tables,
        ),
    ] = None,
    *,
    access: Access,
    as_json: Json = False,
) -> None:
    """Check what works from here, and say what to do about the rest.

    It checks the settings, the Docker configuration, the Engine and the proxies. For a repository it finds out which
    credential is used and where that comes from (never its value), the scheme, CAs, the token server, the rights to
    pull, push and delete, and how the registry deletes, lists and answers. Each check is one line: ok, note or problem.
    With a problem the exit code is 1.

    No tag and no image changes: to test the right to push, doctor starts an upload and cancels it, and the names that
    it tries to delete do not exist. A registry that creates a repository on the first push, such as Quay, may create an
    empty one.

    Example: tagger doctor registry.local:5000/gallery/ui
    """
    from tagger import api
    from tagger.cli.render import json, text

    with failing(repository, as_json=as_json):
        found = api.diagnose(
            repository,
            **words(access),
            progress=say,
            trace=access.trace,
        )
        show(json.as_json(json.diagnosis_content(found)) if as_json else text.diagnosis_text(found))
    raise typer.Exit(0 if found.ok else 1)


@command(app, SET_UP)
def completion(
    shell: Annotated[
        str, typer.Argument(metavar="|".join(SHELLS), help="Your shell.", autocompletion=offer.one_of(*SHELLS))
    ],
    *,
    verbose: Verbose = False,  # noqa: ARG001 - it counts anywhere on the command line
) -> None:
    """Print a completion script for a shell.

    It completes commands, options and their values, images of the settings and of the Engine, and tags of the
    repository that is named. What cannot be asked within three seconds is left out.

    Example: eval "$(tagger completion bash)"
    """
    with failing():
        show(script(shell))


@command(app, SET_UP, "help")
def show_help(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[COMMAND]", help="The command. Default: all of them.", autocompletion=offer.commands),
    ] = None,
    *,
    verbose: Verbose = False,  # noqa: ARG001 - it counts anywhere on the command line
) -> None:
    """Show what a command does, as `tagger COMMAND --help` does."""
    app([*([name] if name else []), "--help"], prog_name="tagger")
