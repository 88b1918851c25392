"""Releasers at the same time, each in its own process, against a real Engine and a real registry."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from command import Ran
from doubles import DOCKER_MANIFEST, EngineProxy, Proxy, Request, Response, Server
from launcher import Launched, launched
from services import Engine, Registry
from stage import TAGS, VERSION, Point, Unrest, stage
from thinned import EVERY

from tagger.names import Tag
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, parse_version

Tell = Callable[[str], None]
SCHEME = Scheme()
RELEASERS = 8
VERSIONS = tuple(
    f"{major}.{minor}.{patch}{pre}" for major in (1, 2) for minor in (0, 1) for patch in (0, 1) for pre in ("", "-rc.1")
)


# -- different versions ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Built:
    """What a machine has built: an image for every version, and each one's manifest in the registry."""

    images: dict[str, str]
    manifests: dict[str, bytes]
    repository: str


@pytest.fixture(scope="module")
def built(engine: Engine, registry: Registry) -> Built:
    unique = secrets.token_hex(4)
    repository = f"races/built-{unique}"
    images, manifests = {}, {}
    for version in VERSIONS:
        name = f"{registry.host}/{repository}:{version}"
        images[version] = engine.image(name, f"{unique} {version}")
        engine.docker("push", "--quiet", name)
        manifests[version] = registry.manifest(repository, version)
    return Built(images, manifests, repository)


@dataclass
class Round:
    """One race: what is published before, who releases what, and the services behind proxies."""

    engine: Engine
    registry: Registry
    built: Built
    chance: random.Random
    repository: str = field(default_factory=lambda: f"races/app-{secrets.token_hex(4)}")

    def publish(self) -> list[str]:
        """Publish some versions, with floating tags that drifted, and say which versions are to be released."""
        shuffled = self.chance.sample(VERSIONS, len(VERSIONS))
        history = shuffled[: self.chance.randrange(5)]
        again = history[:1] if self.chance.random() < 0.3 else []
        ours = [*again, *shuffled[len(history) : len(history) + RELEASERS - len(again)]]
        for version in history:
            self._put(version, version)
        everything = resolve(map(parse_version, (*history, *ours)), SCHEME)
        repaired = {tag for tag, owner in everything.items() if str(owner) in ours}  # a release moves no other tag
        for tag, owner in resolve([parse_version(version) for version in history], SCHEME).items():
            self._put(tag, self.chance.choice(history) if tag in repaired else str(owner))
        return ours

    def _put(self, tag: str, version: str) -> None:
        self._mount(version)
        assert self.registry.put(self.repository, tag, self.built.manifests[version], DOCKER_MANIFEST) == 201

    def _mount(self, version: str) -> None:
        described = json.loads(self.built.manifests[version])
        for blob in (described["config"], *described["layers"]):
            words = f"mount={blob['digest']}&from={self.built.repository}"
            status, _, _ = self.registry.request("POST", f"/v2/{self.repository}/blobs/uploads/?{words}", b"")
            assert status == 201

    @contextmanager
    def proxies(self) -> Iterator[tuple[EngineProxy, Proxy]]:
        """Stand between the releasers and both services, and disturb them."""
        with ExitStack() as services:
            through = services.enter_context(EngineProxy(self.engine.socket))
            proxy = services.enter_context(Proxy(self.registry.host))
            proxy.intercept(Unrest(self.chance))
            yield through, proxy

    def start(self, through: EngineProxy, proxy: Proxy, version: str) -> Launched:
        """Start the release of a version."""
        via = self.chance.choice(["engine", "registry"])
        words = ("release", self.built.images[version], version, "--registry", proxy.host)
        return Launched(through, *words, "--repository", self.repository, "--floats-via", via)

    def misplaced(self, versions: Sequence[str]) -> list[str]:
        """Yield what differs from `resolve` of all versions."""
        held = self.registry.snapshot(self.repository)
        found = Published.of([Tag(tag) for tag in held], SCHEME).versions
        missing = [version for version in versions if parse_version(version) not in found]
        wrong = [version for version in versions if version in held and held[version] != self._digest(version)]
        owners: dict[Tag, Version] = resolve(found, SCHEME)
        strays = [f"{tag} is not {v}" for tag, v in owners.items() if held.get(tag) != self._digest(str(v))]
        return [*(f"{v} is missing" for v in missing), *(f"{v} changed" for v in wrong), *strays]

    def _digest(self, version: str) -> str | None:
        return self.registry.digest(self.built.repository, version)


def race(engine: Engine, registry: Registry, built: Built, seed: int) -> list[str]:
    """Run all releasers of a round to their ends, and yield what is wrong then."""
    this = Round(engine, registry, built, random.Random(seed))
    versions = this.publish()
    with this.proxies() as (through, proxy):
        runs = [process.wait() for process in [this.start(through, proxy, version) for version in versions]]
    failed = [f"{v}: exit {ran.code}: {ran.err}" for v, ran in zip(versions, runs, strict=True) if ran.code]
    return [f"round {seed}: {wrong}" for wrong in (*failed, *this.misplaced(versions))]


