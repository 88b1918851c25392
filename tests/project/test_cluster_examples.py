"""The examples for Kubernetes and Argo: they parse, the check may only read, and their commands run in four shards."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from launcher import STEM
from pushed import Repository
from services import Registry

import tagger

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARDS = range(4)


def documents(name: str) -> Iterator[dict[str, Any]]:
    """Parse the documents of a file."""
    yield from yaml.safe_load_all((EXAMPLES / name).read_text())


def cron_job(name: str) -> dict[str, Any]:
    """The job that a CronJob makes."""
    (found,) = (each for each in documents(f"kubernetes/{name}.yaml") if each["kind"] == "CronJob")
    job: dict[str, Any] = found["spec"]["jobTemplate"]["spec"]
    return job


def argo(name: str) -> dict[str, Any]:
    """A template of the workflow."""
    (workflow,) = documents("argo.yaml")
    (found,) = (each for each in workflow["spec"]["templates"] if each["name"] == name)
    template: dict[str, Any] = found
    return template


def pod(name: str) -> dict[str, Any]:
    """Return what a CronJob's pods are."""
    spec: dict[str, Any] = cron_job(name)["template"]["spec"]
    return spec


# -- what they say -----------------------------------------------------------------------------------------------------


def test_every_object_is_in_one_namespace_and_every_reference_exists() -> None:
    every = [each for file in ("shared", "check", "apply") for each in documents(f"kubernetes/{file}.yaml")]
    every += documents("argo.yaml")
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in every} == {"tagger"}
    there = {(each["kind"], each["metadata"]["name"]) for each in every}
    for name in ("check", "apply"):
        assert ("ServiceAccount", pod(name)["serviceAccountName"]) in there
        for volume in pod(name)["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
        assert argo(name)["serviceAccountName"] == pod(name)["serviceAccountName"]


def test_the_check_has_its_own_account_and_a_login_that_cannot_push() -> None:
    secrets = {
        name: {v["secret"]["secretName"] for v in pod(name)["volumes"] if "secret" in v} for name in ("check", "apply")
    }
    assert secrets == {"check": {"registry-read"}, "apply": {"registry-write"}}
    assert pod("check")["serviceAccountName"] != pod("apply")["serviceAccountName"]
    mounts = {name: {m["name"] for m in argo(name)["container"]["volumeMounts"]} for name in ("check", "apply")}
    assert ("read" in mounts["check"], "write" in mounts["check"]) == (True, False)
    assert ("read" in mounts["apply"], "write" in mounts["apply"]) == (False, True)


@pytest.mark.parametrize("name", ["check", "apply"])
def test_the_pods_run_as_an_unprivileged_user(name: str) -> None:
    (container,) = pod(name)["containers"]
    for each in (container, argo(name)["container"]):
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not each["securityContext"]["allowPrivilegeEscalation"]
        assert each["securityContext"]["readOnlyRootFilesystem"]
    assert pod(name)["securityContext"]["runAsNonRoot"]
    assert not pod(name)["automountServiceAccountToken"]


def test_each_index_of_a_job_is_one_shard() -> None:
    for name in ("check", "apply"):
        job = cron_job(name)
        assert (job["completionMode"], job["completions"]) == ("Indexed", len(SHARDS))
    (container,) = pod("check")["containers"]
    assert {"name": "SHARDS", "value": "4"} in container["env"]
    steps = [step for group in argo("reviewed")["steps"] for step in group]
    assert [step["name"] for step in steps] == ["check", "approve", "apply"]
    assert {step["withSequence"]["count"] for step in steps if "withSequence" in step} == {"4"}
    assert "suspend" in argo("approve")


def test_a_failure_that_a_retry_cannot_change_is_not_retried() -> None:
    (rule,) = cron_job("check")["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailIndex", [2, 3, 5])
    assert rule["onExitCodes"]["containerName"] == pod("check")["containers"][0]["name"]
    assert cron_job("apply")["backoffLimitPerIndex"] == 0


# -- what they do ------------------------------------------------------------------------------------------------------


class Cluster:
    """What runs the containers: four processes at once, with the volumes in a folder."""

    def __init__(self, folder: Path, registry: Registry, repositories: list[str]) -> None:
        self.folder = folder
        self._rate = f"{registry.host}=1000/s"
        (folder / "repositories.txt").write_text("\n".join(repositories))
        (folder / "bin").mkdir()
        STEM.program(folder / "bin")

    def run(self, container: Mapping[str, Any], index: str) -> list[int]:
        """Run a container once for each shard, whose number it gets in a variable; give the exit codes."""
        (script,) = container["args"]
        processes = []
        for shard in SHARDS:
            temporary = self.folder / f"tmp-{shard}"
            temporary.mkdir(exist_ok=True)
            known = {
                "RATE": self._rate, "REPOSITORIES": str(self.folder / "repositories.txt"), "STATE": str(self.folder),
                "PLANS": str(self.folder), "JOB": "tagger-check-1", "TMPDIR": str(temporary), index: str(shard),
            }  # fmt: skip
            given = {each["name"]: known.get(each["name"], each.get("value", "")) for each in container["env"]}
            path = f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}"
            env = {**os.environ, **given, index: str(shard), "PATH": path}
            processes.append(subprocess.Popen([*container["command"], script], cwd=self.folder, env=env))
        return [process.wait(120) for process in processes]

    def lines(self, pattern: str) -> list[dict[str, Any]]:
        """Read the results of all shards."""
        return [json.loads(line) for path in self.folder.glob(pattern) for line in path.read_text().splitlines()]


