"""The program `tagger`. Each module of commands adds its own to it."""

from __future__ import annotations

from typing import Annotated

import typer

from tagger import __version__
from tagger.cli.command import Group
from tagger.cli.options import Verbose, option

app = typer.Typer(
    name="tagger",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tagger {__version__}")
        raise typer.Exit


@app.callback()
def tagger(
    version: Annotated[
        bool, option(None, "Print the version and exit.", "--version", "-V", callback=_version, is_eager=True)
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Push container images under their version and floating tags: all of them, verified, or nothing moves."""
