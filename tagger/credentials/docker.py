"""Credentials from the Docker configuration, resolved once for the Engine's push and the registry client alike.

The order: $DOCKER_AUTH_CONFIG; then the host's `credHelpers`, which has the last word where there is one, as for the
docker command line; then `auths`; then `credsStore`. Entries are tried by the longest `host/path` that leads to the
repository, then by host. One of another host or of another team's path is never used, and cannot break anything.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagger.errors import CredentialsError
from tagger.names import DOCKER_HUB, Repository
from tagger.text import hide, printable
from tagger.work import Patience

# Those of clouds may take a minute, and the docker command line waits for ever.
HELPER_SECONDS = 120.0
NOTICED_SECONDS = 3.0
_SLICE_SECONDS = 0.2
_HELPER_BYTES = 64 * 1024
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_DOCKER_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - the user name that means: the secret is an identity token
_NOT_FOUND = b"credentials not found"


class Secret:
    """A text that shows itself as `***` wherever it is printed, formatted or logged, and when a server quotes it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        hide(text.removeprefix("Basic ").removeprefix("Bearer "))

    def reveal(self) -> str:
        """Give the text: only to whoever sends it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, or, with no user name, an identity token (an OAuth2 refresh token).

    `login` is the user name and password beside an identity token, for token servers that take none.
    """

    username: str
    secret: Secret
    login: Credential | None = field(default=None, repr=False)

    @property
    def is_identity_token(self) -> bool:
        """Say whether the secret is an identity token."""
        return self.username in ("", _IDENTITY_TOKEN_USER)

    def basic(self) -> Secret:
        """Give the value of a Basic Authorization header (RFC 7617)."""
        pair = f"{self.username}:{self.secret.reveal()}".encode()
        return Secret("Basic " + base64.b64encode(pair).decode("ascii"))

    def for_engine(self, repository: Repository) -> dict[str, str]:
        """Give the Engine API's AuthConfig."""
        address = _DOCKER_HUB_KEY if repository.registry.is_docker_hub else repository.registry.host
        if self.is_identity_token:
            return {"identitytoken": self.secret.reveal(), "serveraddress": address}
        return {"username": self.username, "password": self.secret.reveal(), "serveraddress": address}


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What tagger reads of the Docker configuration, and the folder where that is.

    `injected` names those of `auths` that come from $DOCKER_AUTH_CONFIG.
    """

    folder: Path = field(default_factory=lambda: Path.home() / ".docker")
    auths: Mapping[str, Any] = field(default_factory=dict)
    injected: frozenset[str] = frozenset()
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str | None = None
    context: str | None = None
    http_headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> DockerConfig:
        """Read `config.json` of $DOCKER_CONFIG or ~/.docker, with $DOCKER_AUTH_CONFIG's entries before its own.

        Raises CredentialsError when a file is there that cannot be read or is no JSON object.
        """
        environ = os.environ if environ is None else environ
        folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home(), ".docker"))
        content = _read(folder / "config.json")
        extra = environ.get("DOCKER_AUTH_CONFIG")
        injected = _mapping(_parse(extra, "DOCKER_AUTH_CONFIG"), "auths", "DOCKER_AUTH_CONFIG") if extra else {}
        name = str(folder / "config.json")
        return cls(
            folder=folder,
            auths=injected | _mapping(content, "auths", name) | injected,  # in this order, with these values
            injected=frozenset(injected),
            helpers=_mapping(content, "credHelpers", name),
            store=_text(content, "credsStore", name),
            context=_text(content, "currentContext", name),
            http_headers=_mapping(content, "HttpHeaders", name),
        )

    def credential(self, repository: Repository, helpers: Helpers | None = None) -> Credential | None:
        """Resolve the credential for a repository; None means anonymous. Raises what `resolved` raises."""
        return self.resolved(repository, helpers)[0]

    def resolved(self, repository: Repository, helpers: Helpers | None = None) -> tuple[Credential | None, str]:
        """Resolve the credential for a repository, and say where it was looked for last; None means anonymous.

        Raises CredentialsError when the entry or the helper that is to give it is broken.
        """
        host = _plain_key(repository.registry.host)
        # As for the docker command line, one that is empty means that not even `credsStore` is asked.
        own = next((helper or "" for name, helper in self.helpers.items() if _plain_key(name) == host), None)
        for key in _keys(repository):
            for name, entry in self.auths.items():
                serves = _plain_key(name) == key and (not own or name in self.injected)
                if serves and (found := self._from_entry(name, entry)):
                    return found, self._place(name)
        helper, key = (self.store, "credsStore") if own is None else (own, "credHelpers")
        if not helper:
            return None, ""
        found = (helpers or Helpers()).credential(helper, repository)
        return found, f"docker-credential-{helper}, which {key} of {self.folder / 'config.json'} names"

    def _place(self, name: str) -> str:
        source = "DOCKER_AUTH_CONFIG" if name in self.injected else self.folder / "config.json"
        return f"the entry '{printable(name)}' of {source}"

    def _from_entry(self, name: str, entry: object) -> Credential | None:
        where = self._place(name)
        if not isinstance(entry, dict):
            raise CredentialsError(f"{where} is no JSON object: run docker login {printable(name)} again")
        token = entry.get("identitytoken")
        try:
            login = _decode(str(entry.get("auth") or ""), where, name) or _spelt_out(entry)
        except CredentialsError:
            if not token:
                raise
            login = None  # what is broken beside an identity token need not matter
        if not token:
            return login
        return Credential("", Secret(str(token)), login if _is_password(login) else None)


def _decode(auth: str, where: str, name: str) -> Credential | None:
    """Read what base64 hides, None where it is no user and no password; as in Go its line breaks do not count."""
    encoded = auth.replace("\r", "").replace("\n", "")
    if not encoded:
        return None
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, not ASCII, or not UTF-8 inside
        colon = ""
    if not colon:
        raise CredentialsError(f"{where} does not decode to USER:PASSWORD: run docker login {printable(name)} again")
    return _credential(username, password.rstrip("\0"))


def _spelt_out(entry: Mapping[str, Any]) -> Credential | None:
    username, password = entry.get("username"), entry.get("password")
    return _credential(str(username), str(password)) if username and password else None


def _credential(username: str, secret: str) -> Credential | None:
    """Give a credential; an identity token that is empty is none."""
    found = Credential(username, Secret(secret))
    return None if found.is_identity_token and not secret else found


def _is_password(login: Credential | None) -> bool:
    return login is not None and not login.is_identity_token and bool(login.secret.reveal())


def _keys(repository: Repository) -> Iterator[str]:
    parts = (_plain_key(repository.registry.host) + "/" + repository.path).split("/")
    return ("/".join(parts[:end]) for end in range(len(parts), 0, -1))


def _plain_key(key: str) -> str:
    """Bring a key to host or host/path: `https://registry.local:5000/v1/` means its host."""
    host, _, path = key.rpartition("://")[2].partition("/")
    host = DOCKER_HUB if host in _DOCKER_HUB_HOSTS else host
    path = path.strip("/")
    return host if path in ("", "v1", "v2") else f"{host}/{path}"


class Helpers:
    """The credential helpers that one command asks: each once for a host, however many repositories there are."""

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._asked: dict[tuple[object, str], _Once] = {}

    def credential(self, helper: object, repository: Repository) -> Credential | None:
        """Ask a helper for a repository's host; None when it knows no credential.

        Raises CredentialsError for one that is broken or does not answer, TimedOut and CalledOff.
        """
        if not isinstance(helper, str) or not _HELPER_NAME.fullmatch(helper):
            raise CredentialsError(
                f"'{printable(helper)}' in the Docker configuration does not name a credential helper: fix config.json"
            )
        server = _DOCKER_HUB_KEY if repository.registry.is_docker_hub else repository.registry.host
        with self._lock:
            once = self._asked.setdefault((helper, server), _Once())
        return once.get(lambda: self._ask(f"docker-credential-{helper}", server))

    def _ask(self, program: str, server: str) -> Credential | None:
        try:
            code, output = _run([program, "get"], server.encode(), self._patience)
        except OSError:
            raise CredentialsError(
                f"{program}, which the Docker configuration names for {server}, cannot be started: install it, or take"
                " it out of config.json and run docker login again"
            ) from None
        if code is None:
            raise CredentialsError(
                f"{program} gave no answer for {server} within {HELPER_SECONDS:g} s: run it by hand to see what it"
                " waits for"
            )
        if code:
            if _NOT_FOUND in output:
                return None
            raise CredentialsError(
                f"{program} failed for {server} with exit code {code}: try docker login {server} again"
            )
        return _helper_answer(program, server, output)


class _Once:
    """What is asked for once and remembered, an error too; who comes meanwhile waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Credential | CredentialsError | None = None
        self._done = False

    def get(self, ask: Callable[[], Credential | None]) -> Credential | None:
        with self._lock:
            if not self._done:
                try:
                    self._found = ask()
                except CredentialsError as error:
                    self._found = error
                self._done = True
            if isinstance(self._found, CredentialsError):
                raise self._found
            return self._found


