"""Requests reach the registry, and credentials go nowhere else, whatever answers."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import canary
import pytest
from clocks import Racing, Skipping
from command import tagger
from doubles import (
    DOCKER_MANIFEST,
    Basic,
    Bearer,
    Certificate,
    Cut,
    ForwardProxy,
    ModelRegistry,
    Request,
    Response,
    Rule,
    as_json,
    basic,
    certificate,
    digest_of,
    manifest,
    on,
    refusal,
)
from fifo import pipe
from services import free_port

from tagger.credentials.credential import Credential, Secret
from tagger.errors import CredentialsError, Denied, RegistryError, RegistryUnreachable, TaggerError, Unreadable
from tagger.names import Registry, Repository
from tagger.registry.answer import Answer
from tagger.registry.connection import Connection
from tagger.registry.proxies import proxy_of
from tagger.registry.site import Trust
from tagger.registry.url import origin_of
from tagger.work import Deadline

CANARY = "correct-horse-canary"
ANN = Credential("ann", Secret(CANARY))
TOKEN_OF_ANN = Credential("", Secret(CANARY))
LOOPBACK = Trust(insecure=True, plain_credentials=True)
SCOPE = "repository:gallery/ui:pull,push"
PULL, DELETE = "repository:gallery/ui:pull", "repository:gallery/ui:delete"
TAGS = "/v2/gallery/ui/tags/list"
MANIFESTS = "/v2/gallery/ui/manifests"
DIGEST = digest_of(manifest(b"one"))
Connect = Callable[..., Connection]


@pytest.fixture
def waits() -> list[str]:
    """Return what connections reported about the seconds before they tried again, none of which really pass."""
    return []


@pytest.fixture
def connect(waits: list[str]) -> Iterator[Connect]:
    """Open connections, and close them at the end."""
    opened: list[Connection] = []

    def trace(line: str) -> None:
        waits.extend(re.findall(r"is asked again in (\S+) s", line))

    def open_connection(host: str, credential: Credential | None = None, trust: Trust = LOOPBACK) -> Connection:
        deadline = Deadline(clock=Skipping())
        opened.append(Connection(Registry(host), lambda: credential, trust, deadline=deadline, trace=trace))
        return opened[-1]

    yield open_connection
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1 from an unknown authority."""
    return certificate(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


@pytest.fixture
def registry() -> Iterator[ModelRegistry]:
    """A registry over plain HTTP with one tag."""
    with ModelRegistry() as model:
        model.seed("gallery/ui", {"2.1.106": b"one"})
        yield model


@pytest.fixture
def secure(certified: Certificate) -> Iterator[ModelRegistry]:
    """A registry over TLS with one tag."""
    with ModelRegistry(tls=certified.context()) as model:
        model.seed("gallery/ui", {"2.1.106": b"one"})
        yield model


def certificates_of(host: str) -> Path:
    folder = Path.home() / ".config/docker/certs.d" / host
    folder.mkdir(parents=True)
    return folder


def trust_authority(host: str, certified: Certificate) -> None:
    (certificates_of(host) / "ca.crt").write_bytes(certified.authority.read_bytes())


def authorizations(server: ModelRegistry) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


def paths(server: ModelRegistry) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


def assert_hidden(error: TaggerError) -> None:
    """Check that the password is not in an error in any form that was sent, nor in what it was raised from."""
    for form in (CANARY, basic("ann", CANARY).removeprefix("Basic ")):
        assert form not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


# TLS or not


def test_https_is_used_with_the_authorities_of_certs_d(
    connect: Connect, secure: ModelRegistry, certified: Certificate
) -> None:
    trust_authority(secure.host, certified)
    opened = connect(secure.host, trust=Trust())
    assert opened.request("GET", TAGS).content() == {"name": "gallery/ui", "tags": ["2.1.106"]}
    assert opened.site.origin == f"https://{secure.host}"


@pytest.mark.parametrize("folder", [".docker", ".config/docker"])
def test_every_folder_of_certificates_that_docker_reads_is_read(
    connect: Connect, secure: ModelRegistry, certified: Certificate, folder: str
) -> None:
    here = Path.home() / folder / "certs.d" / secure.host
    here.mkdir(parents=True)
    (here / "ca.crt").write_bytes(certified.authority.read_bytes())
    assert connect(secure.host, trust=Trust()).request("GET", TAGS).status == 200


def test_a_certificate_that_docker_trusts_is_trusted(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(tmp_path, "127.0.0.1", identifiers=False)
    create = ssl.create_default_context

    def strict() -> ssl.SSLContext:  # as Python does from 3.13 on
        context = create()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    with ModelRegistry(tls=made.context()) as registry:
        registry.seed("gallery/ui", {"2.1.106": b"one"})
        trust_authority(registry.host, made)
        assert connect(registry.host, trust=Trust()).request("GET", TAGS).status == 200


def test_an_unknown_authority_is_refused_with_the_place_to_put_it(connect: Connect, secure: ModelRegistry) -> None:
    place = f"put its CA into /etc/docker/certs.d/{secure.host}/ca.crt"
    with pytest.raises(RegistryUnreachable, match=f"{secure.host} fails the TLS check .*{place}") as caught:
        connect(secure.host, ANN, Trust()).request("GET", TAGS)
    assert caught.value.exit_code == 2
    assert secure.requests == []


def test_a_certificate_of_another_host_is_refused(connect: Connect, tmp_path: Path) -> None:
    made = certificate(tmp_path, "registry.local")
    with ModelRegistry(tls=made.context()) as registry:
        trust_authority(registry.host, made)
        with pytest.raises(RegistryUnreachable, match=r"fails the TLS check .*127\.0\.0\.1"):
            connect(registry.host, trust=Trust()).request("GET", TAGS)


@pytest.mark.parametrize("file", ["client.cert", "broken.crt", "encrypted.key"])
def test_a_certificate_that_cannot_be_used_is_named(
    connect: Connect, secure: ModelRegistry, certified: Certificate, file: str
) -> None:
    folder = certificates_of(secure.host)
    (folder / file.replace(".key", ".cert")).write_bytes(
        b"" if "broken" in file else certified.certificate.read_bytes()
    )
    if "encrypted" in file:
        command = ["openssl", "pkcs8", "-topk8", "-in", str(certified.key), "-out", str(folder / file)]
        subprocess.run([*command, "-passout", "pass:x"], check=True)
    with pytest.raises(
        RegistryUnreachable, match=f"a certificate in {folder} cannot be used .*needs its .*key, in PEM"
    ):
        connect(secure.host, trust=Trust()).request("GET", TAGS)


@pytest.mark.parametrize("name", ["ca.crt", "client.cert", "client.key"])
def test_a_certificate_that_is_a_pipe_does_not_block(connect: Connect, secure: ModelRegistry, name: str) -> None:
    folder = certificates_of(secure.host)
    (folder / "client.cert").write_bytes(b"")
    (folder / name).unlink(missing_ok=True)
    with pipe(folder / name), pytest.raises(RegistryUnreachable, match=f"{name} is a pipe"):
        connect(secure.host, trust=Trust()).request("GET", TAGS)


def test_a_client_certificate_is_sent_on_request(connect: Connect, certified: Certificate) -> None:
    context = certified.context()
    context.load_verify_locations(certified.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    with ModelRegistry(tls=context) as registry:
        trust_authority(registry.host, certified)
        folder = Path.home() / ".config/docker/certs.d" / registry.host
        (folder / "client.cert").write_bytes(certified.certificate.read_bytes())
        (folder / "client.key").write_bytes(certified.key.read_bytes())
        assert connect(registry.host, trust=Trust()).request("GET", "/v2/").status == 200


def test_plain_http_is_used_only_where_it_is_allowed(connect: Connect, registry: ModelRegistry) -> None:
    advice = f"speaks plain HTTP, not HTTPS: .*insecure-registries, or pass --insecure {registry.host}"
    with pytest.raises(RegistryUnreachable, match=advice) as caught:
        connect(registry.host, trust=Trust()).request("GET", TAGS)
    assert caught.value.exit_code == 2
    assert registry.requests == []
    assert connect(registry.host, trust=Trust(insecure=True)).request("GET", TAGS).status == 200


def test_an_insecure_registry_that_supports_tls_is_used_over_tls(connect: Connect, secure: ModelRegistry) -> None:
    opened = connect(secure.host, trust=Trust(insecure=True))
    assert opened.request("GET", TAGS).status == 200
    assert opened.site.origin == f"https://{secure.host}"


def test_tls_support_is_probed_once(connect: Connect, secure: ModelRegistry) -> None:
    opened = connect(secure.host)
    for _ in range(3):
        opened.request("GET", TAGS)
    assert paths(secure) == ["GET /v2/", *[f"GET {TAGS}"] * 3]


@pytest.mark.parametrize("trust", [Trust(), LOOPBACK])
def test_a_port_where_nothing_listens_is_named(connect: Connect, trust: Trust) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnreachable, match=f"no registry answers at {host} .*refused.*: check the address") as e:
        connect(host, trust=trust).request("GET", TAGS)
    assert e.value.exit_code == 2


@pytest.mark.parametrize("trust", [Trust(), LOOPBACK])
def test_an_unknown_host_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch, trust: Trust) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        RegistryUnreachable, match=r"no host registry\.test:5000 is known: check the registry's name"
    ) as e:
        connect("registry.test:5000", trust=trust).request("GET", TAGS)
    assert e.value.exit_code == 2


