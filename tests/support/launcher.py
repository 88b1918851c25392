"""Start tagger without paying for its imports: a process that has them forks one process for each command.

Each is a process of its own, with its process id, environment, stdout and stderr, and may be killed.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from command import HasUrl, Ran

# A command that would read without end meets this, and says so by a fault of its own.
GREATEST = 1 << 30
_ARENAS = -8  # M_ARENA_MAX of glibc
_context = multiprocessing.get_context("forkserver")
_preloaded = ["__main__", "launcher", "tagger.api", "tagger.cli.app", "tagger.cli.render.text", "docker"]
_context.set_forkserver_preload(_preloaded)
# Whoever starts a process also looks which have ended; of two threads that read an end at once one finds nothing, and
# takes that for exit code 255.
_starting_or_reaping = threading.Lock()


class Launched:
    """A `tagger WORDS` that runs."""

    def __init__(self, engine: HasUrl | None, *words: str, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tagger-launched-")
        self._out, self._err = (Path(self._folder.name, name) for name in ("out", "err"))
        self._out.touch()
        self._err.touch()
        host = {"DOCKER_HOST": engine.url} if engine else {}
        whole = {**os.environ, **host, **environment}
        self._process: ForkServerProcess = _context.Process(target=_run, args=(words, whole, self._out, self._err))
        with _starting_or_reaping:
            self._process.start()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def wait(self) -> Ran:
        """Wait for its end; a killed one has the code -9. A traceback is a failure whatever the test is about."""
        multiprocessing.connection.wait([self._process.sentinel], 120)
        with _starting_or_reaping:
            self._process.join(0)
        code = self._process.exitcode
        assert code is not None, "tagger still runs after two minutes"
        ran = Ran(code, self._out.read_text(), self._err.read_text())
        self._process.close()
        self._folder.cleanup()
        assert "Traceback" not in ran.err, ran.err
        return ran


def launched(engine: HasUrl | None, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` against an Engine and wait for its end."""
    return Launched(engine, *words, **environment).wait()


def _run(words: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    from tagger.cli.app import main

    # Else glibc reserves 64 MiB for each thread, which counts though nobody uses it.
    ctypes.CDLL(None).mallopt(_ARENAS, 1)
    resource.setrlimit(resource.RLIMIT_AS, (GREATEST, GREATEST))
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        stream.flush()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1 if stream is sys.stdout else 2)
        os.close(file)
    sys.argv = ["tagger", *words]
    main()
