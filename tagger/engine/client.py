"""The Docker Engine, through docker-py: find an image, tag it, push a tag."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import Any

from tagger.credentials.contexts import endpoint
from tagger.credentials.credential import Credential
from tagger.credentials.docker import DockerConfig
from tagger.engine.address import addresses
from tagger.engine.connect import SILENCE_SECONDS, connect
from tagger.engine.failures import nonsense, translated
from tagger.engine.push_stream import as_refusal, pushed_digest, upload
from tagger.errors import AGAIN, ConnectionLost, EngineError, ImageNotFound, InputError, InvalidReference
from tagger.events import Meter
from tagger.image_name import ImageName
from tagger.names import Digest, Reference, Registry, Repository, parse_digest
from tagger.text import printable
from tagger.values import dataclass
from tagger.work import Deadline, Trace

_TAG_ATTEMPTS = 10  # releases on one Engine may take each other's local tags away, several times in a row
_CONTAINERD_STORE = ["driver-type", "io.containerd.snapshotter.v1"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the Engine: its ID, names and labels, and the digest of its manifest if the store has one."""

    id: Digest
    names: tuple[str, ...]
    digest: Digest | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def is_named(self, name: ImageName) -> bool:
        """Return whether this is a name of the image, and not its ID or the beginning of that."""
        if name.reference is None or not self.id.partition(":")[2].startswith(name.text):
            return name.reference is not None
        return name.reference.repository in {Reference.parse(other).repository for other in self.names}


