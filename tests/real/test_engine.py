"""tagger finds the Engine where Docker would, asks it only about images, and believes it only with proof."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import docker.auth
import pytest
from command import tagger as tagger_command
from doubles import (
    DATA,
    Certificate,
    Cut,
    FakeEngine,
    Message,
    ModelRegistry,
    Request,
    Response,
    as_json,
    certificate,
    digest_of,
    on,
    push_error,
    recorded,
)
from fifo import pipe
from hypothesis import given
from hypothesis import strategies as st
from services import Engine as RealEngine
from services import Registry as RealRegistry
from services import ServiceError

import tagger
from tagger.credentials import contexts
from tagger.credentials.credential import Credential, Secret
from tagger.credentials.docker import DockerConfig
from tagger.engine import client as engine_module
from tagger.engine.address import is_local
from tagger.engine.client import Engine, Image
from tagger.engine.push_stream import pushed_digest
from tagger.errors import (
    Denied,
    EngineError,
    EngineUnreachable,
    ImageNotFound,
    Immutable,
    InputError,
    InvalidReference,
    TaggerError,
    Transient,
    Unproven,
    WrongImage,
)
from tagger.image_name import ImageName
from tagger.names import Digest, Reference, Registry, Repository, Tag

CANARY = "correct-horse-canary"
NAME = "registry.local:5000/gallery/ui"
A, B = digest_of(b"a"), digest_of(b"b")


def open_engine(
    server: FakeEngine | RealEngine, credential: Credential | None = None, config: DockerConfig | None = None
) -> contextlib.closing[Engine]:
    found = Engine(config or DockerConfig(), lambda _: credential, {"DOCKER_HOST": server.url})
    return contextlib.closing(found)


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    """An Engine whose image is named `image-gallery:build-7` and, for a push, NAME:2.1.106."""
    with FakeEngine() as server:
        image = server.load("image-gallery:build-7", b"one")
        server.tags[f"{NAME}:2.1.106"] = image
        yield server


@pytest.fixture
def _leaky() -> Iterator[None]:
    """Collect the sockets that docker-py forgets without an answer, before they become another test's warnings."""
    yield
    gc.collect()


leaky = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def reference(text: str = f"{NAME}:2.1.106") -> Reference:
    return Reference.parse(text)


def assert_hidden(error: TaggerError) -> None:
    """Check that the password is in an error in no form that was sent, nor in what it was raised from."""
    for form in (CANARY, base64.b64encode(CANARY.encode()).decode()[:-3]):
        assert form not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


# Images


@pytest.mark.parametrize("store", ["overlay2", "containerd"])
def test_an_image_is_found_by_name_and_by_id(store: Literal["overlay2", "containerd"]) -> None:
    with FakeEngine(store=store) as server:
        image = Digest(server.load("image-gallery:build-7", b"one"))
        server.tags["other:1"] = image
        with open_engine(server) as engine:
            names = ("image-gallery:build-7", "other:1")
            found = Image(image, names, image if store == "containerd" else None)
            for name in ("image-gallery:build-7", "other:1", image, image.partition(":")[2], image[7:19]):
                assert engine.image(ImageName.parse(name)) == found


def test_a_missing_image_is_named(fake: FakeEngine) -> None:
    with (
        open_engine(fake) as engine,
        pytest.raises(ImageNotFound, match="has no image absent:1: build or pull it") as e,
    ):
        engine.image(ImageName.parse("absent:1"))
    assert e.value.exit_code == 2


@pytest.mark.parametrize(
    "name",
    [
        "../volumes/x",
        "..",
        "a/../b",
        "a/..",
        "/a",
        "A/b c",
        "",
        "x?force=1",
        "x#",
        "%2e%2e/volumes/x",
        "a\nb",
        "-x",
        "a//b",
    ],
)
def test_an_invalid_name_never_reaches_the_engine(fake: FakeEngine, name: str) -> None:
    with open_engine(fake) as engine:
        asked = len(fake.requests)
        with pytest.raises(InvalidReference) as caught:
            engine.image(ImageName.parse(name))
        assert len(fake.requests) == asked
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("names", "text", "named"),
    [
        (("abc:1",), "abc:1", True),
        (("abc:latest",), "abc", True),
        (("abc:1",), "abc", True),
        (("other:1",), "abc", False),
        ((), "abcdef", False),
        (("other:1",), "other:1", True),
    ],
)
def test_the_beginning_of_an_id_is_not_a_name(names: tuple[str, ...], text: str, *, named: bool) -> None:
    assert Image(Digest("sha256:abcdef" + "0" * 58), names).is_named(ImageName.parse(text)) is named


def test_a_local_tag_is_created_from_an_id_and_removed(fake: FakeEngine) -> None:
    with open_engine(fake) as engine:
        image = engine.image(ImageName.parse("image-gallery:build-7"))
        assert engine.tagged(reference(f"{NAME}:2")) is None
        engine.tag(image.id, reference(f"{NAME}:2"))
        moved = engine.tagged(reference(f"{NAME}:2"))
        assert moved
        assert moved.id == image.id
        engine.untag(reference(f"{NAME}:2"))
        assert engine.tagged(reference(f"{NAME}:2")) is None
        engine.untag(reference(f"{NAME}:2"))


