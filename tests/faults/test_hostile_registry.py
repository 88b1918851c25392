"""Whatever a registry sends, a command ends with a sentence and an exit code, and shows nothing raw."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from command import Ran
from doubles import DOCKER_MANIFEST, FakeEngine, ModelRegistry, Response, as_json, digest_of, index, manifest, on
from launcher import launched
from raw import answering

pytestmark = pytest.mark.usefixtures("hurried")

REPOSITORY = "team/app"
ESC = "\x1b]0;owned\x07\x1b[2J\r\n::error::owned\u202e"


def ended_well(ran: Ran, *codes: int) -> None:
    """Check that a command ended with one of these codes and one clean sentence."""
    shown = ran.out + ran.err
    assert ran.code in codes, f"exit {ran.code}: {shown}"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", shown), repr(shown)
    assert not re.search(r"^::|##\[|##vso\[", shown, re.MULTILINE), shown
    assert "internal error" not in shown, shown
    if ran.code:
        assert len(ran.error) < 2000
        assert ": " in ran.error, "it says what to do next"


def commands(host: str, engine: FakeEngine) -> list[Ran]:
    """Run what reads and what writes, all at once."""
    name = f"{host}/{REPOSITORY}"
    words = [
        (None, "ls", name),
        (None, "check", name),
        (None, "rm", name, "2.1.105", "--yes"),
        (engine, "release", "build", "2.1.106", "--registry", host, "--repository", REPOSITORY),
    ]
    with ThreadPoolExecutor(len(words)) as pool:
        return list(pool.map(lambda each: launched(*each), words))


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine(None) as fake:
        fake.load("build", b"new")
        yield fake


def ok(body: bytes, *headers: str) -> bytes:
    """Write an answer."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


TAGS = json.dumps({"name": REPOSITORY, "tags": ["2.1.105"]}).encode()
BYTES: dict[str, tuple[bytes | Iterable[bytes], ...]] = {
    "nothing": (b"",),
    "HTTP/0.9": (b"hello\n",),
    "NUL bytes": (b"\0" * 1000,),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46",),
    "a status of four digits": (b"HTTP/1.1 9999 What\r\n\r\n",),
    "a status of no digits": (b"HTTP/1.1 okay\r\n\r\n",),
    "a status line of a megabyte": (b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n",),
    "a header without a colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n" + TAGS,),
    "a header of a megabyte": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",),
    "a hundred thousand headers": (b"HTTP/1.1 200 OK\r\n", itertools.repeat(b"X: y\r\n", 100_000), b"\r\n"),
    "headers that end in the middle": (b"HTTP/1.1 200 OK\r\nContent-Le",),
    "thousands of 100 Continue": (itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 10_000), b""),
    "more promised than sent": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + TAGS,),
    "less promised than sent": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + TAGS,),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + TAGS,),
    "a length that is no number": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + TAGS,),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + TAGS,),
    "a chunk of no size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + TAGS,),
    "a chunk of a negative size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + TAGS,),
    "a chunk of an absurd size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n" + TAGS,),
    "chunks that never end": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        itertools.repeat(b"400\r\n" + b"x" * 1024 + b"\r\n", 200_000),
    ),
    "a body of 200 MB": (b"HTTP/1.1 200 OK\r\n\r\n", itertools.repeat(b"x" * 1_000_000, 200)),
    "a bomb of gzip": (ok(gzip.compress(b" " * 50_000_000 + TAGS), "Content-Encoding: gzip"),),
    "another length of a compressed body": (ok(b"\x1f\x8b garbage", "Content-Encoding: gzip"),),
    "a page of HTML": (ok(b"<html><script>alert(1)</script></html>"),),
    "escapes in the reason": (f"HTTP/1.1 500 {ESC}\r\n\r\n".encode(),),
    "a redirect to a file": (b"HTTP/1.1 307 Go\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",),
    "a redirect to nowhere": (b"HTTP/1.1 307 Go\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",),
    "a redirect to itself": (b"HTTP/1.1 307 Go\r\nLocation: /v2/x\r\nContent-Length: 0\r\n\r\n",),
    "cookies": (ok(TAGS, *(f"Set-Cookie: a{number}=b" for number in range(50))),),
}  # fmt: skip


@pytest.mark.parametrize("case", BYTES)
def test_every_command_ends_with_a_sentence_whatever_bytes_arrive(case: str, engine: FakeEngine) -> None:
    pieces = [piece if isinstance(piece, bytes) else list(piece) for piece in BYTES[case]]
    with answering(*pieces) as host:
        for ran in commands(host, engine):
            ended_well(ran, *((0, 1, 2, 3) if case in LISTS_WELL else (1, 2)))


LISTS_WELL = ("cookies", "a header without a colon")

