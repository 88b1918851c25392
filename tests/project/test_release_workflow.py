"""The workflow that releases tagger builds, signs and publishes, in that order, with no more rights than it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagger import __version__

ROOT = Path(__file__).parents[2]
CONTENT: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS: dict[str, dict[str, Any]] = CONTENT["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]


def needed(name: str) -> set[str]:
    """Every job that must succeed before a job."""
    before = JOBS[name].get("needs", [])
    names = {before} if isinstance(before, str) else {*before}
    return names.union(*map(needed, names))


def using(action: str) -> set[str]:
    """The jobs that use an action."""
    return {name for name, step in STEPS if step.get("uses", "").startswith(f"{action}@")}


def running(words: str) -> set[str]:
    """The jobs that run a command."""
    return {name for name, step in STEPS if words in step.get("run", "")}


def test_nothing_is_published_before_every_file_is_attested_and_signed() -> None:
    publishing = using("pypa/gh-action-pypi-publish") | running("gh release create") | running("tagger.pyz release")
    assert publishing == {"pypi", "github", "image"}
    assert "sign" in using("actions/attest-build-provenance") & running("cosign sign-blob")
    assert all(needed(name) == {"build", "sign"} for name in publishing)
    assert running("make dist") == {"build"}
    assert "cosign sign --yes {reference}" in str(JOBS["image"]["steps"]), "the image is signed before a tag moves"


def test_each_job_has_its_own_rights_and_no_stored_secret() -> None:
    assert CONTENT["permissions"] == {}
    rights = {
        name: {right for right, kind in job["permissions"].items() if kind == "write"} for name, job in JOBS.items()
    }
    assert rights == {
        "build": set(),
        "sign": {"id-token", "attestations"},
        "pypi": {"id-token"},
        "github": {"contents"},
        "image": {"packages", "id-token", "attestations"},
    }
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_every_action_is_pinned_to_a_commit() -> None:
    actions = [step["uses"] for _, step in STEPS if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in actions)


@pytest.mark.parametrize("script", [step["run"] for _, step in STEPS if "run" in step])
def test_every_script_parses_and_runs_no_outside_text_as_code(script: str) -> None:
    subprocess.run(["bash", "-n", "-c", script], check=True)
    assert "${{" not in script


@pytest.mark.parametrize(
    ("tag", "heading", "code"),
    [(f"v{__version__}", __version__, 0), ("v9.9.9", __version__, 1), (f"v{__version__}", "Unreleased", 1)],
)
def test_a_tag_that_is_not_the_version_or_has_no_changes_ends_the_workflow(
    tmp_path: Path, tag: str, heading: str, code: int
) -> None:
    (script,) = (step["run"] for _, step in STEPS if step.get("name") == "The tag is the version")
    (tmp_path / "tagger").symlink_to(ROOT / "tagger")
    (tmp_path / "CHANGELOG.md").write_text(f"## [{heading}] - 2026-01-01\n")
    ran = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env={"GITHUB_REF_NAME": tag, "PATH": "/usr/bin:/bin"}, check=False
    )
    assert ran.returncode == code


def test_the_jobs_pass_on_exactly_the_files_that_were_built() -> None:
    given = {step["with"]["name"] for _, step in STEPS if step.get("uses", "").startswith("actions/upload-artifact@")}
    taken = {step["with"]["name"] for _, step in STEPS if step.get("uses", "").startswith("actions/download-artifact@")}
    assert given == taken == {"dist", "image", "signatures"}
