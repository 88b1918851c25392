"""Start tagger without the cost of its imports: a process that has imported everything forks one for each command.

Each is a process of its own, with its process id, environment, folder, stdin, stdout and stderr, and may be killed.
Scripts get such a `tagger` too, from a folder for their PATH.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import canary
from jsonschema import Draft202012Validator

# The tagger under test is installed there: beside the tests, or, for packaging tests, as users install it.
PYTHON = os.environ.get("TESTED_PYTHON", sys.executable)
DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = Draft202012Validator(json.loads((DOCS / "schema.json").read_text()))
_STEM = Path(__file__).with_name("stem.py")
_LONGEST_SECONDS = 120
COMMAND = "from tagger.cli.run import main; main()"
# It speaks to stem.py in the format of multiprocessing's Connection, whose import takes long.
_VISITOR = """#!{python} -IS
import os, pickle, socket, struct, sys
ours, theirs = socket.socketpair()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
    door.connect({door!r})
    socket.send_fds(door, [b"-"], [theirs.fileno(), 0, 1, 2])
theirs.close()
request = pickle.dumps(({command!r}, sys.argv[1:], dict(os.environ), os.getcwd(), 1.0))
ours.sendall(struct.pack("!i", len(request)) + request)
with ours.makefile("rb") as said:
    pid, code = (pickle.loads(said.read(struct.unpack("!i", said.read(4))[0])) for _ in range(2))
os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)
"""
pace = 1.0
"""How many times as fast the clock runs by which a command waits."""


class HasUrl(Protocol):
    """An Engine, real or not."""

    @property
    def url(self) -> str:
        """Its address for DOCKER_HOST."""


class Stem:
    """The process that forks; it starts with the first command and ends with this process."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._requests: socket.socket | None = None
        self._door = f"\0tagger-stem-{os.getpid()}"

    def fork(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *streams: int,
        script: str = COMMAND,
    ) -> Connection:
        """Start a script with three streams; the returned connection sends its process ID, and then its exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._ready(), [b"-"], [theirs.fileno(), *streams])
        talk = Connection(ours.detach())
        talk.send((script, list(words), dict(environment), os.fspath(folder.absolute()), pace))
        return talk

    def program(self, folder: Path) -> Path:
        """Write a program into a folder that does the same as the command, and starts ten times as fast."""
        self._ready()
        program = folder / "tagger"
        program.write_text(_VISITOR.format(python=sys.executable, door=self._door, command=COMMAND))
        program.chmod(0o755)
        return program

    def _ready(self) -> socket.socket:
        with self._starting:
            self._requests = self._requests or self._begun()
            return self._requests

    def _begun(self) -> socket.socket:
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(self._door)
            door.listen()
            given = theirs.fileno(), door.fileno()
            command = [PYTHON, os.fspath(_STEM), *map(str, given)]
            process = subprocess.Popen(command, pass_fds=given, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        return ours


STEM = Stem()


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
        """The error, which is the last line of stderr."""
        last = self.err.splitlines()[-1]
        assert last.startswith("tagger: error: "), self.err
        return last.removeprefix("tagger: error: ")


class Launched:
    """A `tagger WORDS` that runs, in the current folder or another one; or a script in its place."""

    def __init__(
        self,
        engine: HasUrl | None,
        *words: str,
        folder: str = "",
        stdin: str = os.devnull,
        script: str = COMMAND,
        **environment: str,
    ) -> None:
        host = {"DOCKER_HOST": engine.url} if engine else {}
        self._out, self._err = os.memfd_create("out"), os.memfd_create("err")
        given = os.open(stdin, os.O_RDONLY | os.O_NOCTTY)
        streams = given, self._out, self._err
        self._talk = STEM.fork(words, {**os.environ, **host, **environment}, Path(folder), *streams, script=script)
        os.close(given)
        self.pid: int = self._talk.recv()

    def asks(self, question: str) -> bool:
        """Wait until its last output is a question, or until it ends; return which."""
        while not (ended := self._talk.poll(0.01)):
            size = len(question.encode())
            if os.pread(self._err, size, max(os.fstat(self._err).st_size - size, 0)) == question.encode():
                break
        return not ended

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._talk.poll()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if not self._talk.poll():
            os.kill(self.pid, number)

    def wait(self) -> Ran:
        """Wait for its end; a killed one has the code -9. A traceback always fails the test."""
        ran = self.end()
        assert "Traceback" not in ran.err, ran.err
        return ran

    def end(self) -> Ran:
        """Wait for its end; a traceback is allowed."""
        assert self._talk.poll(_LONGEST_SECONDS), "tagger still runs after two minutes"
        code = self._talk.recv()
        self._talk.close()
        return Ran(code, _said(self._out), _said(self._err))


class Script:
    """A script that runs where everything is imported already, with stdout to be read here, and stderr as given."""

    def __init__(self, script: str, stderr: int, **environment: str) -> None:
        ours, theirs = os.pipe()
        self.stdout = os.fdopen(ours, "rb", buffering=0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        streams = nothing, theirs, stderr
        self._talk = STEM.fork((), {**os.environ, **environment}, Path(), *streams, script=script)
        os.close(theirs)
        os.close(nothing)
        self._pid: int = self._talk.recv()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if not self._talk.closed and not self._talk.poll():
            os.kill(self._pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for its end, and return its exit code."""
        assert self._talk.poll(seconds), f"it still runs after {seconds} s"
        code: int = self._talk.recv()
        self._talk.close()
        return code


def _said(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        file.seek(0)
        return file.read()


def launched(engine: HasUrl | None, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` against an Engine and wait for its end."""
    return Launched(engine, *words, **environment).wait()
