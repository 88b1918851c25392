"""A signal ends a command whatever it is doing, on a terminal too: nothing that it sets off waits for a lock."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import FakeEngine, ModelRegistry, Request, on
from launcher import Script

# It runs in its own process: `body` replaces a release whose progress `watch` shows.
SCRIPT = """
import ctypes, os, signal, threading, time
from tagger.api import release as api
from tagger.cli import run, signals
from tagger.cli.render.console import say
from tagger.work import Deadline
from tagger.events import Line

def ready():
    os.write(1, b'1')

def beside(run):
    threading.Thread(target=run, daemon=True).start()

def release(*_, progress, **__):
    watch = progress.__self__
    {body}

api.release_all = release
signals._LEAVING_SECONDS = 1
run.sys.argv = ["tagger", "release", "image", "1.0.0", "--registry", "registry.local"]
run.main()
"""
PLACES = {
    "waiting": "ready(); time.sleep(60)",
    "waiting without being interrupted": """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])  # so another thread gets it
    ready()
    time.sleep(60)""",
    "taking a line": """
    class Tags(dict):
        def pop(self, *_):
            ready()
            time.sleep(60)
    watch._tags = Tags()
    watch.progress(Line.about("pushing", "r:1"))""",
    "showing a line": """
    def lines(tags):
        if threading.current_thread() is threading.main_thread() and watch._tags.pop("r:1", None):
            ready()
            time.sleep(60)
        return ()
    watch._tag_lines = lines
    watch.progress(Line.about("pushing", "r:1"))""",
    "showing one line after the other": """
    ready()
    while True: watch.progress(Line.about("pushing", "r:1"))""",
    "having the terminal's locks": "with watch._live.console._lock, watch._live._lock: ready(); time.sleep(60)",
    "waiting for work at once": """
    deadline = Deadline()
    deadline.at_once([lambda: (ready(), deadline.sleep(60))] * 3)""",
}
STUCK = {
    "since a thread has the terminal's locks": """
    def keep():
        with watch._live.console._lock, watch._live._lock: ready(); time.sleep(60)
    beside(keep)
    time.sleep(60)""",
    "since work at once does not end": "Deadline().at_once([lambda: (ready(), time.sleep(60))] * 3)",
    "where Python notices no signal": """
    lock = ctypes.create_string_buffer(64)
    ready()
    for _ in range(2): ctypes.CDLL(None).pthread_mutex_lock(lock)""",
}
FLOOD = """
    def flood():
        while True: say("x" * 4000)
    beside(flood)
    time.sleep(0.5)
    ready()
    while True: watch.progress(Line.about("pushing", "r:1"))"""


def started(script: str, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "TERM": "xterm"},
    )


def ended(process: subprocess.Popen[bytes] | Script, *signals: signal.Signals) -> int:
    """Wait until a script reaches a point, send it signals, and return its exit code."""
    assert process.stdout
    assert process.stdout.read(1)
    for number in signals[:-1]:
        process.send_signal(number)
        time.sleep(0.5)
    process.send_signal(signals[-1])
    try:
        return process.wait(20)
    finally:
        process.send_signal(signal.SIGKILL)
        process.stdout.close()


@contextlib.contextmanager
def on_a_terminal(script: str) -> Iterator[tuple[Script, bytearray]]:
    """Run a script on a terminal, and collect what that shows."""
    ours, theirs = pty.openpty()
    shown = bytearray()

    def collect() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65536):
                shown.extend(piece)

    reader = threading.Thread(target=collect)
    process = Script(script, theirs, TERM="xterm")
    os.close(theirs)
    reader.start()
    yield process, shown
    reader.join(20)
    os.close(ours)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_on_a_terminal_at_any_point(place: str, number: signal.Signals, code: int) -> None:
    with on_a_terminal(SCRIPT.format(body=PLACES[place])) as (process, shown):
        assert ended(process, number) == code
    assert b"interrupted: run the same command again" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l"), "the cursor is hidden"


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stuck", STUCK)
def test_a_second_signal_ends_a_command_that_survived_the_first(stuck: str, second: signal.Signals) -> None:
    with on_a_terminal(SCRIPT.format(body=STUCK[stuck])) as (process, _):
        assert ended(process, signal.SIGINT, second) in (130, 143)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_second_signal_ends_a_command_whose_output_nobody_reads(*, terminal: bool) -> None:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = Script(SCRIPT.format(body=FLOOD), theirs, TERM="xterm")
    os.close(theirs)
    assert ended(process, signal.SIGINT, signal.SIGTERM) in (130, 143)
    os.close(ours)


def test_an_interruption_during_the_first_imports_ends_the_command_silently(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, time\nos.write(1, b'1')\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "tagger", "tags", "1.0.0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert process.stderr
    assert ended(process, signal.SIGINT) == -signal.SIGINT
    assert process.stderr.read() == b""
    process.stderr.close()


AT_AN_IMPORT = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
class Slow:
    def find_spec(name, *_):
        if name == "tagger.api":
            os.write(1, b"1")
            time.sleep(60)
sys.meta_path.insert(0, Slow)
from tagger.cli import run
sys.argv = {words}
run.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("words", [["ls", "r/a"], ["rm", "r/a", "--all"], ["promote", "r/a:b", "1.0.0"]])
def test_a_signal_during_a_later_import_ends_the_command_like_any_other(
    words: list[str], number: signal.Signals, code: int
) -> None:
    process = started(AT_AN_IMPORT.format(words=["tagger", *words]), subprocess.PIPE)
    assert process.stderr
    assert ended(process, number) == code
    assert b"tagger: error: interrupted: run the same command again" in process.stderr.read()
    process.stderr.close()


AT_THE_ERROR = """
import sys
from tagger.api import look
from tagger.cli import failure, run
from tagger.errors import Unsettled
def ls(*_, **__):
    raise Unsettled("latest is out of place", ["latest"])
def interrupted(_):
    raise KeyboardInterrupt
look.ls = ls
failure.show_done = interrupted
sys.argv = ["tagger", "ls", "r/a"]
run.main()
"""


def test_a_signal_while_an_error_is_shown_does_not_hide_it() -> None:
    process = started(AT_THE_ERROR, subprocess.PIPE)
    _, shown = process.communicate(timeout=20)
    assert (process.returncode, b"tagger: error: latest is out of place\n" in shown) == (4, True), shown


def test_an_interruption_is_shown_while_running_work_ends() -> None:
    held, released = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        held.set()
        released.wait(20)

    with ModelRegistry() as registry, FakeEngine(registry) as engine:
        engine.load("image", b"the gallery")
        registry.intercept(on("PUT", "/manifests/latest$", hold))
        words = ["tagger", "release", "image", "1.0.0", "--registry", registry.host, "--floats-via", "registry"]
        script = f"import os, sys; os.environ['DOCKER_HOST'] = {engine.url!r}; sys.argv = {words!r}\n"
        with on_a_terminal(f"{script}from tagger.cli.run import main; os.write(1, b'1'); main()") as (process, shown):
            assert held.wait(20)
            assert not released.is_set()
            release = threading.Timer(1, released.set)
            release.start()
            assert ended(process, signal.SIGINT) == 130
        assert b"interrupted: finishing what is under way; press Ctrl-C again to quit now" in shown
        assert "latest" not in registry.repositories["image"]