def test_the_last_name_of_an_image_stays(fake: FakeEngine) -> None:
    with open_engine(fake) as engine:
        engine.untag(reference())
        assert list(fake.tags) == ["image-gallery:build-7"]
        engine.untag(reference("docker.io/library/image-gallery:build-7"))
        assert list(fake.tags) == ["image-gallery:build-7"]
    assert "DELETE" in {request.method for request in fake.requests}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (as_json(500, {"message": "no space\n::error::\x1b[2J"}), r"\(no space\\n::error::\\x1b\[2J\): see its log"),
        (Response(409, b"conflict"), "conflict.*: see its log, and run the same command again"),
        (Response(500), "HTTP 500.*: see its log, and run the same command again"),
        (Response(drop=True), "connection to the Engine broke .*: check that it runs"),
    ],
)
def test_an_engine_that_fails_is_quoted_safely(fake: FakeEngine, answer: Response, message: str) -> None:
    fake.intercept(on("POST", "/tag$", answer))
    with open_engine(fake) as engine, pytest.raises(EngineError, match=message) as caught:
        engine.tag(Digest(A), reference(f"{NAME}:2"))
    assert str(caught.value).isprintable()


def test_local_tags_are_created_one_after_the_other_and_checked(fake: FakeEngine) -> None:
    running = threading.Lock()

    def lose(_: Request) -> Response | None:  # as Podman 4.3 does: it loses one of two, and sometimes either of them
        return None if running.acquire(blocking=False) else Response(201)

    def seen(_: Request) -> None:
        if running.locked():
            running.release()

    fake.intercept(on("POST", "/tag$", lose))
    fake.intercept(on("GET", "/json$", seen))
    image = Digest(fake.tags["image-gallery:build-7"])
    tags = [f"{NAME}:{number}.0.0" for number in range(12)]
    with open_engine(fake) as engine, ThreadPoolExecutor(6) as pool:
        fake.intercept(on("POST", "/tag$", Response(201), times=2))
        list(pool.map(lambda tag: engine.tag(image, reference(tag)), tags))
    assert {tag: fake.tags.get(tag) for tag in tags} == dict.fromkeys(tags, image)


def test_a_local_tag_that_never_appears_is_a_failure(fake: FakeEngine) -> None:
    fake.intercept(on("POST", "/tag$", Response(201)))
    image = Digest(fake.tags["image-gallery:build-7"])
    with open_engine(fake) as engine, pytest.raises(EngineError, match=r"created the local tag .*:2, but"):
        engine.tag(image, reference(f"{NAME}:2"))


def podman(fake: FakeEngine, *lists: str) -> None:
    """Let an Engine answer as Podman 4.3 does, which inspects one platform's image in the place of a list."""
    shown = next(iter(fake.images))
    server = {"Libpod-Api-Version": "4.3.1"}
    inspected = Response(200, json.dumps(fake.images[shown]).encode(), {"Content-Type": "application/json", **server})
    fake.intercept(on("GET", r"/images/.*/json$", inspected))

    def exists(request: Request) -> Response:
        name = request.path.partition("/libpod/manifests/")[2].removesuffix("/exists")
        return Response(204 if name in lists else 500, b"", server)

    fake.intercept(on("GET", r"/v4\.3\.1/libpod/manifests/.*/exists$", exists))


def test_a_refused_manifest_list_of_podman_is_named_with_another_way_to_release_it(fake: FakeEngine) -> None:
    podman(fake, "localhost/gallery:1")
    with open_engine(fake) as engine:
        assert engine.image(ImageName.parse("localhost/gallery:2")).id
        with pytest.raises(
            InputError, match=r"manifest list of Podman.*podman manifest push --all localhost/gallery:1 "
        ):
            engine.image(ImageName.parse("localhost/gallery:1"))


@pytest.mark.parametrize("status_code", [403, 404, 405])
def test_an_engine_that_hides_its_configuration_is_used_without_it(fake: FakeEngine, status_code: int) -> None:
    page = Response(status_code, b"<html><body><h1>Forbidden</h1></body></html>", {"Content-Type": "text/html"})
    fake.intercept(on("GET", "/info$", page))
    with open_engine(fake) as engine:
        assert engine.image(ImageName.parse("image-gallery:build-7")).digest is None
        assert not engine.allows_insecure(Registry("127.0.0.1:5000"))
    fake.intercept(on("POST", "/tag$", page))
    advice = rf"\(HTTP {status_code}\): allow that in the proxy before its socket, and run"
    with open_engine(fake) as engine, pytest.raises(EngineError, match=advice) as caught:
        engine.tag(Digest(A), reference(f"{NAME}:2"))
    assert "<" not in str(caught.value)


# Pushes

OUTCOMES: dict[str, tuple[str, type[TaggerError] | None, str]] = {
    "first-push": ("2.1.106", None, ""),
    "already-there": ("2.1.106", None, ""),
    "authorized": ("2.1.106", None, ""),
    "second-tag": ("2.1", None, ""),
    "unauthorized": ("2.1.106", Denied, "no basic auth credentials.*: run docker login"),
    "wrong-password": ("2.1.106", Denied, "(?i)unauthorized.*: run docker login"),
    "no-such-local-tag": ("9.9.9", EngineError, "tag does not exist.*: fix that and run"),
    "registry-refuses-connection": ("2.1.106", Transient, "connection refused.*: fix that and run"),
    "unknown-host": ("2.1.106", EngineError, "no such host.*: fix that and run"),
    "some-platforms-missing": ("1.0.0", WrongImage, "lacks a platform of the image .*: pull or build every platform"),
    "some-platforms-missing-other-registry": ("1.0.0", WrongImage, "lacks a platform of the image .*: pull or build"),
}
DIGESTS = {
    "docker-20.10-classic": "sha256:cb17781284cf7297ee0e0065edad7110390a9699479e4f9712b6eeb81ed731b3",
    "docker-29-classic": "sha256:51415992ab67a580083ec3549a18b0f572cafe7f002579ccf5292d6a50400c56",
    "docker-29-containerd": "sha256:862f8444ea298b40fb929168b3203d5d150c964a2825dec77415be5b8c53ce1a",
    "podman-4.3": "sha256:8bcb6a22e36486e4905f4dae5857654d1d92038ba95658c26ad07961c801bff8",
    "podman-5.8": "sha256:8bcb6a22e36486e4905f4dae5857654d1d92038ba95658c26ad07961c801bff8",
}
NARROWED = "sha256:b91b1eda33ddbbfa9f1dd9071f7f40e7ab73d2e8fbb3f5b3ddd520b27236ef42"
RECORDINGS = sorted(f"{file.parent.name}/{file.stem}" for file in (DATA / "push-streams").glob("*/*.jsonl"))


