"""The doubles answer as real services do, until a rule says otherwise."""

import base64
import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import docker
import pytest
from docker.errors import APIError, ImageNotFound
from doubles import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Basic,
    Bearer,
    Cut,
    EngineProxy,
    FakeEngine,
    Message,
    ModelRegistry,
    Request,
    Response,
    basic,
    certificate,
    digest_of,
    index,
    manifest,
    on,
    recorded,
)
from services import Engine, Registry
from urllib3.exceptions import ProtocolError

ACCEPT = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"}
ONE, TWO = manifest(b"one"), manifest(b"two")


def ask(
    host: str, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def code(body: bytes) -> str | None:
    return json.loads(body)["errors"][0]["code"] if b'"errors"' in body else None


# The registry


def conversation(host: str, repository: str) -> Iterator[tuple[str, int, str | None, str | None]]:
    """Yield what a registry answers, step by step: request, status, error code, digest."""
    manifests = f"/v2/{repository}/manifests"
    typed = {"Content-Type": DOCKER_MANIFEST}
    one, absent = digest_of(ONE), digest_of(b"absent")
    steps: list[tuple[str, str, dict[str, str], bytes | None]] = [
        ("GET", "/v2/", {}, None),
        ("GET", f"{manifests}/1", ACCEPT, None),
        ("HEAD", f"{manifests}/1", ACCEPT, None),
        ("PUT", f"{manifests}/1", typed, ONE),
        ("PUT", f"{manifests}/latest", typed, ONE),
        ("PUT", f"{manifests}/{one}", typed, ONE),
        ("PUT", f"{manifests}/{absent}", typed, ONE),
        ("PUT", f"{manifests}/1", typed, b"{"),
        ("PUT", f"{manifests}/-1", typed, ONE),
        ("HEAD", f"{manifests}/latest", ACCEPT, None),
        ("GET", f"{manifests}/{one}", ACCEPT, None),
        ("GET", f"{manifests}/{absent}", ACCEPT, None),
        ("DELETE", f"{manifests}/1", {}, None),
        ("DELETE", f"{manifests}/{absent}", {}, None),
        ("DELETE", f"{manifests}/{one}", {}, None),
        ("GET", f"{manifests}/latest", ACCEPT, None),
        ("GET", f"/v2/{repository}/nonsense", {}, None),
        ("GET", "/v2/no/such/repository/tags/list", {}, None),
    ]
    for method, path, headers, body in steps:
        status, answered, content = ask(host, method, path, headers, body)
        yield f"{method} {path}", status, code(content), answered["Docker-Content-Digest"]
    status, _, content = ask(host, "GET", f"/v2/{repository}/tags/list")
    tags = json.loads(content)["tags"]
    yield "tags", status, code(content), tags and ", ".join(sorted(tags))  # a real one lists in no order


def upload(host: str, repository: str, blob: bytes) -> None:
    """Put a blob where a real registry wants it before it takes a manifest."""
    _, headers, _ = ask(host, "POST", f"/v2/{repository}/blobs/uploads/")
    location = headers["Location"].removeprefix(f"http://{host}")
    status, _, _ = ask(host, "PUT", f"{location}&digest={digest_of(blob)}", body=blob)
    assert status == 201


@pytest.mark.engine
@pytest.mark.parametrize("deletes", ["off", "digest"])
def test_the_model_answers_as_a_real_registry(deletes: Literal["off", "digest"], tmp_path: Path) -> None:
    with Registry.start(tmp_path, deletes=deletes == "digest") as real, ModelRegistry(deletes=deletes) as model:
        for blob in (b"one", b"config of one"):
            upload(real.host, "gallery/ui", blob)
        assert list(conversation(model.host, "gallery/ui")) == list(conversation(real.host, "gallery/ui"))


def test_deleting_a_tag_keeps_its_siblings_where_the_registry_supports_that() -> None:
    with ModelRegistry(deletes="tag") as registry:
        registry.seed("gallery/ui", {"2.1.106": b"one", "latest": b"one"})
        assert ask(registry.host, "DELETE", "/v2/gallery/ui/manifests/latest")[0] == 202
        assert list(registry.repositories["gallery/ui"]) == ["2.1.106"]


@pytest.mark.parametrize("links", ["relative", "absolute"])
def test_each_page_leads_to_the_next_until_all_tags_are_listed(links: Literal["relative", "absolute"]) -> None:
    with ModelRegistry(page_size=2, links=links) as registry:
        registry.seed("gallery/ui", dict.fromkeys(("2", "latest", "2.1", "2.1.106", "1"), b"one"))
        seen, path = [], "/v2/gallery/ui/tags/list?n=1000"
        while path:
            _, headers, body = ask(registry.host, "GET", path)
            seen.append(json.loads(body)["tags"])
            link = re.fullmatch(r'<(http://[^/]*)?(.*)>; rel="next"', headers["Link"] or "")
            assert not link or bool(link[1]) == (links == "absolute")
            path = link[2] if link else ""
        assert seen == [["1", "2"], ["2.1", "2.1.106"], ["latest"]]


def test_a_manifest_is_not_shown_to_a_client_that_does_not_accept_its_type() -> None:
    with ModelRegistry() as registry:
        digest = registry.put("gallery/ui", "1", index({"linux/amd64": ONE, "linux/arm64": TWO}))
        status, headers, body = ask(registry.host, "GET", "/v2/gallery/ui/manifests/1", ACCEPT)
        assert (status, headers["Content-Type"], digest_of(body)) == (200, OCI_INDEX, digest)
        assert ask(registry.host, "GET", "/v2/gallery/ui/manifests/1", {"Accept": DOCKER_MANIFEST})[0] == 404


def test_basic_authentication_needs_the_password() -> None:
    with ModelRegistry(auth=Basic("ann", "secret")) as registry:
        status, headers, _ = ask(registry.host, "GET", "/v2/")
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="model"')
        assert ask(registry.host, "GET", "/v2/", {"Authorization": basic("ann", "guess")})[0] == 401
        assert ask(registry.host, "GET", "/v2/", {"Authorization": basic("ann", "secret")})[0] == 200


def token_for(host: str, challenge: str, headers: dict[str, str]) -> str:
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    path = f"/token?service={fields['service']}&scope={quote(fields['scope'])}"
    assert fields["realm"] == f"http://{host}/token"
    return str(json.loads(ask(host, "GET", path, headers)[2])["token"])


def test_a_token_gives_access_to_its_scope_until_it_expires() -> None:
    user = {"Authorization": basic("ann", "secret")}
    path, put = "/v2/gallery/ui/manifests/1", {"Content-Type": DOCKER_MANIFEST}
    with ModelRegistry(auth=(auth := Bearer("ann", "secret", anonymous=frozenset({"pull"})))) as registry:
        registry.seed("gallery/ui", {"1": b"one"})
        status, headers, _ = ask(registry.host, "PUT", path, put, ONE)
        assert (status, headers["WWW-Authenticate"].split(",", 2)[2]) == (
            401,
            'scope="repository:gallery/ui:pull,push"',
        )
        reader = {"Authorization": "Bearer " + token_for(registry.host, headers["WWW-Authenticate"], {})}
        writer = {"Authorization": "Bearer " + token_for(registry.host, headers["WWW-Authenticate"], user)}
        assert ask(registry.host, "GET", path, ACCEPT | reader)[0] == 200
        status, headers, _ = ask(registry.host, "PUT", path, put | reader, ONE)
        assert (status, "insufficient_scope" in headers["WWW-Authenticate"]) == (401, True)
        assert ask(registry.host, "PUT", path, put | writer, ONE)[0] == 201
        assert auth.issued == 2
        auth.tokens.clear()
        assert "invalid_token" in ask(registry.host, "PUT", path, put | writer, ONE)[1]["WWW-Authenticate"]
        assert ask(registry.host, "GET", "/token", {"Authorization": basic("ann", "guess")})[0] == 401


def test_an_identity_token_is_exchanged_by_post() -> None:
    with ModelRegistry(auth=Bearer("<token>", "", identity_token="long-lived")) as registry:
        scope = "service=model&scope=repository:gallery/ui:pull"
        form = f"grant_type=refresh_token&refresh_token=long-lived&{scope}".encode()
        status, _, body = ask(registry.host, "POST", "/token", body=form)
        assert status == 200
        headers = {"Authorization": f"Bearer {json.loads(body)['access_token']}"}
        assert ask(registry.host, "GET", "/v2/gallery/ui/tags/list", headers)[0] == 404
        assert ask(registry.host, "POST", "/token", body=form.replace(b"long", b"short"))[0] == 401


def test_a_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path) -> None:
    made = certificate(tmp_path, "127.0.0.1")
    with ModelRegistry(tls=made.context()) as registry:
        trusting = ssl.create_default_context(cafile=made.authority)
        for context, trusted in ((trusting, True), (ssl.create_default_context(), False)):
            connection = http.client.HTTPSConnection(registry.host, context=context, timeout=5)
            try:
                connection.request("GET", "/v2/")
                assert trusted
                assert connection.getresponse().status == 200
            except ssl.SSLCertVerificationError:
                assert not trusted
            finally:
                connection.close()


