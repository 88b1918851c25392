"""One run of the command line: streams, signals and the exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import NoReturn

import typer

from tagger.cli import signals
from tagger.cli.app import app
from tagger.cli.failure import as_error, failure
from tagger.cli.render.console import say, show_traceback, verbose_asked
from tagger.errors import Fault, TaggerError
from tagger.text import one_line

COMMANDS = {
    "release": "release promote",
    "tags": "tags",
    "look": "ls check repos next config",
    "fix": "repair yank apply",
    "clean_up": "rm prune",
    "set_up": "init doctor completion help",
}
"""The modules of commands, and the commands that each registers when it is imported."""

_VERSION = {"--version", "-V"}

_TRIED = {
    "release": "push publish deploy ship tag",
    "promote": "copy cp retag mirror",
    "ls": "list versions show",
    "check": "verify status diff validate",
    "next": "bump",
    "repair": "fix heal restore sync",
    "yank": "withdraw retract unrelease unpublish deprecate undo revert rollback",
    "rm": "delete remove del erase untag",
    "prune": "clean cleanup gc purge",
    "doctor": "diagnose",
    "--version": "version",
}
# Words that people try as a command. typer suggests commands with a similar spelling, which may do the opposite.
_MEANT = {
    **{word: f"use tagger {name}" for name, words in _TRIED.items() for word in words.split()},
    "unyank": "bring a version back with tagger yank REPOSITORY VERSION --undo, or release another image"
    " with tagger release IMAGE VERSION --force",
    "login": "use docker login, whose credentials tagger reads",
}


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # a run lasts seconds: looking for garbage during the imports costs more than it saves
    _open_streams()
    # Two signals may interrupt the ending too, once each; a third one ends the process.
    with _Ending(), _Ending(), _Ending():
        signals.listen()
        sys.unraisablehook = threading.excepthook = _note_fault
        sys.argv[1:] = _as_text(sys.argv[1:])
        _check_command(sys.argv[1:])
        program(sys.argv[1:])(prog_name="tagger")


class _Ending:
    """Ends the process with the exit code of the enclosed code."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, problem: BaseException | None, __: object) -> NoReturn:
        signals.end_at_once()
        _end(_exit_code(problem))


def _exit_code(problem: BaseException | None) -> int:
    """Return the exit code of a command, which no later signal changes; show an error that was not shown yet."""
    chain = list(_oldest_first(problem))
    for error in chain:
        # Typer silently turns a signal into an exit too.
        if isinstance(error, typer.Exit) and not isinstance(error.__cause__, KeyboardInterrupt):
            return error.exit_code
    for error in chain:
        if isinstance(error, KeyboardInterrupt):
            shown = error.__context__  # the signal may have come while an error was shown
            return failure(shown if isinstance(shown, TaggerError) else as_error(error)).exit_code
    if isinstance(problem, SystemExit):
        return int(problem.code or 0)
    return failure(as_error(problem)).exit_code if problem else 0


def _oldest_first(problem: BaseException | None) -> Iterator[BaseException]:
    """Yield the causes of an exception, and then the exception."""
    if problem:
        yield from _oldest_first(problem.__context__)
        yield problem


def program(words: Sequence[str] = ()) -> typer.Typer:
    """Return the program with the command of these words, or with every command if they name none.

    Registering all of them takes longer than most commands run. The version needs none.
    """
    name = _called(words)
    if not name and not _VERSION.isdisjoint(words):
        return app
    modules = [module for module, names in COMMANDS.items() if name != "help" and name in names.split()]
    for module in modules or COMMANDS:
        importlib.import_module(f"tagger.cli.{module}")
    return app


def _called(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _note_fault(ended: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    """Report an internal error in a background thread; it does not change the exit code."""
    if ended.exc_value and not isinstance(ended.exc_value, SystemExit):
        if verbose_asked():
            show_traceback(ended.exc_value)
        say(f"note: {Fault(ended.exc_value)}")


def _as_text(words: Sequence[str]) -> list[str]:
    """Escape control characters in a word, because typer prints words unchanged; only file names may contain them."""
    files = ("--summary", "--env-file")
    before = ["", *words]
    return [
        word if last in files or word.partition("=")[0] in files else one_line(word)
        for last, word in zip(before, words, strict=False)
    ]


def _check_command(words: Sequence[str]) -> None:
    """End with exit code 2 for a command that has another name in tagger."""
    name = _called(words)
    if meant := _MEANT.get(name.lower()):
        say(f"error: there is no command '{name}': {meant}")
        _end(2)


def _open_streams() -> None:
    """Discard output if the caller closed stdout or stderr; otherwise the next opened file would receive it.

    Characters that stdout cannot encode are escaped.
    """
    for stream, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, stream) is None:
            mode = "r" if descriptor == 0 else "w"
            setattr(sys, stream, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # like stderr


def _end(code: int) -> NoReturn:
    """End now: pushes that still run after a second signal hold threads, which would delay an ordinary exit."""
    signals.end_at_once()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
