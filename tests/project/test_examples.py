"""The examples do what they say, on a real Engine and a real registry."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pushed import Repository
from services import Engine, Registry

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CASCADE = {"2.1.106", "2.1", "2", "latest"}

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("on_the_path")]


def run(engine: Engine | None, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example."""
    host = {"DOCKER_HOST": engine.url} if engine else {}
    env = {**os.environ, **host, **environment}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


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


def test_the_python_api_releases_and_returns_the_command_s_exit_code(
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
    """Read what a step passed to the next ones."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


class Action:
    """The GitHub action, whose steps run as a runner does it, installed once for all processes that run tests."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder = folder
        self.content = yaml.safe_load((ROOT / "action.yml").read_text())
        self.pip_log = shared / "pip.log"
        shared.mkdir(exist_ok=True)
        with (shared / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / "installed").exists():
                self.install(shared, ROOT, PIP_LOG=str(self.pip_log)).check_returncode()
                (shared / "installed").touch()
        (folder / "tagger").symlink_to(shared / "tagger")

    def install(self, folder: Path, source: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the step that installs tagger."""
        step = self.content["runs"]["steps"][0]
        assert (step["name"], step["shell"]) == ("Install tagger", "bash")
        runner = {"RUNNER_TEMP": str(folder), "GITHUB_ACTION_PATH": str(source), **environment}
        return run(None, folder, "bash", "-e", "-o", "pipefail", "-c", step["run"], **runner)

    def steps(self, engine: Engine, given: Mapping[str, str]) -> list[subprocess.CompletedProcess[str]]:
        """Run the steps with some inputs, as far as none fails."""
        assert given.keys() <= self.content["inputs"].keys()
        inputs = {f"inputs.{name}": given.get(name, each["default"]) for name, each in self.content["inputs"].items()}
        runner = {"RUNNER_TEMP": str(self.folder), "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_ACTIONS": "true",
                  "GITHUB_OUTPUT": str(self.folder / "output"),
                  "GITHUB_STEP_SUMMARY": str(self.folder / "summary")}  # fmt: skip
        done: list[subprocess.CompletedProcess[str]] = []
        (self.folder / "output").unlink(missing_ok=True)
        for step in self.content["runs"]["steps"][1:]:
            assert step["shell"] == "bash"
            own = {name: filled(value, inputs) for name, value in step.get("env", {}).items()}
            script = ("bash", "-e", "-o", "pipefail", "-c", step["run"])
            done.append(run(engine, self.folder, *script, **runner, **own))
            if done[-1].returncode != 0:
                break
        return done

    def results(self) -> dict[str, str]:
        """The action's outputs."""
        outputs = {f"steps.release.outputs.{name}": value for name, value in variables(self.folder / "output").items()}
        return {name: filled(each["value"], outputs) for name, each in self.content["outputs"].items()}


@pytest.fixture(scope="module")
def action(tmp_path_factory: pytest.TempPathFactory) -> Action:
    """The GitHub action, installed once for all tests, because its installation takes a while."""
    folder = tmp_path_factory.getbasetemp()
    session = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return Action(tmp_path_factory.mktemp("runner"), session / "action")


@pytest.mark.long
def test_the_github_action_installs_releases_and_sets_its_outputs(
    action: Action, engine: Engine, registry: Registry, repository: str
) -> None:
    engine.image(repository, "the gallery")
    given = {
        "image": repository,
        "version": "v2.1.106",
        "registry": f"{registry.host}\n",
        "variant": "default\nslim\n",
        "options": "--floats-via registry",
    }
    for ran in action.steps(engine, given):
        assert ran.returncode == 0, ran.stderr
    assert set(registry.tags(repository)) == {*CASCADE, "2.1.106-slim", "2.1-slim", "2-slim", "slim"}
    results = action.results()
    digest = registry.digest(repository, "latest")
    assert results["reference"] == results["references"] == f"{registry.host}/{repository}@{digest}"
    assert results["tags"].split(",") == ["2.1.106", "2.1", "2", "latest", "2.1.106-slim", "2.1-slim", "2-slim", "slim"]
    assert (results["outcome"], results["version"], results["digest"]) == ("released", "2.1.106", digest)
    assert "### Released" in (action.folder / "summary").read_text()


@pytest.mark.long
def test_the_github_action_fetches_only_what_the_lock_file_names(action: Action) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
    fetched = re.findall(r"Collecting ([A-Za-z0-9_.-]+?)[=<>~! ;]", action.pip_log.read_text())
    assert fetched
    assert {name.lower().replace("_", "-") for name in fetched} <= locked


@pytest.mark.long
def test_the_github_action_installs_nothing_with_a_wrong_hash(action: Action, tmp_path: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    (tmp_path / "requirements.lock").write_text(re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock))
    ran = action.install(tmp_path, tmp_path)
    assert ran.returncode != 0
    assert "DO NOT MATCH THE HASHES" in ran.stderr


@pytest.mark.long
def test_the_github_action_promotes_an_image_of_a_registry(
    action: Action, engine: Engine, registry: Registry, repository: str
) -> None:
    built = Repository(registry, repository).image("build-77", "the gallery")
    given = {"source": f"{registry.host}/{repository}:build-77", "version": "v2.1.106"}
    for ran in action.steps(engine, given):
        assert ran.returncode == 0, ran.stderr
    assert {tag: registry.digest(repository, tag) for tag in CASCADE} == dict.fromkeys(CASCADE, built.digest)
    results = action.results()
    assert (results["outcome"], results["digest"]) == ("released", built.digest)


@pytest.mark.long
def test_the_github_workflow_promotes_the_image_that_its_build_pushed(
    action: Action, engine: Engine, registry: Registry, repository: str
) -> None:
    workflow = yaml.safe_load((EXAMPLES / "github.yml").read_text())
    place = workflow["env"]["IMAGE"]
    known = {"env.IMAGE": f"{registry.host}/{repository}", "github.run_id": "77", "github.ref_name": "v2.1.106"}
    uses = {
        name: {step["uses"].partition("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
        for name, job in workflow["jobs"].items()
    }
    for name, job in workflow["jobs"].items():
        assert job["permissions"]["packages"] == "write"
        assert uses[name]["docker/login-action"]["registry"] == place.partition("/")[0]
    pushed = filled(uses["build"]["docker/build-push-action"]["tags"], known)
    built = Repository(registry, repository).image(pushed.rpartition(":")[2], "the gallery")
    given = {name: filled(value, known) for name, value in uses["release"]["OWNER/tagger"].items()}
    for ran in action.steps(engine, given):
        assert ran.returncode == 0, ran.stderr
    assert {tag: registry.digest(repository, tag) for tag in CASCADE} == dict.fromkeys(CASCADE, built.digest)
    deploy = workflow["jobs"]["release"]["steps"][-1]
    reference = filled(deploy["env"]["REFERENCE"], {"steps.tagger.outputs.reference": action.results()["reference"]})
    ran = run(engine, action.folder, "bash", "-e", "-c", deploy["run"], REFERENCE=reference)
    assert ran.stdout == f"deploy {registry.host}/{repository}@{built.digest}\n"


@pytest.mark.long
@pytest.mark.parametrize("name", ["image", "registry", "repository"])
def test_the_github_action_says_which_inputs_exclude_each_other(action: Action, engine: Engine, name: str) -> None:
    ran = action.steps(engine, {"source": "registry.local:5000/gallery:build-77", name: "gallery"})[-1]
    assert ran.returncode == 2
    assert "source cannot be combined with image, registry or repository" in ran.stderr


def gitlab(file: str, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a pipeline or a component, and return its inputs as GitLab fills them in."""
    *spec, content = yaml.safe_load_all((ROOT / file).read_text())
    declared = spec[0]["spec"]["inputs"] if spec else {}
    assert given.keys() <= declared.keys()
    return content, {f"inputs.{name}": given.get(name, str(each.get("default", ""))) for name, each in declared.items()}


def releasing(content: Mapping[str, Any]) -> dict[str, Any]:
    """The job that calls tagger."""
    (job,) = (job for job in content.values() if isinstance(job, dict) and "tagger" in str(job.get("script")))
    return job


COMPONENT = "templates/release.yml"
BUILD = "$CI_REGISTRY_IMAGE:build-$CI_PIPELINE_ID"


@pytest.mark.parametrize(
    "use",
    [
        (COMPONENT, {"image": "$CI_PROJECT_NAME"}),
        (COMPONENT, {"source": BUILD, "options": "--timeout 60"}),
        (COMPONENT, {"source": BUILD, "options": "--timeout 60\n--variant 'default'\n"}),
        ("examples/gitlab-ci.yml", {}),
    ],
)
def test_the_gitlab_job_releases_and_passes_the_digest_on(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path, use: tuple[str, Mapping[str, str]]
) -> None:
    file, given = use
    project = {"CI_PROJECT_NAME": repository, "CI_PROJECT_PATH": repository, "CI_COMMIT_TAG": "v2.1.106",
               "CI_PIPELINE_ID": "77", "CI_REGISTRY": registry.host,
               "CI_REGISTRY_IMAGE": f"{registry.host}/{repository}"}  # fmt: skip
    content, inputs = gitlab(file, given)
    assert content.get("variables", {}).get("BUILD", BUILD) == BUILD
    project["BUILD"] = f"{registry.host}/{repository}:build-77"
    if "image" in given:
        engine.image(repository, "the gallery")
    else:
        Repository(registry, repository).image("build-77", "the gallery")
    job = releasing(content)
    for command in job["script"]:
        ran = run(engine, tmp_path, "sh", "-ec", filled(command, inputs), **project)
        assert ran.returncode == 0, ran.stderr
    assert set(registry.tags(repository)) - {"build-77"} == CASCADE
    handed = variables(tmp_path / job["artifacts"]["reports"]["dotenv"])
    assert handed["TAGGER_REFERENCE"] == f"{registry.host}/{repository}@{registry.digest(repository, 'latest')}"
    if "deploy" in content:
        ran = run(engine, tmp_path, "sh", "-ec", content["deploy"]["script"][0], **handed)
        assert ran.stdout == f"deploy {handed['TAGGER_REFERENCE']}\n"


def test_the_gitlab_build_pushes_the_image_that_the_release_promotes(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    content, _ = gitlab("examples/gitlab-ci.yml", {})
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    login, *commands = content["build"]["script"]
    assert "docker login" in login, "the registry of this test takes no login"
    for command in [*commands, *releasing(content)["script"]]:
        job = {"BUILD": f"{registry.host}/{repository}:build-77", "CI_COMMIT_TAG": "v2.1.106"}
        ran = run(engine, tmp_path, "sh", "-ec", command, **job)
        assert ran.returncode == 0, ran.stderr
    assert {registry.digest(repository, tag) for tag in CASCADE} == {registry.digest(repository, "build-77")}


@pytest.mark.parametrize("file", [COMPONENT, "examples/gitlab-ci.yml"])
def test_the_gitlab_job_logs_in_with_its_own_token_where_gitlab_issues_the_registry_tokens(file: str) -> None:
    content, _ = gitlab(file, {})
    told = releasing(content)["variables"]
    assert told["TAGGER_AUTH_HOST"] == "$CI_SERVER_HOST"
    assert json.loads(told["DOCKER_AUTH_CONFIG"]) == {
        "auths": {"$CI_REGISTRY": {"username": "$CI_REGISTRY_USER", "password": "$CI_REGISTRY_PASSWORD"}}
    }


def test_the_gitlab_component_takes_one_image(engine: Engine, tmp_path: Path) -> None:
    content, inputs = gitlab(COMPONENT, {"image": "gallery", "source": BUILD})
    ran = run(engine, tmp_path, "sh", "-ec", filled(releasing(content)["script"][0], inputs))
    assert ran.returncode == 2
    assert "source and image cannot be combined" in ran.stderr


def test_the_circleci_job_releases_and_passes_the_digest_on(
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


def test_the_jenkins_stages_release_and_pass_the_digest_on(
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


def test_the_lab_shows_and_deletes_four_tags_over_plain_http(
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


def test_the_gitlab_component_trusts_gitlab_itself_to_issue_the_registry_s_tokens() -> None:
    *_, content = yaml.safe_load_all((ROOT / "templates/release.yml").read_text())
    (job,) = content.values()
    assert job["variables"]["TAGGER_AUTH_HOST"] == "$CI_SERVER_HOST"