LISTS: dict[str, bytes] = {
    "a text": b'"x"',
    "a number": b"7",
    "null": b"null",
    "a list": b"[]",
    "no tags": b"{}",
    "tags in a text": b'{"tags": "x"}',
    "tags in an object": b'{"tags": {"a": "b"}}',
    "tags that are numbers": b'{"tags": [1, null, true, 2.5, [], {}]}',
    "lists in lists": b"[" * 100_000,
    "tags in lists in lists": b'{"tags": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "an integer of a million digits": b'{"tags": [' + b"9" * 1_000_000 + b"]}",
    "no number": b'{"tags": [NaN, Infinity, 1e999]}',
    "no UTF-8": b'{"tags": ["\xff\xfe"]}',
    "a byte order mark": b"\xef\xbb\xbf" + TAGS,
    "UTF-16": TAGS.decode().encode("utf-16"),
    "the same key twice": b'{"tags": ["1.0.0"], "tags": ["2.0.0"]}',
    "half a surrogate": b'{"tags": ["\\ud800"]}',
    "escapes": json.dumps({"tags": [ESC, "2.1.105"]}).encode(),
    "paths": json.dumps({"tags": ["../../x", "a/b", "%2e%2e", "", ".", "..", "-a"]}).encode(),
    "a tag of 10,000 characters": json.dumps({"tags": ["x" * 10_000]}).encode(),
    "commands of CI systems": json.dumps({"tags": ["::error::x", "##[error]x", "##vso[task.complete]"]}).encode(),
    "numbers of other alphabets": json.dumps({"tags": ["\u0661.\u0662.\u0663", "\uff11.0.0"]}).encode(),
    "half of an object": b'{"tags": ["1.0.0"',
}  # fmt: skip


@pytest.mark.parametrize("case", LISTS)
def test_a_list_of_tags_is_read_or_refused_in_a_sentence(case: str, engine: FakeEngine) -> None:
    with answering(ok(LISTS[case])) as host:
        for ran in commands(host, engine):
            ended_well(ran, 0, 1, 2, 3)


HEADERS: dict[str, tuple[int, dict[str, str | list[str]]]] = {
    "a link to itself": (200, {"Link": f'</v2/{REPOSITORY}/tags/list>; rel="next"'}),
    "a link elsewhere": (200, {"Link": '<http://198.51.100.1/v2/x/tags/list>; rel="next"'}),
    "a link to a file": (200, {"Link": '<file:///etc/passwd>; rel="next"'}),
    "a link without an end": (200, {"Link": "<" * 10_000}),
    "a thousand links": (200, {"Link": ['</a>; rel="next"'] * 1000}),
    "a link with escapes": (200, {"Link": '</v2/\x1b[2J>; rel="next"'}),
    "an empty link": (200, {"Link": '<>; rel="next"'}),
    "a challenge without a realm": (401, {"WWW-Authenticate": "Bearer"}),
    "a challenge of another kind": (401, {"WWW-Authenticate": "Negotiate abc"}),
    "no challenge": (401, {}),
    "a realm of a file": (401, {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}),
    "a realm with a user": (401, {"WWW-Authenticate": 'Bearer realm="http://a:b@127.0.0.1:1/t"'}),
    "a realm elsewhere": (401, {"WWW-Authenticate": 'Bearer realm="http://198.51.100.1/t"'}),
    "a realm that is junk": (401, {"WWW-Authenticate": 'Bearer realm="\x1b[2J"'}),
    "a hundred challenges": (401, {"WWW-Authenticate": ["Digest x=y"] * 100}),
    "a challenge without an end": (401, {"WWW-Authenticate": 'Bearer realm="' + "x," * 20_000}),
    "a Retry-After of ages": (400, {"Retry-After": "1000000000"}),
}


@pytest.mark.parametrize("case", HEADERS)
def test_every_command_ends_with_a_sentence_whatever_headers_arrive(case: str, engine: FakeEngine) -> None:
    status, headers = HEADERS[case]
    answer = Response(status, TAGS, {"Content-Type": "application/json", **headers})
    with ModelRegistry() as registry:
        registry.intercept(lambda _: answer)
        for ran in commands(registry.host, engine):
            ended_well(ran, 1, 2, 3)


IMAGE = manifest(b"old")
NESTED = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": "CONFIG", "layers": []}).encode()


def shown(body: bytes, media_type: str = DOCKER_MANIFEST, **headers: str) -> Response:
    """Answer with a manifest."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(body), **named})


MANIFESTS: dict[str, Response] = {
    "a wrong digest": shown(IMAGE, Docker_Content_Digest=digest_of(b"other")),
    "a digest that is none": shown(IMAGE, Docker_Content_Digest="sha256:xyz"),
    "a digest of another algorithm": shown(IMAGE, Docker_Content_Digest="sha512:" + "0" * 128),
    "a digest with escapes": shown(IMAGE, Docker_Content_Digest="\x1b[2J"),
    "no digest": Response(200, IMAGE, {"Content-Type": DOCKER_MANIFEST}),
    "another body": shown(b"{}", Docker_Content_Digest=digest_of(IMAGE)),
    "HTML": shown(b"<html></html>", "text/html"),
    "schema 1": shown(b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    "a config that is a text": shown(NESTED),
    "lists in lists": shown(b"[" * 100_000),
    "an index in an index": shown(index({"linux/amd64": index({"linux/amd64": IMAGE})})),
    "100 MB": shown(b" " * 20_000_000 + IMAGE),
    "a type with escapes": shown(IMAGE, "text/\x1b[2J"),
    "no type": Response(200, IMAGE, {"Docker-Content-Digest": digest_of(IMAGE)}),
    "not JSON": as_json(200, "text"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_no_tag_moves_to_a_hostile_manifest(case: str) -> None:
    with ModelRegistry() as registry, FakeEngine(registry) as fake:
        fake.load("build", b"new")
        before = registry.seed(REPOSITORY, dict.fromkeys(("2.1.105", "2.1", "2"), b"old"))
        registry.put(REPOSITORY, "latest", manifest(b"stray"))
        registry.intercept(on("GET", "/manifests/", MANIFESTS[case]))
        registry.intercept(on("HEAD", "/manifests/", MANIFESTS[case]))
        name = f"{registry.host}/{REPOSITORY}"
        release = ("release", "build", "2.1.106", "--registry", registry.host, "--repository", REPOSITORY)
        with ThreadPoolExecutor(3) as pool:
            runs = pool.map(
                lambda each: launched(*each),
                [(None, "check", name), (None, "repair", name, "--dry-run"), (fake, *release, "--timeout", "20")],
            )
            for ran in runs:
                ended_well(ran, 0, 1, 2, 3, 4)
        assert registry.repositories[REPOSITORY]["2.1.105"] == before["2.1.105"]
