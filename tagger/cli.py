"""The command line: it parses words, calls the Python API, prints, and exits; nothing else does."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated

import typer

from tagger import __version__
from tagger.errors import TaggerError, Terminated

app = typer.Typer(
    name="tagger",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

BuildMetadata = Annotated[
    str, typer.Option(metavar="refuse|drop", help="What to do with +build metadata, which a tag cannot hold.")
]


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except KeyboardInterrupt as interruption:
        # A second signal, or one before anything was begun: threads with pushes under way must not hold the exit up.
        sys.stderr.write("tagger: interrupted\n")
        sys.stderr.flush()
        os._exit(143 if isinstance(interruption, Terminated) else 130)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tagger {__version__}")
        raise typer.Exit


@app.callback()
def tagger(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Give a built container image its semver tags: all of the right ones, verified, or nothing moved."""


@app.command()
def release(
    image: Annotated[str, typer.Argument(help="The image: a name, ID or digest that the Engine knows.")],
    version: Annotated[str, typer.Argument(help="The semantic version, such as 2.1.106 or v3.0.0-rc.1.")],
    registry: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="The registry; else IMAGE's own, else Docker Hub. May be repeated."),
    ] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="PATH", help="The repository in the registry; else IMAGE's own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a version that holds another image.")] = False,
    floats_via: Annotated[
        str, typer.Option(metavar="engine|registry", help="Move floating tags by a push, or by a manifest PUT.")
    ] = "engine",
    assume_newest: Annotated[
        bool, typer.Option("--assume-newest", help="Do not ask which other versions are published.")
    ] = False,
    build_metadata: BuildMetadata = "refuse",
    insecure: Annotated[
        list[str] | None, typer.Option(metavar="HOST[:PORT]", help="A registry that may be reached without TLS.")
    ] = None,
    auth_host: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="A token server on another host than its registry's.")
    ] = None,
) -> None:
    """Release an image under its version tag and every floating tag that it has earned.

    Example: tagger release image-gallery 2.1.106 --registry registry.local:5000 --repository gallery/ui
    """
    from tagger import api, report

    try:
        done = api.release(
            image,
            version,
            registry=registry or (),
            repository=repository,
            dry_run=dry_run,
            force=force,
            floats_via=floats_via,
            assume_newest=assume_newest,
            build_metadata=build_metadata,
            insecure=insecure or (),
            auth_host=auth_host or (),
            progress=_say,
        )
    except TaggerError as error:
        if as_json and error.release:
            typer.echo(report.as_json(error.release))
        elif error.release and error.release.repositories:
            typer.echo(report.as_text(error.release))
        raise _failure(error) from None
    typer.echo(report.as_json(done) if as_json else report.as_text(done))


@app.command()
def tags(
    version: Annotated[str, typer.Argument(help="The semantic version, such as 2.1.106.")],
    build_metadata: BuildMetadata = "refuse",
) -> None:
    """Print the cascade of a version, one tag a line, the most specific first; offline."""
    from tagger.cascade import Scheme, parse_version

    try:
        typer.echo("\n".join(Scheme().tags(parse_version(version, build_metadata=build_metadata))))
    except TaggerError as error:
        raise _failure(error) from None


def _failure(error: TaggerError) -> typer.Exit:
    _say(f"error: {error}")
    return typer.Exit(error.exit_code)


def _say(line: str) -> None:
    # A log that nobody reads any more must not break off what is under way.
    with contextlib.suppress(OSError):
        typer.echo(f"tagger: {line}", err=True)


def _terminate(_signal: int, _frame: object) -> None:
    raise Terminated
