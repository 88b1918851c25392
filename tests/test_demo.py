"""The demo tells its story on real services, and takes everything away again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from services import Engine

ROOT = Path(__file__).parent.parent


@pytest.mark.engine
def test_the_demo_runs_and_leaves_nothing(engine: Engine) -> None:
    before = engine.docker("image", "ls", "--quiet")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/demo.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "DOCKER_HOST": engine.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "keep latest: 2.1.106 is newer" in re.sub(r"\s+", " ", done.stdout)
    assert "is gone again" in done.stdout
    assert engine.docker("image", "ls", "--quiet") == before
