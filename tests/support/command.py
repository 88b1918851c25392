"""Run the tagger command as a user does: another process, its exit code, what it printed where."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import canary
from jsonschema import Draft202012Validator

# What is tested is installed there: beside the tests, or, in tests of the packaging, as users have it.
PYTHON = os.environ.get("TESTED_PYTHON", sys.executable)
DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = Draft202012Validator(json.loads((DOCS / "schema.json").read_text()))


class HasUrl(Protocol):
    """An Engine, real or not."""

    @property
    def url(self) -> str:
        """Give its address for DOCKER_HOST."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        """Never let a password pass."""
        assert not canary.seen(self.out + self.err), "a password is shown"

    @property
    def json(self) -> Any:
        """Parse stdout, which is always what the schema says."""
        content = json.loads(self.out)
        SCHEMA.validate(content)
        return content

    @property
    def error(self) -> str:
        """Give the error, which is the last line of stderr."""
        last = self.err.splitlines()[-1]
        assert last.startswith("tagger: error: "), self.err
        return last.removeprefix("tagger: error: ")


def start(engine: HasUrl | None, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Start `tagger WORDS` against an Engine."""
    return _started(Path.cwd(), words, {"DOCKER_HOST": engine.url, **environment} if engine else environment)


def _started(folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PYTHON, "-m", "tagger", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process: subprocess.Popen[str]) -> Ran:
    """Wait for a command to end; a traceback is a failure whatever the test is about."""
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Ran(process.returncode, out, err)


def asked(answer: Callable[[], str | signal.Signals], *words: str) -> Ran:
    """Run `tagger WORDS` on a terminal; once it asks, `answer` says what is typed, or which signal it gets instead."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PYTHON, "-m", "tagger", *words], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    assert process.stderr
    said = ""
    while not said.endswith("[y/N] ") and (character := process.stderr.read(1)):
        said += character
    if said.endswith("[y/N] "):
        given = answer()
        if isinstance(given, signal.Signals):
            process.send_signal(given)
        else:
            os.write(ours, given.encode())
    ran = wait(process)
    os.close(ours)
    return Ran(ran.code, ran.out, said + ran.err)


def tagger(engine: HasUrl | None, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` against an Engine and wait for its end."""
    return wait(start(engine, *words, **environment))


def tagger_in(folder: Path, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` in a folder and wait for its end."""
    return wait(_started(folder, words, environment))
