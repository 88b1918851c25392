"""A separate release on the session's Engine and registry, behind proxies that see every request."""

from __future__ import annotations

import contextlib
import random
import re
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import canary
from command import Ran
from doubles import (
    Basic,
    Bearer,
    EngineProxy,
    FakeEngine,
    ModelRegistry,
    Proxy,
    Request,
    Response,
    Server,
)
from launcher import Launched
from pushed import Repository
from services import Engine, Registry, ServiceError

FLOATS = ("2.1", "2", "latest")
VERSION = "2.1.106"
TAGS = (VERSION, *FLOATS)


class Point(NamedTuple):
    """One request of a release: to which service, what it asks, and how many like it came before."""

    service: str
    method: str
    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path} #{self.number}"


Act = Callable[[Server, Request], Response | None]


@dataclass(frozen=True, slots=True)
class Case:
    """How a command with one fault ended, and what is wrong with it."""

    point: Point
    mode: str
    reached: bool
    code: int
    finished: bool
    wrong: Sequence[str]

    def __str__(self) -> str:
        return f"{self.mode} at {self.point}, exit {self.code}: {'; '.join(self.wrong)}"


def summed_up(cases: Sequence[Case]) -> str:
    """How the cases ended that are all right."""
    ended = Counter("killed" if case.code == -9 else f"exit {case.code}" for case in cases)
    endings = ", ".join(f"{ending}: {number}" for ending, number in sorted(ended.items()))
    return (
        f"{len(cases)} faults, {endings};"
        f" {sum(case.reached for case in cases)} met, {sum(case.finished for case in cases)} re-runs at the goal"
    )


@dataclass
class Watch:
    """Number every request of two proxies, and act at one of them, once."""

    repository: str
    at: Point | None = None
    act: Act = lambda _server, _request: None
    points: list[Point] = field(default_factory=list)
    reached: bool = False
    _seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rule(self, service: str, server: Server) -> Callable[[Request], Response | None]:
        """The rule that watches one service."""

        def watch(request: Request) -> Response | None:
            kind = (service, request.method, self._kind(request))
            with self._lock:
                point = Point(*kind, self._seen[kind])
                self._seen[kind] += 1
                self.points.append(point)
                if due := point == self.at and not self.reached:
                    self.reached = True
            return self.act(server, request) if due else None

        return watch

    def _kind(self, request: Request) -> str:
        """Spell a path without what differs from run to run: names, hosts, digests, uploads."""
        path = request.path.replace(self.repository, "REPOSITORY")
        path = re.sub(r"build-[0-9a-f]{8}", "IMAGE", path)
        path = re.sub(r"probe-[0-9a-f]{32}", "PROBE", path)
        path = re.sub(r"sha256(:|%3A)[0-9a-f]{64}", "DIGEST", path)
        path = re.sub(r"(/blobs/uploads)/.+", r"\1/UPLOAD", path)
        path = re.sub(r"^/v1\.\d+", "", re.sub(r"127\.0\.0\.1(:|%3A)\d+", "HOST", path))
        tag = request.query.get("tag", [""])[0]
        return f"{path}?tag={tag}" if tag else path


@dataclass
class Unrest:
    """Delay requests at random, and sometimes hold a write until another request of the round arrives."""

    chance: random.Random
    came: threading.Condition = field(default_factory=threading.Condition)
    count: int = 0

    def __call__(self, request: Request) -> None:
        """Let one request wait for its turn: a rule."""
        with self.came:
            self.count += 1
            now, draw = self.count, self.chance.random()
            self.came.notify_all()
            if request.method in ("PUT", "POST") and draw < 0.3:
                more = 1 + int(draw * 30)
                self.came.wait_for(lambda: self.count >= now + more, timeout=0.5)
                return
        if draw > 0.8:
            time.sleep((draw - 0.8) / 4)


