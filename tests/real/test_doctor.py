"""`tagger doctor` says what works from here and what does not, one line per check, and changes nothing."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import canary
import hosts
import pytest
from command import Ran, tagger, tagger_in
from doubles import Basic, Bearer, FakeEngine, ModelRegistry, Response, on
from hosts import Imitation
from hosts.artifactory import Artifactory
from hosts.docker_hub import DockerHub
from hosts.ecr import Ecr
from hosts.ghcr import Ghcr
from hosts.ghes import DeniesEveryHead
from hosts.gitlab import GitLab
from hosts.harbor import Harbor
from hosts.quay import Quay
from launcher import launched
from services import Engine, Registry, free_port

from tagger.credentials.docker import DockerConfig
from tagger.doctor import repository as doctor
from tagger.doctor.finding import Level, found
from tagger.engine import client as engine_module
from tagger.names import Repository
from tagger.registry.repository import RemoteRepository
from tagger.wiring.access import Registries
from tagger.work import Deadline

PATH = "team/app"
MACHINE = ["settings", "Docker configuration", "Engine", "proxy"]
REPOSITORY = [
    "credential", "scheme", "certificates", "proxy", "token server", "pull", "push", "delete", "single tags",
    "referrers", "tag list", "HEAD", "clock",
]  # fmt: skip
LOGIN = {"auth": base64.b64encode(f"{canary.USER}:{canary.PASSWORD}".encode()).decode()}
Found = dict[str, tuple[str, str]]


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """Set an Engine that does not exist, and a Docker configuration without entries."""
    return {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock", "DOCKER_CONFIG": str(tmp_path)}


def checks(ran: Ran, *, of_machine: bool = False) -> Found:
    """The level and the text of every check of a repository, or of the machine."""
    rows = [row for row in ran.json["findings"] if (row["repository"] is None) is of_machine]
    assert [row["check"] for row in rows] == (MACHINE if of_machine else REPOSITORY), "every check is reported"
    return {row["check"]: (row["level"], f"{row['text']}: {row['advice']}") for row in rows}


def examined(registry: ModelRegistry | Imitation, *options: str, path: str = PATH, **environment: str) -> Ran:
    """Run `tagger doctor` for the repository of a registry, with an Engine in this process."""
    with FakeEngine() as engine:
        return launched(engine, "doctor", f"{registry.host}/{path}", "--json", *options, **environment)


def problems(ran: Ran) -> set[str]:
    """The checks that found a problem."""
    return {row["check"] for row in ran.json["findings"] if row["level"] == "problem"}


def opened_at(registry: ModelRegistry, *, insecure: Sequence[str] = ()) -> RemoteRepository:
    """Open the repository of a registry in this process."""
    registries = Registries(DockerConfig(), {"insecure": insecure}, Deadline())
    return registries.open(Repository.parse(f"{registry.host}/{PATH}"))


def kept(files: Path) -> set[Path]:
    """Return what a registry stores of a repository: distribution keeps the hash of a cancelled upload for a while."""
    return {file for file in files.rglob("*") if "_uploads" not in file.parts or file.name == "data"}


# -- where all is well ---------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_with_a_real_engine_and_a_real_registry_no_check_finds_a_problem(
    engine: Engine, registry: Registry, repository: str
) -> None:
    engine.image("doctored", "doctored")
    name = f"{registry.host}/{repository}"
    ran = tagger(engine, "release", "doctored", "2.1.106", "--registry", registry.host, "--repository", repository)
    assert ran.code == 0, ran.err
    files = registry.root / "docker/registry/v2/repositories" / repository
    before = kept(files)
    ran = tagger(engine, "doctor", name, "--json")
    assert (ran.code, ran.json["ok"]) == (0, True), ran.out
    assert checks(ran, of_machine=True)["Engine"][1].startswith("Docker Engine ")
    told = checks(ran)
    assert {told[check][0] for check in ("scheme", "pull", "push", "delete", "tag list", "HEAD", "clock")} == {"ok"}
    assert "deletes only by digest" in told["single tags"][1]
    assert kept(files) == before


@pytest.mark.parametrize(("local", "level"), [(True, "ok"), (False, "note")])
def test_plain_http_is_reported_with_its_reason(
    model: ModelRegistry, monkeypatch: pytest.MonkeyPatch, local: bool, level: str
) -> None:
    monkeypatch.setattr(doctor, "is_at_loopback", lambda _: local)
    opened = opened_at(model, insecure=(model.host,))
    findings = doctor.Examination(opened, lambda _: (None, ""), None).findings()
    finding = next(finding for finding in findings if finding.check == "scheme")
    assert (finding.level, finding.text) == (level, f"{model.url}, plain HTTP, because --insecure names it")
    assert (f"--insecure {model.host}" in finding.advice) is not local


def test_an_engine_that_cannot_push_over_plain_http_is_reported(model: ModelRegistry) -> None:
    with FakeEngine(insecure=()) as engine:
        ran = launched(engine, "doctor", f"{model.host}/{PATH}", "--json")
    level, text = checks(ran)["scheme"]
    assert level == "note"
    assert f"add {model.host} to the Engine's insecure-registries" in text


def test_an_engine_that_finds_another_registry_under_that_name_is_a_problem(
    model: ModelRegistry, fake: FakeEngine
) -> None:
    engine = engine_module.Engine(DockerConfig(), lambda _: None, {"DOCKER_HOST": fake.url})
    engine.host = "tcp://192.0.2.7:2375"
    findings = doctor.Examination(opened_at(model), lambda _: (None, ""), engine).findings()
    finding = next(finding for finding in findings if finding.check == "scheme")
    assert finding.level is Level.PROBLEM
    assert "another machine" in finding.advice


def test_each_check_is_a_line_of_text(model: ModelRegistry, fake: FakeEngine) -> None:
    model.seed(PATH, {"2.1.106": b"one"})
    ran = launched(fake, "doctor", f"{model.host}/{PATH}")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "this machine"
    assert f"{model.host}/{PATH}" in lines
    assert lines[-1] == "no problems"
    assert len(lines) == len([*MACHINE, *REPOSITORY]) + 3
    assert "  ok       push: an upload can begin" in lines


# -- hosts ---------------------------------------------------------------------------------------------------------

EVERY: dict[type[Imitation], dict[str, tuple[str, str]]] = {
    Ghcr: {"delete": ("note", "deletes switched off"), "single tags": ("note", "no tag can be deleted")},
    DockerHub: {"single tags": ("note", "only by digest")},
    Ecr: {
        "delete": ("note", "does not delete through the registry API"),
        "single tags": ("note", "no tag can be deleted"),
    },
    Quay: {"single tags": ("note", "only by digest")},
    Harbor: {"single tags": ("note", "only by digest")},
    Artifactory: {"single tags": ("ok", "by itself"), "tag list": ("ok", "3 tags in 2 pages, 2 on the largest")},
    GitLab: {},
    DeniesEveryHead: {"HEAD": ("note", "tagger asks by GET")},
}


@pytest.mark.engine
@pytest.mark.parametrize("host", EVERY)
def test_the_peculiarities_of_a_host_are_reported_and_nothing_changes(
    host: type[Imitation], registry: Registry, repository: str, tmp_path: Path
) -> None:
    login = {"auth": base64.b64encode(f"{hosts.USER}:{hosts.PASSWORD}".encode()).decode()}
    with host(registry) as imitation:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {imitation.host: login}}))
        imitation.seed(repository, dict.fromkeys(("2.1.105", "2", "latest"), b"one"))
        before = imitation.tags(repository), kept(imitation.folder(repository))
        ran = examined(imitation, path=repository, DOCKER_CONFIG=str(tmp_path))
        assert (ran.code, problems(ran)) == (0, set()), ran.out
        told = checks(ran)
        for check, (level, words) in EVERY[host].items():
            assert (told[check][0], words in told[check][1]) == (level, True), told[check]
        assert told["push"] == ("ok", "an upload can begin: None")
        assert (imitation.tags(repository), kept(imitation.folder(repository))) == before
        written = [r for r in imitation.requests if r.method not in ("GET", "HEAD")]
        begun = [r for r in written if r.method == "POST"]
        given_up = [r for r in written if r.method == "DELETE" and "/uploads/" in r.path]
        assert len(begun) == len(given_up) == 1
        assert all(r.method == "DELETE" and "/manifests/" in r.path for r in written if r not in [*begun, *given_up])


@pytest.mark.engine
def test_a_repository_that_is_hidden_without_a_login_is_not_reported_as_fine(
    registry: Registry, repository: str
) -> None:
    with Ghcr(registry) as imitation:
        imitation.seed(repository, {"2.1.105": b"one"})
        ran = examined(imitation, path=repository)
    assert (ran.code, problems(ran)) == (1, {"push"}), ran.out
    told = checks(ran)
    assert f"docker login {imitation.host}" in told["push"][1]
    assert told["pull"][0] == "note"
    assert "or the registry hides it from you" in told["pull"][1]


@pytest.mark.engine
def test_a_repository_that_a_push_does_not_create_is_a_problem_with_advice(registry: Registry, repository: str) -> None:
    with Ecr(registry) as imitation:
        ran = examined(imitation, path=repository)
    assert (ran.code, problems(ran)) == (1, {"push"}), ran.out
    told = checks(ran)
    assert "create the repository first" in told["push"][1]
    assert (
        told["delete"]
        == told["HEAD"]
        == told["tag list"]
        == ("note", "unknown until the repository has an image that can be read: None")
    )


def test_referrers_are_reported_where_the_registry_lists_them() -> None:
    for lists, level in ((True, "ok"), (False, "note")):
        with ModelRegistry(referrers=lists) as registry:
            registry.seed(PATH, {"2.1.106": b"one"})
            assert checks(examined(registry))["referrers"][0] == level


# -- what is wrong -------------------------------------------------------------------------------------------------


def test_without_an_engine_the_other_checks_are_reported(model: ModelRegistry, nowhere: dict[str, str]) -> None:
    model.seed(PATH, {"2.1.106": b"one"})
    ran = launched(None, "doctor", f"{model.host}/{PATH}", "--json", **nowhere)
    assert (ran.code, problems(ran)) == (1, {"Engine"}), ran.out
    assert "no Docker Engine answers at" in checks(ran, of_machine=True)["Engine"][1]
    assert checks(ran)["pull"][0] == "ok"


def test_a_broken_docker_configuration_does_not_stop_the_other_checks(model: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    model.seed(PATH, {"2.1.106": b"one"})
    ran = examined(model, DOCKER_CONFIG=str(tmp_path))
    assert (ran.code, problems(ran)) == (1, {"Docker configuration", "credential"}), ran.out
    assert "is not a JSON object" in checks(ran)["credential"][1]
    assert checks(ran)["push"][0] == "ok"


@pytest.mark.parametrize("auth", [Basic(canary.USER, "another"), Bearer(canary.USER, "another")])
def test_a_wrong_password_is_a_problem_in_every_check_of_rights_and_is_not_shown(
    auth: Basic | Bearer, tmp_path: Path
) -> None:
    with ModelRegistry(auth=auth) as registry:
        registry.seed(PATH, {"2.1.106": b"one"})
        ran = examined(registry, "--verbose", **canary.docker_config(tmp_path, registry.host))
        assert ran.code == 1
        assert {"pull", "push"} <= problems(ran), ran.out
        told = checks(ran)
        assert f"docker login {registry.host}" in told["push"][1]
        assert told["credential"][0] == told["clock"][0] == "ok"


def test_a_missing_right_is_distinguished_from_a_wrong_login(tmp_path: Path) -> None:
    auth = Bearer(canary.USER, canary.PASSWORD, grants=frozenset({"pull"}))
    with ModelRegistry(auth=auth) as registry:
        registry.seed(PATH, {"2.1.106": b"one"})
        ran = examined(registry, **canary.docker_config(tmp_path, registry.host))
        assert (ran.code, problems(ran)) == (1, {"push"}), ran.out
        told = checks(ran)
        assert "your login is valid" in told["push"][1]
        assert told["delete"][0] == "note"
        assert told["token server"] == ("ok", f"{registry.host}: None")


def test_a_token_server_elsewhere_is_a_problem_until_it_is_named(tmp_path: Path) -> None:
    auth = Bearer(canary.USER, canary.PASSWORD, realm="https://tokens.example/token")
    with ModelRegistry(auth=auth) as registry:
        ran = examined(registry, **canary.docker_config(tmp_path, registry.host))
        level, text = checks(ran)["token server"]
        assert (ran.code, level) == (1, "problem")
        assert "--auth-host tokens.example" in text
        told = checks(
            examined(registry, "--auth-host", "tokens.example", **canary.docker_config(tmp_path, registry.host))
        )
        assert told["token server"] == ("ok", "tokens.example: None")


def test_deletes_that_are_off_are_a_note() -> None:
    with ModelRegistry(deletes="off") as registry:
        registry.seed(PATH, {"2.1.106": b"one"})
        ran = examined(registry)
        assert ran.code == 0, ran.out
        level, text = checks(ran)["delete"]
        assert level == "note"
        assert "storage.delete.enabled: true" in text
        assert "releases and promotions need no deletes" in text


def test_a_registry_that_does_not_answer_is_one_problem() -> None:
    with FakeEngine() as engine:
        ran = launched(engine, "doctor", f"127.0.0.1:{free_port()}/{PATH}", "--json")
    assert (ran.code, problems(ran)) == (1, {"scheme"}), ran.out
    assert "no registry answers at" in checks(ran)["scheme"][1]
    assert "cannot be reached" in checks(ran)["pull"][1]


def test_a_word_that_is_not_a_repository_is_bad_input() -> None:
    ran = launched(None, "doctor", "registry.local:5000/Gallery")
    assert ran.code == 2
    assert "lower case" in ran.error


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "Docker Engine 20.10.24, image store overlay2"),
        ({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}, "20.10.24, containerd image store"),
        (None, "Docker Engine, which hides its version and its image store"),
    ],
)
def test_the_engine_and_its_image_store_are_reported(
    fake: FakeEngine, tmp_path: Path, info: Mapping[str, Any] | None, said: str
) -> None:
    if info is None:
        fake.intercept(lambda request: Response(403) if request.path.endswith("/info") else None)
    else:
        fake.info |= info
    ran = tagger_in(tmp_path, "doctor", "--json", DOCKER_HOST=fake.url)
    assert ran.code == 0, ran.out
    assert said in checks(ran, of_machine=True)["Engine"][1]


@pytest.mark.engine
def test_a_policy_that_blocks_an_image_is_not_a_problem(registry: Registry, repository: str) -> None:
    with Harbor(registry) as imitation:
        imitation.seed(repository, {"2.1.105": b"one"})
        imitation.vulnerable |= set(imitation.tags(repository).values())
        ran = examined(imitation, path=repository)
        level, text = checks(ran)["HEAD"]
        assert (level, "blocks it" in text) == ("note", True)
        assert problems(ran) == set(), ran.out


def test_an_internal_error_in_a_check_is_reported_on_its_own_line() -> None:
    finding = found("clock", lambda: (Level.OK, str(1 // 0), ""))
    assert finding.level is Level.PROBLEM
    assert "ZeroDivisionError" in finding.text


# -- where a credential comes from ---------------------------------------------------------------------------------


def in_auths(host: str, _: Path) -> tuple[dict[str, Any], dict[str, str]]:
    return {"auths": {host: LOGIN}}, {}


def injected(host: str, _: Path) -> tuple[dict[str, Any], dict[str, str]]:
    return {}, {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: LOGIN}})}


def helped(folder: Path) -> dict[str, str]:
    """Install a credential helper, and return the path that finds it."""
    program = folder / "docker-credential-canary"
    answer = json.dumps({"Username": canary.USER, "Secret": canary.PASSWORD})
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def by_helper(host: str, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    return {"credHelpers": {host: "canary"}}, helped(folder)


def in_store(_: str, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    return {"credsStore": "canary"}, helped(folder)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (in_auths, "the entry '{host}' of {folder}/config.json"),
        (injected, "the entry '{host}' of DOCKER_AUTH_CONFIG"),
        (by_helper, "docker-credential-canary, which credHelpers of {folder}/config.json names"),
        (in_store, "docker-credential-canary, which credsStore of {folder}/config.json names"),
    ],
)
def test_the_place_of_a_credential_is_reported_and_never_its_value(
    made: Callable[[str, Path], tuple[Mapping[str, Any], Mapping[str, str]]], said: str, tmp_path: Path
) -> None:
    with ModelRegistry(auth=Basic(canary.USER, canary.PASSWORD)) as registry:
        registry.seed(PATH, {"2.1.106": b"one"})
        content, environment = made(registry.host, tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(content))
        ran = examined(registry, DOCKER_CONFIG=str(tmp_path), **environment)
        assert ran.code == 0, ran.out
        place = said.format(host=registry.host, folder=tmp_path)
        assert checks(ran)["credential"] == ("ok", f"a user and a password from {place}: None")
        assert canary.USER not in ran.out + ran.err


# -- settings, proxies, clocks -------------------------------------------------------------------------------------


def test_without_a_repository_only_the_machine_is_checked(fake: FakeEngine, tmp_path: Path) -> None:
    ran = tagger_in(tmp_path, "doctor", "--json", DOCKER_HOST=fake.url)
    assert ran.code == 0, ran.out
    assert [row["check"] for row in ran.json["findings"]] == MACHINE


def test_the_target_of_the_settings_is_checked(fake: FakeEngine, model: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "tagger.toml").write_text(f'registries = ["{model.host}"]\n[images.app]\nrepository = "{PATH}"\n')
    ran = tagger_in(tmp_path, "doctor", "--json", DOCKER_HOST=fake.url)
    assert {row["repository"] for row in ran.json["findings"]} == {None, f"{model.host}/{PATH}"}
    assert str(tmp_path / "tagger.toml") in checks(ran, of_machine=True)["settings"][1]


def test_broken_settings_do_not_stop_the_other_checks(fake: FakeEngine, model: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "tagger.toml").write_text("registry = 1\n")
    ran = tagger_in(tmp_path, "doctor", f"{model.host}/{PATH}", "--json", DOCKER_HOST=fake.url)
    assert (ran.code, problems(ran)) == (1, {"settings"}), ran.out
    assert "unknown key registry" in checks(ran, of_machine=True)["settings"][1]


def test_a_proxy_is_reported_without_its_login(fake: FakeEngine, tmp_path: Path) -> None:
    login = f"{canary.USER}:{quote(canary.PASSWORD, safe='')}"
    ran = tagger_in(
        tmp_path, "doctor", "--json", DOCKER_HOST=fake.url, HTTPS_PROXY=f"http://{login}@proxy.example:3128"
    )
    assert ran.code == 0, ran.out
    assert "https goes through http://proxy.example:3128" in checks(ran, of_machine=True)["proxy"][1]


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (0, Level.OK, "agree"),
        (200, Level.NOTE, "200 s ahead of the registry's"),
        (-200, Level.NOTE, "200 s behind the registry's"),
        (4000, Level.PROBLEM, "4000 s ahead"),
    ],
)
def test_a_wrong_clock_is_reported(model: ModelRegistry, ahead: int, level: Level, words: str) -> None:
    opened = opened_at(model)
    told = opened.connection.site.greeting().time()
    assert told is not None
    model.intercept(on("GET", "/v2/", Response(200, b"{}", {"Date": formatdate(told)})))
    examination = doctor.Examination(opened, lambda _: (None, ""), None, now=lambda: told + ahead)
    finding = next(finding for finding in examination.findings() if finding.check == "clock")
    assert finding.level is level
    assert words in finding.text


def test_the_clock_is_compared_with_this_machine_s(model: ModelRegistry) -> None:
    begun = time.time()
    told = opened_at(model).connection.site.greeting().time()
    assert told is not None
    assert int(begun) <= told <= time.time()
