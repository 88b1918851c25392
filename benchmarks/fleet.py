"""Check many repositories of a registry in this process, and print the cost: `python -m benchmarks.fleet 10000`."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from doubles import ModelRegistry

_TAGS = {"2.1.105": b"old", **dict.fromkeys(("2.1.106", "2.1", "2", "latest"), b"new")}


def measure(count: int, folder: Path) -> str:
    """Check a number of repositories, and return a row of the table; the peak is that of all checks so far."""
    with ModelRegistry() as model:
        names = [f"team{number % 7}/app{number}" for number in range(count)]
        for name in names:
            model.seed(name, _TAGS)
        (folder / "names").write_text("".join(f"{model.host}/{name}\n" for name in names))
        command = [sys.executable, "-m", "tagger", "check", "--from", "names", "--jobs", "16", "--json-lines"]
        begin = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begin
        asked = len(model.requests)
    assert len(ran.stdout.splitlines()) == count, ran.stderr
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    return f"| {count} | {seconds:.1f} s | {asked / count:.2f} | {peak:.0f} MB |"


def main(most: int) -> None:
    """Print a table with a tenth of the repositories, and with all."""
    print("| repositories | time | requests each | peak |\n| ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for count in (max(1, most // 10), most):
            print(measure(count, Path(folder)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