# Rules


def test_a_rule_answers_as_often_as_it_says() -> None:
    with ModelRegistry() as registry:
        registry.intercept(on("GET", "/v2/$", Response(429, b"<html>", {"Retry-After": "1"}), times=1))
        assert [ask(registry.host, "GET", "/v2/")[0] for _ in range(2)] == [429, 200]
        assert [request.path for request in registry.requests] == ["/v2/", "/v2/"]


def test_a_write_can_take_effect_and_lose_its_answer() -> None:
    with ModelRegistry() as registry:
        registry.intercept(on("PUT", "/1$", registry.lose_answer))
        with pytest.raises(http.client.RemoteDisconnected):
            ask(registry.host, "PUT", "/v2/gallery/ui/manifests/1", {"Content-Type": DOCKER_MANIFEST}, ONE)
        assert registry.repositories == {"gallery/ui": {"1": digest_of(ONE)}}


def test_a_held_request_waits_while_others_are_served() -> None:
    held, go = threading.Event(), threading.Event()

    def hold(_: Request) -> Response | None:
        held.set()
        return None if go.wait(5) else Response(500)

    with ModelRegistry() as registry:
        registry.intercept(on("PUT", "/latest$", hold))
        arguments = (registry.host, "PUT", "/v2/a/manifests/latest", {"Content-Type": DOCKER_MANIFEST}, ONE)
        writer = threading.Thread(target=ask, args=arguments)
        writer.start()
        assert held.wait(5)
        assert ask(registry.host, "GET", "/v2/")[0] == 200
        assert registry.repositories == {}
        go.set()
        writer.join()
        assert registry.repositories == {"a": {"latest": digest_of(ONE)}}