@dataclass
class Stage:
    """A repository with 2.1.105 released, an image to be 2.1.106, and the proxies between tagger and both services."""

    registry: Registry
    repository: str
    engine: EngineProxy
    proxy: Proxy
    image: str
    before: dict[str, str]
    environment: dict[str, str]

    @property
    def name(self) -> str:
        """The repository's name as tagger gets it."""
        return f"{self.proxy.host}/{self.repository}"

    def start(
        self, via: str = "engine", *more: str, version: str = VERSION, image: str | None = None, **environment: str
    ) -> Launched:
        """Start the release, with all output that it can print."""
        words = (
            "release",
            image or self.image,
            version,
            "--registry",
            self.proxy.host,
            "--repository",
            self.repository,
        )
        options = ("--floats-via", via, "--json", "--verbose", *more)
        return Launched(self.engine, *words, *options, **{**self.environment, **environment})

    def release(
        self, via: str = "engine", *more: str, version: str = VERSION, image: str | None = None, **environment: str
    ) -> Ran:
        """Release, and wait for the end."""
        return self.start(via, *more, version=version, image=image, **environment).wait()

    def calm(self) -> None:
        """End every fault."""
        self.engine.rules.clear()
        self.proxy.rules.clear()

    def snapshot(self) -> dict[str, str]:
        """Map every tag to its digest, past the proxies.

        A push that its dead client left running may be writing: this registry answers 500 to who reads just then.
        """
        for _ in range(20):
            with contextlib.suppress(ServiceError):
                return self.registry.snapshot(self.repository)
            time.sleep(0.1)
        return self.registry.snapshot(self.repository)

    @contextmanager
    def watched(self, at: Point | None = None, act: Act = lambda _server, _request: None) -> Iterator[Watch]:
        """Watch what goes through both proxies, and act at one point."""
        watch = Watch(self.repository, at, act)
        servers: dict[str, Server] = {"engine": self.engine, "registry": self.proxy}
        rules = {server: watch.rule(name, server) for name, server in servers.items()}
        for server, rule in rules.items():
            server.intercept(rule)
        yield watch
        for server, rule in rules.items():
            server.rules.remove(rule)


@contextmanager
def stage(engine: Engine, registry: Registry) -> Iterator[Stage]:
    """Set a stage with new images, so that every release sends the same requests."""
    unique = secrets.token_hex(4)
    repository = f"steps/app-{unique}"
    with ExitStack() as services:
        proxy = services.enter_context(Proxy(registry.host))
        through = services.enter_context(EngineProxy(engine.socket))
        folder = Path(services.enter_context(tempfile.TemporaryDirectory(prefix="tagger-stage-")))
        environment = canary.docker_config(folder, proxy.host) if registry.users else {}
        old = Repository(registry, repository).image("2.1.105", f"old {unique}", layers=1)
        for tag in FLOATS:
            registry.put(repository, tag, old.body, old.media_type)
        image = f"build-{unique}"
        image_id = engine.imported(image, f"new {unique}")
        try:
            yield Stage(registry, repository, through, proxy, image, registry.snapshot(repository), environment)
        finally:
            engine.forget(image_id)


@dataclass
class Model:
    """The same release on stand-ins: 2.1.105 is released, the test controls both services."""

    registry: ModelRegistry
    engine: FakeEngine
    repository: str
    before: dict[str, str]
    environment: dict[str, str]
    image: str = "build"

    @property
    def name(self) -> str:
        """The repository's name."""
        return f"{self.registry.host}/{self.repository}"

    def release(
        self, via: str = "engine", *more: str, version: str = VERSION, image: str | None = None, **environment: str
    ) -> Ran:
        """Release, and wait for the end."""
        words = ("release", image or self.image, version, "--registry", self.registry.host)
        options = ("--repository", self.repository, "--floats-via", via, "--json", "--verbose", *more)
        return Launched(self.engine, *words, *options, **{**self.environment, **environment}).wait()

    def snapshot(self) -> dict[str, str]:
        """Map every tag to its digest."""
        return dict(self.registry.repositories[self.repository])

    def calm(self) -> None:
        """End every fault."""
        self.engine.rules.clear()
        self.registry.rules.clear()
        self.engine.push = self.engine.deliver


@contextmanager
def model(
    auth: Basic | Bearer | None = None,
    store: Literal["overlay2", "containerd"] = "overlay2",
    *,
    tags_at_once: int = 0,
) -> Iterator[Model]:
    """Set the same stage with stand-ins for both services."""
    repository = "steps/app"
    with (
        ModelRegistry(auth=auth, tags_at_once=tags_at_once) as registry,
        FakeEngine(registry, store=store) as engine,
        ExitStack() as opened,
    ):
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tagger-stage-")))
        registry.seed(repository, dict.fromkeys(("2.1.105", *FLOATS), b"old"))
        engine.load("build", b"new")
        environment = canary.docker_config(folder, registry.host) if auth else {}
        yield Model(registry, engine, repository, dict(registry.repositories[repository]), environment)