class Engine:
    """A Docker Engine that answers."""

    def __init__(
        self,
        config: DockerConfig,
        credential: Callable[[Repository], Credential | None],
        environ: Mapping[str, str] | None = None,
        *,
        deadline: Deadline | None = None,
        trace: Trace | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Connect to the Engine that DOCKER_HOST, DOCKER_CONTEXT or the current context names.

        Raises EngineUnreachable when none answers there, or the context does not exist.
        """
        place = endpoint(config, environ)
        self.host = place.host
        self._client = connect(place, config.http_headers)
        self._credential = credential
        self._deadline = deadline or Deadline()
        self._trace = trace
        self._meter = meter
        self._known: Mapping[str, Any] | None = None
        self._podman = ""
        self._tagging = threading.Lock()
        # docker-py's push returns a generator of messages, not an HTTP answer.
        self._answers = threading.local()
        self._client.hooks["response"].append(self._remember)

    def image(self, name: ImageName) -> Image:
        """Return the image with a name, ID or digest.

        Raises ImageNotFound, and InputError for a manifest list of Podman.
        """
        found = self._inspect(name.text)  # no path such as ../volumes/x, which would be another endpoint
        if found is None:
            raise ImageNotFound(
                f"the Engine at {printable(self.host)} has no image {printable(name.text)}",
                "build or pull it; docker images shows what there is",
            )
        if self._is_podman_list(name.text):
            raise InputError(
                f"{printable(name.text)} is a manifest list of Podman, whose Docker API shows only one platform",
                f"push it with podman manifest push --all {printable(name.text)} docker://REPOSITORY:TAG, and release"
                f" that with tagger promote",
            )
        return found

    def names(self) -> list[str]:
        """Return the names of all images. Raises EngineError."""
        with translated("list images"):
            return [name for each in self._client.images() for name in each["RepoTags"] or () if "<none>" not in name]

    def tagged(self, reference: Reference) -> Image | None:
        """Return the image of a local tag, None if there is no such tag."""
        return self._inspect(str(reference))

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image ID, and check that it is there. Raises EngineError.

        Tags are created one after the other: Podman loses one of two concurrent ones, and reports success for both.
        """
        for _ in range(_TAG_ATTEMPTS):
            with self._tagging:
                with translated(f"tag {reference}"):
                    self._client.tag(image, str(reference.repository), reference.tag)
                held = self.tagged(reference)
            if held and held.id == image:
                return
        raise EngineError(
            f"the Engine created the local tag {reference}, but no longer has it",
            f"keep other programs from removing it, and {AGAIN}",
        )

    def untag(self, reference: Reference) -> None:
        """Remove a local tag, unless it is the last name of the image, which would be deleted with it."""
        image = self.tagged(reference)
        if image is None or len(image.names) == 1:
            return
        with translated(f"untag {reference}"):
            self._client.remove_image(str(reference), noprune=True)

    def push(self, reference: Reference) -> Digest:
        """Push one tag, and return the digest that the Engine reports for it.

        Raises Denied, EngineError, CredentialsError.
        """
        assert reference.tag, "without a tag the Engine pushes every local tag of the repository"  # noqa: S101
        credential = self._credential(reference.repository)
        # An empty mapping means anonymous; None would make docker-py look for credentials by its own rules.
        auth = credential.for_engine(reference.repository) if credential else {}
        left = self._deadline.left()
        self._client.timeout = SILENCE_SECONDS if left is None else min(math.ceil(left), SILENCE_SECONDS)
        with self._timed(), translated(f"push {reference}"):
            messages = self._messages(reference, auth)
            try:
                return pushed_digest(self._in_time(messages), reference.tag, logged_in=credential is not None)
            finally:
                # The Engine gives up an interrupted push when the answer is closed.
                self._answers.last.close()

    def _messages(self, reference: Reference, auth: dict[str, str]) -> Iterable[object]:
        """Return the messages of the Engine while it pushes a tag."""
        import docker.errors

        messages: Iterable[object]
        try:
            messages = self._client.push(
                str(reference.repository), tag=reference.tag, stream=True, decode=True, auth_config=auth
            )
        except docker.errors.APIError as error:
            # Podman 5 sends the message of a stream with HTTP 500, because it has streamed nothing yet.
            if not (refusal := as_refusal(str(error.explanation))):
                raise
            messages = [refusal]
        return messages

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Raise TimedOut for a push that stopped because the time was over."""
        try:
            yield
        except ConnectionLost:
            self._deadline.left()
            raise

    def _in_time(self, messages: Iterable[object]) -> Iterator[object]:
        """Yield the messages of a push until the time is over, even if none arrives."""
        for message in messages:
            left, connection = self._deadline.left(), self._answers.last.raw.connection
            if left is not None and connection and connection.sock:
                connection.sock.settimeout(min(left, SILENCE_SECONDS))
            if self._meter and (far := upload(message)):
                self._meter(far)
            yield message

    def allows_insecure(self, registry: Registry) -> bool:
        """Return whether the Engine would use plain HTTP or unverified TLS for a registry (`insecure-registries`)."""
        try:
            config = self._info().get("RegistryConfig") or {}
            listed = (config.get("IndexConfigs") or {}).get(registry.host)
            if listed and not listed.get("Secure", True):
                return True
            networks = [ipaddress.ip_network(text) for text in config.get("InsecureRegistryCIDRs") or []]
        except (TypeError, AttributeError, ValueError):
            raise nonsense("the registries that it trusts") from None
        return any(address in network for address in addresses(registry.hostname) for network in networks)

    def about(self) -> str:
        """Describe the Engine, and how it stores images. Raises EngineError."""
        info = self._info()
        kind = "Podman" if self._podman else "Docker Engine"
        if not info:
            return f"{kind}, which hides its version and its image store"
        version, driver = (printable(info.get(key), 60) for key in ("ServerVersion", "Driver"))
        return f"{kind} {version}, {'containerd image store' if self._keeps_manifests() else f'image store {driver}'}"

    def close(self) -> None:
        """Close every connection; this ends a running push."""
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

        with translated(f"look at {name}"):
            try:
                found = self._client.inspect_image(name)  # type: ignore[no-untyped-call] # the stubs lack it
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                said = printable(error.explanation)
                if "lowercase" in said or "invalid reference" in said:
                    raise InvalidReference(
                        f"the Engine does not accept the image name {printable(name)}", said
                    ) from None
                raise
        try:
            image_id, names = parse_digest(str(found["Id"])), tuple(map(str, found.get("RepoTags") or ()))
            labels = {str(k): str(v) for k, v in ((found.get("Config") or {}).get("Labels") or {}).items()}
        except (TypeError, LookupError, AttributeError, InvalidReference):
            raise nonsense(f"image {name}") from None
        return Image(image_id, names, image_id if self._keeps_manifests() else None, labels)

    def _is_podman_list(self, name: str) -> bool:
        """Return whether a name is a manifest list, which only Podman's own API shows."""
        if not self._podman:
            return False
        version, path = urllib.parse.quote(self._podman), urllib.parse.quote(name, safe="/:@")
        url = f"{self._client.base_url}/v{version}/libpod/manifests/{path}/exists"
        with translated(f"look at {name}"):
            return self._client.get(url, timeout=SILENCE_SECONDS).status_code == HTTPStatus.NO_CONTENT

    def _keeps_manifests(self) -> bool:
        status = self._info().get("DriverStatus") or []
        return isinstance(status, list) and _CONTAINERD_STORE in status

    def _info(self) -> Mapping[str, Any]:
        import docker.errors

        if self._known is None:
            with translated("ask for its configuration"):
                try:
                    self._known = self._client.info()
                except docker.errors.APIError as error:
                    if not error.is_client_error():
                        raise
                    self._known = {}  # a proxy before the Engine's socket hides it
        if not isinstance(self._known, dict):
            raise nonsense("its configuration")
        return self._known