def test_a_failing_rule_fails_the_test() -> None:
    def unexpected(request: Request) -> Response:
        raise LookupError(request.path)

    registry = ModelRegistry()
    registry.intercept(unexpected)
    registry.__enter__()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(registry.host, "GET", "/v2/")
    with pytest.raises(ExceptionGroup) as caught:
        registry.__exit__()
    assert caught.group_contains(LookupError, match="/v2/")


def test_leaving_ends_idle_connections_and_threads() -> None:
    before = threading.active_count()
    with ModelRegistry() as registry:
        connection = http.client.HTTPConnection(registry.host, timeout=5)
        for _ in range(2):
            connection.request("GET", "/v2/")
            assert connection.getresponse().read() == b"{}"
        assert threading.active_count() == before + 2
    assert threading.active_count() == before
    connection.close()


# The Engine


@pytest.fixture
def registry() -> Iterator[ModelRegistry]:
    with ModelRegistry() as registry:
        yield registry


@pytest.mark.parametrize("store", ["overlay2", "containerd"])
def test_a_push_lands_in_the_registry(registry: ModelRegistry, store: Literal["overlay2", "containerd"]) -> None:
    name = f"{registry.host}/gallery/ui"
    with FakeEngine(registry, store=store) as engine:
        image = engine.load("image-gallery:build-7", b"one")
        client = docker.DockerClient(base_url=engine.url)
        assert client.api.tag(image, name, "2.1.106")
        assert set(client.images.get(image).tags) == {"image-gallery:build-7", f"{name}:2.1.106"}
        credentials = {"username": "ann", "password": "secret"}
        messages = list(client.api.push(name, "2.1.106", stream=True, decode=True, auth_config=credentials))
        digest = registry.repositories["gallery/ui"]["2.1.106"]
        assert {"status": f"2.1.106: digest: {digest} size: {len(engine.manifests[image])}"} in messages
        assert any("aux" in message for message in messages) == (store == "overlay2")
        assert json.loads(base64.b64decode(engine.requests[-1].headers["X-Registry-Auth"])) == credentials
        client.close()


