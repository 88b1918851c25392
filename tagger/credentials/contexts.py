"""Where the Docker Engine is: DOCKER_HOST, then the Docker context, then the local socket."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tagger.credentials.docker import DockerConfig, content_of
from tagger.errors import EngineUnreachable
from tagger.text import printable
from tagger.values import dataclass

DEFAULT_HOST = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS with an Engine: the file of its CA, the client's certificate and key, and whether the Engine is verified."""

    ca: str | None
    client: tuple[str, str] | None
    verify: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an Engine, and its TLS settings; None leaves them to the scheme of DOCKER_HOST."""

    host: str
    tls: Tls | None = None

    @property
    def is_missing(self) -> bool:
        """Whether this is the default local socket, and that socket does not exist."""
        return self.host == DEFAULT_HOST and not Path(DEFAULT_HOST.removeprefix("unix://")).exists()


def endpoint(config: DockerConfig, environ: Mapping[str, str] | None = None) -> Endpoint:
    """Return the Engine of the environment and the Docker configuration, without a request to it.

    Raises EngineUnreachable when its context does not exist or cannot be read.
    """
    environ = os.environ if environ is None else environ
    if host := environ.get("DOCKER_HOST"):
        verify = bool(environ.get("DOCKER_TLS_VERIFY"))
        # DOCKER_CERT_PATH alone does not mean TLS.
        if not verify and not environ.get("DOCKER_TLS"):
            return Endpoint(host)
        return Endpoint(host, _tls(Path(environ.get("DOCKER_CERT_PATH") or config.folder), verify=verify))
    name = environ.get("DOCKER_CONTEXT") or config.context or "default"
    return Endpoint(DEFAULT_HOST) if name == "default" else _context(config.folder / "contexts", name)


def _context(folder: Path, name: str) -> Endpoint:
    """Return the Engine of a Docker context; docker-py would use the local socket for a missing context."""
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        content = json.loads(content_of(folder / "meta" / key / "meta.json"))
        engine = content["Endpoints"]["docker"]
        host, verify = str(engine["Host"]), not engine.get("SkipTLSVerify")
    except FileNotFoundError:
        raise EngineUnreachable(
            f"there is no Docker context '{printable(name)}'", "docker context ls shows the contexts"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise EngineUnreachable(
            f"the Docker context '{printable(name)}' cannot be read", "check it with docker context inspect"
        ) from None
    files = folder / "tls" / key / "docker"
    return Endpoint(host, _tls(files, verify=verify) if any(files.glob("*.pem")) or not verify else None)


def _tls(folder: Path, *, verify: bool) -> Tls:
    ca, certificate, key = (
        str(file) if (file := folder / f"{part}.pem").is_file() else None for part in ("ca", "cert", "key")
    )
    return Tls(ca, (certificate, key) if certificate and key else None, verify)
