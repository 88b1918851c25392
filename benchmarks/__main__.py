"""Measure, print each figure as it comes, and write the results: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from services import ServiceError

from benchmarks.case import Figure
from benchmarks.cases import CASES
from benchmarks.growth import GROWTHS, Curve, measure_growth
from benchmarks.measure import measure
from benchmarks.results import markdown
from benchmarks.stage import CRANE, Stage, stage
from benchmarks.startup import measure_startup

_PROGRAMS = {
    "tagger": "tagger --version",
    "docker": "docker version --format 'Docker {{.Client.Version}}, Engine {{.Server.Version}}'",
    "docker-registry": "docker-registry --version",
    "crane": f"dpkg-query --admindir={CRANE.parents[2]}/var/lib/dpkg --show --showformat 'crane ${{Version}}' crane",
    "skopeo": "skopeo --version",
    "hyperfine": "hyperfine --version",
}


def about(on: Stage) -> list[str]:
    """Describe the machine, the versions and the date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    lines = [
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GB",
        f"Python {platform.python_version()}",
    ]
    for program, command in _PROGRAMS.items():
        lines.append(on.shell(command).strip() if on.has(program) else f"not installed: {program}")
    return lines


@contextlib.contextmanager
def _named_when_missing(name: str, missing: dict[str, str]) -> Iterator[None]:
    """Continue with the other cases if something is missing for one."""
    try:
        yield
    except ServiceError as error:
        missing[name] = str(error)
        print(f"not measured: {name}: {error}", flush=True)


def main() -> int:
    """Measure what was asked for, and return the exit code: 1 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure tagger against what it replaces.")
    parser.add_argument("--runs", type=int, default=10, help="runs of each command (default: 10)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the cases whose name contains this")
    parser.add_argument("--growth-runs", type=int, default=5, help="runs of each command at each step (default: 5)")
    parser.add_argument("--no-growth", action="store_true", help="leave out how the cost grows")
    parser.add_argument("--no-cold", action="store_true", help="leave out the runs without a page cache")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures: list[Figure] = []
    curves: list[Curve] = []
    missing: dict[str, str] = {}
    with stage() as on:
        print(on.exports(), flush=True)
        machine, startup = about(on), measure_startup(on, asked.runs)

        def keep() -> None:
            """Write the results so far: a full run takes half an hour, and may be interrupted."""
            asked.results.write_text(markdown(figures, curves, startup, missing, machine))

        for case in (case for case in CASES if asked.only in case.name):
            with _named_when_missing(case.name, missing):
                for figure in measure(on, case, asked.runs, cold=not asked.no_cold):
                    figures.append(figure)
                    print(f"{figure.ratio:6.2f} of {case.goal:.2f}  {case.name}, {figure.state}", flush=True)
            keep()
        for growth in (growth for growth in GROWTHS if not asked.no_growth and asked.only in growth.name):
            with _named_when_missing(growth.name, missing):
                curves.append(measure_growth(on, growth, asked.growth_runs))
                print(f"{growth.name}: {curves[-1].shape}", flush=True)
            keep()
    return 0 if figures or curves else 1


if __name__ == "__main__":
    sys.exit(main())