@pytest.mark.parametrize("host", ["127.0.0.1:0", "127.0.0.1:99999", f"{'a' * 64}.test:5000"])
def test_an_impossible_host_is_unreachable(connect: Connect, host: str) -> None:
    with pytest.raises(RegistryUnreachable, match=": check the "):
        connect(host, trust=Trust()).request("GET", TAGS)


def test_docker_hub_is_reached_at_its_api_host(connect: Connect) -> None:
    assert connect("docker.io", trust=Trust()).site.origin == "https://registry-1.docker.io"


@pytest.mark.parametrize("path", ["https://evil.test/v2/", "//evil.test/v2/", "http://127.0.0.1/v2/"])
def test_a_request_never_leaves_the_registry(connect: Connect, path: str) -> None:
    opened = connect("127.0.0.1:1", ANN, Trust())
    with pytest.raises(RegistryError, match=r"points to another host, .*: ask its administrator"):
        opened.request("GET", path)


# Basic


def test_basic_credentials_are_sent_after_a_challenge_and_then_with_every_request(connect: Connect) -> None:
    with ModelRegistry(auth=Basic("ann", CANARY)) as registry:
        registry.seed("gallery/ui", {"1": b"one"})
        opened = connect(registry.host, ANN)
        assert [opened.request("GET", TAGS, scope=SCOPE).status for _ in range(2)] == [200, 200]
        assert authorizations(registry) == [None, basic("ann", CANARY), basic("ann", CANARY)]


def test_a_wrong_password_is_tried_once(connect: Connect) -> None:
    with ModelRegistry(auth=Basic("ann", "other")) as registry:
        opened = connect(registry.host, ANN)
        assert opened.request("GET", TAGS, scope=SCOPE).status == 401
        assert len(registry.requests) == 2
        assert opened.request("GET", TAGS, scope=SCOPE).status == 401
        assert len(registry.requests) == 3


@pytest.mark.parametrize("credential", [None, TOKEN_OF_ANN])
def test_a_basic_challenge_is_not_answered_without_a_password(connect: Connect, credential: Credential | None) -> None:
    with ModelRegistry(auth=Basic("ann", CANARY)) as registry:
        assert connect(registry.host, credential).request("GET", TAGS, scope=SCOPE).status == 401
        assert authorizations(registry) == [None]


def test_a_challenge_that_cannot_be_met_is_returned(connect: Connect, registry: ModelRegistry) -> None:
    registry.intercept(on("GET", TAGS, Response(401, b"", {"WWW-Authenticate": ["Negotiate", 'Digest realm="x"']})))
    assert connect(registry.host, ANN).request("GET", TAGS).status == 401
    assert authorizations(registry) == [None]


@pytest.mark.parametrize("asked", ['Basic realm="x"', 'Bearer realm="https://127.0.0.1/token"'])
def test_credentials_are_sent_over_plain_http_only_on_request(
    connect: Connect, registry: ModelRegistry, asked: str
) -> None:
    registry.intercept(on("GET", TAGS, Response(401, b"", {"WWW-Authenticate": asked})))
    with pytest.raises(Denied, match=f"without verified TLS: .* allow this with --insecure {registry.host}") as e:
        connect(registry.host, ANN, Trust(insecure=True)).request("GET", TAGS, scope=SCOPE)
    assert_hidden(e.value)
    assert authorizations(registry) == [None]


def test_a_helper_runs_only_when_the_registry_asks_for_a_login(registry: ModelRegistry) -> None:
    with contextlib.closing(Connection(Registry(registry.host), lambda: pytest.fail("asked"), LOOPBACK)) as opened:
        assert opened.request("GET", TAGS).status == 200


# Bearer


def bearer_registry(auth: Bearer, tls: ssl.SSLContext | None = None) -> ModelRegistry:
    model = ModelRegistry(auth=auth, tls=tls)
    model.seed("gallery/ui", {"2.1.106": b"one"})
    return model


def test_a_token_is_requested_once_with_the_scope(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        opened = connect(registry.host, ANN)
        assert [opened.request("GET", TAGS, scope=SCOPE).status for _ in range(3)] == [200] * 3
        assert paths(registry) == [f"GET {TAGS}", "GET /token", *[f"GET {TAGS}"] * 3]
        assert registry.requests[1].query == {"service": ["model"], "scope": [SCOPE]}
        assert authorizations(registry) == [None, basic("ann", CANARY), *["Bearer token-1"] * 3]


def test_the_realms_own_query_is_kept(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.auth = Bearer("ann", CANARY, realm=f"{registry.url}/token?account=x")
        assert connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE).status == 200
        assert registry.requests[1].query == {"account": ["x"], "service": ["model"], "scope": [SCOPE]}


def test_an_anonymous_token_is_requested_without_credentials(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY, anonymous=frozenset({"pull"}))) as registry:
        assert connect(registry.host).request("GET", TAGS, scope=SCOPE).status == 200
        assert authorizations(registry) == [None, None, "Bearer token-1"]


