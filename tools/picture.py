"""Draw docs/pictures: what tagger shows on a terminal.

A command runs on a terminal of a given size. The picture shows the screen at one moment or at the end.

Usage: PYTHONPATH=tests/support python tools/picture.py FOLDER
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doubles import Proxy, Request, Response, on, refusal
from screen import Screen, Size, picture, record
from services import Engine, Registry, image_archive, loopback_address, private_folder, private_hosts

# -- the scenes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """An Engine, a registry behind a proxy, and the environment that leads to them."""

    engine: Engine
    proxy: Proxy
    environment: Mapping[str, str]

    def build(self, name: str, content: str | bytes, layers: int = 2) -> None:
        """Make an image."""
        self.engine.docker("load", "--quiet", stdin=image_archive(name, content, layers))

    def run(self, *words: str, **more: str) -> None:
        """Run tagger unseen."""
        subprocess.run(
            [Path(sys.executable).with_name("tagger"), *words],
            env={**self.environment, **more},
            check=False,
            capture_output=True,
        )


@contextmanager
def stage() -> Iterator[Stage]:
    """Start the services, under names that everybody knows from the documentation."""
    private_hosts({"registry.local": loopback_address()})
    with (
        private_folder() as first,
        private_folder() as second,
        Registry.start(first) as registry,
        Engine.start(second) as engine,
        Proxy(registry.host, host="registry.local", port=5000) as proxy,
    ):
        foreign = ("TAGGER_", "DOCKER_", "GITHUB_", "NO_COLOR", "FORCE_COLOR")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        yield Stage(engine, proxy, {**clean, "DOCKER_HOST": engine.url})


def scenes(on_stage: Stage) -> Iterator[tuple[str, Screen]]:
    """Play the scenes, and return each one's name and screen."""
    local = ["--registry", "registry.local:5000"]
    env = on_stage.environment
    for version, content in (("1.9.8", "old"), ("2.1.105", "before")):
        on_stage.build("image-gallery", content)
        on_stage.run("release", "image-gallery", version, *local)
    on_stage.build("image-gallery", "new")
    yield "plan", record(["release", "image-gallery", "2.1.106", *local, "--dry-run"], env, Size())
    yield "live", _live(on_stage, local)
    on_stage.build("image-gallery", "new")
    yield "result", record(["release", "image-gallery", "2.1.106", *local], env, Size())
    on_stage.build("image-gallery", "backport")
    yield "backport", record(["release", "image-gallery", "1.9.9", *local], env, Size())
    yield "error", record(["release", "image-gallery", "2.1.106", *local], env, Size())
    words = ["release", "image-gallery", "1.9.10", *local, "--dry-run"]
    yield "narrow", record(words, env, Size(58))
    yield "no-colour", record(words, {**env, "NO_COLOR": "1"}, Size())
    on_stage.proxy.intercept(on("PUT", r"/manifests/latest$", refusal(403, "DENIED", "this tag is immutable")))
    on_stage.build("image-gallery", "newest")
    yield "put-back", record(["release", "image-gallery", "2.2.0", *local], env, Size())


def _live(on_stage: Stage, local: list[str]) -> Screen:
    """Show a release while its layers upload, slowly."""

    def slow(request: Request) -> Response | None:
        if request.method == "PATCH":
            time.sleep(2)
        return None

    on_stage.build("image-big", os.urandom(30_000_000), layers=3)
    on_stage.proxy.intercept(slow)
    moving = re.compile(r"[1-9][0-9.]* of [0-9.]+ MB")
    try:
        words = ["release", "image-big", "2.1.106", *local, "--repository", "image-gallery"]
        return record(words, on_stage.environment, Size(), lambda text: len(moving.findall(text)) > 1)
    finally:
        on_stage.proxy.rules.clear()


def main(folder: Path) -> None:
    """Write a picture of every scene."""
    folder.mkdir(parents=True, exist_ok=True)
    with stage() as on_stage:
        for name, screen in scenes(on_stage):
            (folder / f"{name}.svg").write_text(picture(screen), encoding="utf-8")
            print(f"{folder}/{name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
