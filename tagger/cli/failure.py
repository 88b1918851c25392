"""How a command fails: what it says, what it still reports, and its exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer

from tagger.cli.render.console import say, show, show_traceback, verbose_asked
from tagger.cli.render.github import annotating, tell_github
from tagger.errors import AGAIN, Fault, Interrupted, TaggerError


@contextlib.contextmanager
def failing(repository: str | None = None, *, as_json: bool = False) -> Iterator[None]:
    """Show an error as every command does, with what was done before it, and exit with its code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = as_error(problem)
        _show_done(error, repository, as_json=as_json)
        raise failure(error) from None


def _show_done(error: TaggerError, repository: str | None, *, as_json: bool) -> None:
    if as_json:
        from tagger.cli.render.json import as_json as written
        from tagger.cli.render.json import removal_content

        done = removal_content(error.removal) if error.removal else {"repository": repository or ""}
        show(written({**done, "error": str(error)}))
    elif error.removal:
        from tagger.cli.render.text import removal_text

        show(removal_text(error.removal))


def as_error(problem: Exception | KeyboardInterrupt) -> TaggerError:
    """The error that says what ended a command: what tagger did not raise itself is a signal, or its own fault."""
    if isinstance(problem, TaggerError):
        return problem
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted("interrupted", problem, AGAIN)
    return Fault(problem)


def failure(error: TaggerError, *, annotated: bool | None = None) -> typer.Exit:
    """Show an error; what is returned ends the command with its code."""
    if annotating(annotated):
        tell_github("error", str(error))
    if error.__cause__ and verbose_asked():
        show_traceback(error.__cause__)
    say(f"error: {error}")
    return typer.Exit(error.exit_code)
