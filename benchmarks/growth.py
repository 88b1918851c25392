"""How the cost grows: with tags in the repository, tags in the cascade, layers of the image, and distance."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from services import ServiceError

from benchmarks.case import Commands
from benchmarks.cases import VIA_REGISTRY, release, script
from benchmarks.measure import median
from benchmarks.stage import Stage

_BAR = 40


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows, in which steps, and the shape that is expected of tagger's time; `make` is given a step."""

    name: str
    unit: str
    steps: Sequence[int]
    expected: str
    make: Callable[[Stage, int], Commands]
    needs: tuple[str, ...] = ("docker",)


@dataclass(frozen=True, slots=True)
class Curve:
    """Medians of a growth at each step, in seconds."""

    growth: Growth
    commands: Commands
    tagger: Sequence[float]
    peer: Sequence[float]

    @property
    def shape(self) -> str:
        """The straight line that fits tagger's time best, and how far off its worst point is."""
        line = statistics.linear_regression(self.growth.steps, self.tagger)
        fitted = [line.intercept + line.slope * step for step in self.growth.steps]
        off = max(abs(seen - wanted) / seen for seen, wanted in zip(self.tagger, fitted, strict=True))
        return f"{line.intercept:.2f} s + {line.slope * 1000:.3g} ms per {self.growth.unit}, off by {off:.0%} at most"


def measure_growth(stage: Stage, growth: Growth, runs: int) -> Curve:
    """Measure tagger and its peer at every step. Raises ServiceError for what is missing, and when a command fails."""
    if absent := [program for program in growth.needs if not stage.has(program)]:
        raise ServiceError(f"not installed: {', '.join(absent)}")
    tagger, peer = [], []
    for step in growth.steps:
        commands = growth.make(stage, step)
        tagger.append(median(stage, commands.tagger, commands.prepare, runs, 1))
        peer.append(median(stage, commands.peer, commands.prepare, runs, 1))
    return Curve(growth, commands, tagger, peer)


def section(curve: Curve) -> Iterator[str]:
    """Write a curve as Markdown: what was expected and measured, a table, and a plot of tagger's time."""
    growth = curve.growth
    yield from ("", f"### {growth.name}", "", f"Expected: {growth.expected}. Measured: {curve.shape}.", "")
    yield from (f"| {growth.unit}s | tagger | peer | ratio |", "| ---: | ---: | ---: | ---: |")
    rows = list(zip(growth.steps, curve.tagger, curve.peer, strict=True))
    for step, tagger, peer in rows:
        yield f"| {step} | {tagger:.3f} s | {peer:.3f} s | {tagger / peer:.2f} |"
    yield from ("", "```text")
    scale = _BAR / max(curve.tagger)
    for step, tagger, _ in rows:
        yield f"{step:>7} {'█' * max(1, round(tagger * scale))} {tagger:.2f} s"
    commands = curve.commands
    before = [f"{commands.prepare}  # before each run"] if commands.prepare else []
    yield from ("```", "", "The commands of the last row:", "", "```sh", *before, commands.tagger, commands.peer, "```")


def _tags(stage: Stage, number: int) -> Commands:
    """Plan a release into a repository with a number of version tags, all of one image."""
    repository = f"growth/tags-{number}"

    def publish() -> None:
        words = {f"{n % 7}.{n // 7 % 100}.{n // 700}": 0 for n in range(number)}
        stage.shelf.fill(repository, words)
        stage.image("app:new-1", layers=1, size=100_000)

    stage.once(repository, publish)
    plan = f"tagger release app:new-1 6.99.100000 --registry {stage.host(0)} --repository {repository} --dry-run"
    return Commands(plan, f"crane ls {stage.host(0)}/{repository}")


def _cascade(stage: Stage, number: int) -> Commands:
    """Release to a number of tags via the registry; the scheme has an alias for each tag beyond the usual four."""
    usual = release(stage, far=0)
    repository = usual.prepare.removeprefix("restore ")
    tags = " ".join(["2.1.106", "2.1", "2", "latest", *(f"alias-{n}" for n in range(number - 4))])
    command = f"python -m benchmarks.cascading {number - 4} app:new-10 {stage.host(0)} {repository}"
    return Commands(command, script(f"{stage.host(0)}/{repository}", "app:new-10", tags), usual.prepare)


def _layers(stage: Stage, number: int) -> Commands:
    return release(stage, far=0, layers=number)


def _distance(stage: Stage, milliseconds: int, options: str = "") -> Commands:
    return release(stage, far=milliseconds, options=options)


GROWTHS = (
    Growth(
        "Tags in the repository",
        "tag",
        (10, 100, 1_000, 10_000, 100_000),
        "linear, once there are more than some thousands: each tag is sent, parsed and compared once",
        _tags,
        ("docker", "crane"),
    ),
    Growth(
        "Tags in the cascade",
        "tag",
        (4, 8, 16, 32, 64),
        "linear and flat: tags are read and written eight at once",
        _cascade,
    ),
    Growth(
        "Layers of the image",
        "layer",
        (1, 3, 10, 30, 100),
        "linear: the Engine asks for each layer once per push, five at once",
        _layers,
    ),
    Growth(
        "Round trip to the registry",
        "ms",
        (0, 10, 40, 100, 200),
        "linear: the round trips that wait for each other, of which the Engine's two pushes have more than half",
        _distance,
    ),
    Growth(
        "Round trip to the registry, floating tags via the registry",
        "ms",
        (0, 10, 40, 100, 200),
        "linear: as above without the Engine's second push",
        partial(_distance, options=VIA_REGISTRY),
    ),
)
