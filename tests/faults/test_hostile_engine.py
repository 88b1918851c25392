"""Whatever an Engine sends, a release ends with a sentence and an exit code, and no tag moves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from doubles import FakeEngine, ModelRegistry, Response
from launcher import launched
from test_hostile_registry import ESC, ended_well

pytestmark = pytest.mark.usefixtures("hurried")

REPOSITORY = "team/app"
ANSWERS: dict[str, Response] = {
    "HTML": Response(200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
    "nothing": Response(200, b""),
    "a closed connection": Response(drop=True),
    "null": Response(200, b"null", {"Content-Type": "application/json"}),
    "a list": Response(200, b"[1]", {"Content-Type": "application/json"}),
    "a text": Response(200, b'"x"', {"Content-Type": "application/json"}),
    "numbers": Response(200, b'{"Id": 7, "RepoTags": 7, "ApiVersion": 1.41, "RegistryConfig": 7, "DriverStatus": 7}'),
    "nulls": Response(200, b'{"Id": null, "RepoTags": null, "ApiVersion": null, "RegistryConfig": null}'),
    "lists in lists": Response(200, b"[" * 100_000),
    "an integer of a million digits": Response(200, b'{"Id": ' + b"9" * 1_000_000 + b"}"),
    "no UTF-8": Response(200, b'{"Id": "\xff"}'),
    "half of an object": Response(200, b'{"Id": "sha'),
    "escapes": Response(500, json.dumps({"message": ESC + "##[error]x ##vso[task.complete]"}).encode()),
    "a failure": Response(500, b'{"message": 7}'),
    "a failure without a message": Response(500, b'{"error": "no", "errorDetail": {"message": "no"}}'),
    "a failure that is a list": Response(500, b"[1]"),
    "a failure in HTML": Response(503, b"<html>busy</html>"),
    "a redirect": Response(301, b"", {"Location": "http://198.51.100.1/"}),
}
REQUESTS = {"version": "/version$", "inspect": "/build/json$", "info": "/info$", "tag": "/tag$", "push": "/push$"}


@pytest.fixture
def registry() -> Iterator[ModelRegistry]:
    with ModelRegistry() as model:
        model.seed(REPOSITORY, dict.fromkeys(("2.1.105", "2.1", "2", "latest"), b"old"))
        yield model


def release(fake: FakeEngine, registry: ModelRegistry, *codes: int) -> None:
    """Check that a release ends cleanly, and moves nothing if it fails."""
    before = dict(registry.repositories[REPOSITORY])
    words = ("release", "build", "2.1.106", "--registry", registry.host, "--repository", REPOSITORY, "--timeout", "80")
    ran = launched(fake, *words)
    ended_well(ran, *codes)
    after = dict(registry.repositories[REPOSITORY])
    if ran.code:
        after.pop("2.1.106", None)
        assert after == before


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_hostile_answer_of_an_engine_moves_a_tag(answer: str, request_: str, registry: ModelRegistry) -> None:
    with FakeEngine(registry) as fake:
        fake.load("build", b"new")
        fake.intercept(lambda r: ANSWERS[answer] if re.search(REQUESTS[request_], r.path) else None)
        release(fake, registry, 0, 1, 2)


STREAMS: dict[str, list[bytes]] = {
    "junk": [b"\x00\xff" * 1000],
    "a line of 50 MB": [b'{"status": "' + b"x" * 50_000_000 + b'"}'],
    "a million lines": [b'{"status": "Pushing"}\r\n' * 1000] * 100,
    "lists in lists": [b"[" * 100_000],
    "an integer of a million digits": [b'{"status": ' + b"9" * 1_000_000 + b"}"],
    "messages that are none": [b"1\n", b"null\n", b'"x"\n', b"[]\n"],
    "escapes in an error": [json.dumps({"error": ESC, "errorDetail": {"message": ESC}}).encode()],
    "an error that is a number": [b'{"error": 7, "errorDetail": 7}'],
    "an error in lists": [b'{"errorDetail": {"message": ["a", {}]}}'],
    "aux of wrong types": [b'{"aux": {"Tag": 7, "Digest": []}}', b'{"aux": []}', b'{"aux": "x"}'],
    "a digest of nothing": [b'{"status": "2.1.106: digest: sha256:xyz size: 1"}'],
    "a digest that nobody pushed": [b'{"status": "2.1.106: digest: sha256:' + b"0" * 64 + b' size: 1"}'],
    "another tag's digest": [b'{"aux": {"Tag": "latest", "Digest": "sha256:' + b"0" * 64 + b'"}}'],
}


@pytest.mark.parametrize("stream", STREAMS)
def test_no_hostile_push_stream_moves_a_tag(stream: str, registry: ModelRegistry) -> None:
    with FakeEngine(registry) as fake:
        fake.load("build", b"new")
        answer = Response(200, STREAMS[stream], {"Content-Type": "application/json"})
        fake.intercept(lambda request: answer if request.path.endswith("/push") else None)
        release(fake, registry, 1, 3)


WHOLE = b'{"status": "Pushed"}\r\n{"status": "2.1.106: digest: sha256:' + b"0" * 64 + b' size: 1"}\r\n'


@pytest.mark.parametrize("end", [*range(0, len(WHOLE) - 6, 20), len(WHOLE) - 4])
def test_a_push_that_is_cut_off_anywhere_is_not_a_success(end: int, registry: ModelRegistry) -> None:
    with FakeEngine(registry) as fake:
        fake.load("build", b"new")
        answer = Response(200, [WHOLE[:end]] if end else [], {"Content-Type": "application/json"})
        fake.intercept(lambda request: answer if request.path.endswith("/push") else None)
        release(fake, registry, 1)
