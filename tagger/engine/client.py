"""The Docker Engine, through docker-py: find an image, tag it, push a tag; its stream's errors become ours.

A push that fails answers HTTP 200 and says so in the stream, so success is proved: no error, and a digest for our tag.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import math
import os
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.credentials.docker import Credential, DockerConfig
from tagger.errors import (
    BrokenOff,
    Denied,
    EngineError,
    EngineUnreachable,
    ImageNotFound,
    Immutable,
    InputError,
    InvalidReference,
    Refused,
    TaggerError,
    Transient,
    Unproven,
    WrongImage,
)
from tagger.events import Meter, Upload
from tagger.names import Digest, Reference, Registry, Repository, Tag, is_image_id, parse_digest
from tagger.text import printable
from tagger.work import Patience, Trace

if TYPE_CHECKING:
    import docker

DEFAULT_HOST = "unix:///var/run/docker.sock"
# docker-py's own limit of 60 s ends a push whose registry is silent for that long while a large layer is stored.
_SILENCE_SECONDS = 600
_DIGEST_LINE = re.compile(r"(\S+): digest: (sha256:[0-9a-f]{64})(?: size: \d+)?")
# Names, addresses and paths in an Engine's text: their digits and words say nothing of what went wrong.
_NAMES = re.compile(r"'[^']*'|\S*/\S*")
_STATUS = re.compile(
    r"\b(?:HTTP(?: status(?: code)?)?|status(?: ?code)?|status from [A-Z]+ request to)\b:?\s+([1-5]\d\d)\b",
    re.IGNORECASE,
)
_LONGEST_REASON, _MOST_READ = 900, 4000
_TAG_ATTEMPTS = 3
_PUT_RIGHT = "put that right and run the same command again"
_RIGHT = "ask for the right to push"


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# What a text means that begins with its status, if it has one; the first that fits counts.
_MEANINGS: tuple[tuple[re.Pattern[str], type[TaggerError], str], ...] = (
    (
        _says(r"server gave HTTP response to HTTPS client"),
        EngineError,
        "add the registry to the Engine's insecure-registries and restart the Engine",
    ),
    (
        _says(r"immutab|cannot be (?:overwritten|updated)|disallowed"),
        Immutable,
        "release a new version, and exclude floating tags from the immutability rule or set floats = []",
    ),
    (_says(r"^4(?:08|25|29) |toomanyrequests|too many requests"), Transient, "run the same command again later"),
    (_says(r"quota|storage resource|exceed\w* .*\blimit\b"), Refused, "make room in the registry, or ask for more"),
    (
        _says(r"^(?:404)? name unknown|repository with name .* does not exist|project .*not found"),
        Refused,
        "create the repository in the registry first",
    ),
    (
        _says(
            r"^(?!.*insufficient_scope)(?:401 |.*(?:no basic auth credentials|unauthorized|authentication required"
            r"|(?:invalid|incorrect) username))"
        ),
        Denied,
        f"run docker login for the registry, or {_RIGHT}",
    ),
    (
        _says(r"^40[13] |(?<!connect: permission )\bdenied\b|authori[sz]ation failed|insufficient_scope|forbidden"),
        Denied,
        _RIGHT,
    ),
    (_says(r"^4\d\d "), EngineError, _PUT_RIGHT),
    # What passes by itself; Engines try the upload of a layer again, but never that of a manifest.
    (
        _says(
            r"^5\d\d |\bEOF\b|connection refused|reset by peer|broken pipe|timed? ?out|timeout|unavailable|temporar"
            r"|^ unknown:|internal server error|unreachable|blob upload"
        ),
        Transient,
        _PUT_RIGHT,
    ),
)
_CONTAINERD_STORE = ["driver-type", "io.containerd.snapshotter.v1"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the Engine: its ID, its names, its manifest's digest where the store has one, and its labels."""

    id: Digest
    names: tuple[str, ...]
    digest: Digest | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def is_named(self, text: str) -> bool:
        """Say whether the text is a name of the image, rather than the beginning of its ID."""
        hexadecimal = self.id.partition(":")[2]
        if is_image_id(text) or not hexadecimal.startswith(text):
            return not is_image_id(text)
        return Reference.parse(text).repository in {Reference.parse(name).repository for name in self.names}