def test_an_identity_token_is_exchanged_by_post(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", "other", identity_token=CANARY)) as registry:
        assert connect(registry.host, TOKEN_OF_ANN).request("GET", TAGS, scope=SCOPE).status == 200
        exchange = registry.requests[1]
        assert parse_qs(exchange.body.decode()) == {
            "grant_type": ["refresh_token"],
            "client_id": ["tagger"],
            "refresh_token": [CANARY],
            "service": ["model"],
            "scope": [SCOPE],
        }
        assert (exchange.method, exchange.headers["Authorization"], exchange.query) == ("POST", None, {})


def test_a_token_that_expired_is_renewed_once(connect: Connect) -> None:
    auth = Bearer("ann", CANARY)
    with bearer_registry(auth) as registry:
        opened = connect(registry.host, ANN)
        opened.request("GET", TAGS, scope=SCOPE)
        auth.tokens.clear()
        assert opened.request("GET", TAGS, scope=SCOPE).status == 200
        assert auth.issued == 2


@pytest.mark.parametrize(
    "auth", [Bearer("ann", CANARY, expires_in=0), Bearer("ann", CANARY, grants=frozenset({"pull"}))]
)
def test_a_token_that_does_not_help_is_not_requested_forever(connect: Connect, auth: Bearer) -> None:
    with bearer_registry(auth) as registry:
        answer = connect(registry.host, ANN).request("PUT", "/v2/gallery/ui/manifests/1", scope=SCOPE, body=b"{}")
        assert (answer.status, auth.issued) == (401, 1)


def test_each_scope_has_its_own_token(connect: Connect) -> None:
    auth = Bearer("ann", CANARY)
    with bearer_registry(auth) as registry:
        opened = connect(registry.host, ANN)
        for scope in (SCOPE, "repository:gallery/ui:pull", SCOPE):
            opened.request("GET", TAGS, scope=scope)
        assert auth.issued == 2


def test_threads_share_one_token(connect: Connect) -> None:
    auth = Bearer("ann", CANARY)
    with bearer_registry(auth) as registry, ThreadPoolExecutor(8) as pool:
        opened = connect(registry.host, ANN)
        answers = [pool.submit(opened.request, "GET", TAGS, scope=SCOPE) for _ in range(32)]
        assert {answer.result().status for answer in answers} == {200}
        assert auth.issued == 1


@pytest.mark.parametrize("credential", [ANN, TOKEN_OF_ANN])
def test_credentials_that_the_token_server_refuses_are_denied(connect: Connect, credential: Credential) -> None:
    with bearer_registry(Bearer("ann", "other", identity_token="other")) as registry:
        advice = f"token server {registry.host} refuses the credentials for .*: run docker login {registry.host}"
        with pytest.raises(Denied, match=advice) as caught:
            connect(registry.host, credential).request("GET", TAGS, scope=SCOPE)
        assert_hidden(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>sign in</html>"),
        Response(500, b"oops"),
        Response(404),
        Response(302, b"", {"Location": "https://evil.test/token"}),
        as_json(200, {}),
        as_json(200, []),
        as_json(200, {"token": ""}),
        as_json(200, {"token": 5}),
        as_json(200, {"token": "a\r\nX-Injected: yes"}),
        as_json(200, {"token": "tökén"}),
        Response(200, b"[" * 50_000),
    ],
)
def test_a_token_server_without_a_token_is_named(connect: Connect, answer: Response) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("GET", "/token", answer))
        advice = (
            f"token server {registry.host} .*gave no token .*: try again later, or run docker login {registry.host}"
        )
        with pytest.raises(RegistryError, match=advice) as caught:
            connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE)
        assert_hidden(caught.value)


def test_an_oversized_token_is_refused(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("GET", "/token", as_json(200, {"token": "x" * 100_000})))
        with pytest.raises(RegistryError, match=r"more than 65536 bytes.*: check the host"):
            connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE)


# What registries hide from anonymous users


def hides(status: int) -> Rule:
    """Answer anonymous users as GitHub Packages does: private content is hidden, and only the root asks for a login."""

    def rule(request: Request) -> Response | None:
        known = request.path in ("/v2/", "/token") or "Authorization" in request.headers
        return None if known else refusal(status, "NAME_UNKNOWN", "repository name not known to registry")

    return rule


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("auth", [Basic("ann", CANARY), Bearer("ann", CANARY)])
@pytest.mark.parametrize(
    ("sent", "scope", "found"),
    [
        (f"GET {TAGS}", PULL, 200),
        (f"HEAD {MANIFESTS}/2.1.106", PULL, 200),
        ("POST /v2/gallery/ui/blobs/uploads/", SCOPE, 202),
        (f"DELETE {MANIFESTS}/{DIGEST}", DELETE, 202),
    ],
)
def test_content_that_is_hidden_from_anonymous_users_is_requested_again_with_the_login(
    connect: Connect, status: int, auth: Basic | Bearer, sent: str, scope: str, *, found: int
) -> None:
    with ModelRegistry(auth=auth) as registry:
        registry.seed("gallery/ui", {"2.1.106": b"one"})
        registry.intercept(hides(status))
        opened, (method, path) = connect(registry.host, ANN), sent.split()
        answer = opened.request(method, path, scope=scope, headers={"Accept": DOCKER_MANIFEST})
        assert answer.status == found