def race_with_losses(engine: Engine, registry: Registry, built: Built, seed: int) -> list[str]:
    """Kill some releasers of a round and lose requests of others, repair, and say what is wrong then."""
    this = Round(engine, registry, built, random.Random(seed))
    versions = this.publish()
    with this.proxies() as (through, proxy):
        losses = threading.Semaphore(3)

        def lose(request: Request) -> Response | None:
            due = request.method in ("PUT", "HEAD", "GET") and this.chance.random() < 0.03
            return Response(drop=True) if due and losses.acquire(blocking=False) else None

        proxy.intercept(lose)
        processes = [this.start(through, proxy, version) for version in versions]
        for process in processes[: this.chance.randrange(1, 4)]:
            time.sleep(this.chance.random() / 4)
            process.kill()
        runs = [process.wait() for process in processes]
    # The proxies are gone, and with them all requests of killed processes.
    done = [version for version, ran in zip(versions, runs, strict=True) if ran.code == 0]
    held = registry.tags(this.repository)
    repaired = launched(None, "repair", f"{registry.host}/{this.repository}") if held else None
    odd = [f"{v}: exit {r.code}" for v, r in zip(versions, runs, strict=True) if r.code not in (0, 1, 2, 3, 4, -9)]
    if repaired and repaired.code:
        odd.append(f"repair: exit {repaired.code}: {repaired.err}")
    return [f"round {seed}: {wrong}" for wrong in (*odd, *this.misplaced(done))]


def run_rounds(
    run: Callable[[Engine, Registry, Built, int], list[str]],
    engine: Engine,
    registry: Registry,
    built: Built,
    rounds: int,
) -> str:
    """Run rounds, two at a time, and return the summary."""
    begun, seeds = time.monotonic(), range(rounds)[::EVERY]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda seed: run(engine, registry, built, seed), seeds)
        wrong = [line for lines in found for line in lines]
    assert not wrong, "\n".join(wrong)
    seconds = time.monotonic() - begun
    return f"{run.__name__}: {len(seeds)} rounds of {RELEASERS} releasers in {seconds:.0f} s, all right"


@pytest.mark.engine
@pytest.mark.long
def test_concurrent_releases_end_at_the_resolved_tags_of_all_versions(
    engine: Engine, registry: Registry, built: Built, tell: Tell
) -> None:
    tell(run_rounds(race, engine, registry, built, 200))


@pytest.mark.engine
@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.long)])
def test_a_repair_after_failed_and_killed_releases_ends_at_the_resolved_tags(
    engine: Engine, registry: Registry, built: Built, rounds: int, tell: Tell
) -> None:
    tell(run_rounds(race_with_losses, engine, registry, built, rounds))


# -- the same version with different images --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Duel:
    """Two releases of one version: the first is held at a point while the second runs from start to end."""

    point: Point
    first: Ran
    second: Ran
    wrong: str = ""


def duel(engine: Engine, registry: Registry, via: str, point: Point) -> Duel:
    """Hold a releaser at one point, let the rival run, and let the first go on."""
    arrived, go = threading.Event(), threading.Event()

    def hold(_server: Server, _request: Request) -> None:
        arrived.set()
        assert go.wait(120)

    with stage(engine, registry) as scene, Proxy(registry.host) as door:
        rival_image = engine.imported(f"rival-{secrets.token_hex(4)}", f"rival of {scene.repository}")
        with scene.watched(point, hold):
            first = scene.start(via)
            try:
                arrived.wait(60)
                words = ("release", rival_image, VERSION, "--registry", door.host, "--floats-via", via)
                second = launched(engine, *words, "--repository", scene.repository)
            finally:
                go.set()
            ended = first.wait()
        held = scene.snapshot()
        engine.docker("image", "rm", "--force", rival_image)
    codes = (ended.code, second.code)
    wrong = ""
    if 0 not in codes:
        wrong = f"nobody won: {ended.err}, {second.err}"
    elif {held.get(tag) for tag in TAGS} != {held.get(VERSION)}:
        wrong = f"tags of two images: {held}: exits {codes}: {ended.err}, {second.err}"
    return Duel(point, ended, second, f"held at {point}: {wrong}" if wrong else "")


TURNING = [("HEAD", VERSION, 0), ("PUT", VERSION, 0), ("GET", VERSION, 0), ("HEAD", VERSION, 1), ("PUT", "latest", 0)]


@pytest.mark.engine
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("via", ["engine", "registry"])
def test_one_of_two_images_for_one_version_wins_and_the_other_reports_a_conflict(
    *, engine: Engine, registry: Registry, via: str, whole: bool, tell: Tell
) -> None:
    with stage(engine, registry) as scene, scene.watched() as watch:
        assert scene.release(via).code == 0
    points = watch.points
    chosen = [p for p in points if whole or (p.method, p.path.rpartition("/")[2], p.number) in TURNING]
    with ThreadPoolExecutor(8) as pool:
        duels = list(pool.map(lambda point: duel(engine, registry, via, point), chosen))
    wrong = [each.wrong for each in duels if each.wrong]
    assert not wrong, "\n".join(wrong)
    silent = [each.point for each in duels if each.first.code == each.second.code == 0]
    assert set(silent) <= set(unseen(points)), f"overwritten without a word: {[*map(str, silent)]}"
    exits = Counter((each.first.code, each.second.code) for each in duels)
    tell(f"floats via {via}: {len(duels)} duels, exits {dict(exits)}; two successes: {[*map(str, silent)]}")


def unseen(points: Sequence[Point]) -> Sequence[Point]:
    """The window that no registry lets us close: from the last look at the version tag to the end of its push."""
    kinds = [(point.method, point.path.rpartition("/")[2]) for point in points]
    lands = kinds.index(("PUT", VERSION))
    looks = max(number for number in range(lands) if kinds[number] == ("HEAD", VERSION))
    return points[looks + 1 : lands + 1]