def _run(command: list[str], words: bytes, patience: Patience) -> tuple[int | None, bytes]:
    """Run a credential helper; give its exit code, None when it took too long, and the beginning of what it printed.

    The output may hold the secret, so it is never shown, not even in an error; and the helper does not inherit the
    secrets of other hosts.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_AUTH_CONFIG"}
    with subprocess.Popen(  # noqa: S603 - the caller checks the name, and the configuration names it
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            return _converse(process, words, _Wait(patience, f"{command[0]} to give the login of {words.decode()}"))
        except TimeoutError:
            return None, b""
        finally:
            process.kill()


class _Wait:
    """A wait for a helper, piece by piece: it ends in time or when it is called off, and a long one is told."""

    def __init__(self, patience: Patience, awaited: str) -> None:
        self._patience, self._awaited = patience, awaited
        self._begun = time.monotonic()
        self._told = False

    def check(self) -> None:
        """Raise TimeoutError at its end, and what `Patience.check` raises."""
        self._patience.check()
        waited = time.monotonic() - self._begun
        if waited >= HELPER_SECONDS:
            raise TimeoutError
        if waited >= NOTICED_SECONDS and not self._told:
            self._told = True
            self._patience.tell(f"waiting for {self._awaited}")


def _converse(process: subprocess.Popen[bytes], words: bytes, wait: _Wait) -> tuple[int, bytes]:
    """Give a helper its words and take its answer; raise TimeoutError when it, or what it started, does not end."""
    assert process.stdin and process.stdout, "they are pipes"  # noqa: S101, PT018 - the caller makes them so
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(words)
        process.stdin.close()
    output = b""
    arriving = select.poll()
    arriving.register(process.stdout, select.POLLIN)
    while len(output) <= _HELPER_BYTES:
        wait.check()
        if not arriving.poll(_SLICE_SECONDS * 1000):
            continue
        piece = os.read(process.stdout.fileno(), _HELPER_BYTES)
        if not piece:
            break
        output += piece
    else:
        return 0, b""  # nobody's credential is that long
    while True:
        wait.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_SLICE_SECONDS), output


def _helper_answer(program: str, server: str, output: bytes) -> Credential | None:
    try:
        found = json.loads(output)
        return _credential(str(found["Username"] or ""), str(found["Secret"] or ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CredentialsError(
            f"{program} answered for {server} with something that is not a credential: try docker login {server} again"
        ) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return _parse(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CredentialsError(f"{file} cannot be read ({reason}): fix it, or point DOCKER_CONFIG elsewhere") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise CredentialsError(f"{where} is not a JSON object: fix it, or run docker login with a new one")
    return content


def _mapping(content: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise CredentialsError(f"{key} in {where} is not a JSON object: fix it")
    return value


def _text(content: dict[str, Any], key: str, where: str) -> str | None:
    value = content.get(key) or None
    if value is not None and not isinstance(value, str):
        raise CredentialsError(f"{key} in {where} is not a text: fix it")
    return value