def test_a_blob_that_is_hidden_from_anonymous_users_is_requested_again_with_the_login(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.blobs["gallery/ui", DIGEST] = b"layer"
        registry.intercept(hides(404))
        with connect(registry.host, ANN).opened(f"/v2/gallery/ui/blobs/{DIGEST}", scope=PULL) as (answer, pieces):
            assert (answer.status, b"".join(pieces)) == (200, b"layer")


def test_a_401_without_a_challenge_is_answered_with_the_challenge_of_the_root(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        silent = refusal(401, "UNAUTHORIZED", "authentication required")
        registry.intercept(on("GET", TAGS, lambda sent: None if sent.headers["Authorization"] else silent))
        assert connect(registry.host, ANN).request("GET", TAGS, scope=PULL).status == 200


def test_an_open_registry_is_asked_once_whether_it_needs_a_login(connect: Connect, registry: ModelRegistry) -> None:
    opened = connect(registry.host, ANN)
    for _ in range(3):
        assert opened.request("GET", "/v2/gallery/none/tags/list", scope=PULL).status == 404
    assert authorizations(registry) == [None] * len(registry.requests)
    assert paths(registry).count("GET /v2/") == 1


def test_the_registry_is_not_asked_about_logins_when_there_is_none(connect: Connect, registry: ModelRegistry) -> None:
    assert connect(registry.host).request("GET", "/v2/gallery/none/tags/list", scope=PULL).status == 404
    assert paths(registry) == ["GET /v2/gallery/none/tags/list"]


def test_a_broken_helper_matters_only_where_a_login_is_needed(registry: ModelRegistry) -> None:
    def broken() -> Credential | None:
        raise CredentialsError("docker-credential-x cannot be started: install it")

    with contextlib.closing(Connection(Registry(registry.host), broken, LOOPBACK)) as opened:
        assert opened.request("GET", "/v2/gallery/none/tags/list", scope=PULL).status == 404
    with bearer_registry(Bearer("ann", CANARY)) as private:
        private.intercept(hides(404))
        opened = Connection(Registry(private.host), broken, LOOPBACK)
        with contextlib.closing(opened), pytest.raises(CredentialsError, match="cannot be started"):
            opened.request("GET", TAGS, scope=PULL)


def test_a_404_of_another_host_causes_no_login(
    connect: Connect, registry: ModelRegistry, secure: ModelRegistry
) -> None:
    registry.intercept(on("GET", TAGS, redirect(f"{secure.url}/gone")))
    opened = connect(registry.host, ANN, Trust(insecure=True, plain_credentials=True, plain_first=True))
    assert opened.request("GET", TAGS, scope=PULL).status == 404
    assert authorizations(registry) + authorizations(secure) == [None] * 2


# Rights


def refuses(right: str, status: int = 400) -> Rule:
    """Answer a request for a token as Quay does, which knows no right of that name."""

    def rule(request: Request) -> Response | None:
        rights = ",".join(request.query["scope"]).rpartition(":")[2].split(",")
        return refusal(status, "INVALID_REQUEST", "Unable to decode scope") if right in rights else None

    return on("GET", "^/token$", rule)


def challenges(right: str = "", error: str = "insufficient_scope") -> Callable[[ModelRegistry], Response]:
    """Ask for a login, and say which right it needs."""
    named = f',scope="repository:gallery/ui:{right}"' if right else ""

    def answer(registry: ModelRegistry) -> Response:
        asked = f'Bearer realm="{registry.url}/token",service="model"{named},error="{error}"'
        return refusal(401, "UNAUTHORIZED", "no", WWW_Authenticate=asked)

    return answer


def rights_asked(server: ModelRegistry) -> list[str]:
    asked = [scope for request in server.requests if request.path == "/token" for scope in request.query["scope"]]
    return [scope.removeprefix("repository:gallery/ui:") for scope in asked]


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_right_to_delete_that_the_token_server_does_not_know_is_requested_under_another_name(
    connect: Connect, status: int
) -> None:
    auth = Bearer("ann", CANARY)
    with bearer_registry(auth) as registry:
        registry.intercept(refuses("delete", status))
        opened = connect(registry.host, ANN)
        for expected in (202, 404):
            assert opened.request("DELETE", f"{MANIFESTS}/{DIGEST}", scope=DELETE).status == expected
            auth.tokens.clear()
        assert rights_asked(registry) == ["delete", "pull,push", "*", "*"], "what worked once is asked for at once"


def test_a_registry_that_deletes_with_the_right_to_push_is_asked_for_that_right(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(refuses("delete"))
        deleted = on("DELETE", "", lambda sent: Response(202) if sent.headers["Authorization"] else None)
        registry.intercept(deleted)
        opened = connect(registry.host, ANN)
        assert [opened.request("DELETE", f"{MANIFESTS}/{tag}", scope=DELETE).status for tag in "ab"] == [202] * 2
        assert rights_asked(registry) == ["delete", "pull,push"]


def test_the_right_that_a_registry_finally_needs_is_requested_once(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("DELETE", "", lambda _: challenges()(registry), times=1))
        opened = connect(registry.host, ANN)
        assert opened.request("DELETE", f"{MANIFESTS}/{DIGEST}", scope=DELETE).status == 202
        assert rights_asked(registry) == ["pull,push", "delete"]


@pytest.mark.parametrize("right", ["", "delete", "*", "delete,pull"])
def test_a_right_that_is_never_granted_is_not_requested_forever(connect: Connect, right: str) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("DELETE", "", lambda _: challenges(right)(registry)))
        answer = connect(registry.host, ANN).request("DELETE", f"{MANIFESTS}/{DIGEST}", scope=DELETE)
        assert (answer.status, answer.lacks) == (401, "delete")
        assert len(rights_asked(registry)) <= 3


def test_tagger_gives_up_on_a_registry_that_needs_another_right_each_time(connect: Connect) -> None:
    rights = (challenges(f"right{number}") for number in range(1000))
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("PUT", "", lambda _: next(rights)(registry)))
        assert connect(registry.host, ANN).request("PUT", f"{MANIFESTS}/1", scope=SCOPE, body=b"{}").status == 401
        assert len(rights_asked(registry)) <= 5


def test_a_token_to_push_is_never_replaced_by_one_without_that_right(connect: Connect) -> None:
    upload = "/v2/gallery/ui/blobs/uploads/"
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("DELETE", "/uploads/", lambda _: challenges("delete")(registry)))
        opened = connect(registry.host, ANN)
        assert opened.request("POST", upload, scope=SCOPE).status == 202
        assert opened.request("DELETE", f"{upload}upload-1", scope=SCOPE).status == 401
        sent = opened.request("PUT", f"{upload}1?digest={digest_of(b'x')}", scope=SCOPE, body=iter([b"x"]))
        assert (sent.status, {*rights_asked(registry)}) == (201, {"pull,push"})


@pytest.mark.parametrize("right", ["pull,push", "*", "delete", ""])
def test_a_read_never_requests_more_than_the_right_to_pull(connect: Connect, right: str) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("GET", TAGS, lambda _: challenges(right)(registry)))
        assert connect(registry.host, ANN).request("GET", TAGS, scope=PULL).status == 401
        assert rights_asked(registry) == ["pull"]


def test_a_403_that_asks_for_a_right_is_answered_too(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("PUT", "", lambda _: replace(challenges("*")(registry), status=403), times=1))
        opened = connect(registry.host, ANN)
        opened.request("GET", TAGS, scope=PULL)
        assert opened.request("PUT", f"{MANIFESTS}/1", scope=SCOPE, body=b"{}").status == 400
        assert rights_asked(registry) == ["pull", "pull,push", "*"]


REPOSITORY = Repository(Registry("registry.local:5000"), "gallery/ui")


def refused(answer: Answer) -> str:
    with pytest.raises(Denied) as caught:
        answer.check(REPOSITORY, "do that")
    return str(caught.value)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_valid_login_that_lacks_a_right_is_not_sent_to_docker_login(connect: Connect, method: str) -> None:
    with bearer_registry(Bearer("ann", CANARY, grants=frozenset({"pull"}))) as registry:
        scope, right = (SCOPE, "push") if method == "PUT" else (DELETE, "delete")
        answer = connect(registry.host, ANN).request(method, f"{MANIFESTS}/1", scope=scope, body=b"{}")
        assert f"your login is valid and lacks the right to {right}, so ask the administrator of" in refused(answer)
        assert "docker login" not in refused(answer)


def by_policy(request: Request) -> Response | None:
    return refusal(403, "DENIED", "by policy") if request.headers["Authorization"] else None


def test_a_valid_login_may_be_refused_for_another_reason_than_a_missing_right(connect: Connect) -> None:
    for auth in (Basic("ann", CANARY), Bearer("ann", CANARY)):
        with ModelRegistry(auth=auth) as registry:
            registry.intercept(on("PUT", "", by_policy))
            answer = connect(registry.host, ANN).request("PUT", f"{MANIFESTS}/1", scope=SCOPE, body=b"{}")
            assert "DENIED: by policy): your login is valid, so if it is the right to push that" in refused(answer)