def test_an_image_is_deleted_with_its_last_tag() -> None:
    with FakeEngine() as engine:
        image = engine.load("a:1", b"one")
        client = docker.DockerClient(base_url=engine.url)
        client.api.tag("a:1", "a", "2")
        with pytest.raises(APIError, match="409"):
            client.api.remove_image(image)
        client.api.remove_image("a:1", noprune=True)
        assert client.images.get("a:2").id == image
        client.api.remove_image("a:2", noprune=True)
        with pytest.raises(ImageNotFound, match="No such image: a:2"):
            client.images.get("a:2")
        client.close()


def test_a_failed_push_is_an_error_message_in_a_200() -> None:
    with FakeEngine() as engine:
        engine.load("registry.local:5000/gallery/ui:1", b"one")
        client = docker.DockerClient(base_url=engine.url)
        for tag, said in (
            ("1", "connection refused"),
            ("9.9.9", "tag does not exist: registry.local:5000/gallery/ui:9.9.9"),
        ):
            messages = list(client.api.push("registry.local:5000/gallery/ui", tag, stream=True, decode=True))
            assert said in messages[-1]["errorDetail"]["message"]
        client.close()


def test_a_recorded_push_is_streamed_unchanged() -> None:
    transcript = recorded("docker-29-containerd/some-platforms-missing")
    with FakeEngine() as engine:
        engine.load("r:1.0.0", b"one")
        engine.push = lambda _, __: transcript
        client = docker.DockerClient(base_url=engine.url)
        assert list(client.api.push("r", "1.0.0", stream=True, decode=True)) == transcript
        client.close()


def test_a_push_can_be_cut_off() -> None:
    def push(_: str, tag: str) -> Iterator[Message]:
        yield {"status": f"Preparing {tag}"}
        raise Cut

    with FakeEngine() as engine:
        engine.load("r:1", b"one")
        engine.push = push
        client = docker.DockerClient(base_url=engine.url)
        messages = client.api.push("r", "1", stream=True, decode=True)
        assert next(messages) == {"status": "Preparing 1"}
        with pytest.raises(ProtocolError):
            next(messages)
        client.close()


# The proxy before an Engine


@pytest.mark.engine
def test_the_proxy_passes_an_engines_answers_on_unchanged(
    engine: Engine, registry_local: Registry, repository: str
) -> None:
    image = engine.image(f"{registry_local.host}/{repository}:2.1.106", "through the proxy")
    with EngineProxy(engine.socket) as proxy:
        client = docker.APIClient(base_url=proxy.url, version="auto")
        assert client.inspect_image(image)["Id"] == image  # type: ignore[no-untyped-call] # docker has no types here
        with pytest.raises(ImageNotFound):
            client.inspect_image("no-such-image")  # type: ignore[no-untyped-call] # same
        stream = list(client.push(f"{registry_local.host}/{repository}", "2.1.106", stream=True, decode=True))
        client.close()
    assert any("aux" in message for message in stream)
    assert registry_local.tags(repository) == ["2.1.106"]
    assert [request.method for request in proxy.requests][-1] == "POST"


def test_the_proxy_passes_a_push_on_line_by_line(repository: str) -> None:
    answered = threading.Event()
    with FakeEngine() as held, EngineProxy(held.socket) as proxy:
        held.load(f"{repository}:1.0.0", b"one")

        def push(_name: str, _tag: str) -> Iterator[Message]:
            yield {"status": "begun"}
            answered.wait(30)
            yield {"status": "done"}

        held.push = push
        client = docker.APIClient(base_url=proxy.url, version="auto")
        stream = client.push(repository, "1.0.0", stream=True, decode=True)
        assert next(stream) == {"status": "begun"}
        answered.set()
        assert next(stream) == {"status": "done"}
        client.close()


@pytest.mark.engine
def test_the_proxy_can_lose_the_answer_of_a_push_that_took_effect(
    engine: Engine, registry_local: Registry, repository: str
) -> None:
    engine.image(f"{registry_local.host}/{repository}:2.1.106", "an answer to lose")
    with EngineProxy(engine.socket) as proxy:
        proxy.intercept(on("POST", "/push$", proxy.lose_answer))
        client = docker.APIClient(base_url=proxy.url, version="auto")
        with pytest.raises(OSError, match="Connection aborted"):
            client.push(f"{registry_local.host}/{repository}", "2.1.106")
        client.close()
    assert registry_local.tags(repository) == ["2.1.106"]
