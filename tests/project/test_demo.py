"""The demo runs on real services, and removes everything again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from services import Engine

ROOT = Path(__file__).parents[2]


def named(engine: Engine) -> set[str]:
    """The names of the Engine's images."""
    listed = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    return {reference for reference in listed if "<none>" not in reference}


@pytest.mark.long
@pytest.mark.engine
def test_the_demo_runs_and_leaves_nothing(engine: Engine) -> None:
    before = named(engine)
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/demo.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests/support"), "DOCKER_HOST": engine.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "keep latest: 2.1.106 is newer" in re.sub(r"\s+", " ", done.stdout)
    assert "is gone again" in done.stdout
    assert named(engine) == before
