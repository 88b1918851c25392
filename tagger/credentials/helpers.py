"""Credential helpers: the programs `docker-credential-NAME` that the Docker configuration names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import threading
from collections.abc import Callable

from tagger.credentials.credential import Credential, credential_of, server_of
from tagger.errors import CredentialsError
from tagger.names import Repository
from tagger.text import printable
from tagger.work import Deadline

# Helpers of cloud providers may take a minute, and the docker command line waits forever.
HELPER_SECONDS = 120.0
NOTICED_SECONDS = 3.0
_SLICE_SECONDS = 0.2
_HELPER_BYTES = 64 * 1024
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = b"credentials not found"


class Helpers:
    """The credential helpers of one command: each is asked once per host, for any number of repositories."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        self._deadline = deadline or Deadline()
        self._lock = threading.Lock()
        self._asked: dict[tuple[object, str], _Once] = {}

    def credential(self, helper: object, repository: Repository) -> Credential | None:
        """Ask a helper for the credential of a repository's host; None when it has none.

        Raises CredentialsError for a helper that is broken or does not answer, TimedOut and CalledOff.
        """
        if not isinstance(helper, str) or not _HELPER_NAME.fullmatch(helper):
            raise CredentialsError(
                f"'{printable(helper)}' in the Docker configuration does not name a credential helper",
                "fix config.json",
            )
        server = server_of(repository)
        with self._lock:
            once = self._asked.setdefault((helper, server), _Once())
        return once.get(lambda: self._ask(f"docker-credential-{helper}", server))

    def _ask(self, program: str, server: str) -> Credential | None:
        try:
            code, output = _run([program, "get"], server.encode(), self._deadline)
        except OSError:
            raise CredentialsError(
                f"{program}, which the Docker configuration names for {server}, cannot be started",
                "install it, or remove it from config.json and run docker login again",
            ) from None
        if code is None:
            raise CredentialsError(
                f"{program} gave no answer for {server} within {HELPER_SECONDS:g} s",
                "run it by hand to see what it waits for",
            )
        if code:
            if _NOT_FOUND in output:
                return None
            raise CredentialsError(
                f"{program} failed for {server} with exit code {code}", f"try docker login {server} again"
            )
        return _helper_answer(program, server, output)


class _Once:
    """An answer or an error that is requested once and remembered; other threads wait for it."""

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


def _run(command: list[str], words: bytes, deadline: Deadline) -> tuple[int | None, bytes]:
    """Run a credential helper; return its exit code (None: it took too long) and the beginning of its output.

    The output may hold the secret, so it is never shown, not even in an error. The helper does not inherit the secrets
    of other hosts.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_AUTH_CONFIG"}
    with subprocess.Popen(  # noqa: S603 - the caller checks the name, and the configuration names it
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            return _converse(process, words, _Wait(deadline, f"{command[0]} to give the login of {words.decode()}"))
        except TimeoutError:
            return None, b""
        finally:
            process.kill()


class _Wait:
    """A wait for a helper in short steps: it ends in time or when it is called off, and a long one is reported."""

    def __init__(self, deadline: Deadline, awaited: str) -> None:
        self._deadline, self._awaited = deadline, awaited
        self._begun = deadline.clock.monotonic()
        self._told = False

    def check(self) -> None:
        """Raise TimeoutError when it is over, and what `Deadline.check` raises."""
        self._deadline.check()
        waited = self._deadline.clock.monotonic() - self._begun
        if waited >= HELPER_SECONDS:
            raise TimeoutError
        if waited >= NOTICED_SECONDS and not self._told:
            self._told = True
            self._deadline.tell(f"waiting for {self._awaited}")


def _converse(process: subprocess.Popen[bytes], words: bytes, wait: _Wait) -> tuple[int, bytes]:
    """Send a helper its input and read its answer; raise TimeoutError when it, or a child of it, does not end."""
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
        return 0, b""  # no credential is that long
    while True:
        wait.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_SLICE_SECONDS), output


def _helper_answer(program: str, server: str, output: bytes) -> Credential | None:
    try:
        found = json.loads(output)
        return credential_of(str(found["Username"] or ""), str(found["Secret"] or ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CredentialsError(
            f"{program} answered for {server}, but with no usable credential",
            f"try docker login {server} again",
        ) from None
