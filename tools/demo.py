"""Release an image step by step, on a real Engine and a real registry, then remove everything."""

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from services import (
    Engine,
    Registry,
    ServiceError,
    image_archive,
    loopback_address,
    private_folder,
    private_hosts,
)

TAGGER = Path(sys.executable).with_name("tagger")
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """An Engine, which `environment` leads to, and a registry; `folder` is an empty working directory."""

    registry: Registry
    environment: Mapping[str, str]
    folder: Path

    def docker(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run docker and return its output. Raises ServiceError if it fails."""
        done = subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, env=self.environment, check=False
        )
        if done.returncode:
            raise ServiceError(f"docker {shlex.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()

    def tagger(self, *arguments: str) -> None:
        """Print a tagger command and run it. Raises ServiceError if it fails."""
        console.print(f"[bold]$ tagger {shlex.join(arguments)}[/]")
        done = subprocess.run([TAGGER, *arguments], env=self.environment, cwd=self.folder, check=False)
        console.print()
        if done.returncode:
            raise ServiceError(f"tagger failed with exit code {done.returncode}")

    def references(self, repository: str) -> set[str]:
        """List the repository's local tags, as full references."""
        form = "{{.Repository}}:{{.Tag}}"
        lines = self.docker("image", "ls", "--format", form, repository).splitlines()
        return {line for line in lines if not line.endswith(":<none>")}


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start a registry, and an Engine unless one is running."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGGER_")}
    with private_folder() as folder, contextlib.ExitStack() as services:
        for part in ("registry", "engine", "work"):
            (folder / part).mkdir()
        if _engine_answers():
            console.print("Using the running Engine, and a registry for this demo.\n")
            registry = services.enter_context(Registry.start(folder / "registry"))
        elif os.geteuid() == 0:
            console.print("No Engine is running. Starting one, and a registry, for this demo.\n")
            private_hosts({"registry.local": loopback_address()})
            registry = services.enter_context(Registry.start(folder / "registry", host="registry.local", port=5000))
            engine = services.enter_context(Engine.start(folder / "engine"))
            environment |= {"DOCKER_HOST": engine.url, "DOCKER_CONFIG": str(folder / "engine/client")}
        else:
            raise ServiceError(
                "no Docker Engine is running, and only root can start one: start it, or run this as root"
            )
        yield Stage(registry, environment, folder / "work")


def _engine_answers() -> bool:
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def borrowed_names(on: Stage) -> Iterator[str]:
    """Return a repository name that the Engine does not know, and remove its tags afterwards."""
    names = itertools.chain(["image-gallery"], (f"image-gallery-{number}" for number in itertools.count(2)))
    name = next(name for name in names if not on.references(name))
    try:
        yield name
    finally:
        for reference in on.references(name) | on.references(f"{on.registry.host}/{name}"):
            on.docker("image", "rm", reference)


def tell(on: Stage, name: str) -> None:
    """Release three builds: the first, the next patch, and a backport."""
    host = on.registry.host

    def build(content: str) -> None:
        on.docker("load", "--quiet", stdin=image_archive(name, content, layers=2))

    console.print(f"The first build of {name}. What would a release do?")
    build("pictures")
    on.tagger("release", name, "2.1.105", "--registry", host, "--dry-run")

    console.print("Nothing has been written yet. Now release it:")
    on.tagger("release", name, "2.1.105", "--registry", host)

    console.print("The next patch. The floating tags move to it.")
    build("more pictures")
    on.tagger("release", name, "2.1.106", "--registry", host)

    console.print("A fix for the old 1.9 series. `latest` must not move to it.")
    build("old pictures, fixed")
    on.tagger("release", name, "1.9.9", "--registry", host)

    console.print("The registry's own answer, over plain HTTP:")
    tags = on.registry.snapshot(name)
    by_length = sorted(tags, key=lambda tag: (tag == "latest", -len(tag)))
    for version in ("2.1.106", "2.1.105", "1.9.9"):
        same = [tag for tag in by_length if tags[tag] == tags[version]]
        console.print(f"  {tags[version][:19]}  {', '.join(same)}")


def main() -> int:
    """Run the demo and return its exit code. Ctrl-C stops everything that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with stage() as on, borrowed_names(on) as name:
            tell(on, name)
    except KeyboardInterrupt:
        return 130
    except (ServiceError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    console.print("\nEverything that this demo started or created is gone again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
