"""Stand-ins for a registry and a Docker Engine, because a real one does not misbehave on request.

Both doubles are context managers that listen on loopback or on a unix socket, log every request that they receive, and
let rules answer in their place: an error, a page of HTML, nothing at all, the truth of a minute ago.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import ipaddress
import json
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message as Headers
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

DATA = Path(__file__).parents[1] / "data"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

Message = dict[str, Any]
"""One JSON object of a push stream."""


# Requests, responses, rules


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent: `path` is still percent-encoded and has no query, `headers` ignore case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Headers[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What a client gets: `body` whole, or in chunks; with `drop`, the connection closes without a byte."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    drop: bool = False


class Cut(Exception):
    """Close the connection right there: raised by a chunked body that must never end."""


Rule = Callable[[Request], Response | None]
"""Answer a request, or return None to let it pass."""


def on(method: str, path: str, reply: Response | Rule, times: int = sys.maxsize) -> Rule:
    """Apply `reply` to the first `times` requests of a method whose path matches the regular expression `path`."""
    left = threading.Semaphore(times)

    def rule(request: Request) -> Response | None:
        if request.method != method or not re.search(path, request.path) or not left.acquire(blocking=False):
            return None
        return reply if isinstance(reply, Response) else reply(request)

    return rule


def as_json(status: int, value: object, **headers: str) -> Response:
    """Build a JSON response; `Docker_Content_Digest=` names the header `Docker-Content-Digest`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | named)


