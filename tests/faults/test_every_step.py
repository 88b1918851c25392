"""Every request of a release fails once: before it took effect, with its answer lost, and with tagger killed there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import pytest
from command import Ran
from doubles import Request, Response, Server
from launcher import Launched
from services import Engine, Registry
from stage import FLOATS, TAGS, VERSION, Case, Point, Stage, Watch, stage, summed_up

Mode = Literal["before", "after", "killed"]
Tell = Callable[[str], None]
SOME = 6  # the full matrix has every read
AT_ONCE = 12  # a release that fails mostly waits


def recorded(engine: Engine, registry: Registry, via: str) -> list[Point]:
    """Every request of a successful release."""
    with stage(engine, registry) as scene, scene.watched() as watch:
        assert scene.release(via).code == 0
    return watch.points


def failing(engine: Engine, registry: Registry, via: str, point: Point, mode: Mode) -> Case:
    """Release with a fault at one point, then once more without."""
    victim: Future[Launched] = Future()

    def act(server: Server, request: Request) -> Response | None:
        if mode == "before":
            return Response(drop=True)
        if mode == "after":
            return server.lose_answer(request)
        victim.result(60).kill()
        return None  # what is under way when a process dies still arrives

    with stage(engine, registry) as scene:
        with scene.watched(point, act) as watch:
            victim.set_result(scene.start(via))
            ran = victim.result().wait()
        wrong = [*_broken(scene, ran, watch, mode)]
        again = scene.release(via)
        after = scene.snapshot()
        finished = again.code == 0 and {after.get(tag) for tag in TAGS} == {after[VERSION]}
        if not finished:
            wrong.append(f"run again: exit {again.code}, {after}: {again.err}")
    return Case(point, mode, watch.reached, ran.code, finished, wrong)


def _broken(scene: Stage, ran: Ran, watch: Watch, mode: Mode) -> Collection[str]:
    """Yield the promises that a first run broke."""
    held, wrong = scene.snapshot(), []
    old = scene.before["2.1.105"]
    new = held.get(VERSION)
    moved = [tag for tag in FLOATS if held.get(tag) != old]
    if astray := [tag for tag in FLOATS if held.get(tag) not in (old, new)]:
        wrong.append(f"neither old nor new: {astray}")
    if held.get("2.1.105") != old:
        wrong.append("the previous release changed")
    if mode == "killed" and watch.reached:
        return wrong if ran.code == -9 else [*wrong, "was not killed"]
    if ran.code == 0:
        if len(moved) != len(FLOATS) or new is None:
            wrong.append(f"exit 0, and not at the goal: {held}")
    elif ran.code in (1, 2, 3):
        if moved:
            wrong.append(f"exit {ran.code}, and moved: {moved}: {ran.err}")
    elif ran.code == 4:
        if unnamed := [tag for tag in moved if f"{scene.name}:{tag}" not in ran.error or not _doubted(ran, tag)]:
            wrong.append(f"out of place and not named: {unnamed}: {ran.err}")
    else:
        wrong.append(f"no exit code of tagger's: {ran.err}")
    return wrong


def _doubted(ran: Ran, tag: str) -> bool:
    """Whether the report in JSON admits that a tag was not put back."""
    told = {entry["tag"]: entry for one in ran.json["repositories"] for entry in one["tags"]}
    return f":{tag}" in ran.json["error"] and told[tag]["after"] is None


def run_faults(
    engine: Engine, registry: Registry, via: str, points: Sequence[Point], faults: Sequence[tuple[Point, Mode]]
) -> str:
    """Run faults at some of the points, several at once, and return the summary; each has its own repository."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(failing, engine, registry, via, point, mode) for point, mode in faults]
        cases = [future.result() for future in futures]
    broken = [str(case) for case in cases if case.wrong]
    assert not broken, "\n".join(broken)
    sure = [case for case in cases if not _by_chance(case.point, points)]
    missed = [f"{case.mode} at {case.point}" for case in sure if not case.reached]
    assert not missed, f"never met: {missed}"
    return f"floats via {via}: {summed_up(cases)}"


def _by_chance(point: Point, points: Sequence[Point]) -> bool:
    """Whether a release that succeeds may skip this point.

    Pushes at once share what they learn of blobs, so that the Engine does not ask for each equally often. And of the
    first questions, which go out at once, some come before the registry has said that it wants to know who asks: how
    many are asked twice is a matter of time.
    """
    last = max(other.number for other in points if other[:-1] == point[:-1])
    repeated = point.method in ("HEAD", "GET") and point.number == last > 0
    return point.service == "registry" and ("/blobs/" in point.path or repeated)


@pytest.mark.engine
@pytest.mark.parametrize("via", ["engine", "registry"])
def test_each_kind_of_write_and_some_reads_may_fail(
    engine: Engine, guarded_registry: Registry, via: str, tell: Tell
) -> None:
    kinds = [point for point in recorded(engine, guarded_registry, via) if point.number == 0 and _matters(point, via)]
    writes: list[tuple[Point, Mode]] = [(point, "after") for point in kinds if point.method == "PUT"]
    reads: list[tuple[Point, Mode]] = [(point, "before") for point in kinds if point.method != "PUT"][::SOME]
    tell(run_faults(engine, guarded_registry, via, [point for point, _ in (*writes, *reads)], [*writes, *reads]))


def _matters(point: Point, via: str) -> bool:
    """Leave to the full matrix what a release with floating tags by the registry does not do differently."""
    floating = any(point.path.endswith((f"/{tag}", f"={tag}")) for tag in FLOATS)
    if via == "registry":
        return floating and point.method == "PUT"
    return not floating or point.path.endswith(("latest", "latest/json"))


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.parametrize("via", ["engine", "registry"])
def test_every_request_may_fail(engine: Engine, guarded_registry: Registry, via: str, tell: Tell) -> None:
    points = recorded(engine, guarded_registry, via)
    modes: tuple[Mode, ...] = ("before", "after", "killed")
    tell(run_faults(engine, guarded_registry, via, points, [(point, mode) for point in points for mode in modes]))
