"""The exceptions of docker-py as errors of tagger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tagger.errors import AGAIN, ConnectionLost, EngineError, EngineUnreachable
from tagger.text import printable


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn whatever docker-py and the libraries below it raise into an EngineError without their secrets."""
    import docker.errors
    import requests
    import urllib3.exceptions

    try:
        yield
    except docker.errors.APIError as error:
        page = "<" in str(error.explanation)
        said = f"HTTP {error.status_code}" if page or not error.explanation else printable(error.explanation)
        advice = "allow that in the proxy before its socket" if page and error.is_client_error() else "see its log"
        raise EngineError(f"the Engine failed to {what} ({said})", f"{advice}, and {AGAIN}") from None
    except (docker.errors.StreamParseError, RecursionError):
        raise ConnectionLost(f"the Engine's answer to {what} was cut off", f"see its log, and {AGAIN}") from None
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ) as error:
        # The exception's text may contain request headers, and so credentials: only its class is shown.
        raise ConnectionLost(
            f"the connection to the Engine broke while tagger asked it to {what} ({type(error).__name__})",
            f"check that it runs, and {AGAIN}",
        ) from None


def nonsense(of: str) -> EngineError:
    """Return the error for an answer that no Engine gives."""
    return EngineError(f"the Engine sent an invalid answer about {printable(of)}", "check DOCKER_HOST and its version")


def unreachable(host: str, error: Exception) -> EngineUnreachable:
    """Return the error for an Engine that did not answer at all."""
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        reason = "you may not use its socket: join the group docker, or run tagger as a user who may"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        reason = "its certificate is not trusted: put its CA into DOCKER_CERT_PATH or the Docker context"
    elif "paramiko" in text:
        reason = "ssh needs docker-py's extra: pip install 'docker[ssh]'"
    else:
        reason = "start it, or set its address with DOCKER_HOST or docker context use"
    return EngineUnreachable(f"no Docker Engine answers at {printable(host)}", reason)
