"""The commands that help to start: `init`, `doctor`, `completion` and `help`."""

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
from tagger.cli.options import Access, Json, named, option, words
from tagger.cli.render.console import say, show
from tagger.cli.settings import one_repository, reaching
from tagger.errors import InputError


@command(app, SET_UP)
def init(
    repository: Annotated[
        str | None,
        named("The repository to read, or an image in the settings. Default: the one in the settings.", "[REPOSITORY]"),
    ] = None,
    *,
    write: Annotated[bool, option(None, "Write tagger.toml here, instead of only printing it.", "--write")] = False,
    access: Access,
    as_json: Json = False,
) -> None:
    """Propose settings that fit an existing repository.

    tagger reads the list of tags, and asks what the floating tags hold. It reports which lines of versions it found and
    why, which floating tags follow a rule, which versions look like mistakes, which tags it leaves alone, and what the
    next release would move. The proposed tagger.toml keeps every floating tag where it is, as far as rules can express
    that.

    It writes nothing to the registry, and overwrites no file.

    Example: tagger init registry.local:5000/gallery/ui
    """
    from tagger.api import look as api
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
        named("A repository, or an image in the settings. Default: every image in the settings.", "[REPOSITORY]"),
    ] = None,
    *,
    access: Access,
    as_json: Json = False,
) -> None:
    """Check everything that a release needs, and say how to fix what does not work.

    doctor checks the settings, the Docker configuration, the Engine and the proxies. For each repository, it checks the
    credential (it names the source, never the value), TLS, CAs, the token server, and the rights to pull, push and
    delete. It also finds out how the registry deletes, lists and answers. Each check is one line: ok, note or problem.
    A problem means exit code 1.

    doctor changes no tag and no image. To test the right to push, it starts an upload and cancels it. To test deletes,
    it names something that does not exist. A registry that creates repositories on the first push, such as Quay, may
    create an empty one.

    Example: tagger doctor registry.local:5000/gallery/ui
    """
    from tagger.api import look as api
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
) -> None:
    """Print a completion script for your shell.

    It completes commands, options and their values, images in the settings and in the Engine, and tags of the
    repository on the command line. It leaves out what the Engine or the registry does not answer within three seconds.

    Example: eval "$(tagger completion bash)"
    """
    with failing():
        show(script(shell))


@command(app, SET_UP, "help")
def show_help(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[COMMAND]", help="The command. Default: all commands.", autocompletion=offer.commands),
    ] = None,
) -> None:
    """Show the help of a command, as `tagger COMMAND --help` does."""
    app([*([name] if name else []), "--help"], prog_name="tagger")
