"""Passwords, tokens, certificates and proxies, with the real command, a real Engine and real registries."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import canary
import pushed
import pytest
from command import Ran, tagger
from doubles import Certificate, ForwardProxy, Proxy, Request, Response, Rule, as_json, basic, certificate, on
from services import CERTIFICATES, Engine, Registry, private_folder
from tokens import TokenServer

from tagger.api import release as api
from tagger.errors import TaggerError

pytestmark = pytest.mark.engine
TAGS = {"2.1.106", "2.1", "2", "latest"}
LOGIN = {"auth": base64.b64encode(f"{canary.USER}:{canary.PASSWORD}".encode()).decode()}


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    name = f"authentication-{secrets.token_hex(4)}"
    engine.image(name, name)
    return name


def configured(folder: Path, host: str, entry: dict[str, str]) -> dict[str, str]:
    """Write a Docker configuration with one entry."""
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return {"DOCKER_CONFIG": str(folder)}


def release(engine: Engine, image: str, host: str, path: str, **environment: str) -> Ran:
    """Release 2.1.106."""
    words = ("release", image, "2.1.106", "--registry", host, "--repository", path, "--verbose")
    return tagger(engine, *words, **environment)


def nothing_was_written(ran: Ran, engine: Engine, registry: Registry, host: str, path: str) -> None:
    """Check that there is no tag here or there."""
    assert not registry.root.joinpath("docker/registry/v2/repositories", path, "_manifests").exists(), ran.err
    assert not engine.tags(f"{host}/{path}")


# -- Basic ---------------------------------------------------------------------------------------------------------


def test_one_password_works_for_engine_and_registry(
    engine: Engine, guarded_registry: Registry, image: str, repository: str, tmp_path: Path
) -> None:
    host = guarded_registry.host
    ran = release(engine, image, host, repository, **configured(tmp_path, host, LOGIN))
    assert (ran.code, set(guarded_registry.tags(repository))) == (0, TAGS), ran.err


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.usefixtures("hurried")
def test_a_wrong_or_missing_password_moves_nothing(
    engine: Engine, guarded_registry: Registry, image: str, repository: str, tmp_path: Path, *, password: str
) -> None:
    host = guarded_registry.host
    entry = {"auth": base64.b64encode(f"releaser:{password}".encode()).decode()}
    ran = release(engine, image, host, repository, **(configured(tmp_path, host, entry) if password else {}))
    assert (ran.code, "docker login" in ran.error) == (3, True), ran.err
    nothing_was_written(ran, engine, guarded_registry, host, repository)


# -- Bearer --------------------------------------------------------------------------------------------------------


@contextmanager
def token_registry(folder: Path) -> Iterator[tuple[Registry, TokenServer, Proxy]]:
    """Start a registry that wants tokens, its token server, and a proxy to it."""
    with (
        TokenServer(folder, canary.USER, canary.PASSWORD, "an-identity-token") as server,
        private_folder() as private,
        Registry.start(private, tokens=server.settings) as registry,
        Proxy(registry.host) as proxy,
    ):
        yield registry, server, proxy


@pytest.mark.parametrize(
    "entry", [LOGIN, {**LOGIN, "identitytoken": "an-identity-token"}], ids=["password", "identity"]
)
def test_one_token_works_for_engine_and_registry(
    engine: Engine, image: str, repository: str, tmp_path: Path, entry: dict[str, str]
) -> None:
    with token_registry(tmp_path) as (registry, server, proxy):
        ran = release(engine, image, registry.host, repository, **configured(tmp_path, registry.host, entry))
        assert ran.code == 0, ran.err
        assert server.issued
        assert not proxy.requests
        assert "an-identity-token" not in ran.err
        listed = tagger(None, "ls", f"{registry.host}/{repository}", **configured(tmp_path, registry.host, entry))
        assert (listed.code, "2.1.106" in listed.out) == (0, True), listed.err


def test_a_promotion_within_a_registry_mounts_blobs_with_one_token_for_both_repositories(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    source = pushed.Repository(registry, repository)
    built = source.image("build-77", "gallery")
    with token_registry(tmp_path) as (guarded, server, _):
        config = configured(tmp_path, guarded.host, LOGIN)
        ui, beside = f"{guarded.host}/{repository}/ui", f"{guarded.host}/{repository}/beside"
        copied = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", ui, **config)
        assert (copied.code, "copied sha256" in copied.err) == (0, True), copied.err
        mounted = tagger(None, "promote", f"{ui}:2.1.106", "3.0.0", "--to", beside, **config)
        assert (mounted.code, "copied sha256" in mounted.err) == (0, False), mounted.err
        assert mounted.err.count("tagger: mounted") == 3
        assert built.digest in mounted.out
        assert {f"repository:{repository}/ui:pull"} <= {*server.issued}


def test_a_token_that_the_registry_no_longer_accepts_is_renewed_once(
    engine: Engine, image: str, repository: str, tmp_path: Path
) -> None:
    with token_registry(tmp_path) as (_, server, proxy):

        def expired(request: Request) -> Response:
            del request.headers["Authorization"]
            return proxy.answer(request)

        proxy.intercept(on("HEAD", "/manifests/latest$", expired, times=1))
        ran = release(engine, image, proxy.host, repository, **configured(tmp_path, proxy.host, LOGIN))
        assert ran.code == 0, ran.err
        before = len(server.issued)
        proxy.intercept(on("HEAD", "/manifests/latest$", expired))
        failed = release(engine, image, proxy.host, repository, **configured(tmp_path, proxy.host, LOGIN))
        assert failed.code == 3, failed.err
        assert len(server.issued) - before < 10, "it does not ask for ever"


def test_tokens_that_expire_after_a_second_are_enough(
    engine: Engine, image: str, repository: str, tmp_path: Path
) -> None:
    with token_registry(tmp_path) as (registry, server, _):
        server.expires_in = 1
        ran = release(engine, image, registry.host, repository, **configured(tmp_path, registry.host, LOGIN))
        assert ran.code == 0, ran.err


def test_a_token_with_fewer_rights_than_requested_moves_nothing(
    engine: Engine, image: str, repository: str, tmp_path: Path
) -> None:
    with token_registry(tmp_path) as (registry, server, _):
        server.grants = {"pull"}
        ran = release(engine, image, registry.host, repository, **configured(tmp_path, registry.host, LOGIN))
        assert (ran.code, "push" in ran.error) == (3, True), ran.err
        nothing_was_written(ran, engine, registry, registry.host, repository)


@pytest.mark.usefixtures("hurried")
def test_a_token_server_that_is_down_is_named(engine: Engine, image: str, repository: str, tmp_path: Path) -> None:
    with token_registry(tmp_path) as (registry, server, _):
        server.intercept(lambda _: Response(drop=True))
        ran = release(engine, image, registry.host, repository, **configured(tmp_path, registry.host, LOGIN))
        assert ran.code in (1, 2), ran.err
        nothing_was_written(ran, engine, registry, registry.host, repository)


# -- TLS, certificates and proxies ---------------------------------------------------------------------------------
# Engines verify no certificate on loopback. So these registries have a name that only a proxy can resolve.

NAME = "registry.test:5443"


@contextmanager
def secure(folder: Path, *, clients: bool = False) -> Iterator[tuple[Registry, Certificate, ForwardProxy]]:
    """Start a registry with TLS, and the proxy that leads to it."""
    made = certificate(folder, "registry.test")
    tls: dict[str, Any] = {"certificate": str(made.certificate), "key": str(made.key)}
    if clients:
        tls["clientcas"] = [str(made.authority)]
    with (
        private_folder() as private,
        Registry.start(private, tls=tls) as registry,
        ForwardProxy(int(registry.host.rpartition(":")[2])) as proxy,
    ):
        yield registry, made, proxy


@contextmanager
def behind(proxy: ForwardProxy) -> Iterator[tuple[Engine, dict[str, str], str]]:
    """Start an Engine that goes through a proxy, with an image; give what has tagger do the same."""
    environment = {"HTTPS_PROXY": f"http://{proxy.address}"}
    with private_folder() as folder, Engine.start(folder, environment=environment) as engine:
        engine.image("secure-build", "secure")
        yield engine, environment, "secure-build"


@pytest.fixture
def trusted() -> Iterator[Path]:
    """The folder of the registry's certificates, for Engine and tagger alike."""
    folder = CERTIFICATES / NAME
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def test_an_authority_in_certs_d_works_for_engine_and_registry_through_a_proxy(
    repository: str, tmp_path: Path, trusted: Path
) -> None:
    with secure(tmp_path) as (registry, made, proxy), behind(proxy) as (engine, environment, image):
        unknown = release(engine, image, NAME, repository, **environment)
        assert (unknown.code, "certs.d" in unknown.error) == (2, True), unknown.err
        nothing_was_written(unknown, engine, registry, NAME, repository)
        shutil.copy(made.authority, trusted / "ca.crt")
        ran = release(engine, image, NAME, repository, **environment)
        assert (ran.code, set(registry.tags(repository))) == (0, TAGS), ran.err
        assert all(head.startswith(f"CONNECT {NAME} ") for head in proxy.heads)
        without = release(engine, image, NAME, repository, **environment, NO_PROXY="registry.test")
        assert (without.code, "no host registry.test" in without.error) == (2, True), without.err


