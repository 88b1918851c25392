"""Credentials from the Docker configuration, the same for the Engine's push and for the registry.

The order: $DOCKER_AUTH_CONFIG; then the host's entry in `credHelpers`, which is final, as for the docker command line;
then `auths`; then `credsStore`. The entry with the longest `host/path` that leads to the repository comes first,
the host's own last. An entry of another host or of another team's path is never used, and cannot break anything.
"""

from __future__ import annotations

import base64
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from tagger.credentials.credential import Credential, Secret, credential_of
from tagger.credentials.helpers import Helpers
from tagger.errors import CredentialsError
from tagger.names import DOCKER_HUB, Repository
from tagger.text import printable
from tagger.values import dataclass

_DOCKER_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """The part of the Docker configuration that tagger reads, and its folder.

    `injected` names the entries of `auths` that come from $DOCKER_AUTH_CONFIG.
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

        Raises CredentialsError for a file that cannot be read or is not a JSON object.
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
        """Return the credential for a repository; None means anonymous. Raises what `resolved` raises."""
        return self.resolved(repository, helpers)[0]

    def resolved(self, repository: Repository, helpers: Helpers | None = None) -> tuple[Credential | None, str]:
        """Return the credential for a repository (None: anonymous), and the last place of the search.

        Raises CredentialsError for a broken entry or helper.
        """
        host = _plain_key(repository.registry.host)
        # As for the docker command line, an empty helper means that not even `credsStore` is asked.
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
            raise CredentialsError(f"{where} is not a JSON object", f"run docker login {printable(name)} again")
        token = entry.get("identitytoken")
        try:
            login = _decode(str(entry.get("auth") or ""), where, name) or _plain(entry)
        except CredentialsError:
            if not token:
                raise
            login = None  # the identity token is enough
        if not token:
            return login
        return Credential("", Secret(str(token)), login if _is_password(login) else None)


def _decode(auth: str, where: str, name: str) -> Credential | None:
    """Decode user and password from base64; None for an empty text. Line breaks do not count, as in Go."""
    encoded = auth.replace("\r", "").replace("\n", "")
    if not encoded:
        return None
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        colon = ""
    if not colon:
        raise CredentialsError(f"{where} does not decode to USER:PASSWORD", f"run docker login {printable(name)} again")
    return credential_of(username, password.rstrip("\0"))


def _plain(entry: Mapping[str, Any]) -> Credential | None:
    username, password = entry.get("username"), entry.get("password")
    return credential_of(str(username), str(password)) if username and password else None


def _is_password(login: Credential | None) -> bool:
    return login is not None and not login.is_identity_token and bool(login.secret.reveal())


def _keys(repository: Repository) -> Iterator[str]:
    parts = (_plain_key(repository.registry.host) + "/" + repository.path).split("/")
    return ("/".join(parts[:end]) for end in range(len(parts), 0, -1))


def _plain_key(key: str) -> str:
    """Return a key as host or host/path: `https://registry.local:5000/v1/` means its host."""
    host, _, path = key.rpartition("://")[2].partition("/")
    host = DOCKER_HUB if host in _DOCKER_HUB_HOSTS else host
    path = path.strip("/")
    return host if path in ("", "v1", "v2") else f"{host}/{path}"


def content_of(file: Path) -> str:
    """Read a text file. Raises UnicodeDecodeError, and OSError, for a pipe too, because it may never end."""
    if file.is_fifo():
        raise OSError(errno.EINVAL, "it is a pipe")
    return file.read_text(encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    try:
        return _parse(content_of(file), str(file))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CredentialsError(
            f"{file} cannot be read ({reason})", "fix it, or point DOCKER_CONFIG elsewhere"
        ) from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise CredentialsError(f"{where} is not a JSON object", "fix it, or run docker login with a new one")
    return content


def _mapping(content: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise CredentialsError(f"{key} in {where} is not a JSON object", "fix it")
    return value


def _text(content: dict[str, Any], key: str, where: str) -> str | None:
    value = content.get(key) or None
    if value is not None and not isinstance(value, str):
        raise CredentialsError(f"{key} in {where} is not a string", "fix it")
    return value