def test_a_registry_that_refuses_its_own_token_server_s_token_is_blamed(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY, expires_in=0)) as registry:
        answer = connect(registry.host, ANN).request("GET", TAGS, scope=PULL)
        assert "its own token server gave that token, so ask the administrator of registry.local:5000" in refused(
            answer
        )
        assert "docker login" not in refused(answer)


@pytest.mark.parametrize(
    ("auth", "credential"),
    [
        (Basic("ann", CANARY), None),
        (Basic("ann", "other"), ANN),
        (Bearer("ann", CANARY, anonymous=frozenset({"pull"})), None),
    ],
)
def test_a_missing_or_invalid_login_is_reported(
    connect: Connect, auth: Basic | Bearer, credential: Credential | None
) -> None:
    with ModelRegistry(auth=auth) as registry:
        answer = connect(registry.host, credential).request("PUT", f"{MANIFESTS}/1", scope=SCOPE, body=b"{}")
        assert "run docker login registry.local:5000" in refused(answer)


def test_a_token_server_that_gave_a_token_once_knows_the_login(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(refuses("push", 403))
        opened = connect(registry.host, ANN)
        assert opened.request("GET", TAGS, scope=PULL).status == 200
        message = (
            r"gives your login no right to push \(HTTP 403, INVALID_REQUEST: Unable to .*\): ask the administrator of"
        )
        with pytest.raises(Denied, match=message):
            opened.request("PUT", f"{MANIFESTS}/1", scope=SCOPE, body=b"{}")


def test_a_token_server_that_refuses_anonymous_users_asks_for_a_login(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("GET", "/token", refusal(403, "DENIED", "no anonymous access")))
        with pytest.raises(Denied, match=r"gives no anonymous token .*no anonymous access\): run docker login"):
            connect(registry.host).request("GET", TAGS, scope=PULL)


# Identity tokens that are not taken

BOTH = Credential("", Secret("an-identity-token"), ANN)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 503])
def test_the_password_is_tried_where_identity_tokens_are_not_accepted(connect: Connect, status: int) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("POST", "/token", Response(status)))
        opened = connect(registry.host, BOTH)
        assert opened.request("GET", TAGS, scope=PULL).status == 200
        assert opened.request("POST", "/v2/gallery/ui/blobs/uploads/", scope=SCOPE).status == 202
        assert paths(registry).count("POST /token") == 1, "what is not taken once is not sent once more"
        assert opened.auth.credential() == ANN, "the Engine gets what the token server takes"


def test_the_password_is_not_sent_where_an_identity_token_is_accepted(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", "other", identity_token="an-identity-token")) as registry:
        opened = connect(registry.host, BOTH)
        assert opened.request("GET", TAGS, scope=PULL).status == 200
        assert "GET /token" not in paths(registry)
        assert opened.auth.credential() == BOTH


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500])
def test_a_token_server_that_accepts_no_identity_token_is_named_without_a_password(
    connect: Connect, status: int
) -> None:
    with bearer_registry(Bearer("ann", CANARY)) as registry:
        registry.intercept(on("POST", "/token", Response(status)))
        message = rf"accepts no identity token \(HTTP {status}\), and your login has no password: run docker login"
        with pytest.raises(RegistryError, match=message) as caught:
            connect(registry.host, TOKEN_OF_ANN).request("GET", TAGS, scope=PULL)
        assert_hidden(caught.value)