@pytest.fixture
def drifted(registry: Registry, repository: str) -> list[Repository]:
    """Push twelve repositories, of which two have drifted."""
    every = [Repository(registry, f"{repository}/app{number}") for number in range(12)]
    for number, each in enumerate(every):
        each.image("2.1.105", f"old {number}")
        tagger.repair(str(each))
        each.image("2.1.106", f"new {number}")
        if number >= 2:
            tagger.repair(str(each))
    return every


@pytest.fixture
def cluster(registry: Registry, drifted: list[Repository], tmp_path: Path) -> Cluster:
    """Return what runs the containers, on those repositories."""
    return Cluster(tmp_path, registry, [str(each) for each in drifted])


@pytest.mark.long
@pytest.mark.engine
def test_the_jobs_decide_every_repository_once_and_apply_the_plan(
    cluster: Cluster, drifted: list[Repository], tmp_path: Path
) -> None:
    names = [str(each) for each in drifted]
    (check,), (apply,) = pod("check")["containers"], pod("apply")["containers"]
    codes = cluster.run(check, "JOB_COMPLETION_INDEX")
    assert {*codes} <= {0, 5}
    assert 5 in codes
    decided = cluster.lines("tagger-check-1-*.ndjson")
    assert Counter(each["repository"] for each in decided) == Counter(names)
    assert {each["repository"] for each in decided if each["outcome"] == "drift"} == {*names[:2]}
    assert not tagger.check(names[0]).ok, "the check writes nothing"
    metrics = "".join(path.read_text() for path in (tmp_path / "metrics").glob("tagger-check-*.prom"))
    assert {f'shard="{shard}"' in metrics for shard in SHARDS} == {True}
    assert cluster.run(apply, "JOB_COMPLETION_INDEX") == [0, 0, 0, 0]
    assert all(tagger.check(name).ok for name in names)
    assert cluster.run(apply, "JOB_COMPLETION_INDEX") == [0, 0, 0, 0], "a plan is applied once"


@pytest.mark.long
@pytest.mark.engine
def test_the_workflow_applies_the_reviewed_plan_and_refuses_tags_that_moved_since(
    cluster: Cluster, drifted: list[Repository]
) -> None:
    names = [str(each) for each in drifted]
    assert cluster.run(argo("check")["container"], "SHARD") == [0, 0, 0, 0]
    planned = {each["repository"] for each in cluster.lines("*.ndjson") if each["outcome"] == "planned"}
    assert planned == {*names[:2]}
    drifted[1].image("2.1.107", "newer")
    codes = cluster.run(argo("apply")["container"], "SHARD")
    assert sorted(codes) == [0, 0, 0, 3]
    assert tagger.check(names[0]).ok
    assert not tagger.check(names[1]).ok
