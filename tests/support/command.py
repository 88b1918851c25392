"""Run the tagger command as a user does: another process, its exit code, what it printed where."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from launcher import DOCS, PYTHON, SCHEMA, HasUrl, Launched, Ran, launched

__all__ = ["DOCS", "SCHEMA", "HasUrl", "Ran", "asked", "fresh", "start", "tagger", "tagger_in", "wait"]

start = Launched
tagger = launched


def wait(process: Launched) -> Ran:
    """Wait for a command to end."""
    return process.wait()


def tagger_in(folder: Path, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` in a folder and wait for its end."""
    return Launched(None, *words, folder=os.fspath(folder), **environment).wait()


def fresh(*words: str, folder: Path | None = None, **environment: str) -> Ran:
    """Run `python -m tagger WORDS`, whose start belongs to what is tested."""
    ran = subprocess.run(
        [PYTHON, "-m", "tagger", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def asked(answer: Callable[[], str | signal.Signals], *words: str) -> Ran:
    """Run `tagger WORDS` on a terminal; when it asks, `answer` says what to type, or which signal to send instead."""
    ours, theirs = pty.openpty()
    process = Launched(None, *words, stdin=os.ttyname(theirs))
    os.close(theirs)
    if process.asks("[y/N] "):
        given = answer()
        if isinstance(given, signal.Signals):
            process.send_signal(given)
        else:
            os.write(ours, given.encode())
    ran = process.wait()
    os.close(ours)
    return ran