def test_a_password_that_is_wrong_too_is_reported(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", "other")) as registry:
        opened = connect(registry.host, BOTH)
        with pytest.raises(Denied, match=r"refuses the credentials .*: run docker login"):
            opened.request("GET", TAGS, scope=PULL)


def test_a_registry_that_asks_for_a_password_gets_the_one_beside_an_identity_token(connect: Connect) -> None:
    with ModelRegistry(auth=Basic("ann", CANARY)) as registry:
        registry.seed("gallery/ui", {"1": b"one"})
        assert connect(registry.host, BOTH).request("GET", TAGS, scope=PULL).status == 200


# One origin in several spellings


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://registry.example", "https://registry.example:443/v2/", True),
        ("https://Registry.Example", "https://registry.example/v2/", True),
        ("https://registry.example:443", "HTTPS://REGISTRY.EXAMPLE/v2/", True),
        ("http://registry.example:80", "http://registry.example/v2/", True),
        ("https://[::1]:443", "https://[::1]/v2/", True),
        ("https://registry.example", "https://registry.example:80/v2/", False),
        ("https://registry.example", "https://registry.example.evil.test/v2/", False),
        ("https://registry.example", "https://registry.example@evil.test/v2/", False),
        ("https://registry.example", "https://evil@registry.example/v2/", False),
        ("https://registry.example", "https://registry.example:99999/v2/", False),
        ("https://registry.example", "https://registry.example:x/v2/", False),
    ],
)
def test_every_spelling_of_an_origin_is_the_same_origin(one: str, other: str, *, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same


@pytest.mark.parametrize(
    "realm", ["https://REGISTRY.Test/token", "https://registry.test:443/token", "HTTPS://registry.test"]
)
def test_every_spelling_of_a_realm_on_the_registrys_own_host_is_trusted(connect: Connect, realm: str) -> None:
    connect("Registry.test:443", ANN, Trust()).auth._tokens.check_realm(realm, ANN)


def test_the_name_of_an_insecure_registry_is_case_insensitive(
    connect: Connect, secure: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", at_loopback(socket.getaddrinfo))
    opened = connect(f"Registry.test:{secure.port}", trust=Trust(insecure=True))
    assert opened.request("GET", TAGS).status == 200


def at_loopback(look_up: Callable[..., object]) -> Callable[..., object]:
    return lambda _, *rest, **named: look_up("127.0.0.1", *rest, **named)


@pytest.mark.parametrize("port", ["", ":443", ":5000"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_proxy_that_hides_https_from_the_registry_is_reported(connect: Connect, port: str, method: str) -> None:
    opened = connect(f"registry.test{port}", ANN, Trust())
    plain = f"http://Registry.test{'' if port == ':443' else port}/v2/gallery/ui/blobs/uploads/1"
    with pytest.raises(RegistryError, match=r"reached over https and points to http:.* X-Forwarded-Proto: https"):
        opened.request(method, plain, body=b"{}")
    with pytest.raises(RegistryError, match=r"X-Forwarded-Proto: https"):
        opened.following(method, Answer(307, {"location": plain}, b"", f"https://registry.test{port}/v2/"))


# Where credentials may go


@pytest.fixture
def elsewhere() -> Iterator[ModelRegistry]:
    """A token server, which is reached by the name localhost."""
    with ModelRegistry(auth=Bearer("ann", CANARY)) as server:
        yield server


def foreign(server: ModelRegistry) -> str:
    return f"http://localhost:{server.port}/token"


def test_credentials_are_not_sent_to_an_unknown_token_server(connect: Connect, elsewhere: ModelRegistry) -> None:
    with bearer_registry(Bearer("ann", CANARY, realm=foreign(elsewhere))) as registry:
        with pytest.raises(
            Denied, match=r"wants its credentials sent to localhost: .*allow it with --auth-host localhost"
        ):
            connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE)
        assert elsewhere.requests == []


def test_credentials_are_sent_to_a_token_server_that_the_user_named(connect: Connect, elsewhere: ModelRegistry) -> None:
    auth = Bearer("ann", CANARY, realm=foreign(elsewhere))
    elsewhere.auth = auth
    trust = Trust(insecure=True, plain_credentials=True, token_hosts=frozenset({"localhost"}))
    with bearer_registry(auth) as registry:
        assert connect(registry.host, ANN, trust).request("GET", TAGS, scope=SCOPE).status == 200
        assert authorizations(elsewhere) == [basic("ann", CANARY)]


@pytest.mark.parametrize("where", ["option", "variable", "file", "nowhere"])
def test_the_settings_name_a_token_server_on_another_host(
    elsewhere: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    auth = Bearer(canary.USER, canary.PASSWORD, realm=foreign(elsewhere))
    elsewhere.auth = auth
    monkeypatch.chdir(tmp_path)
    if where == "file":
        (tmp_path / "tagger.toml").write_text('auth_hosts = ["localhost"]\n')
    words = ["--auth-host", "localhost"] if where == "option" else []
    environment = {"TAGGER_AUTH_HOST": "other.test,localhost"} if where == "variable" else {}
    with bearer_registry(auth) as registry:
        environment |= canary.docker_config(tmp_path, registry.host)
        ran = tagger(None, "ls", f"{registry.host}/gallery/ui", *words, **environment)
        assert ran.code == (3 if where == "nowhere" else 0), ran.err
        assert len(elsewhere.requests) == (where != "nowhere")
        assert "auth_hosts in tagger.toml" in ran.err or where != "nowhere"


def test_the_option_for_a_token_server_takes_a_port_and_ignores_case(
    connect: Connect, elsewhere: ModelRegistry
) -> None:
    auth = Bearer("ann", CANARY, realm=foreign(elsewhere))
    elsewhere.auth = auth
    with bearer_registry(auth) as registry:
        for named in ("LocalHost", f"localhost:{elsewhere.port}"):
            trust = Trust(insecure=True, plain_credentials=True, token_hosts=frozenset({named}))
            assert connect(registry.host, ANN, trust).request("GET", TAGS, scope=SCOPE).status == 200


def test_an_unknown_token_server_may_issue_an_anonymous_token(connect: Connect, elsewhere: ModelRegistry) -> None:
    auth = Bearer("ann", CANARY, anonymous=frozenset({"pull"}), realm=foreign(elsewhere))
    elsewhere.auth = auth
    with bearer_registry(auth) as registry:
        assert connect(registry.host).request("GET", TAGS, scope=SCOPE).status == 200
        assert authorizations(elsewhere) == [None]


@pytest.mark.parametrize("credential", [None, ANN])
@pytest.mark.parametrize(
    "realm",
    ["", "/token", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "https://ann:pw@127.0.0.1/", "https://[", "::"],
)
def test_a_realm_that_is_not_an_address_is_refused(connect: Connect, realm: str, credential: Credential | None) -> None:
    with ModelRegistry() as registry:
        asked = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
        registry.intercept(on("GET", TAGS, Response(401, b"", asked)))
        with pytest.raises(RegistryError, match="as its token server, which is not an address to trust: ask its"):
            connect(registry.host, credential).request("GET", TAGS, scope=SCOPE)


@pytest.mark.parametrize("credential", [None, ANN])
def test_a_registry_over_tls_may_not_have_a_token_server_over_plain_http(
    connect: Connect, certified: Certificate, elsewhere: ModelRegistry, credential: Credential | None
) -> None:
    realm = f"http://127.0.0.1:{elsewhere.port}/token"
    with bearer_registry(Bearer("ann", CANARY, realm=realm), certified.context()) as registry:
        trust_authority(registry.host, certified)
        with pytest.raises(RegistryError, match=f"names '{realm}' .*not an address to trust: ask its administrator"):
            connect(registry.host, credential, Trust()).request("GET", TAGS, scope=SCOPE)
        assert elsewhere.requests == []


def test_the_registrys_authority_vouches_for_its_token_server_too(connect: Connect, certified: Certificate) -> None:
    auth = Bearer("ann", CANARY)
    with ModelRegistry(auth=auth, tls=certified.context()) as tokens:
        auth.realm = f"{tokens.url}/token"
        with bearer_registry(auth, certified.context()) as registry:
            trust_authority(registry.host, certified)
            assert connect(registry.host, ANN, Trust()).request("GET", TAGS, scope=SCOPE).status == 200
            assert authorizations(tokens) == [basic("ann", CANARY)]


def test_a_token_server_that_does_not_answer_is_named(connect: Connect) -> None:
    port = free_port()
    with bearer_registry(Bearer("ann", CANARY, realm=f"http://127.0.0.1:{port}/token")) as registry:
        message = f"no server for {registry.host} answers at 127.0.0.1:{port} .*: check the address"
        with pytest.raises(RegistryUnreachable, match=message):
            connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE)


@pytest.mark.parametrize(
    ("host", "token_host"),
    [
        ("docker.io", "auth.docker.io"),
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.digitalocean.com", "api.digitalocean.com"),
        ("registry.cn-beijing.aliyuncs.com", "dockerauth.cn-hangzhou.aliyuncs.com"),
        ("a.test", "a.test"),
    ],
)
def test_the_token_servers_of_well_known_registries_are_known(connect: Connect, host: str, token_host: str) -> None:
    opened = connect(host, trust=Trust())
    opened.auth._tokens.check_realm(f"https://{token_host}/token", ANN)
    with pytest.raises(Denied, match=r"allow it with --auth-host auth\.evil\.test"):
        opened.auth._tokens.check_realm("https://auth.evil.test/token", ANN)


# Redirects


def redirect(location: str, status: int = 307) -> Response:
    return Response(status, b"", {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_registry_keeps_the_authorization(connect: Connect, status: int) -> None:
    with ModelRegistry(auth=Basic("ann", CANARY)) as registry:
        registry.seed("gallery/ui", {"1": b"one"})
        registry.intercept(on("GET", "/old", redirect(TAGS, status)))
        assert connect(registry.host, ANN).request("GET", "/old").content()["tags"] == ["1"]
        assert authorizations(registry)[-1] == basic("ann", CANARY)


def test_the_authorization_follows_no_redirect_to_another_origin(connect: Connect, secure: ModelRegistry) -> None:
    with ModelRegistry(auth=Basic("ann", CANARY)) as registry:
        there = redirect(f"{secure.url}{TAGS}")
        registry.intercept(on("GET", TAGS, lambda sent: there if sent.headers["Authorization"] else None))
        answer = connect(registry.host, ANN).request("GET", TAGS, scope=SCOPE)
        assert (answer.status, answer.url) == (200, f"{secure.url}{TAGS}")
        assert authorizations(registry) == [None, basic("ann", CANARY)]
        assert authorizations(secure) == [None]


def test_a_redirect_never_leads_from_tls_to_plain_http(
    connect: Connect, secure: ModelRegistry, registry: ModelRegistry, certified: Certificate
) -> None:
    trust_authority(secure.host, certified)
    secure.intercept(on("GET", TAGS, redirect(f"{registry.url}{TAGS}?signature={CANARY}")))
    with pytest.raises(RegistryError, match=r"redirects GET to .*, which tagger does not follow: ask its") as caught:
        connect(secure.host, ANN, Trust()).request("GET", TAGS)
    assert_hidden(caught.value)
    assert registry.requests == []


@pytest.mark.parametrize("scheme", ["https:", "ftp:", ""])
@pytest.mark.parametrize("host", ["localhost:1", "[::1", "host.invalid"])
def test_a_redirect_is_shown_without_its_user(registry: ModelRegistry, scheme: str, host: str) -> None:
    registry.intercept(on("GET", TAGS, redirect(f"{scheme}//someone:{CANARY}@{host}/v2/?signature={CANARY}")))
    told: list[str] = []
    opened = Connection(Registry(registry.host), lambda: ANN, LOOPBACK, trace=told.append)
    with pytest.raises(TaggerError) as caught:
        opened.request("GET", TAGS)
    opened.close()
    assert_hidden(caught.value)
    assert "someone" not in f"{caught.value} {told}"
    assert CANARY not in f"{told}"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://localhost/", "gopher://127.0.0.1/", "//localhost:1/"]
)
def test_a_redirect_to_another_url_scheme_is_refused(connect: Connect, registry: ModelRegistry, location: str) -> None:
    registry.intercept(on("GET", TAGS, redirect(location)))
    with pytest.raises(RegistryError, match="which tagger does not follow: ask its administrator"):
        connect(registry.host).request("GET", TAGS)


@pytest.mark.parametrize("location", ["http://[", "//[::1"])
def test_a_redirect_to_nonsense_is_refused(connect: Connect, registry: ModelRegistry, location: str) -> None:
    registry.intercept(on("GET", TAGS, redirect(location)))
    with pytest.raises(RegistryError, match=": ask its administrator"):
        connect(registry.host).request("GET", TAGS)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_follows_no_redirect(connect: Connect, registry: ModelRegistry, method: str) -> None:
    registry.intercept(on(method, "/1$", redirect("/v2/gallery/ui/manifests/2")))
    with pytest.raises(RegistryError, match=f"redirects {method} to .*: ask its administrator"):
        connect(registry.host).request(method, "/v2/gallery/ui/manifests/1", body=b"{}")
    assert len(registry.requests) == 1


def test_redirects_in_a_circle_end(connect: Connect, registry: ModelRegistry) -> None:
    registry.intercept(on("GET", "/v2/", redirect(TAGS)))
    with pytest.raises(RegistryError, match="redirects in circles: ask its administrator"):
        connect(registry.host).request("GET", TAGS)
    assert len(registry.requests) == 6


def test_a_redirect_without_a_location_is_returned(connect: Connect, registry: ModelRegistry) -> None:
    registry.intercept(on("GET", TAGS, Response(302)))
    assert connect(registry.host).request("GET", TAGS).status == 302


# Limits


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def test_a_body_is_read_up_to_its_limit(connect: Connect, registry: ModelRegistry) -> None:
    registry.intercept(on("GET", "/exact", Response(200, b"x" * 100)))
    registry.intercept(on("GET", "/longer", Response(200, b"x" * 101)))
    opened = connect(registry.host)
    assert opened.request("GET", "/exact", limit=100).body == b"x" * 100
    with pytest.raises(RegistryError, match="more than 100 bytes, more than any registry should send: check the host"):
        opened.request("GET", "/longer", limit=100)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_endless_body_is_not_read_to_its_end(connect: Connect, registry: ModelRegistry, status: int) -> None:
    registry.intercept(on("GET", TAGS, lambda _: Response(status, endless())))
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):
        connect(registry.host).request("GET", TAGS)


def test_the_very_first_answer_has_a_size_limit_too(connect: Connect, secure: ModelRegistry) -> None:
    secure.intercept(on("GET", "/v2/", lambda _: Response(200, endless())))
    with pytest.raises(RegistryError, match="more than 65536 bytes"):
        connect(secure.host).request("GET", TAGS)


def test_no_compressed_answer_is_requested(connect: Connect, registry: ModelRegistry) -> None:
    connect(registry.host).request("GET", TAGS)
    assert registry.requests[0].headers["Accept-Encoding"] == "identity"


# Faults that pass


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_temporary_failure_is_retried(
    connect: Connect, registry: ModelRegistry, waits: list[str], status: int, method: str
) -> None:
    registry.intercept(on(method, "/v2/x", Response(status), times=2))
    registry.intercept(on(method, "/v2/x", Response(204)))
    assert connect(registry.host).request(method, "/v2/x").status == 204
    assert waits == ["0.2", "0.6"]


def test_a_permanent_failure_is_returned(connect: Connect, registry: ModelRegistry, waits: list[str]) -> None:
    registry.intercept(on("GET", TAGS, Response(503)))
    assert connect(registry.host).request("GET", TAGS).status == 503
    assert (len(registry.requests), waits) == (4, ["0.2", "0.6", "1.5"])


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (lambda: "7", 7),
        (lambda: formatdate(time.time() + 20, usegmt=True), 20),
        (lambda: "1000000000", 30),
        (lambda: formatdate(time.time() + 1e6, usegmt=True), 30),
        (lambda: "0", 0.2),
        (lambda: "-5", 0.2),
        (lambda: formatdate(0, usegmt=True), 0.2),
        (lambda: "soon", 0.2),
        (lambda: "²", 0.2),
        (lambda: "", 0.2),
    ],
)
def test_a_registry_says_how_long_to_wait_within_bounds(
    connect: Connect, registry: ModelRegistry, waits: list[str], asked: Callable[[], str], seconds: float
) -> None:
    registry.intercept(on("GET", TAGS, Response(429, b"", {"Retry-After": asked()}), times=1))
    assert connect(registry.host).request("GET", TAGS).status == 200
    assert [float(wait) for wait in waits] == [pytest.approx(seconds, abs=2 if seconds == 20 else 0)]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_dropped_connection_is_retried(connect: Connect, registry: ModelRegistry, method: str) -> None:
    registry.intercept(on(method, "/v2/x", Response(drop=True), times=3))
    registry.intercept(on(method, "/v2/x", Response(201)))
    assert connect(registry.host).request(method, "/v2/x", body=b"{}").status == 201


def cut() -> Iterator[bytes]:
    yield b'{"tags": ['
    raise Cut


@pytest.mark.parametrize(
    "answer",
    [
        Response(drop=True),
        Response(200, b"short", {"Content-Length": "100", "Connection": "close"}),
        Response(200, b"{}", {f"X-{number}": "y" for number in range(200)}),
    ],
)
def test_a_connection_that_always_drops_is_unreadable(
    connect: Connect, registry: ModelRegistry, answer: Response
) -> None:
    registry.intercept(on("GET", TAGS, answer))
    with pytest.raises(Unreadable, match=f"{registry.host} closed the connection early .*: run the same command again"):
        connect(registry.host).request("GET", TAGS)
    assert len(registry.requests) == 4


@pytest.mark.parametrize("tls", [False, True])
def test_a_body_that_is_cut_off_is_refused(
    connect: Connect, registry: ModelRegistry, secure: ModelRegistry, *, tls: bool
) -> None:
    server = secure if tls else registry
    server.intercept(on("GET", TAGS, lambda _: Response(200, cut())))
    with pytest.raises(Unreadable, match=r"closed the connection early .*: run the same command again"):
        connect(server.host).request("GET", TAGS)


def test_a_registry_that_falls_silent_is_unreadable(registry: ModelRegistry) -> None:
    go = threading.Event()

    def hold(_: Request) -> Response:
        go.wait(10)
        return Response(drop=True)

    registry.intercept(on("GET", TAGS, hold))
    deadline = Deadline(clock=Racing(600))
    with (
        contextlib.closing(Connection(Registry(registry.host), lambda: None, LOOPBACK, deadline=deadline)) as opened,
        pytest.raises(Unreadable, match=r"did not answer in time: see its log, and run the same command again"),
    ):
        opened.request("GET", TAGS)
    go.set()


def test_a_post_is_not_repeated(connect: Connect) -> None:
    with bearer_registry(Bearer("ann", CANARY, identity_token=CANARY)) as registry:
        registry.intercept(on("POST", "/token", Response(drop=True)))
        with pytest.raises(Unreadable, match="run the same command again"):
            connect(registry.host, TOKEN_OF_ANN).request("GET", TAGS, scope=SCOPE)
        assert paths(registry).count("POST /token") == 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            json.dumps({"errors": [{"code": "DENIED", "message": "no\n::error::\x1b[2J"}]}).encode(),
            r"HTTP 403, DENIED: no\n::error::\x1b[2J",
        ),
        (b"<html>", "HTTP 403"),
        (b"", "HTTP 403"),
        (b'{"errors": []}', "HTTP 403"),
        (b'{"errors": {}}', "HTTP 403"),
        (b'{"errors": ["x"]}', "HTTP 403, x"),
        (b'{"errors": [{}]}', "HTTP 403"),
        (b"[" * 100_000, "HTTP 403"),
    ],
)
def test_a_registrys_complaint_is_safe_to_show(body: bytes, complaint: str) -> None:
    assert Answer(403, {}, body, "http://127.0.0.1/").complaint() == complaint


