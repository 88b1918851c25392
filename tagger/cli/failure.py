"""How a command fails: its message, its report, and its exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer

from tagger.cli.render.console import say, show, show_traceback, verbose_asked
from tagger.cli.render.github import annotating, tell_github
from tagger.errors import AGAIN, Fault, Interrupted, TaggerError


@contextlib.contextmanager
def failing(repository: str | None = None, *, as_json: bool = False) -> Iterator[None]:
    """Show an error, and what was done before it, as every command does; exit with its code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = as_error(problem)
        if as_json:
            from tagger.cli.render.json import as_json as written

            show(written(failed_content(error, repository or "")))
        else:
            show_done(error)
        raise failure(error) from None


def failed_content(error: TaggerError, repository: str) -> dict[str, Any]:
    """Return a failure as a JSON object, with what was done before it."""
    from tagger.cli.render.json import removal_content

    done = removal_content(error.removal) if error.removal else {"repository": repository}
    return {**done, "error": str(error)}


def show_done(error: TaggerError) -> None:
    """Show what was done before an error, if anything was."""
    if error.removal:
        from tagger.cli.render.text import removal_text

        show(removal_text(error.removal))


def as_error(problem: BaseException) -> TaggerError:
    """Return the error that ended a command; any other exception becomes an interruption or an internal error."""
    if isinstance(problem, TaggerError):
        return problem
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted("interrupted", problem, AGAIN)
    return Fault(problem)


def failure(error: TaggerError, *, annotated: bool | None = None, where: str = "") -> typer.Exit:
    """Show an error, and where it happened if its message does not say so; return what ends the command."""
    text = str(error) if where in str(error) else f"{where}: {error}"
    if annotating(annotated):
        tell_github("error", text)
    if error.__cause__ and verbose_asked():
        show_traceback(error.__cause__)
    say(f"error: {text}")
    return typer.Exit(error.exit_code)