def test_a_client_certificate_in_certs_d_is_used(repository: str, tmp_path: Path, trusted: Path) -> None:
    with secure(tmp_path, clients=True) as (registry, made, proxy), behind(proxy) as (engine, environment, image):
        shutil.copy(made.authority, trusted / "ca.crt")
        missing = release(engine, image, NAME, repository, **environment)
        assert missing.code in (1, 2), missing.err
        nothing_was_written(missing, engine, registry, NAME, repository)
        shutil.copy(made.certificate, trusted / "client.cert")
        lonely = release(engine, image, NAME, repository, **environment)
        assert (lonely.code, "each *.cert needs its *.key" in lonely.error) == (2, True), lonely.err
        shutil.copy(made.key, trusted / "client.key")
        ran = release(engine, image, NAME, repository, **environment)
        assert (ran.code, set(registry.tags(repository))) == (0, TAGS), ran.err


def test_ssl_cert_file_sets_the_authorities(repository: str, tmp_path: Path) -> None:
    with secure(tmp_path) as (_, made, proxy):
        environment = {"HTTPS_PROXY": f"http://ann:{quote(canary.PASSWORD, safe='')}@{proxy.address}"}
        words = ("ls", f"{NAME}/{repository}")
        assert tagger(None, *words, **environment).code == 2
        ran = tagger(None, *words, **environment, SSL_CERT_FILE=str(made.authority))
        assert f"no repository {repository}" in ran.error, ran.error
        assert f"proxy-authorization: {basic('ann', canary.PASSWORD)}".lower() in proxy.heads[-1].lower()


