"""Fork a process for each command from one that has imported everything, and say how each ended.

`python stem.py DESCRIPTOR DOOR` gets a socket, and one that listens. A message for each command comes through either:
what its process talks with, and its stdin, stdout and stderr.
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
import traceback
from multiprocessing.connection import Connection

import typer.main
from clocks import Racing

from tagger import work

# A command that would read forever meets this, and ends with an internal error.
GREATEST = 1 << 30
_ARENAS = -8  # M_ARENA_MAX of glibc
_DESCRIPTORS = 4


def serve(requests: socket.socket, door: socket.socket) -> None:
    """Fork for every request, until the client goes away."""
    running: dict[int, tuple[int, Connection]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(door, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in running:
                    selector.unregister(key.fd)
                    _tell_the_end(key.fd, *running.pop(key.fd))
                    continue
                if key.fileobj is door:
                    with door.accept()[0] as visitor:
                        _, descriptors, _, _ = socket.recv_fds(visitor, 1, _DESCRIPTORS)
                else:
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
    with contextlib.suppress(OSError):  # the reader may be gone
        talk.send(os.waitstatus_to_exitcode(status))
    talk.close()


def _run(talk: int, streams: list[int]) -> None:
    """Run as the program that a message describes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Python's own stream objects do not suit every kind of file.
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    with Connection(talk) as request:
        script, words, environment, folder, pace = request.recv()
    os.closerange(3, 1 << 16)
    # Otherwise glibc reserves 64 MiB for each thread, which counts although nothing uses it.
    ctypes.CDLL(None).mallopt(_ARENAS, 1)
    resource.setrlimit(resource.RLIMIT_AS, (GREATEST, GREATEST))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    vars(work)["Clock"] = functools.partial(Racing, pace)
    sys.argv = ["tagger", *words]
    try:
        exec(script, {"__name__": "__main__"})
    except BaseException:  # noqa: BLE001 - the waiting process reads the traceback
        traceback.print_exc()
    finally:
        os._exit(70)  # tagger never returns


def import_everything() -> None:
    """Import what any command may import; what typer imports shows when it parses a command.

    Typer makes the commands from their functions in every run; here it makes them once, which halves a short run.
    """
    import tagger
    from tagger.cli.run import program

    vars(typer.main)["get_command"] = functools.cache(typer.main.get_command)

    for module in pkgutil.walk_packages(tagger.__path__, "tagger."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("docker")
    for words in (["tags", "2.1.106"], ["config", "--json"], ["ls", "not a repository"]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            program()(words, standalone_mode=False)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_everything()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests, socket.socket(fileno=int(sys.argv[2])) as door:
        serve(requests, door)
    os._exit(0)