@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_recorded_push_gives_its_recorded_result(fake: FakeEngine, recording: str) -> None:
    folder, name = recording.split("/")
    tag, error, message = OUTCOMES[name]
    fake.tags[f"{NAME}:{tag}"] = fake.tags["image-gallery:build-7"]
    fake.push = lambda _, __: recorded(recording)
    with open_engine(fake) as engine:
        if error is None:
            assert engine.push(reference(f"{NAME}:{tag}")) == DIGESTS[folder]
            return
        with pytest.raises(error, match=message) as caught:
            engine.push(reference(f"{NAME}:{tag}"))
        assert type(caught.value) is error
        assert not isinstance(caught.value, WrongImage) or caught.value.digest == NARROWED


def test_every_kind_of_recording_exists() -> None:
    assert {recording.split("/")[1] for recording in RECORDINGS} == OUTCOMES.keys()


def status(tag: str, digest: str) -> Message:
    return {"status": f"{tag}: digest: {digest} size: 2417"}


def aux(tag: str, digest: str | None) -> Message:
    return {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": 2417}}


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ([], Unproven, "push of 2.1 ended with digest: none: run the same command again"),
        ([{"status": "Pushed", "id": "c722b2e5e5dc"}], Unproven, "ended with digest: none"),
        ([status("2", A), aux("2", A)], Unproven, "ended with digest: none"),
        ([status("2.1.106", A)], Unproven, "ended with digest: none"),
        ([status("2.1", A), aux("2.1", B)], EngineError, f"ended with digest: {'.*'.join(sorted((A, B)))}: run"),
        ([aux("2.1", "nonsense")], EngineError, "ended with digest: nonsense: run the same command again"),
        ([aux("2.1", None)], EngineError, "ended with digest: None: run the same command again"),
        ([{"status": "2.1: digest: sha256:12 size: 5"}], Unproven, "ended with digest: none"),
        ([status("2.1", A), push_error("EOF")], Transient, "push of 2.1 failed: EOF: fix that and run"),
        ([{"error": "denied: no"}], Denied, "push of 2.1 failed: denied: no: run docker login"),
        ([{"errorDetail": {"message": "authorization failed"}}], Denied, "authorization failed: run docker login"),
        ([{"errorDetail": {"code": 5}}], EngineError, "an error without a text"),
        ([{"errorDetail": "odd", "error": ""}], EngineError, "an error without a text"),
        ([push_error("x\n::error::\x1b[2J")], EngineError, r"x\\n::error::\\x1b\[2J"),
        (
            [push_error('Get "https://r/v2/": http: server gave HTTP response to HTTPS client')],
            EngineError,
            "add the registry to the Engine's insecure-registries and restart the Engine",
        ),
        (
            [{"aux": {"manifestPushedInsteadOfIndex": True}}, status("2.1", A)],
            WrongImage,
            "pull or build every platform",
        ),
        ([{"aux": {"contentMissing": True}}], WrongImage, "pull or build every platform"),
        (["text"], EngineError, "sent text, which is not a valid message: try again"),
        ([None], EngineError, "which is not a valid message: try again"),
    ],
)
def test_a_push_without_proof_is_a_failure(messages: list[object], error: type[TaggerError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        pushed_digest(messages, Tag("2.1"))
    assert type(caught.value) is error
    assert str(caught.value).isprintable()


def test_a_digest_counts_without_a_size_too() -> None:
    assert pushed_digest([{"status": f"2.1: digest: {A}"}], Tag("2.1")) == A


@pytest.mark.parametrize("landed", [True, False])
def test_the_registry_is_asked_after_a_push_without_a_digest(model: ModelRegistry, *, landed: bool) -> None:
    with FakeEngine(model) as fake:
        image = fake.load("image-gallery", b"the gallery")

        def push(name: str, tag: str) -> Iterator[Message]:  # as Podman 3.4 does
            if landed:
                list(fake.deliver(name, tag))
            yield {"status": f"The push refers to repository [{name}]"}

        fake.push = push
        words = ["release", image, "2.1.106", "--registry", model.host, "--repository", "app", "--timeout", "5"]
        ran = tagger_command(fake, *words)
    assert (ran.code, set(model.repositories.get("app", {}))) == (
        (0, {"2.1.106", "2.1", "2", "latest"}) if landed else (1, set())
    ), ran.err


PIECES: list[tuple[Message, str]] = [
    (status("2.1", A), A),
    (aux("2.1", A), A),
    (status("2.1", B), B),
    (aux("2.1", B), B),
    (status("2", B), ""),
    (aux("2", B), ""),
    ({"status": "Pushed", "progressDetail": {}, "id": "c722b2e5e5dc"}, ""),
    (push_error("EOF"), "error"),
    ({"errorDetail": {"message": "denied: no"}}, "error"),
    ({"aux": {"manifestPushedInsteadOfIndex": True}}, "narrowed"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=6))
def test_a_push_succeeds_only_if_it_reports_one_digest_for_our_tag(pieces: list[tuple[Message, str]]) -> None:
    messages, said = [message for message, _ in pieces], {meaning for _, meaning in pieces if meaning}
    if len(said) == 1 and said <= {A, B}:
        assert {pushed_digest(messages, Tag("2.1"))} == said
    else:
        with pytest.raises(EngineError if "error" not in said else TaggerError):
            pushed_digest(messages, Tag("2.1"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MESSAGES = JSON | st.dictionaries(
    st.sampled_from(["status", "aux", "error", "errorDetail", "id", "progressDetail"]),
    JSON | st.dictionaries(st.sampled_from(["Tag", "Digest", "message"]), st.just("2.1") | st.just(A) | JSON),
)


@given(st.lists(MESSAGES, max_size=5))
def test_every_stream_gives_a_digest_or_a_clear_error(messages: list[object]) -> None:
    with contextlib.suppress(EngineError, Denied):
        assert pushed_digest(messages, Tag("2.1")) == A


@pytest.fixture(scope="module")
def stream() -> Iterator[tuple[Engine, list[bytes]]]:
    """An Engine, and the chunks that it answers every push with."""
    chunks: list[bytes] = []
    with FakeEngine() as server, open_engine(server) as engine:
        server.intercept(on("POST", "/push$", lambda _: Response(200, iter(list(chunks)))))
        yield engine, chunks


LINE = json.dumps(status("2.1.106", A)).encode()


@given(sent=st.lists(st.binary(min_size=1) | st.sampled_from([LINE, b"\n", b"{", b"[" * 99, b'"\xff"']), max_size=5))
def test_any_bytes_give_a_digest_or_a_clear_error(stream: tuple[Engine, list[bytes]], sent: list[bytes]) -> None:
    engine, chunks = stream
    chunks[:] = sent
    with contextlib.suppress(EngineError, Denied):
        assert engine.push(reference()) == A


@pytest.mark.parametrize(
    "body",
    [[b"[" * 200_000], [b'{"a":' * 100_000], [b"9" * 10_000], [b'{"status": "Pushing'], [b"<html>"], [b"\xff\xfe"], []],
)
def test_a_stream_of_nonsense_is_a_failure_with_a_next_step(fake: FakeEngine, body: list[bytes]) -> None:
    fake.intercept(on("POST", "/push$", Response(200, body)))
    with open_engine(fake) as engine, pytest.raises(EngineError, match=r"run the same command again|: try again"):
        engine.push(reference())


def test_lines_that_arrive_in_pieces_are_put_together(fake: FakeEngine) -> None:
    fake.intercept(on("POST", "/push$", Response(200, [LINE[i : i + 1] for i in range(len(LINE))])))
    with open_engine(fake) as engine:
        assert engine.push(reference()) == A


def test_a_push_that_is_cut_off_is_a_failure(fake: FakeEngine) -> None:
    def push(_: str, tag: str) -> Iterator[Message]:
        yield status(tag, A)
        raise Cut

    fake.push = push
    with open_engine(fake, Credential("ann", Secret(CANARY))) as engine:
        with pytest.raises(EngineError, match=r"connection to the Engine broke .*: check that it runs") as caught:
            engine.push(reference())
        assert_hidden(caught.value)


def test_tagger_gives_up_on_a_silent_push(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def push(_: str, tag: str) -> Iterator[Message]:
        yield {"status": "Preparing"}
        go.wait(10)
        yield status(tag, A)

    fake.push = push
    monkeypatch.setattr(engine_module, "SILENCE_SECONDS", 0.1)
    with (
        open_engine(fake) as engine,
        pytest.raises(EngineError, match=r"connection to the Engine broke .*check that it"),
    ):
        engine.push(reference())
    go.set()


def test_the_engine_gives_up_an_interrupted_push(fake: FakeEngine) -> None:
    given_up = threading.Event()

    def push(_: str, __: str) -> Iterator[Message]:
        try:
            yield {"status": "Preparing"}
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                yield {"status": "Pushing", "progress": "=" * 4096}
        finally:
            given_up.set()

    fake.push = push
    with open_engine(fake) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.push(reference())
        assert given_up.wait(10)
        assert engine.image(ImageName.parse("image-gallery:build-7")).names


def test_concurrent_pushes_do_not_mix() -> None:
    tags = [f"{number}.0.0" for number in range(16)]
    with ModelRegistry() as registry, FakeEngine(registry) as server, open_engine(server) as engine:
        names = {tag: f"{registry.host}/gallery/ui:{tag}" for tag in tags}
        for tag, name in names.items():
            server.load(name, tag.encode())
        with ThreadPoolExecutor(8) as pool:
            pushed = dict(zip(tags, pool.map(lambda tag: engine.push(reference(names[tag])), tags), strict=True))
        assert pushed == registry.repositories["gallery/ui"]
        assert len(set(pushed.values())) == len(tags)


@pytest.mark.parametrize(
    ("credential", "sent"),
    [
        (None, {}),
        (
            Credential("ann", Secret(CANARY)),
            {"username": "ann", "password": CANARY, "serveraddress": "registry.local:5000"},
        ),
        (Credential("", Secret(CANARY)), {"identitytoken": CANARY, "serveraddress": "registry.local:5000"}),
    ],
)
def test_the_engine_gets_these_credentials_and_no_others(
    fake: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    credential: Credential | None,
    sent: dict[str, str],
) -> None:
    auth = base64.b64encode(b"eve:other").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.local:5000": {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    fake.push = lambda _, tag: [status(tag, A)]
    asked: list[Repository] = []

    def resolve(repository: Repository) -> Credential | None:
        asked.append(repository)
        return credential

    with contextlib.closing(Engine(DockerConfig.load(), resolve, {"DOCKER_HOST": fake.url})) as engine:
        assert engine.push(reference()) == A
    header = fake.requests[-1].headers["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(header)) == sent
    assert asked == [reference().repository]


# Where the Engine is


def context(folder: Path, name: str, content: object) -> Path:
    """Make a Docker context, and return the folder for its TLS files."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(content if isinstance(content, str) else json.dumps(content))
    tls = folder / "contexts/tls" / key / "docker"
    tls.mkdir(parents=True)
    return tls


def at(host: str, **more: object) -> dict[str, Any]:
    return {"Name": "lab", "Endpoints": {"docker": {"Host": host, **more}}}


def found(folder: Path, **environment: str) -> str:
    """Open the Engine of a Docker configuration, and say where it is."""
    environ = {"DOCKER_CONFIG": str(folder), **environment}
    with contextlib.closing(Engine(DockerConfig.load(environ), lambda _: None, environ)) as engine:
        return engine.host


def test_the_current_context_names_the_engine(fake: FakeEngine, tmp_path: Path) -> None:
    context(tmp_path, "lab", at(fake.url))
    (tmp_path / "config.json").write_text('{"currentContext": "lab"}')
    assert found(tmp_path) == fake.url


def test_the_environments_context_comes_before_the_current_one(fake: FakeEngine, tmp_path: Path) -> None:
    context(tmp_path, "lab", at(fake.url))
    (tmp_path / "config.json").write_text('{"currentContext": "absent"}')
    assert found(tmp_path, DOCKER_CONTEXT="lab") == fake.url


def test_docker_host_comes_before_every_context(fake: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "absent"}')
    assert found(tmp_path, DOCKER_HOST=fake.url, DOCKER_CONTEXT="absent") == fake.url


@pytest.mark.parametrize("current", ["{}", '{"currentContext": ""}', '{"currentContext": "default"}'])
def test_the_local_engine_is_used_without_a_context(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, current: str
) -> None:
    monkeypatch.setattr(contexts, "DEFAULT_HOST", fake.url)
    (tmp_path / "config.json").write_text(current)
    assert found(tmp_path) == fake.url
    assert found(tmp_path, DOCKER_HOST="", DOCKER_CONTEXT="default") == fake.url


def test_a_context_that_does_not_exist_is_an_error(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "DEFAULT_HOST", fake.url)
    with pytest.raises(EngineUnreachable, match="no Docker context 'lab': docker context ls shows") as e:
        found(tmp_path, DOCKER_CONTEXT="lab")
    assert e.value.exit_code == 2
    assert fake.requests == []


def test_contexts_of_the_working_directory_do_not_count(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    context(checkout, "lab", at(fake.url))
    monkeypatch.chdir(checkout)
    with pytest.raises(EngineUnreachable, match="no Docker context 'lab'"):
        found(home, DOCKER_CONTEXT="lab")
    with pytest.raises(EngineUnreachable, match="no Docker context 'lab'"):
        Engine(DockerConfig.load({"HOME": str(home)}), lambda _: None, {"DOCKER_CONTEXT": "lab"})
    assert fake.requests == []


@pytest.mark.parametrize(
    "meta",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"Endpoints": {}}',
        '{"Endpoints": {"docker": {}}}',
        '{"Endpoints": []}',
        "[" * 100_000,
    ],
)
def test_a_context_that_cannot_be_read_is_named(tmp_path: Path, meta: str) -> None:
    context(tmp_path, "lab", meta)
    with pytest.raises(EngineUnreachable, match="context 'lab' cannot be read: check it with docker context inspect"):
        found(tmp_path, DOCKER_CONTEXT="lab")


def test_a_context_that_is_a_pipe_does_not_block(tmp_path: Path) -> None:
    context(tmp_path, "lab", "")
    (file,) = tmp_path.rglob("meta.json")
    file.unlink()
    with (
        pipe(file, json.dumps(at("unix:///elsewhere"))),
        pytest.raises(EngineUnreachable, match="context 'lab' cannot be read"),
    ):
        found(tmp_path, DOCKER_CONTEXT="lab")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1 from an unknown authority."""
    return certificate(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


NOT_TRUSTED = "its certificate is not trusted: put its CA into DOCKER_CERT_PATH or the Docker context"


@pytest.mark.parametrize(
    ("authority", "skip", "problem"),
    [
        ("right", False, None),
        ("right", True, None),
        ("wrong", True, None),
        ("none", True, None),
        ("wrong", False, NOT_TRUSTED),
        ("none", False, "start it, or set its address"),  # a context without TLS files means plain HTTP
    ],
)
@pytest.mark.parametrize("bundle", [False, True])
def test_a_contexts_tls_settings_are_used_and_no_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certified: Certificate,
    authority: str,
    problem: str | None,
    *,
    skip: bool,
    bundle: bool,
) -> None:
    other = certificate(tmp_path, "other.test").authority
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if bundle:  # as on many machines behind a company's proxy
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with ModelRegistry(tls=certified.context()) as server:
        server.intercept(on("GET", "/version$", as_json(200, {"ApiVersion": "1.41"})))
        files = context(tmp_path, "lab", at(f"tcp://{server.host}", SkipTLSVerify=skip))
        if authority != "none":
            (files / "ca.pem").write_bytes((other if authority == "wrong" else certified.authority).read_bytes())
        if problem is None:
            assert found(tmp_path, DOCKER_CONTEXT="lab") == f"tcp://{server.host}"
            return
        with pytest.raises(EngineUnreachable, match=f"no Docker Engine answers at tcp://{server.host}: {problem}"):
            found(tmp_path, DOCKER_CONTEXT="lab")


@pytest.mark.parametrize(
    ("environment", "secure"),
    [
        ({}, False),
        ({"DOCKER_TLS_VERIFY": ""}, False),
        ({"DOCKER_TLS_VERIFY": "", "DOCKER_TLS": "1"}, True),
        ({"DOCKER_TLS_VERIFY": "1"}, True),
    ],
)
def test_the_environment_sets_tls_as_for_docker(
    tmp_path: Path, certified: Certificate, environment: dict[str, str], *, secure: bool
) -> None:
    (tmp_path / "ca.pem").write_bytes(certified.authority.read_bytes())
    with ModelRegistry(tls=certified.context() if secure else None) as server:
        server.intercept(on("GET", "/version$", as_json(200, {"ApiVersion": "1.41"})))
        host = f"tcp://{server.host}"
        assert found(tmp_path, DOCKER_HOST=host, DOCKER_CERT_PATH=str(tmp_path), **environment) == host
        if environment.get("DOCKER_TLS_VERIFY"):  # without DOCKER_CERT_PATH it is the folder of the configuration
            assert found(tmp_path, DOCKER_HOST=host, **environment) == host


@leaky
@pytest.mark.usefixtures("_leaky")
@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("unix:///nonexistent/docker.sock", "start it, or set its address with DOCKER_HOST or docker context use"),
        ("tcp://127.0.0.1:1", "start it, or set its address with DOCKER_HOST or docker context use"),
        ("nonsense://x", "start it, or set its address with DOCKER_HOST or docker context use"),
        ("nonsense", "start it, or set its address with DOCKER_HOST or docker context use"),
        (
            "ssh://127.0.0.1:1",
            r"(start it, or set its address|ssh needs docker-py's extra: pip install 'docker\[ssh\]')",
        ),
    ],
)
def test_an_address_without_an_engine_is_named(tmp_path: Path, host: str, advice: str) -> None:
    with pytest.raises(EngineUnreachable, match=f"no Docker Engine answers at {host}: {advice}") as caught:
        found(tmp_path, DOCKER_HOST=host)
    assert caught.value.exit_code == 2


@leaky
@pytest.mark.usefixtures("_leaky")
def test_a_socket_without_permission_is_named(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    root = os.geteuid() == 0  # who may use every socket
    with monkeypatch.context() as patched, contextlib.ExitStack() as stack:
        if root:
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        else:
            patched.setattr(socket.socket, "connect", connect)
        with pytest.raises(EngineUnreachable, match="join the group docker, or run tagger as a user who may"):
            open_engine(fake)


@leaky
@pytest.mark.usefixtures("_leaky")
@pytest.mark.parametrize("answer", [Response(404), Response(200, b"<html>"), as_json(200, {}), Response(drop=True)])
def test_another_server_is_not_taken_for_an_engine(fake: FakeEngine, tmp_path: Path, answer: Response) -> None:
    fake.intercept(on("GET", "/version$", answer))
    with pytest.raises(EngineUnreachable, match=r"no Docker Engine answers at unix:.*: start it, or set its address"):
        found(tmp_path, DOCKER_HOST=fake.url)


# The Docker configuration


@pytest.mark.parametrize(
    "content",
    [
        {"auths": {"other.local": {"auth": "%%%"}}},
        {"auths": {"other.local": {"auth": base64.b64encode(b"no colon").decode()}}},
        {"auths": {"other.local": "text"}},
        {"credsStore": "absent", "credHelpers": {"other.local": "absent"}},
        {"proxies": {"default": {"httpProxy": "http://127.0.0.1:1"}}},
    ],
)
@pytest.mark.parametrize("known_by", ["DOCKER_CONFIG", "HOME"])
def test_the_configuration_of_other_hosts_does_not_matter(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, known_by: str
) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv(known_by, str(folder if known_by == "DOCKER_CONFIG" else tmp_path))
    monkeypatch.setenv("DOCKER_HOST", fake.url)
    before = dict(os.environ)
    fake.push = lambda _, tag: [status(tag, A)]
    with contextlib.closing(Engine(DockerConfig.load(), lambda _: None)) as engine:
        assert engine.push(reference()) == A
    assert dict(os.environ) == before


@pytest.mark.parametrize("variable", ["DOCKER_CONFIG", "HOME"])
def test_other_threads_keep_their_credentials_while_an_engine_is_opened(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    auth = base64.b64encode(b"eve:other").decode()
    folder = tmp_path / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {"other.local": {"auth": auth}}}))
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv(variable, str(folder if variable == "DOCKER_CONFIG" else tmp_path))
    asked, looked = threading.Event(), threading.Event()

    def version(_: Request) -> Response:
        asked.set()
        looked.wait(10)
        return as_json(200, {"ApiVersion": "1.41"})

    fake.intercept(on("GET", "/version$", version))
    before = dict(os.environ)
    with ThreadPoolExecutor(4) as pool:
        opening = [pool.submit(found, folder, DOCKER_HOST=fake.url) for _ in range(4)]
        assert asked.wait(10)
        others = docker.auth.load_config().resolve_authconfig("other.local")
        environment = dict(os.environ)
        looked.set()
        assert {each.result() for each in opening} == {fake.url}
    assert (others or {}).get("username") == "eve"
    assert environment == before


def test_the_configurations_headers_are_sent_with_every_request(fake: FakeEngine) -> None:
    config = DockerConfig(http_headers={"X-Meta-Team": "gallery", "X-Number": 5})  # type: ignore[dict-item]
    fake.push = lambda _, tag: [status(tag, A)]
    with open_engine(fake, config=config) as engine:
        engine.image(ImageName.parse("image-gallery:build-7"))
        engine.tag(Digest(fake.tags["image-gallery:build-7"]), reference(f"{NAME}:2"))
        engine.push(reference())
    assert len(fake.requests) >= 4
    sent = {(request.headers["X-Meta-Team"], request.headers["X-Number"]) for request in fake.requests}
    assert sent == {("gallery", "5")}


@pytest.mark.parametrize(
    ("insecure", "host", "allowed"),
    [
        (["127.0.0.0/8"], "127.0.0.1:5000", True),
        (["127.0.0.0/8"], "127.9.9.9", True),
        (["127.0.0.0/8"], "10.1.2.3:5000", False),
        (["10.0.0.0/8"], "10.1.2.3:5000", True),
        (["127.0.0.0/8"], "loopback.test:5000", True),
        (["127.0.0.0/8"], "public.test:5000", False),
        (["127.0.0.0/8"], "unknown.test:5000", False),
        (["::1/128", "127.0.0.0/8"], "[::1]:5000", True),
        (["127.0.0.0/8"], "[::1]:5000", False),
        (["public.test:5000"], "public.test:5000", True),
        (["public.test:5000"], "public.test", False),
        (["public.test:5000"], "public.test:5001", False),
        ([], "docker.io", False),
        ([], "127.0.0.1:5000", False),
    ],
)
def test_a_registry_is_insecure_if_the_engine_says_so(
    monkeypatch: pytest.MonkeyPatch, insecure: list[str], host: str, *, allowed: bool
) -> None:
    known = {"loopback.test": "127.0.0.5", "public.test": "192.0.2.1", "docker.io": "192.0.2.2"}

    def resolve(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        address = known.get(name, name)
        if address.endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    with FakeEngine(insecure=insecure) as server, open_engine(server) as engine:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert engine.allows_insecure(Registry.parse(host)) is allowed


def test_an_engine_without_registry_settings_allows_no_insecure_one(fake: FakeEngine) -> None:
    fake.info["RegistryConfig"] = None
    with open_engine(fake) as engine:
        assert engine.allows_insecure(Registry("127.0.0.1:5000")) is False


# A real Engine


@pytest.mark.engine
def test_a_real_engine_finds_an_image_by_each_of_its_names(
    engine: RealEngine, registry: RealRegistry, repository: str
) -> None:
    name = f"{registry.host}/{repository}:2.1.106"
    image = engine.image(name, repository)
    with open_engine(engine) as real:
        digest = real.push(reference(name))
        by_digest = f"{registry.host}/{repository}@{digest}"
        for text in (name, image, image.partition(":")[2], image[7:19], by_digest):
            assert real.image(ImageName.parse(text)) == Image(Digest(image), (name,))
        with pytest.raises(ImageNotFound, match=": build or pull it; docker images shows what there is"):
            real.image(ImageName.parse(f"{registry.host}/{repository}:absent"))


@pytest.mark.engine
def test_a_real_push_gives_the_digest_that_the_registry_has(
    engine: RealEngine, registry: RealRegistry, repository: str
) -> None:
    image = engine.image(f"build/{repository}:7", repository, layers=3)
    with open_engine(engine) as real:
        for tag in ("2.1.106", "2.1"):
            target = reference(f"{registry.host}/{repository}:{tag}")
            real.tag(Digest(image), target)
            assert real.push(target) == registry.digest(repository, tag)
    assert len(set(registry.snapshot(repository).values())) == 1


@pytest.mark.engine
def test_a_real_push_fails_with_a_next_step(engine: RealEngine, registry: RealRegistry, repository: str) -> None:
    with open_engine(engine, Credential("ann", Secret(CANARY))) as real:
        for host, message in (
            (registry.host, "does not exist.*: fix that and run the same command again"),
            ("127.0.0.1:1", "connection refused.*: fix that and run the same command again"),
        ):
            target = reference(f"{host}/{repository}:2.1.106")
            if host != registry.host:
                engine.image(str(target), repository)
            with pytest.raises(EngineError, match=message) as caught:
                real.push(target)
            assert_hidden(caught.value)


@pytest.mark.engine
def test_a_real_registry_refuses_a_user_without_a_password(engine: RealEngine, repository: str, tmp_path: Path) -> None:
    with RealRegistry.start(tmp_path, htpasswd={"ann": CANARY}) as server:
        target = reference(f"{server.host}/{repository}:2.1.106")
        engine.image(str(target), repository)
        for credential in (None, Credential("ann", Secret("wrong"))):
            with open_engine(engine, credential) as real, pytest.raises(Denied, match=": run docker login"):
                real.push(target)
        with open_engine(engine, Credential("ann", Secret(CANARY))) as real:
            assert real.push(target) == server.digest(repository, "2.1.106")


@pytest.mark.engine
def test_the_last_name_of_a_real_image_stays(engine: RealEngine, repository: str) -> None:
    image = engine.image(f"build/{repository}:1", repository)
    with open_engine(engine) as real:
        real.tag(Digest(image), reference(f"{NAME}/{repository}:2"))
        real.untag(reference(f"{NAME}/{repository}:2"))
        assert engine.tags(f"{NAME}/{repository}") == {}
        real.untag(reference(f"build/{repository}:1"))
        real.untag(reference(f"build/{repository}:absent"))
        assert engine.tags(f"build/{repository}") == {"1": image}
        assert real.image(ImageName.parse(image)).names == (f"build/{repository}:1",)


@pytest.mark.engine
def test_a_name_never_reaches_a_real_engine_s_volumes(engine: RealEngine) -> None:
    engine.docker("volume", "create", "victim")
    try:
        with open_engine(engine) as real, pytest.raises(InvalidReference):
            real.image(ImageName.parse("../volumes/victim"))
    finally:
        assert engine.docker("volume", "rm", "victim").strip() == "victim"
    with pytest.raises(ServiceError, match=r"(?i)no such volume"):
        engine.docker("volume", "inspect", "victim")


@pytest.mark.engine
def test_a_real_engine_says_which_registries_it_trusts_without_tls(engine: RealEngine) -> None:
    with open_engine(engine) as real:
        assert real.allows_insecure(Registry("registry.local:5000"))
        assert real.allows_insecure(Registry("127.0.0.1:5000"))
        assert not real.allows_insecure(Registry("192.0.2.1:5000"))


# Where it is


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("http+unix:///var/run/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://[::1]:2376", True),
        ("127.0.0.1:2375", True),
        ("tcp://192.0.2.7:2375", False),
        ("192.0.2.7:2375", False),
        ("ssh://build@192.0.2.7", False),
        ("https://192.0.2.7:2376", False),
    ],
)
def test_an_engine_on_another_machine_is_recognized_by_its_address(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_a_registry_on_loopback_is_refused_for_an_engine_on_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ModelRegistry() as registry, FakeEngine(registry) as fake:
        fake.load("image-gallery", b"one")
        monkeypatch.setenv("DOCKER_HOST", fake.url)
        monkeypatch.setattr("tagger.wiring.access.is_local", lambda _: False)
        with pytest.raises(InputError, match=r"is on another machine, where .* is a different registry"):
            tagger.release("image-gallery", "2.1.106", registry=registry.host)
        assert not registry.requests


LOGIN, RIGHT, PUT_RIGHT = "run docker login for the registry", "ask for the right to push", "fix that and run"
IMMUTABLE = "release a new version, and exclude floating tags from the immutability rule or set floats = []"
ROOM, CREATE, LATER = "make room in the registry", "create the repository in the registry first", "again later"
ADVICE = {
    "login": LOGIN,
    "right": RIGHT,
    "put right": PUT_RIGHT,
    "immutable": IMMUTABLE,
    "room": ROOM,
    "create": CREATE,
    "later": LATER,
}
# What Docker 20.10, Docker 29 and Podman 4.3 show of registries' answers, most of them about a tag 2.1.503.
REASONS = [json.loads(line) for line in (DATA / "push-reasons.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("reason", REASONS, ids=[reason["text"][:60] for reason in REASONS])
@pytest.mark.parametrize("logged_in", [False, True])
def test_the_reason_of_a_refused_push_is_shown_whole_with_matching_advice(
    reason: dict[str, str], *, logged_in: bool
) -> None:
    text, advice = reason["text"], ADVICE[reason["advice"]]
    with pytest.raises(TaggerError) as caught:
        pushed_digest([push_error(text)], Tag("2.1.503"), logged_in=logged_in)
    said = str(caught.value)
    assert type(caught.value).__name__ == reason["kind"]
    assert text.encode("unicode_escape").decode() in said
    assert advice in said.removeprefix(text)
    # A message advises a user who has logged in to log in again only if the credentials are refused.
    assert (LOGIN in said) is (advice == LOGIN or (advice == RIGHT and not logged_in))


def test_a_refusal_inside_an_http_error_comes_from_the_registry(fake: FakeEngine) -> None:
    fake.intercept(on("POST", "/push$", as_json(500, push_error("tag invalid: 2.1.503 is immutable"))))  # Podman 5
    with open_engine(fake) as engine, pytest.raises(Immutable, match=r"tag invalid: 2\.1\.503 is immutable: release"):
        engine.push(reference())


def test_a_long_reason_keeps_its_end(fake: FakeEngine) -> None:
    right = "is not authorized to perform: ecr:InitiateLayerUpload"
    fake.push = lambda _, __: [push_error(f"denied: User: arn:aws:sts::123456789012:{'x' * 2000} {right}")]
    with open_engine(fake) as engine, pytest.raises(Denied, match=f"denied: User: arn:aws:sts.*{right}: run docker"):
        engine.push(reference())


def test_a_tag_that_is_immutable_is_pushed_once(model: ModelRegistry) -> None:
    with FakeEngine(model) as fake:
        image = fake.load("image-gallery", b"the gallery")
        fake.push = lambda _, tag: [push_error(f"tag invalid: The image tag '{tag}' already exists and is immutable")]
        ran = tagger_command(fake, "release", image, "2.1.503", "--registry", model.host, "--repository", "app")
    assert (ran.code, IMMUTABLE in ran.error) == (3, True), ran.err
    assert sum(request.path.endswith("/push") for request in fake.requests) == 1
