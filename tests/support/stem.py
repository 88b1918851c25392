"""Fork a process for each command from one that has imported everything, and say how each ended.

`python stem.py DESCRIPTOR` gets a socket with a message for each command: what its process talks with, and its stdin,
stdout and stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import io
import os
import pkgutil
import resource
import selectors
import signal
import socket
import sys
from multiprocessing.connection import Connection

import typer.main
from clocks import Racing

from tagger import work

# A command that would read without end meets this, and says so by a fault of its own.
GREATEST = 1 << 30
_ARENAS = -8  # M_ARENA_MAX of glibc
_DESCRIPTORS = 4


def serve(requests: socket.socket) -> None:
    """Fork for every request, until who asks goes away."""
    running: dict[int, tuple[int, Connection]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    selector.unregister(key.fd)
                    _tell_the_end(key.fd, *running.pop(key.fd))
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, 1, _DESCRIPTORS)
                if not message:
                    return
                talk, *streams = descriptors
                pid = os.fork()
                if not pid:
                    _run(talk, streams)
                for each in streams:
                    os.close(each)
                ended = os.pidfd_open(pid)
                running[ended] = pid, Connection(talk)
                running[ended][1].send(pid)
                selector.register(ended, selectors.EVENT_READ)


def _tell_the_end(ended: int, pid: int, talk: Connection) -> None:
    os.close(ended)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # nobody may wait for it
        talk.send(os.waitstatus_to_exitcode(status))
    talk.close()


def _run(talk: int, streams: list[int]) -> None:
    """Be the command that a message describes."""
    from tagger.cli.run import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    with Connection(talk) as request:
        words, environment, folder, pace = request.recv()
    os.closerange(3, 1 << 16)
    # Else glibc reserves 64 MiB for each thread, which counts though nobody uses it.
    ctypes.CDLL(None).mallopt(_ARENAS, 1)
    resource.setrlimit(resource.RLIMIT_AS, (GREATEST, GREATEST))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    vars(work)["Clock"] = functools.partial(Racing, pace)
    sys.argv = ["tagger", *words]
    try:
        main()
    finally:
        os._exit(70)  # main never returns


def import_everything() -> None:
    """Import what any command may import; what typer imports shows when it parses a command.

    Typer makes the commands from their functions in every run; here it makes them once, which halves a short run.
    """
    import tagger
    from tagger.cli.run import app

    vars(typer.main)["get_command"] = functools.cache(typer.main.get_command)

    for module in pkgutil.walk_packages(tagger.__path__, "tagger."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("docker")
    for words in (["tags", "2.1.106"], ["config", "--json"], ["ls", "not a repository"]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            app(words, standalone_mode=False)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_everything()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        serve(requests)
    os._exit(0)
