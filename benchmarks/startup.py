"""The part of a release's time that does not depend on the registry: how long Python needs to be ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.case import Figure
from benchmarks.measure import median
from benchmarks.stage import Stage

_OURS = "import tagger.cli.release, urllib3, tagger.api.release, tagger.cli.render.text"
# What a release imports, in order; each is measured together with those above it.
STEPS = {
    "Python itself": "pass",
    "the command line (typer)": "import tagger.cli.release",
    "HTTP (urllib3)": "import tagger.cli.release, urllib3",
    "tagger's other modules (semver)": _OURS,
    "the Engine's client (docker-py)": f"{_OURS}, docker",
}


def measure_startup(stage: Stage, runs: int) -> Mapping[str, float]:
    """The seconds until each step is done. Raises ServiceError."""
    return {step: median(stage, f"python -c '{code}'", "", runs, 1) for step, code in STEPS.items()}


def profile(startup: Mapping[str, float], figures: Sequence[Figure]) -> Iterator[str]:
    """Write the steps as Markdown, and for each release that missed its goal what is left for its work."""
    yield from ("", "## Where the time goes", "", "Before a release can ask anything, Python has to be ready:", "")
    yield from ("| step | seconds | of them its own |", "| --- | ---: | ---: |")
    before = 0.0
    for step, seconds in startup.items():
        yield f"| {step} | {seconds:.3f} | {seconds - before:.3f} |"
        before = seconds
    yield ""
    for figure in (figure for figure in figures if figure.state == "warm" and "release" in figure.case.name):
        ready = "" if figure.met else f"; with no work at all it would be {before / figure.peer:.2f}"
        yield (
            f"- {figure.case.name}: {figure.ratio:.2f} of its peer's {figure.peer:.3f} s, of which"
            f" {figure.tagger - before:.3f} s for its work{ready}."
        )
