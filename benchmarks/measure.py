"""Measure whole processes: their time with hyperfine, or without it in a loop, and their peak memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from services import ServiceError

from benchmarks.case import Case, Commands, Figure
from benchmarks.stage import Stage

# A process's peak includes that of the process that started it, so a small one must start it.
_PEAK = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_FORGET = "forget"


def measure(stage: Stage, case: Case, runs: int, *, cold: bool) -> Iterator[Figure]:
    """Measure a case warm, and where it makes sense and `cold` asks for it also with nothing in the page cache.

    Raises ServiceError for what is missing, and for a command that fails.
    """
    if absent := [program for program in case.needs if not stage.has(program)]:
        raise ServiceError(f"not installed: {', '.join(absent)}")
    commands = case.make(stage)
    peer_runs = min(runs, case.peer_runs or runs)
    peak = _peak(stage, commands) if case.memory else None
    for state in ("warm", "cold") if cold and case.cold else ("warm",):
        prepare = commands.prepare if state == "warm" else f"{commands.prepare or 'true'} && {_FORGET}"
        warmup = int(state == "warm" and peer_runs > 1)
        tagger = median(stage, commands.tagger, prepare, runs, warmup)
        peer = median(stage, commands.peer, prepare, peer_runs, warmup)
        yield Figure(case, state, commands, tagger, peer, (runs, peer_runs), peak)


def median(stage: Stage, command: str, prepare: str, runs: int, warmup: int) -> float:
    """Run a command again and again, each time prepared, and return the median of its seconds."""
    times = _by_hyperfine if stage.has("hyperfine") and runs > 1 else _by_hand
    return statistics.median(times(stage, command, prepare, runs, warmup))


def _by_hyperfine(stage: Stage, command: str, prepare: str, runs: int, warmup: int) -> list[float]:
    words = ["hyperfine", "--style", "none", "--runs", str(runs), "--warmup", str(warmup), "--export-json", "times"]
    words += ["--prepare", prepare] if prepare else []
    ran = subprocess.run(
        [*words, command], cwd=stage.folder, env=stage.environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ServiceError(f"{command}: {ran.stderr.strip()}")
    times: list[float] = json.loads((stage.folder / "times").read_text())["results"][0]["times"]
    return times


def _by_hand(stage: Stage, command: str, prepare: str, runs: int, warmup: int) -> list[float]:
    times = []
    for _ in range(warmup + runs):
        stage.shell(prepare)
        started = time.perf_counter()
        stage.shell(command)
        times.append(time.perf_counter() - started)
    return times[warmup:]


def _peak(stage: Stage, commands: Commands) -> float:
    """The peak resident memory of tagger in MB."""
    stage.shell(commands.prepare)
    command = [sys.executable, "-c", _PEAK, "sh", "-c", commands.tagger]
    ran = subprocess.run(command, cwd=stage.folder, env=stage.environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ServiceError(f"{commands.tagger}: {ran.stderr.strip()}")
    return int(ran.stdout) * 1024 / 1e6