# -- secrets -------------------------------------------------------------------------------------------------------


def quoting(how: str) -> Rule:
    """Quote what a request was sent with, as some debugging proxies do."""

    def rule(request: Request) -> Response | None:
        sent = request.headers.get("Authorization", "")
        if not sent or request.path == "/v2/":
            return None
        if how == "a complaint":
            errors = [{"code": sent, "message": f"you said {base64.b64decode(sent.split()[1])!r} with {sent}"}]
            return as_json(403, {"errors": errors})
        if how == "a redirect":
            return Response(307, headers={"Location": f"http://192.0.2.1:1/{quote(canary.PASSWORD, safe='')}/{sent}"})
        return Response(200, b"{}", {"Content-Type": sent, "Docker-Content-Digest": sent})

    return rule


@pytest.mark.parametrize("how", ["a complaint", "a redirect", "a header"])
def test_a_password_that_a_registry_quotes_is_shown_as_stars(
    engine: Engine, guarded_registry: Registry, image: str, repository: str, tmp_path: Path, *, how: str
) -> None:
    with Proxy(guarded_registry.host) as proxy:
        proxy.intercept(quoting(how))
        ran = release(engine, image, proxy.host, repository, **configured(tmp_path, proxy.host, LOGIN))
    assert ran.code in (1, 2, 3)
    assert ("***" in ran.err) == (how != "a header"), ran.err


@pytest.mark.usefixtures("no_waiting")
def test_no_exception_contains_the_password_whichever_request_fails(
    engine: Engine, guarded_registry: Registry, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (Response(drop=True), Response(404), as_json(403, {}), Response(200, b"<html>"))
    errors: list[TaggerError] = []
    with Proxy(guarded_registry.host) as proxy:
        for name, value in {"DOCKER_HOST": engine.url, **configured(tmp_path, proxy.host, LOGIN)}.items():
            monkeypatch.setenv(name, value)
        for kind, answer in enumerate(broken):
            for first in range(0, 24, 4):
                proxy.rules[:], proxy.requests[:] = [from_request(first, answer)], []
                try:
                    api.release(image, f"2.{kind}.{first}", registry=proxy.host, repository=image, timeout=3)
                except TaggerError as error:
                    errors.append(error)
    assert len(errors) > len(broken), "with every answer broken from the first request on, no release succeeds"
    for met in errors:
        assert not canary.seen("".join(traceback.format_exception(met)))
        assert not any(canary.seen(f"{link!s} {link!r} {link.args}") for link in chain(met))


def from_request(first: int, answer: Response) -> Rule:
    """Answer this request and every later one."""
    numbers = itertools.count()
    return lambda _: answer if next(numbers) >= first else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and every error that it was raised from or beside."""
    if error:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)
