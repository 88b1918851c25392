"""Where everything is measured: a private Engine, a private registry, and distances between the two."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services import Engine, Registry, ServiceError, free_port, image_archive, private_folder

from benchmarks.shelf import Shelf

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CRANE = Path(os.environ.get("CONTAINERD_ROOT") or CACHE / "tagger/sid") / "usr/bin/crane"
FAR = 40
_KEPT_OUT = ("DOCKER_", "TAGGER_", "PYTHON")

# What a case needs to start from, again before each run: the tags in the registry and in the Engine.
RESTORE = """\
#!/bin/sh
# restore REPOSITORY: put its tags back as they were, in the registry, and remove those that the Engine got.
set -e
tags=$REPOSITORIES/$1/_manifests/tags
rm -rf "$tags"
cp -a "$BEFORE/$1" "$tags"
docker image ls --format '{{.Repository}}:{{.Tag}}' | grep "/$1:" | xargs -r docker image rm --no-prune >/dev/null
"""
EMPTY = """\
#!/bin/sh
# empty REPOSITORY: remove everything that the registry and the Engine have of it, including blobs.
set -e
for link in "$REPOSITORIES/$1"/_layers/sha256/* "$REPOSITORIES/$1"/_manifests/revisions/sha256/*; do
    name=${link##*/}
    rm -rf "$REPOSITORIES/../blobs/sha256/$(printf %.2s "$name")/$name"
done
rm -rf "${REPOSITORIES:?}/$1"
docker image ls --format '{{.Repository}}:{{.Tag}}' | grep "/$1:" | xargs -r docker image rm --no-prune >/dev/null
"""
FORGET = """\
#!/bin/sh
# forget: drop the kernel's page cache, so that every file is read from the disk again.
sync
echo 3 >/proc/sys/vm/drop_caches
"""


@dataclass(slots=True)
class Stage:
    """An Engine and a registry that a shell in `environment` reaches; `shelf` is the registry's storage."""

    folder: Path
    engine: Engine
    registry: Registry
    environment: Mapping[str, str]
    shelf: Shelf
    _services: contextlib.ExitStack
    _hosts: dict[tuple[str, int], str] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)
    _second: Registry | None = None

    def host(self, round_trip: int, registry: Registry | None = None) -> str:
        """An address of a registry (None: the first) that is a number of milliseconds away; 0 is the registry's own."""
        host = (registry or self.registry).host
        if round_trip == 0:
            return host
        if (host, round_trip) not in self._hosts:
            self._hosts[host, round_trip] = self._services.enter_context(_distance(host, round_trip))
        return self._hosts[host, round_trip]

    @property
    def second(self) -> Registry:
        """A second registry, from which images are copied."""
        if self._second is None:
            folder = self.folder.parent / "second"
            folder.mkdir()
            self._second = self._services.enter_context(Registry.start(folder))
        return self._second

    def shell(self, text: str) -> str:
        """Run a shell command in the folder and return its output; ServiceError when it fails."""
        command = ["sh", "-c", text]
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise ServiceError(f"{text}: {ran.stderr.strip()}")
        return ran.stdout

    def has(self, program: str) -> bool:
        """Whether a program is installed."""
        return shutil.which(program, path=self.environment["PATH"]) is not None

    def once(self, name: str, make: Callable[[], None]) -> None:
        """Make something that cases share, unless it is there."""
        if name not in self._made:
            make()
            self._made.add(name)

    def image(self, name: str, layers: int, size: int) -> None:
        """Load an image of random bytes into the Engine: a number of layers, each of a number of bytes."""
        self.once(f"image {name}", lambda: self._load(image_archive(name, os.urandom(size), layers)))

    def push(self, name: str, round_trip: int, *references: str) -> None:
        """Push an image under other names (REPOSITORY:TAG) to the registry at a distance, and untag them again."""
        for reference in references:
            there = shlex.quote(f"{self.host(round_trip)}/{reference}")
            self.shell(f"docker tag {name} {there} && docker push --quiet {there}")
            self.shell(f"docker image rm --no-prune {there}")

    def exports(self) -> str:
        """The environment as shell commands, for use in another terminal."""
        own = {name: value for name, value in self.environment.items() if os.environ.get(name) != value}
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(own.items()))

    def _load(self, archive: bytes) -> None:
        self.engine.docker("load", "--quiet", stdin=archive)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start everything in a private folder, and leave nothing behind. Raises ServiceError."""
    with private_folder() as folder, contextlib.ExitStack() as services:
        for part in ("registry", "engine", "programs", "before", "work"):
            (folder / part).mkdir()
        registry = services.enter_context(Registry.start(folder / "registry"))
        engine = services.enter_context(Engine.start(folder / "engine"))
        shelf = Shelf(registry.root, folder / "before")
        programs = folder / "programs"
        for name, text in {"restore": RESTORE, "empty": EMPTY, "forget": FORGET}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        if CRANE.is_file():
            (programs / "crane").symlink_to(CRANE)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_OUT)}
        environment |= {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{environment['PATH']}",
            "DOCKER_HOST": engine.url,
            "DOCKER_CONFIG": str(folder / "engine/client"),
            "REPOSITORIES": str(shelf.repositories),
            "BEFORE": str(shelf.before),
        }
        yield Stage(folder / "work", engine, registry, environment, shelf, services)


@contextlib.contextmanager
def _distance(upstream: str, round_trip: int) -> Iterator[str]:
    """Run a proxy in its own process, so that it delays but does not compete."""
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "benchmarks.distance", listen, upstream, str(round_trip)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as proxy:
        assert proxy.stdout
        try:
            if not proxy.stdout.readline():
                raise ServiceError(f"no proxy listens at {listen}")
            yield listen
        finally:
            proxy.terminate()
