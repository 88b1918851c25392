"""A registry's answer, and what it means: pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from tagger.errors import BadAnswer, Denied, Immutable, NoRepository, OverQuota, Refused, TaggerError, Unreadable
from tagger.names import Registry, Repository
from tagger.oci.manifest import content_of
from tagger.registry import refusal
from tagger.registry.refusal import Why
from tagger.registry.retry_after import seconds_to_wait
from tagger.registry.url import shown
from tagger.text import printable
from tagger.values import dataclass

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_MOST_ERRORS = 3
_REFUSALS: dict[Why, tuple[type[Refused], str]] = {
    Why.IMMUTABLE: (
        Immutable,
        (
            "exclude the floating tags from the immutability rule or set floats = [], and release another image under"
            " another version"
        ),
    ),
    Why.READ_ONLY: (Refused, "wait until it accepts writes again, or ask its administrator"),
    Why.QUOTA: (OverQuota, "remove old versions, as tagger prune does, or ask for a larger quota"),
    Why.NO_REPOSITORY: (NoRepository, "create the repository first, or check its name"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer; the body is no longer than the limit of the request.

    `lacks` is the missing right, such as "push", if the registry refuses a valid login.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    lacks: str = ""

    def content(self) -> dict[str, Any]:
        """The JSON object of the body; an empty one for anything else."""
        return content_of(self.body)

    def time(self) -> float | None:
        """Return the time in the answer, in seconds since 1970; None if it has none."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None

    def complaint(self) -> str:
        """The registry's own words: the status, and the code, message and detail of each error."""
        said = "; ".join(self._errors())
        return f"HTTP {self.status}, {said}" if said else f"HTTP {self.status}"

    def why(self, name: str = "") -> Why | None:
        """Return why the registry refuses this permanently; None if it does not. `name` is the repository's."""
        return refusal.reason(" ".join(self._errors()), self.status, name)

    def passes(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.status in _TRANSIENT and not self.why()

    def check(self, repository: Repository, what: str, *expected: HTTPStatus) -> None:
        """Raise what the status means, unless it is an expected one: a kind of Refused, Unreadable or BadAnswer."""
        if self.status not in expected:
            raise self._failure(repository, what)

    def _failure(self, repository: Repository, what: str) -> TaggerError:
        registry, path = repository.registry, repository.path
        why = self.why(path)
        if why is Why.NO_RIGHT:
            return Denied(f"{registry} does not let you {what} in {path} ({self.complaint()})", self._way_in(registry))
        failed = f"{registry} failed to {what} in {path} ({self.complaint()})"
        if why:
            kind, advice = _REFUSALS[why]
            return kind(failed, advice)
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return BadAnswer(
                failed,
                "that is too large for the registry or a proxy in front of it, so ask its administrator for a"
                " higher limit",
            )
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._for_now(Unreadable(failed, "try again, and see the registry's log"))
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._for_now(Unreadable(failed, "try again later"))
        return BadAnswer(failed, "check that the registry's rules allow that")

    def _for_now(self, failure: Unreadable) -> Unreadable:
        failure.again_in = seconds_to_wait(self.headers.get("retry-after", ""), self.time() or 0.0)
        return failure

    def codes(self) -> list[str]:
        """The codes of the errors that the body names."""
        return [str(error.get("code", "")) for error in self._listed() if isinstance(error, dict)]

    def _way_in(self, registry: Registry) -> str:
        """Return advice for a refusal: a login only if there was none, or if it was refused."""
        if not self.lacks:
            return f"run docker login {registry}, or ask for the right"
        if "invalid_token" in self.headers.get("www-authenticate", ""):
            return f"its own token server gave that token, so ask the administrator of {registry}, or check your clock"
        asked = f"ask the administrator of {registry} for it"
        if self.status == HTTPStatus.UNAUTHORIZED:
            return f"your login is valid and lacks the right to {self.lacks}, so {asked}"
        return f"your login is valid, so if it is the right to {self.lacks} that is missing, {asked}"

    def _errors(self) -> list[str]:
        return [said for said in map(_error, self._listed()) if said]

    def _listed(self) -> list[object]:
        """Return the errors in the body, in the format of the specification ("Error codes") or a similar one."""
        content = self.content()
        errors = content.get("errors", [content])
        return errors[:_MOST_ERRORS] if isinstance(errors, list) else [errors]

    def resolve(self, reference: str) -> str:
        """Return the URL of a reference in the answer, relative or absolute (RFC 3986). Raises BadAnswer."""
        try:
            return urllib.parse.urljoin(self.url, reference)
        except ValueError:
            host = urllib.parse.urlsplit(self.url).netloc.rpartition("@")[2]
            raise BadAnswer(
                f"{host} points to '{shown(reference)}', which is not a URL", "ask its administrator"
            ) from None


def _error(error: object) -> str:
    """Return one error of a body in a line: code, message and detail, if present."""
    if not isinstance(error, dict):
        return printable(error) if isinstance(error, str) else ""
    written = _spelt(error.get("detail"))
    message = str(error.get("message") or error.get("error") or "")
    said = ", ".join(printable(part) for part in dict.fromkeys((message, written)) if part)
    return ": ".join(part for part in (printable(error.get("code") or "", 60), said) if part)


def _spelt(detail: object, depth: int = 3) -> str:
    """Return the detail of an error without the punctuation of JSON."""
    if isinstance(detail, dict) and depth:
        return ", ".join(f"{name}: {said}" for name, value in detail.items() if (said := _spelt(value, depth - 1)))
    if isinstance(detail, list) and depth:
        return ", ".join(said for value in detail if (said := _spelt(value, depth - 1)))
    return str(detail) if isinstance(detail, str | int | float) and detail is not False else ""