class Engine:
    """A Docker Engine that answers."""

    def __init__(
        self,
        client: docker.APIClient,
        host: str,
        credential: Callable[[Repository], Credential | None],
        *,
        patience: Patience | None = None,
        trace: Trace | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.host = host
        self._meter = meter
        self._patience = patience or Patience()
        self._trace = trace
        self._client = client
        self._credential = credential
        self._known: Mapping[str, Any] | None = None
        self._podman = ""
        self._tagging = threading.Lock()
        # docker-py's push gives a generator of messages and keeps the HTTP answer to itself.
        self._answers = threading.local()
        client.hooks["response"].append(self._remember)

    @classmethod
    def open(
        cls,
        config: DockerConfig,
        credential: Callable[[Repository], Credential | None],
        environ: Mapping[str, str] | None = None,
        *,
        patience: Patience | None = None,
        trace: Trace | None = None,
        meter: Meter | None = None,
    ) -> Engine:
        """Connect to the Engine that DOCKER_HOST, DOCKER_CONTEXT or the current context names.

        Raises EngineUnreachable when none answers there, or the context does not exist.
        """
        environ = os.environ if environ is None else environ
        host = host_of(config, environ)
        try:
            client = _client(host, _tls(config, environ), config.http_headers)
        except TaggerError:
            raise
        except Exception as error:  # noqa: BLE001 - docker-py wraps whatever went wrong on the way to the first answer
            raise _unreachable(host, error) from None
        return cls(client, host, credential, patience=patience, trace=trace, meter=meter)

    def image(self, name: str) -> Image:
        """Find an image by its name, ID or digest.

        Raises ImageNotFound, InvalidReference, and InputError for a manifest list of Podman.
        """
        if not is_image_id(name):
            Reference.parse(name)  # a path such as ../volumes/x would reach another endpoint of the Engine
        found = self._inspect(name)
        if found is None:
            raise ImageNotFound(
                f"the Engine at {printable(self.host)} has no image {printable(name)}: build or pull it, or see"
                " docker images"
            )
        if self._is_podman_list(name):
            raise InputError(
                f"{printable(name)} is a manifest list of Podman, whose Docker API shows one platform of it alone: push"
                f" it with podman manifest push --all {printable(name)} docker://REPOSITORY:TAG, and release that with"
                " tagger promote"
            )
        return found

    def tagged(self, reference: Reference) -> Image | None:
        """Give the image that a local tag points at, None if there is no such tag."""
        return self._inspect(str(reference))

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image ID, and see that it is there. Raises EngineError.

        One tag is made after the other: of two at once Podman loses one, and says that it made both.
        """
        for _ in range(_TAG_ATTEMPTS):
            with self._tagging:
                with _translated(f"tag {reference}"):
                    self._client.tag(image, str(reference.repository), reference.tag)
                held = self.tagged(reference)
            if held and held.id == image:
                return
        raise EngineError(
            f"the Engine says that it made the local tag {reference}, and does not have it: keep other programs away"
            " from it, and run the same command again"
        )

    def untag(self, reference: Reference) -> None:
        """Take a local tag away, unless it is the image's last name, since then the image would go with it."""
        image = self.tagged(reference)
        if image is None or len(image.names) == 1:
            return
        with _translated(f"untag {reference}"):
            self._client.remove_image(str(reference), noprune=True)

    def push(self, reference: Reference) -> Digest:
        """Push one tag and give the digest that the Engine says it has now.

        Raises Denied, EngineError, CredentialsError.
        """
        assert reference.tag, "without a tag the Engine pushes every local tag of the repository"  # noqa: S101
        credential = self._credential(reference.repository)
        # An empty mapping means anonymous; None would make docker-py look for credentials by rules of its own.
        auth = credential.for_engine(reference.repository) if credential else {}
        left = self._patience.left()
        self._client.timeout = _SILENCE_SECONDS if left is None else min(math.ceil(left), _SILENCE_SECONDS)
        with self._timed(), _translated(f"push {reference}"):
            messages = self._client.push(
                str(reference.repository), tag=reference.tag, stream=True, decode=True, auth_config=auth
            )
            try:
                return pushed_digest(self._in_time(messages), reference.tag, logged_in=credential is not None)
            finally:
                # Closing the answer is what makes the Engine give up a push that was interrupted.
                self._answers.last.close()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Say of a push that broke off at the end of the time that the time was over."""
        try:
            yield
        except BrokenOff:
            self._patience.left()
            raise

    def _in_time(self, messages: Iterable[object]) -> Iterator[object]:
        """Pass the messages of a push on until the time is over, also when none comes."""
        for message in messages:
            left, connection = self._patience.left(), self._answers.last.raw.connection
            if left is not None and connection and connection.sock:
                connection.sock.settimeout(min(left, _SILENCE_SECONDS))
            if self._meter and (upload := _upload(message)):
                self._meter(upload)
            yield message

    def allows_insecure(self, registry: Registry) -> bool:
        """Say whether the Engine would use plain HTTP or unverified TLS for a registry (`insecure-registries`)."""
        try:
            config = self._info().get("RegistryConfig") or {}
            listed = (config.get("IndexConfigs") or {}).get(registry.host)
            if listed and not listed.get("Secure", True):
                return True
            networks = [ipaddress.ip_network(text) for text in config.get("InsecureRegistryCIDRs") or []]
        except (TypeError, AttributeError, ValueError):
            raise _nonsense("the registries that it trusts") from None
        return any(address in network for address in addresses(registry) for network in networks)

    def about(self) -> str:
        """Say what it is, and how it stores images. Raises EngineError."""
        info = self._info()
        kind = "Podman" if self._podman else "Docker Engine"
        if not info:
            return f"{kind}, which keeps its version and its image store to itself"
        version, driver = (printable(info.get(key), 60) for key in ("ServerVersion", "Driver"))
        return f"{kind} {version}, {'containerd image store' if self._keeps_manifests() else f'image store {driver}'}"

    def close(self) -> None:
        """Close every connection; a push under way is given up."""
        self._client.close()

    def _remember(self, answer: Any, **_: object) -> None:
        self._answers.last = answer
        self._podman = answer.headers.get("Libpod-Api-Version", self._podman)
        if self._trace:
            path = urllib.parse.urlsplit(answer.request.url).path
            milliseconds = answer.elapsed.total_seconds() * 1000
            self._trace(
                f"Engine: {answer.request.method} {printable(path)} {answer.status_code} in {milliseconds:.0f} ms"
            )

    def _inspect(self, name: str) -> Image | None:
        import docker.errors

        with _translated(f"look at {name}"):
            try:
                found = self._client.inspect_image(name)  # type: ignore[no-untyped-call] # the stubs lack it
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                said = printable(error.explanation)
                if "lowercase" in said or "invalid reference" in said:
                    raise InvalidReference(f"the Engine takes no image of the name {printable(name)}: {said}") from None
                raise
        try:
            image_id, names = parse_digest(str(found["Id"])), tuple(map(str, found.get("RepoTags") or ()))
            labels = {str(k): str(v) for k, v in ((found.get("Config") or {}).get("Labels") or {}).items()}
        except (TypeError, LookupError, AttributeError, InvalidReference):
            raise _nonsense(f"image {name}") from None
        return Image(image_id, names, image_id if self._keeps_manifests() else None, labels)

    def _is_podman_list(self, name: str) -> bool:
        """Say whether a name is a manifest list, which only Podman's own API tells."""
        if not self._podman:
            return False
        version, path = urllib.parse.quote(self._podman), urllib.parse.quote(name, safe="/:@")
        url = f"{self._client.base_url}/v{version}/libpod/manifests/{path}/exists"
        with _translated(f"look at {name}"):
            return self._client.get(url, timeout=_SILENCE_SECONDS).status_code == HTTPStatus.NO_CONTENT

    def _keeps_manifests(self) -> bool:
        status = self._info().get("DriverStatus") or []
        return isinstance(status, list) and _CONTAINERD_STORE in status

    def _info(self) -> Mapping[str, Any]:
        import docker.errors

        if self._known is None:
            with _translated("ask for its configuration"):
                try:
                    self._known = self._client.info()
                except docker.errors.APIError as error:
                    if not error.is_client_error():
                        raise
                    self._known = {}  # a proxy before the Engine's socket keeps that to itself
        if not isinstance(self._known, dict):
            raise _nonsense("its configuration")
        return self._known


def _nonsense(of: str) -> EngineError:
    return EngineError(f"the Engine says of {printable(of)} what no Engine says: check DOCKER_HOST and its version")


def is_local(host: str) -> bool:
    """Say whether an Engine's address leads to this machine.

    >>> is_local("unix:///var/run/docker.sock"), is_local("tcp://127.0.0.1:2375"), is_local("ssh://build@192.0.2.7")
    (True, True, False)
    """
    try:
        parts = urllib.parse.urlsplit(host if "://" in host else f"tcp://{host}")
    except ValueError as error:
        raise _unreachable(host, error) from None
    if parts.scheme not in ("tcp", "http", "https", "ssh"):
        return True
    found = _resolved(parts.hostname or "")
    return bool(found) and all(address.is_loopback for address in found)


def is_missing(host: str) -> bool:
    """Say whether an address is that of an Engine which nobody named and which is not there."""
    return host == DEFAULT_HOST and not Path(DEFAULT_HOST.removeprefix("unix://")).exists()


def addresses(registry: Registry) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Resolve a registry's host; an unknown host has no addresses."""
    return _resolved(registry.hostname)


def _resolved(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for a label of more than 63 characters
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def pushed_digest(messages: Iterable[object], tag: Tag, *, logged_in: bool = False) -> Digest:
    """Read a push stream to its end and give the digest of our tag; `logged_in` says that credentials were sent.

    Engines with the graph-driver store say it in a status line and in an `aux` message, those with the containerd store
    in the status line alone.

    >>> line = "2.1.106: digest: sha256:" + "0" * 64 + " size: 2417"
    >>> pushed_digest([{"status": "Pushed", "id": "c722b2e5e5dc"}, {"status": line}], Tag("2.1.106"))[:12]
    'sha256:00000'

    Raises Refused, Denied and EngineError for an error in the stream or two digests; Unproven for no digest; WrongImage
    for an index that the Engine narrowed to one platform, which it calls a success.
    """
    found: set[str] = set()
    narrowed = False
    for message in messages:
        if not isinstance(message, dict):
            raise EngineError(
                f"the Engine's push of {tag} said {printable(message, 80)}, which is no message: try again"
            )
        if problem := _problem(message):
            raise _push_error(problem, tag, logged_in=logged_in)
        aux = message.get("aux")
        aux = aux if isinstance(aux, dict) else {}
        narrowed = narrowed or bool(aux.get("manifestPushedInsteadOfIndex") or aux.get("contentMissing"))
        if aux.get("Tag") == tag:
            found.add(str(aux.get("Digest")))
        if (line := _DIGEST_LINE.fullmatch(str(message.get("status", "")).strip())) and line[1] == tag:
            found.add(line[2])
    digest = _only(found)
    if narrowed:
        raise WrongImage(
            f"the Engine lacks a platform of the image behind {tag} and pushed another one alone: pull or build every"
            " platform, or release an image of one platform",
            digest,
        )
    if digest is None:
        seen = " and ".join(sorted(map(printable, found))) or "none"
        # Podman 3 may say nothing of a push that went well, so that the registry has to be asked.
        kind = EngineError if found else Unproven
        raise kind(f"the Engine's push of {tag} ended with digest: {seen}; run the same command again")
    return digest


def _upload(message: object) -> Upload | None:
    """Read how far the upload of a layer is."""
    if not isinstance(message, dict) or message.get("status") not in ("Pushing", "Pushed"):
        return None
    detail, layer = message.get("progressDetail"), printable(message.get("id"), 20)
    if message["status"] == "Pushed":
        return Upload(layer, 1, 1)
    done, total = (detail.get(key) for key in ("current", "total")) if isinstance(detail, dict) else (0, 0)
    if not isinstance(done, int) or not isinstance(total, int):
        return Upload(layer, 0, 0)
    return Upload(layer, done, max(total, done + 1))


def _only(found: set[str]) -> Digest | None:
    try:
        return parse_digest(*found) if len(found) == 1 else None
    except InvalidReference:
        return None


def _problem(message: dict[str, Any]) -> str | None:
    """Give the error that a message reports; `error` is deprecated since API 1.48, and `errorDetail` stays."""
    if not message.get("errorDetail") and not message.get("error"):
        return None
    detail = message.get("errorDetail")
    text = detail.get("message") if isinstance(detail, dict) else None
    return str(text or message.get("error") or "an error without a text")


def _push_error(text: str, tag: Tag, *, logged_in: bool) -> TaggerError:
    plain = _NAMES.sub(" ", text[:_MOST_READ])
    status = found[1] if (found := _STATUS.search(plain)) else ""
    fitting = ((kind, advice) for says, kind, advice in _MEANINGS if says.search(f"{status} {plain}"))
    kind, advice = next(fitting, (EngineError, _PUT_RIGHT))
    if advice == _RIGHT and not logged_in:  # registries do not say which of the two is missing
        advice = f"run docker login for the registry, or {_RIGHT}"
    return kind(f"the push of {tag} failed: {printable(text, _LONGEST_REASON)}: {advice}")


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn whatever docker-py and the libraries below it raise into an EngineError without their secrets."""
    import docker.errors
    import requests
    import urllib3.exceptions

    try:
        yield
    except docker.errors.APIError as error:
        page = "<" in str(error.explanation)
        said = f"HTTP {error.status_code}" if page or not error.explanation else printable(error.explanation)
        advice = "let the proxy before its socket allow that" if page and error.is_client_error() else "see its log"
        raise EngineError(f"the Engine failed to {what} ({said}): {advice}, and run the same command again") from None
    except (docker.errors.StreamParseError, RecursionError):
        raise BrokenOff(
            f"the Engine's answer to {what} broke off: see its log, and run the same command again"
        ) from None
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ) as error:
        # The exception's text may carry request headers, and so credentials: its kind has to do.
        raise BrokenOff(
            f"the connection to the Engine broke while it was to {what} ({type(error).__name__}): see whether it runs,"
            " and run the same command again"
        ) from None


def host_of(config: DockerConfig, environ: Mapping[str, str] | None = None) -> str:
    """Say at which address the Engine is, without asking there: DOCKER_HOST, then the context, then the local socket.

    Raises EngineUnreachable when there is no such context.
    """
    environ = os.environ if environ is None else environ
    if host := environ.get("DOCKER_HOST"):
        return host
    name = _context_name(config, environ)
    return DEFAULT_HOST if name == "default" else _context(config.folder / "contexts", name)[0]


def _context_name(config: DockerConfig, environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_CONTEXT") or config.context or "default"


def _tls(config: DockerConfig, environ: Mapping[str, str]) -> Any:
    """Give the TLS settings for the Engine at `host_of`, None for none."""
    import docker.tls

    if environ.get("DOCKER_HOST"):
        verified = bool(environ.get("DOCKER_TLS_VERIFY"))
        if not verified and not environ.get("DOCKER_TLS"):
            return None  # DOCKER_CERT_PATH alone does not mean TLS
        folder, skip = Path(environ.get("DOCKER_CERT_PATH") or config.folder), not verified
        present = _pem_files(folder)
    else:
        name, contexts = _context_name(config, environ), config.folder / "contexts"
        if name == "default":
            return None
        _, skip = _context(contexts, name)
        present = _pem_files(contexts / "tls" / _key(name) / "docker")
        if not present and not skip:
            return None
    client = (present["cert"], present["key"]) if {"cert", "key"} <= present.keys() else None
    return docker.tls.TLSConfig(client_cert=client, ca_cert=present.get("ca"), verify=not skip)


def _pem_files(folder: Path) -> dict[str, str]:
    files = {part: folder / f"{part}.pem" for part in ("ca", "cert", "key")}
    return {part: str(file) for part, file in files.items() if file.is_file()}


def _key(context: str) -> str:
    return hashlib.sha256(context.encode()).hexdigest()


def _context(folder: Path, name: str) -> tuple[str, bool]:
    """Read a Docker context: the Engine's address, and whether its certificate is not to be verified.

    docker-py takes the local socket when the context is unknown, which is another Engine.
    """
    try:
        content = json.loads((folder / "meta" / _key(name) / "meta.json").read_text(encoding="utf-8"))
        endpoint = content["Endpoints"]["docker"]
        return str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise EngineUnreachable(
            f"there is no Docker context '{printable(name)}': docker context ls shows those that are"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise EngineUnreachable(
            f"the Docker context '{printable(name)}' cannot be read: docker context inspect says more"
        ) from None


def _client(host: str, tls: Any, headers: Mapping[str, Any]) -> docker.APIClient:
    """Connect to an Engine, and leave nothing open if none answers."""
    import docker  # takes longer than everything else together, and only a release needs it
    import urllib3

    class Client(docker.APIClient):
        # docker-py reads the whole Docker configuration, and a bad entry of any other host breaks it; it takes no other
        # file than the environment's, which belongs to the whole process. An entry without a name keeps it from a look
        # for credentials elsewhere: a push brings its own.
        @property
        def _general_configs(self) -> dict[str, Any]:
            return {"auths": {"": {}}, "HttpHeaders": {name: str(value) for name, value in headers.items()}}

        @_general_configs.setter
        def _general_configs(self, _: dict[str, Any]) -> None:
            pass

        def __init__(self) -> None:
            try:
                super().__init__(base_url=host, tls=tls or False, timeout=_SILENCE_SECONDS)
            except BaseException:
                self.close()
                raise

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            # Else REQUESTS_CA_BUNDLE would override the CA that the context or DOCKER_CERT_PATH gives.
            verify = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, verify, cert)

    if tls and not tls.verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return Client()


def _unreachable(host: str, error: Exception) -> EngineUnreachable:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        reason = "you may not use its socket: join the group docker, or run this as one who may"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        reason = "its certificate is not trusted: give its CA by DOCKER_CERT_PATH or in the Docker context"
    elif "paramiko" in text:
        reason = "ssh needs docker-py's extra: pip install 'docker[ssh]'"
    else:
        reason = "start it, or say where it is with DOCKER_HOST or docker context use"
    return EngineUnreachable(f"no Docker Engine answers at {printable(host)}: {reason}")