# The HTTP server under both doubles


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one segment; otherwise Nagle and delayed acknowledgement cost 40 ms each

    def handle(self) -> None:
        """Answer a TLS greeting as Go's servers do, which is how Engines learn that a registry speaks plain HTTP."""
        assert isinstance(self.rfile, io.BufferedReader)
        if self.rfile.peek(1)[:1] == b"\x16":
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")
        else:
            super().handle()

    def _serve(self) -> None:
        assert isinstance(self.server, _TCPListener | _UnixListener)
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        body = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self._content()
        self._send(self.server.respond(Request(self.command, url.path, query, self.headers, body)))

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> bytes:
        content = b""
        while size := self._size_of_chunk():
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _size_of_chunk(self) -> int:
        line = self.rfile.readline()
        if not line.strip():
            raise ConnectionAbortedError("the client left in the middle of its request")
        return int(line.split(b";")[0], 16)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _send(self, response: Response) -> None:
        if response.drop:
            self.close_connection = True
            return
        # By default it would name the time beside the wanted one.
        (self.send_response_only if "Date" in response.headers else self.send_response)(response.status)
        for name, value in response.headers.items():
            for line in [value] if isinstance(value, str) else value:
                self.send_header(name, line)
        if isinstance(response.body, bytes):
            if "Content-Length" not in response.headers:
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._send_chunks(response.body)
        self.wfile.flush()

    def _send_chunks(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except Cut:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay quiet: `requests` is the log."""


class _Threads(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Serve each connection in a thread, remember both, and end both in `close`."""

    request_queue_size = 128
    allow_reuse_address = True
    tls: ssl.SSLContext | None = None

    def start(self, respond: Callable[[Request], Response]) -> None:
        self.respond = respond
        self.failures: list[Exception] = []
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._acceptor = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Join every thread; raise what failed inside one, so that a rule may assert."""
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        for thread, connection in self._connections.items():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # an SSLSocket's own is not thread-safe
            thread.join(5)
            if thread.is_alive():
                self.failures.append(RuntimeError("a request is still held: set its event before leaving"))
        if self.failures:
            raise ExceptionGroup("inside a test double", self.failures)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._connections[thread] = request
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        failure = sys.exception()
        if isinstance(failure, Exception) and not isinstance(failure, OSError):  # OSError: the client went away
            self.failures.append(failure)


class _TCPListener(_Threads, socketserver.TCPServer):
    pass


class _UnixListener(_Threads, socketserver.UnixStreamServer):
    pass


class Server:
    """Log every request in `requests`, and answer it with the first of `rules` that wants to, or with `answer`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.rules: list[Rule] = []
        self.lock = threading.RLock()

    def _listen(self) -> _TCPListener | _UnixListener:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._listener = self._listen()
        self._listener.start(self._respond)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def connections(self) -> int:
        """Count the connections that were made so far."""
        return len(self._listener._connections)

    def intercept(self, rule: Rule) -> None:
        """Let `rule` answer before the normal handling."""
        self.rules.append(rule)

    def answer(self, request: Request) -> Response:
        """Handle a request as the real thing does."""
        raise NotImplementedError

    def lose_answer(self, request: Request) -> Response:
        """Handle a request, and close the connection instead of saying so: a rule."""
        self.answer(request)
        return Response(drop=True)

    def _respond(self, request: Request) -> Response:
        self.requests.append(request)
        answers = (rule(request) for rule in list(self.rules))
        return next((answer for answer in answers if answer), None) or self.answer(request)


# Images


def digest_of(content: bytes) -> str:
    """Return `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def manifest(content: bytes, *, config: str | None = None, media_type: str = DOCKER_MANIFEST) -> bytes:
    """Write the manifest of an image with one layer of `content` and, if given, the config digest `config`."""
    oci = media_type == OCI_MANIFEST
    kind = "application/vnd.oci.image.{}" if oci else "application/vnd.docker.{}"
    config_type = kind.format("config.v1+json" if oci else "container.image.v1+json")
    layer_type = kind.format("layer.v1.tar+gzip" if oci else "image.rootfs.diff.tar.gzip")
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config_type, "size": 2, "digest": config or digest_of(b"config of " + content)},
            "layers": [{"mediaType": layer_type, "size": len(content), "digest": digest_of(content)}],
        },
        indent=3,
    ).encode()


def index(manifests: Mapping[str, bytes]) -> bytes:
    """Write an OCI index of manifests by platform, such as `linux/arm64`."""
    children = [
        {
            "mediaType": json.loads(child)["mediaType"],
            "digest": digest_of(child),
            "size": len(child),
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
        for platform, child in manifests.items()
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()


# The registry


@dataclass(slots=True)
class Basic:
    """Ask for a user name and a password."""

    username: str
    password: str


@dataclass(slots=True)
class Bearer:
    """Ask for a token, which the registry's own `/token` issues.

    `grants` are the actions that the user gets, `anonymous` those that everyone gets; less than was asked is no error.
    `expires_in` is in seconds. `identity_token` is accepted as a refresh token. `realm` points elsewhere if set.
    """

    username: str
    password: str
    grants: frozenset[str] = frozenset({"pull", "push", "delete"})
    anonymous: frozenset[str] = frozenset()
    expires_in: float = 300
    identity_token: str | None = None
    realm: str | None = None
    issued: int = 0
    """How many times a token was asked for and given; clear `tokens` to revoke them all."""
    tokens: dict[str, tuple[float, frozenset[tuple[str, str]]]] = field(default_factory=dict)

    def token(self, request: Request) -> Response:
        """Issue a token for the scopes of a GET (user and password) or of a POST (identity token)."""
        form = request.query if request.method == "GET" else parse_qs(request.body.decode())
        allowed = self._allowed(request, form)
        if allowed is None:
            return refusal(401, "UNAUTHORIZED", "authentication required")
        self.issued += 1
        token = f"token-{self.issued}"
        scopes = [scope for value in form.get("scope", []) for scope in value.split()]
        self.tokens[token] = time.monotonic() + self.expires_in, _granted(scopes, allowed)
        name = "token" if request.method == "GET" else "access_token"
        return as_json(200, {name: token, "expires_in": self.expires_in})

    def _allowed(self, request: Request, form: Mapping[str, list[str]]) -> frozenset[str] | None:
        if request.method == "POST":
            return self.grants if form.get("refresh_token") == [self.identity_token] else None
        credentials = request.headers.get("Authorization")
        if credentials is None:
            return self.anonymous
        return self.grants if credentials == basic(self.username, self.password) else None

    def error(self, request: Request, repository: str, actions: set[str]) -> str | None:
        """What is wrong with the token of a request; an empty string if there is none, None if all is well."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return ""
        expiry, granted = self.tokens.get(token, (0.0, frozenset()))
        if expiry <= time.monotonic():
            return "invalid_token"
        return None if {(repository, action) for action in actions} <= granted else "insufficient_scope"


def _granted(scopes: Iterable[str], allowed: frozenset[str]) -> frozenset[tuple[str, str]]:
    granted = set()
    for scope in scopes:
        _, repository, actions = scope.split(":")
        asked = allowed if actions == "*" else allowed & set(actions.split(","))
        granted |= {(repository, action) for action in asked}
    return frozenset(granted)


def basic(username: str, password: str) -> str:
    """Write the Authorization header of a user."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def refusal(status: int, code: str, message: str, **headers: str) -> Response:
    """Build an error response in the form of the distribution specification."""
    return as_json(status, {"errors": [{"code": code, "message": message, "detail": None}]}, **headers)


_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = rf"(?P<name>{_PATH}(?:/{_PATH})*)"
_TAGS = re.compile(rf"/v2/{_NAME}/tags/list")
_UPLOADS = re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<upload>[^/]*)")
_BLOBS = re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>sha256:[0-9a-f]{{64}})")
_REFERRERS = re.compile(rf"/v2/{_NAME}/referrers/(?P<digest>sha256:[0-9a-f]{{64}})")
_MANIFESTS = re.compile(
    rf"/v2/{_NAME}/manifests/(?P<reference>sha256:[0-9a-f]{{64}}|[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}})"
)
_ACTIONS = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}


class ModelRegistry(Server):
    """Keep manifests and tags in memory and serve them by the distribution specification.

    `repositories` maps a repository to its tags and their digests, `manifests` a repository and a digest to a media
    type and the bytes. Tests read and change both freely. `deletes` is `off` (405 for all), `digest` (as distribution
    2.8: all tags of a digest at once, 400 for a tag) or `tag` (as distribution 3). With `page_size`, lists are sorted
    and paged. Of the tags that one PUT names beside a digest the first `tags_at_once` are taken. With `referrers`, it
    lists what refers to a manifest, `page_size` at a time.
    """

    def __init__(
        self,
        *,
        deletes: Literal["off", "digest", "tag"] = "digest",
        page_size: int | None = None,
        links: Literal["relative", "absolute"] = "relative",
        auth: Basic | Bearer | None = None,
        tls: ssl.SSLContext | None = None,
        tags_at_once: int = 0,
        referrers: bool = False,
    ) -> None:
        super().__init__()
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.referrers = referrers
        self.repositories: dict[str, dict[str, str]] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.deletes, self.page_size, self.links, self.auth, self.tls = deletes, page_size, links, auth, tls
        self.tags_at_once = tags_at_once

    def _listen(self) -> _TCPListener:
        listener = _TCPListener(("127.0.0.1", 0), _Handler)
        listener.tls = self.tls
        self.port: int = listener.server_address[1]
        return listener

    @property
    def host(self) -> str:
        """Return `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return the address without a path, such as `http://127.0.0.1:5000`."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def seed(self, repository: str, contents: Mapping[str, bytes]) -> dict[str, str]:
        """Publish an image for each tag, one layer of the given content; return the tags' digests."""
        return {tag: self.put(repository, tag, manifest(content)) for tag, content in contents.items()}

    def put(self, repository: str, tag: str, body: bytes) -> str:
        """Publish a manifest under a tag; return its digest."""
        with self.lock:
            digest = digest_of(body)
            self.manifests[repository, digest] = json.loads(body)["mediaType"], body
            self.repositories.setdefault(repository, {})[tag] = digest
        return digest

    def answer(self, request: Request) -> Response:
        """Handle a request as a registry does."""
        if request.path == "/token" and isinstance(self.auth, Bearer):
            posted = request.method == "POST"
            return Response(404) if posted and self.auth.identity_token is None else self.auth.token(request)
        with self.lock:
            answer = self._challenge(request) or self._route(request)
        if self.tags_at_once:
            return answer
        return replace(answer, headers={**answer.headers, "Docker-Distribution-API-Version": "registry/2.0"})

    def _route(self, request: Request) -> Response:
        path = unquote(request.path)
        if path == "/v2/":
            return as_json(200, {})
        if (match := _TAGS.fullmatch(path)) and request.method == "GET":
            return self._list(match["name"], request.query)
        if match := _UPLOADS.fullmatch(path):
            return self._upload(match["name"], request, path)
        if found := self._beside_tags(path, request):
            return found
        if match := _MANIFESTS.fullmatch(path):
            handler = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}
            if request.method in handler:
                return handler[request.method](match["name"], match["reference"], request)
        return Response(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"})

    def _challenge(self, request: Request) -> Response | None:
        if isinstance(self.auth, Basic):
            if request.headers.get("Authorization") == basic(self.auth.username, self.auth.password):
                return None
            return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="model"')
        if self.auth is None:
            return None
        match = _TAGS.fullmatch(request.path) or _UPLOADS.fullmatch(request.path) or _MANIFESTS.fullmatch(request.path)
        actions = _ACTIONS.get(request.method, {"pull", "push"}) if match else set()
        if match and match.re is _UPLOADS:
            actions = {"pull", "push"}
        repository = match["name"] if match else ""
        error = self.auth.error(request, repository, actions)
        if error is None:
            return None
        challenge = f'Bearer realm="{self.auth.realm or self.url + "/token"}",service="model"'
        if match:
            challenge += f',scope="repository:{repository}:{",".join(sorted(actions))}"'
        if error:
            challenge += f',error="{error}"'
        return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    def _list(self, repository: str, query: Mapping[str, list[str]]) -> Response:
        if repository not in self.repositories:
            return refusal(404, "NAME_UNKNOWN", "repository name not known to registry")
        tags = list(self.repositories[repository])
        headers = {}
        if self.page_size:
            size = min(int(query.get("n", [str(self.page_size)])[0]), self.page_size)
            rest = sorted(tag for tag in tags if tag > query.get("last", [""])[0])
            tags = rest[:size]
            if len(rest) > size:
                page = f"/v2/{repository}/tags/list?" + urlencode({"last": tags[-1], "n": size})
                origin = self.url if self.links == "absolute" else ""
                headers["Link"] = f'<{origin}{page}>; rel="next"'
        return as_json(200, {"name": repository, "tags": tags or None}, **headers)

    def _get(self, repository: str, reference: str, request: Request) -> Response:
        digest = self.repositories.get(repository, {}).get(reference, reference)
        media_type, body = self.manifests.get((repository, digest), ("", b""))
        # If a client does not accept a manifest's type, a registry answers that there is no such manifest.
        if not body or media_type not in re.split(r"\s*,\s*", request.headers.get("Accept", "")):
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return Response(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _put(self, repository: str, reference: str, request: Request) -> Response:
        try:
            media_type = json.loads(request.body)["mediaType"]
        except (ValueError, LookupError, TypeError):
            media_type = None
        if media_type is None or media_type != request.headers.get("Content-Type"):
            return refusal(400, "MANIFEST_INVALID", "manifest invalid")
        digest = digest_of(request.body)
        if reference.startswith("sha256:") and reference != digest:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        tags = self.repositories.setdefault(repository, {})
        self.manifests[repository, digest] = media_type, request.body
        if reference != digest:
            tags[reference] = digest
        together = request.query.get("tag", [])[: self.tags_at_once]
        tags.update(dict.fromkeys(together, digest))
        location = f"{self.url}/v2/{repository}/manifests/{digest}"
        headers: dict[str, str | list[str]] = {
            "Location": location, "Docker-Content-Digest": digest, "OCI-Tag": together,
        }  # fmt: skip
        subject = json.loads(request.body).get("subject")
        if subject and self.referrers:
            headers["OCI-Subject"] = subject["digest"]
        return Response(201, b"", headers)

    def _referrers(self, repository: str, digest: str, query: Mapping[str, list[str]]) -> Response:
        found = []
        for (name, own), (media_type, body) in self.manifests.items():
            content = json.loads(body)
            if name == repository and content.get("subject", {}).get("digest") == digest:
                found.append({"mediaType": media_type, "digest": own, "size": len(body)})
        start = int(query.get("start", ["0"])[0])
        size = self.page_size or len(found) or 1
        headers = {"Content-Type": OCI_INDEX}
        if start + size < len(found):
            headers["Link"] = f'</v2/{repository}/referrers/{digest}?start={start + size}>; rel="next"'
        content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found[start : start + size]}
        return Response(200, json.dumps(content).encode(), headers)

    def _beside_tags(self, path: str, request: Request) -> Response | None:
        if match := _BLOBS.fullmatch(path):
            return self._blob(match["name"], match["digest"])
        if self.referrers and (match := _REFERRERS.fullmatch(path)):
            return self._referrers(match["name"], match["digest"], request.query)
        return None

    def _blob(self, repository: str, digest: str) -> Response:
        if (repository, digest) not in self.blobs:
            return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return Response(200, self.blobs[repository, digest], {"Docker-Content-Digest": digest})

    def _delete(self, repository: str, reference: str, _: Request) -> Response:
        tags = self.repositories.get(repository, {})
        by_tag = not reference.startswith("sha256:")
        if self.deletes == "off":
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        if by_tag and self.deletes == "digest":
            return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        if reference not in tags and (repository, reference) not in self.manifests:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if by_tag:
            del tags[reference]
        else:
            del self.manifests[repository, reference]
            self.repositories[repository] = {tag: digest for tag, digest in tags.items() if digest != reference}
        return Response(202)

    def _upload(self, repository: str, request: Request, path: str) -> Response:
        method = request.method
        if method == "PUT":
            if (digest := request.query["digest"][0]) != digest_of(request.body):
                return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            self.blobs[repository, digest] = request.body
            return Response(201, b"", {"Docker-Content-Digest": digest})
        if method == "POST":
            return Response(202, b"", {"Location": f"{self.url}{path}upload-1", "Docker-Upload-UUID": "upload-1"})
        return Response(204 if method == "DELETE" else 405)


# A proxy before a real registry


class Proxy(Server):
    """Pass every request on to a real registry, unless a rule answers it."""

    def __init__(self, upstream: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__()
        self.upstream = upstream
        self._address = host, port

    def _listen(self) -> _TCPListener:
        listener = _TCPListener(self._address, _Handler)
        self.host = f"{self._address[0]}:{listener.server_address[1]}"
        return listener

    @contextlib.contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        """A connection to the registry for one request."""
        with contextlib.closing(http.client.HTTPConnection(self.upstream, timeout=60)) as connection:
            yield connection

    def answer(self, request: Request) -> Response:
        """Ask the registry, and return its answer; the Host header stays, so that its Locations lead back here."""
        path = request.path + (f"?{urlencode(request.query, doseq=True)}" if request.query else "")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
        try:
            with self.connected() as connection:
                connection.request(request.method, path, request.body, headers)
                answer = connection.getresponse()
                content = answer.read()
        except OSError:
            return Response(drop=True)
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
        return Response(answer.status, content, kept)


# A proxy before a real Engine


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _AtSocket(Server):
    """A server at its own socket, where an Engine listens."""

    def _listen(self) -> _UnixListener:
        # A socket's path has 107 bytes at most, and a test's own folder is too long.
        self._folder = tempfile.mkdtemp(prefix="engine-")
        self.socket = Path(self._folder, "docker.sock")
        return _UnixListener(str(self.socket), _Handler)

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        """Return the address as DOCKER_HOST wants it."""
        return f"unix://{self.socket}"


class EngineProxy(_AtSocket):
    """Pass every request on to a real Engine, unless a rule answers it; a stream passes as it comes."""

    def __init__(self, upstream: Path) -> None:
        super().__init__()
        self.upstream = upstream

    def answer(self, request: Request) -> Response:
        """Ask the Engine, and return its answer: whole, or as a stream where the Engine streams."""
        path = request.path + (f"?{urlencode(request.query, doseq=True)}" if request.query else "")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("transfer-encoding", "content-length")}
        connection = _UnixConnection(self.upstream)
        try:
            connection.request(request.method, path, request.body, headers)
            answer = connection.getresponse()
        except OSError:
            connection.close()
            return Response(drop=True)
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
        if answer.chunked and request.method != "HEAD":
            return Response(answer.status, self._pass_on(connection, answer), kept)
        with contextlib.closing(connection):
            return Response(answer.status, answer.read(), kept)

    def lose_answer(self, request: Request) -> Response:
        """Let the Engine finish, and close the connection instead of saying so: a rule."""
        answer = self.answer(request)
        if not isinstance(answer.body, bytes):
            for _ in answer.body:
                pass
        return Response(drop=True)

    @staticmethod
    def _pass_on(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        with contextlib.closing(connection):  # if a client leaves, its request to the Engine ends too
            while True:
                try:
                    chunk = answer.read1(65536)
                except (OSError, http.client.HTTPException):
                    raise Cut from None
                if not chunk:
                    return
                yield chunk


# A proxy before anything


class ForwardProxy(socketserver.ThreadingTCPServer):
    """Send every request to one server, whatever host it names, and keep the heads of the requests."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = ("127.0.0.1", port)
        self.heads: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Forward(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, ForwardProxy)
        head = b""
        while b"\r\n\r\n" not in head and (received := self.request.recv(65536)):
            head += received
        self.server.heads.append(head.decode())
        with socket.create_connection(self.server.upstream) as upstream:
            if head.startswith(b"CONNECT "):
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream.sendall(head)
            back = threading.Thread(target=_pump, args=(upstream, self.request))
            back.start()
            _pump(self.request, upstream)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


# The Engine


Push = Callable[[str, str], Iterable[Message]]
"""Yield the messages of a push, given the name without a tag, and the tag."""

_API = r"(?:/v[0-9.]+)?"
_IMAGE = re.compile(rf"{_API}/images/(?P<name>.+?)(?P<verb>/json|/tag|/push|)")


def recorded(transcript: str) -> list[Message]:
    """Read a recorded push stream, such as `docker-29-containerd/first-push`."""
    lines = (DATA / "push-streams" / f"{transcript}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def push_error(message: str) -> Message:
    """Write the message by which an engine says inside a 200 that a push failed."""
    return {"errorDetail": {"message": message}, "error": message}


class FakeEngine(_AtSocket):
    """Answer on a unix socket as a Docker Engine does, for images that exist in name only.

    `images` maps an image ID to what inspecting it says, `tags` a `name:tag` to an image ID, `manifests` an image ID to
    the manifest that a push of it leaves in `registry`. Without a registry a push is refused a connection. Replace
    `push` to say anything else: what it yields is streamed, raising `Cut` in it closes the connection, waiting in it
    stalls the stream.
    """

    def __init__(
        self,
        registry: ModelRegistry | None = None,
        *,
        store: Literal["overlay2", "containerd"] = "overlay2",
        insecure: Iterable[str] = ("127.0.0.0/8",),
    ) -> None:
        super().__init__()
        self.registry, self.store = registry, store
        self.images: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}
        self.manifests: dict[str, bytes] = {}
        self.push: Push = self.deliver
        self.info: dict[str, Any] = {
            "ServerVersion": "20.10.24" if store == "overlay2" else "29.7.2",
            "Driver": "overlay2" if store == "overlay2" else "overlayfs",
            "DriverStatus": [["Backing Filesystem", "extfs"]]
            if store == "overlay2"
            else [["driver-type", "io.containerd.snapshotter.v1"]],
            "RegistryConfig": {
                "InsecureRegistryCIDRs": [cidr for cidr in insecure if "/" in cidr],
                "IndexConfigs": {
                    name: {"Name": name, "Mirrors": [], "Secure": name == "docker.io", "Official": name == "docker.io"}
                    for name in ["docker.io", *(host for host in insecure if "/" not in host)]
                },
            },
            "OSType": "linux",
            "Architecture": "x86_64",
        }

    def load(self, name: str, content: bytes) -> str:
        """Add an image of one layer under a name (`latest` unless it has a tag); return its ID."""
        if self.store == "containerd":
            body = manifest(content, media_type=OCI_MANIFEST)
            image = digest_of(body)
        else:
            body = manifest(content)
            image = json.loads(body)["config"]["digest"]
        self.manifests[image] = body
        self.images[image] = {"Id": image, "Os": "linux", "Architecture": "amd64", "Size": len(content)}
        self.tags[_tagged(name)] = image
        return image

    def deliver(self, name: str, tag: str) -> Iterator[Message]:
        """Push for real: store the manifest in the registry, and report what the Engine of this store reports."""
        yield {"status": f"The push refers to repository [{name}]"}
        host, _, repository = name.partition("/")
        if self.registry is None:
            yield push_error(f'Get "http://{host}/v2/": dial tcp 127.0.0.1:5000: connect: connection refused')
            return
        body = self.manifests[self.tags[f"{name}:{tag}"]]
        digest = self.registry.put(repository, tag, body)
        yield {"status": "Pushed", "progressDetail": {}, "id": digest[7:19]}
        yield {"status": f"{tag}: digest: {digest} size: {len(body)}"}
        if self.store != "containerd":
            yield {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": len(body)}}

    def answer(self, request: Request) -> Response:
        """Handle a request as an engine does."""
        path = unquote(request.path)
        if re.fullmatch(rf"{_API}/version", path):
            old = self.store == "overlay2"
            versions = {"ApiVersion": "1.41" if old else "1.55", "MinAPIVersion": "1.12" if old else "1.40"}
            return as_json(200, {"Version": self.info["ServerVersion"], "Os": "linux", "Arch": "amd64"} | versions)
        if re.fullmatch(rf"{_API}/_ping", path):
            return Response(200, b"OK", {"Content-Type": "text/plain"})
        if re.fullmatch(rf"{_API}/info", path):
            return as_json(200, self.info)
        if re.fullmatch(rf"{_API}/images/json", path):
            return as_json(200, [self._inspect(image) for image in self.images])
        if match := _IMAGE.fullmatch(path):
            handler = {
                ("GET", "/json"): self._show,
                ("POST", "/tag"): self._tag,
                ("POST", "/push"): self._push,
                ("DELETE", ""): self._remove,
            }
            if action := handler.get((request.method, match["verb"])):
                return action(match["name"], request.query)
        return as_json(404, {"message": "page not found"})

    def _inspect(self, image: str) -> dict[str, Any]:
        return self.images[image] | {"RepoTags": [tag for tag, held in self.tags.items() if held == image]}

    def _find(self, name: str) -> str | None:
        if image := self.tags.get(_tagged(name)):
            return image
        prefix = name.removeprefix("sha256:")
        return next((image for image in self.images if image.removeprefix("sha256:").startswith(prefix)), None)

    def _show(self, name: str, _: Mapping[str, list[str]]) -> Response:
        with self.lock:
            image = self._find(name)
            return as_json(200, self._inspect(image)) if image else _no_image(name)

    def _tag(self, name: str, query: Mapping[str, list[str]]) -> Response:
        with self.lock:
            image = self._find(name)
            if image is None:
                return _no_image(name)
            self.tags[f"{query['repo'][0]}:{query.get('tag', [''])[0] or 'latest'}"] = image
            return Response(201)

    def _remove(self, name: str, query: Mapping[str, list[str]]) -> Response:
        with self.lock:
            image = self._find(name)
            if image is None:
                return _no_image(name)
            held = [tag for tag, other in self.tags.items() if other == image]
            named = [_tagged(name)] if _tagged(name) in self.tags else held
            if len(named) > 1 and query.get("force", ["0"])[0] not in {"1", "true", "True"}:
                return as_json(409, {"message": f"conflict: unable to delete {name}: image has several tags"})
            for tag in named:
                del self.tags[tag]
            gone: list[dict[str, str]] = [{"Untagged": tag} for tag in named]
            if len(named) == len(held):
                del self.images[image]
                gone.append({"Deleted": image})
            return as_json(200, gone)

    def _push(self, name: str, query: Mapping[str, list[str]]) -> Response:
        tag = query.get("tag", [""])[0]
        local = [held.rpartition(":")[2] for held in self.tags if held.rpartition(":")[0] == name]
        if not local:
            missing = f"An image does not exist locally with the tag: {name}"
            return _stream([push_error(missing)])
        if tag and tag not in local:
            return _stream([push_error(f"tag does not exist: {name}:{tag}")])
        return _stream(message for each in ([tag] if tag else local) for message in self.push(name, each))


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _no_image(name: str) -> Response:
    return as_json(404, {"message": f"No such image: {_tagged(name)}"})


def _stream(messages: Iterable[Message]) -> Response:
    lines = (json.dumps(message).encode() + b"\r\n" for message in messages)
    return Response(200, lines, {"Content-Type": "application/json"})


# TLS


@dataclass(frozen=True, slots=True)
class Certificate:
    """The PEM files of a server's certificate, of its key, and of the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a server of this certificate listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


_OPENSSL = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[extensions]
{extensions}
"""


def certificate(folder: Path, host: str, *, identifiers: bool = True) -> Certificate:
    """Make an authority and a certificate for `host` (name or address) with the openssl command, valid for two days.

    Some authorities leave the key identifiers out, which not everything takes.
    """
    kind = "IP" if _is_address(host) else "DNS"
    made = Certificate(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    authority_key = folder / "ca.key"
    own, issuers = ("hash", "keyid") if identifiers else ("none", "none")
    constraints = "basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign"
    constraints = f"subjectKeyIdentifier = {own}\n{constraints}"
    names = f"basicConstraints = CA:FALSE\nsubjectAltName = {kind}:{host}"
    names = f"subjectKeyIdentifier = {own}\nauthorityKeyIdentifier = {issuers}\n{names}"
    _openssl(made.authority, authority_key, _OPENSSL.format(name="Test authority", extensions=constraints))
    signed_by = ["-CA", str(made.authority), "-CAkey", str(authority_key)]
    _openssl(made.certificate, made.key, _OPENSSL.format(name=host, extensions=names), *signed_by)
    return made


def _openssl(certificate: Path, key: Path, config: str, *options: str) -> None:
    settings = certificate.with_suffix(".conf")
    settings.write_text(config)
    files = ["-config", str(settings), "-extensions", "extensions", "-out", str(certificate), "-keyout", str(key)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *files, *options], check=True, capture_output=True)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
