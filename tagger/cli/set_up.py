"""The commands of the first day: `doctor` and `completion`."""

from __future__ import annotations

from typing import Annotated

import typer

from tagger.cli.app import app
from tagger.cli.command import SET_UP, command
from tagger.cli.failure import failing
from tagger.cli.options import Access, Json, Verbose, words
from tagger.cli.render.console import say, show


@command(app, SET_UP)
def doctor(
    repository: Annotated[
        str | None,
        typer.Argument(metavar="[REPOSITORY]", help="The repository to check. Default: those in the settings."),
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
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
    *,
    verbose: Verbose = False,  # noqa: ARG001 - it counts anywhere on the command line
) -> None:
    """Print a completion script for a shell: for commands, options and the tags of rm.

    Example: eval "$(tagger completion bash)"
    """
    from tagger.cli.completion import script

    with failing():
        show(script(shell))
