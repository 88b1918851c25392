"""The examples do what they say, on a real Engine and a real registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from services import Engine, Registry

EXAMPLES = Path(__file__).parent.parent / "examples"
CASCADE = {"2.1.106", "2.1", "2", "latest"}

pytestmark = pytest.mark.engine


def run(engine: Engine, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example where `tagger` is on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "DOCKER_HOST": engine.url, "PATH": path, **environment}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_shell_step_releases_and_prints_what_to_pull(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    engine.image(repository, "the gallery")
    ran = run(engine, tmp_path, str(EXAMPLES / "release.sh"), repository, "2.1.106", REGISTRY=registry.host)
    assert (ran.returncode, set(registry.tags(repository))) == (0, CASCADE), ran.stderr
    digest = registry.digest(repository, "latest")
    assert ran.stdout.splitlines()[-1] == f"docker pull {registry.host}/{repository}@{digest}"


def test_the_shell_step_fails_when_the_release_is_refused(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    for content, code in (("the gallery", 0), ("another one", 3)):
        engine.image(repository, content)
        ran = run(engine, tmp_path, str(EXAMPLES / "release.sh"), repository, "2.1.106", REGISTRY=registry.host)
        assert ran.returncode == code, ran.stderr


def test_the_python_api_releases_and_gives_the_command_s_exit_code(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    engine.image(repository, "the gallery")
    words = (sys.executable, str(EXAMPLES / "release.py"), repository)
    ran = run(engine, tmp_path, *words, "2.1.106", registry.host)
    assert (ran.returncode, set(registry.tags(repository))) == (0, CASCADE), ran.stderr
    assert len(ran.stdout.splitlines()) == 4
    assert run(engine, tmp_path, *words, "2.1", registry.host).returncode == 2


def test_the_lab_shows_and_deletes_four_tags_over_http_alone(
    engine: Engine, registry_local: Registry, tmp_path: Path
) -> None:
    engine.image("image-gallery", "the gallery of the lab")
    ran = run(engine, tmp_path, str(EXAMPLES / "lab.sh"))
    assert ran.returncode == 0, ran.stderr
    steps = ran.stdout.split("\n# ")
    assert "released 2.1.106 as registry.local:5000/gallery/ui@sha256:" in steps[2]
    assert set(json.loads(steps[3].splitlines()[1])["tags"]) == {"2.1.105", *CASCADE}
    *tags, without_accept = steps[4].splitlines()[1:6]
    digests = {line.split()[1] for line in tags}
    assert ([line.split()[0] for line in tags], len(digests)) == (["2.1.106", "2.1", "2", "latest"], 1)
    assert without_accept.removeprefix("without Accept: ") not in digests
    assert "DELETE 2.1.106 by its digest: HTTP 202" in steps[5]
    assert "2.1.105 is gone already: it shared its digest" in steps[5]
    assert json.loads(steps[6].splitlines()[1]) == {"name": "gallery/ui", "tags": None}
    assert registry_local.tags("gallery/ui") == []
