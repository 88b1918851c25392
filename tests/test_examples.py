"""The examples do what they say, on a real Engine and a real registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from services import Engine, Registry

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
CASCADE = {"2.1.106", "2.1", "2", "latest"}

pytestmark = pytest.mark.engine


def run(engine: Engine, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example where `tagger` is on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "DOCKER_HOST": engine.url, "PATH": path, **environment}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


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


# -- CI systems: the files parse, and their shell steps run --------------------------------------------------------


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in what GitHub (`${{ x }}`) or GitLab (`$[[ x ]]`) fills in; an unknown name fails."""
    return re.sub(r"\$(?:\{\{|\[\[) *([A-Za-z._]+) *(?:\}\}|\]\])", lambda found: values[found[1]], text)


def variables(file: Path) -> dict[str, str]:
    """Read what a step told the next ones."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_the_github_action_installs_releases_and_tells_its_outputs(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    engine.image(repository, "the gallery")
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    given = {
        "image": repository,
        "version": "v2.1.106",
        "registry": f"{registry.host}\n",
        "variant": "default\nslim\n",
        "options": "--floats-via registry",
    }
    inputs = {f"inputs.{name}": str(given.get(name, each["default"])) for name, each in action["inputs"].items()}
    told, summary = tmp_path / "output", tmp_path / "summary"
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_ACTIONS": "true",
              "GITHUB_OUTPUT": str(told), "GITHUB_STEP_SUMMARY": str(summary)}  # fmt: skip
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        own = {name: filled(value, inputs) for name, value in step.get("env", {}).items()}
        ran = run(engine, tmp_path, "bash", "-e", "-o", "pipefail", "-c", step["run"], **runner, **own)
        assert ran.returncode == 0, ran.stderr
    assert set(registry.tags(repository)) == {*CASCADE, "2.1.106-slim", "2.1-slim", "2-slim", "slim"}
    outputs = {f"steps.release.outputs.{name}": value for name, value in variables(told).items()}
    results = {name: filled(each["value"], outputs) for name, each in action["outputs"].items()}
    digest = registry.digest(repository, "latest")
    assert results["reference"] == results["references"] == f"{registry.host}/{repository}@{digest}"
    assert results["tags"].split(",") == ["2.1.106", "2.1", "2", "latest", "2.1.106-slim", "2.1-slim", "2-slim", "slim"]
    assert (results["outcome"], results["version"], results["digest"]) == ("released", "2.1.106", digest)
    assert "### Released" in summary.read_text()


@pytest.mark.parametrize("file", ["templates/release.yml", "examples/gitlab-ci.yml"])
def test_the_gitlab_job_releases_and_hands_the_digest_on(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path, file: str
) -> None:
    project = {"CI_PROJECT_NAME": repository, "CI_PROJECT_PATH": repository, "CI_COMMIT_TAG": "v2.1.106",
               "CI_COMMIT_SHORT_SHA": "latest", "CI_REGISTRY": registry.host}  # fmt: skip
    engine.image(repository, "the gallery")
    *spec, content = yaml.safe_load_all((ROOT / file).read_text())
    given = {"tagger": "tools/tagger", "image": "$CI_PROJECT_NAME"}
    inputs = {
        f"inputs.{name}": str(given.get(name, each.get("default")))
        for name, each in (spec[0]["spec"]["inputs"] if spec else {}).items()
    }
    (job,) = (job for job in content.values() if isinstance(job, dict) and "tagger" in str(job.get("script")))
    for command in job["script"]:
        ran = run(engine, tmp_path, "sh", "-ec", filled(command, inputs), **project)
        assert ran.returncode == 0, ran.stderr
    assert set(registry.tags(repository)) == CASCADE
    handed = variables(tmp_path / job["artifacts"]["reports"]["dotenv"])
    if "deploy" in content:
        ran = run(engine, tmp_path, "sh", "-ec", content["deploy"]["script"][0], **handed)
        assert ran.stdout == f"deploy {registry.host}/{repository}@{registry.digest(repository, 'latest')}\n"


def test_the_circleci_job_releases_and_hands_the_digest_on(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    config = yaml.safe_load((EXAMPLES / "circleci.yml").read_text())
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    job = {"CIRCLE_PROJECT_REPONAME": repository, "CIRCLE_TAG": "v2.1.106", "REGISTRY": registry.host,
           "BASH_ENV": str(tmp_path / "env")}  # fmt: skip
    (tmp_path / "env").touch()
    commands = [step["run"]["command"] for step in config["jobs"]["release"]["steps"] if isinstance(step, dict)]
    for command in commands:
        ran = run(engine, tmp_path, "bash", "-eo", "pipefail", "-c", command, **job)
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"deploy {registry.host}/{repository}@{registry.digest(repository, 'latest')}\n"


def test_the_jenkins_stages_release_and_hand_the_digest_on(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    pipeline = (EXAMPLES / "Jenkinsfile").read_text()
    assert pipeline.count("{") == pipeline.count("}")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    job = {"JOB_BASE_NAME": repository, "TAG_NAME": "v2.1.106", "REGISTRY": registry.host}
    steps = re.findall(r"^ +sh '(.*)'$", pipeline, flags=re.MULTILINE)
    assert len(steps) == 3
    for step in steps:
        ran = run(engine, tmp_path, "sh", "-xe", "-c", step, **job)
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"deploy {registry.host}/{repository}@{registry.digest(repository, 'latest')}\n"


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