# Proxies


def test_tls_goes_through_the_proxy_that_the_environment_names(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(tmp_path, "registry.test")
    with ModelRegistry(auth=Basic("ann", CANARY), tls=made.context()) as registry, ForwardProxy(registry.port) as proxy:
        registry.seed("gallery/ui", {"1": b"one"})
        trust_authority("registry.test:5000", made)
        monkeypatch.setenv("HTTPS_PROXY", f"http://proxy:s%40cret@{proxy.address}")
        opened = connect("registry.test:5000", ANN, Trust())
        assert opened.request("GET", TAGS).content()["tags"] == ["1"]
        opened.close()
    assert proxy.heads[0].startswith("CONNECT registry.test:5000 ")
    assert f"Proxy-Authorization: {basic('proxy', 's@cret')}".lower() in proxy.heads[0].lower()
    assert CANARY not in "".join(proxy.heads)
    assert basic("ann", CANARY) not in "".join(proxy.heads)


def test_plain_http_goes_through_the_proxy_too(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelRegistry() as registry, ForwardProxy(registry.port) as proxy:
        registry.seed("gallery/ui", {"1": b"one"})
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("https_proxy", proxy.address)
        opened = connect("registry.test:5000")
        assert opened.request("GET", TAGS).content()["tags"] == ["1"]
        opened.close()
    assert proxy.heads[-1].startswith(f"GET http://registry.test:5000{TAGS} ")


def test_a_proxy_that_does_not_answer_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{CANARY}@127.0.0.1:{free_port()}")
    message = r"the proxy on the way to registry\.test:5000 fails \(Connection refused\): check HTTPS_PROXY, HTTP_PROXY"
    with pytest.raises(RegistryUnreachable, match=message) as caught:
        connect("registry.test:5000", trust=Trust()).request("GET", TAGS)
    assert_hidden(caught.value)


def test_loopback_goes_through_no_proxy(
    connect: Connect, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert connect(registry.host).request("GET", TAGS).status == 200


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://registry.test/v2/", {}, None),
        ("https://registry.test/v2/", {"HTTPS_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ("https://registry.test/v2/", {"https_proxy": "proxy:1"}, "http://proxy:1"),
        ("https://registry.test/v2/", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://registry.test/v2/", {"HTTP_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ("https://registry.test/v2/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "registry.test"}, None),
        ("https://registry.test/v2/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": ".test"}, None),
        ("https://registry.test/v2/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ("https://registry.test/v2/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "a, b"}, "http://proxy:1"),
        ("https://registry.test:5000/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "registry.test:5000"}, None),
        ("https://registry.test:5000/", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "registry.test"}, None),
        ("https://127.0.0.1:5000/", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://127.9.9.9/", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://[::1]:5000/", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://localhost/", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("https://registry.test/v2/", {"ALL_PROXY": "http://proxy:1"}, None),
        ("http://registry.test/v2/", {"HTTP_PROXY": "http://proxy:1", "REQUEST_METHOD": "GET"}, None),
        ("https://registry.test/", {"HTTPS_PROXY": "socks5://proxy:1"}, "socks5://proxy:1"),
    ],
)
def test_which_proxy_a_request_takes(url: str, environment: Mapping[str, str], proxy: str | None) -> None:
    assert proxy_of(urlsplit(url), environment) == proxy


@pytest.mark.parametrize(
    ("url", "exceptions", "excepted"),
    [
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://10.1.2.3:5000/", "192.0.2.1, 10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://registry.test/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://10.1.2.3:5000/", "10.1.2.3:5000", True),
        ("https://10.1.2.3:5001/", "10.1.2.3:5000", False),
        ("https://10.1.2.3/", "10.1.2.3:443", True),
        ("https://10.1.2.3/", "10.1.2.3/33", False),
        ("https://[2001:db8::1]/", "2001:db8::1", True),
        ("https://[2001:db8::1]/", "2001:DB8:0::1", True),
        ("https://[2001:db8::1]:5000/", "[2001:db8::1]:5000", True),
        ("https://[2001:db8::1]/", "[2001:db8::1]:5000", False),
        ("https://[2001:db8::1]/", "2001:db8::/32", True),
        ("https://[2001:db9::1]/", "2001:db8::/32", False),
        ("https://registry.example/", "*.example", True),
        ("https://a.registry.example/", "*.example", True),
        ("https://example/", "*.example", False),
        ("https://example/", ".example", False),
        ("https://registry.example/", ".example", True),
        ("https://registry.example/", "example", True),
        ("https://registry.example/", "EXAMPLE", True),
        ("https://myexample/", "example", False),
        ("https://registry.example:5000/", "*.example:5000", True),
        ("https://registry.example:5001/", "*.example:5000", False),
        ("https://registry.example/", "*example", False),
        ("https://registry.example/", ",, :, :443,", False),
        ("https://registry.example/", "other, *", True),
    ],
)
def test_no_proxy_matches_the_same_hosts_as_in_go(url: str, exceptions: str, *, excepted: bool) -> None:
    proxy = proxy_of(urlsplit(url), {"HTTPS_PROXY": "http://proxy:1", "no_proxy": exceptions})
    assert (proxy is None) is excepted


def test_a_kind_of_proxy_that_cannot_be_used_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://ann:{CANARY}@proxy:1080")
    with pytest.raises(RegistryUnreachable, match=r"names a socks5 proxy, a kind of proxy that tagger cannot use") as e:
        connect("registry.test", trust=Trust()).request("GET", TAGS)
    assert_hidden(e.value)
