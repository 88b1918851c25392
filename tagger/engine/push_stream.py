"""The messages of an Engine while it pushes a tag.

A push that fails answers HTTP 200 and says so in the stream, so success is proved: no error, and a digest for our tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tagger.errors import (
    AGAIN,
    Denied,
    EngineError,
    Immutable,
    InvalidReference,
    Refused,
    TaggerError,
    Transient,
    Unproven,
    WrongImage,
)
from tagger.events import Upload
from tagger.names import Digest, Tag, parse_digest
from tagger.text import printable

_DIGEST_LINE = re.compile(r"(\S+): digest: (sha256:[0-9a-f]{64})(?: size: \d+)?")
# Names, addresses and paths in an Engine's text: their digits and words say nothing about the cause.
_NAMES = re.compile(r"'[^']*'|\S*/\S*")
_STATUS = re.compile(
    r"\b(?:HTTP(?: status(?: code)?)?|status(?: ?code)?|status from [A-Z]+ request to)\b:?\s+([1-5]\d\d)\b",
    re.IGNORECASE,
)
_LONGEST_REASON, _MOST_READ = 900, 4000
_PUT_RIGHT = f"fix that and {AGAIN}"
_RIGHT = "ask for the right to push"


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# The meanings of texts, which begin with their status, if they have one; the first match counts.
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
    (_says(r"^4(?:08|25|29) |toomanyrequests|too many requests"), Transient, f"{AGAIN} later"),
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
    # These are temporary; Engines retry the upload of a layer, but never that of a manifest.
    (
        _says(
            r"^5\d\d |\bEOF\b|connection refused|reset by peer|broken pipe|timed? ?out|timeout|unavailable|temporar"
            r"|^ unknown:|internal server error|unreachable|blob upload"
        ),
        Transient,
        _PUT_RIGHT,
    ),
)


def pushed_digest(messages: Iterable[object], tag: Tag, *, logged_in: bool = False) -> Digest:
    """Read a push stream to its end, and return the digest of our tag. `logged_in`: credentials were sent.

    Engines with the graph-driver store name it in a status line and in an `aux` message, Engines with the containerd
    store in the status line alone.

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
                f"the Engine's push of {tag} sent {printable(message, 80)}, which is not a valid message", "try again"
            )
        if problem := _problem(message):
            raise _push_error(problem, tag, logged_in=logged_in)
        aux = message["aux"] if isinstance(message.get("aux"), dict) else {}
        narrowed = narrowed or bool(aux.get("manifestPushedInsteadOfIndex") or aux.get("contentMissing"))
        found |= _digests(message, aux, tag)
    if narrowed:
        raise WrongImage(
            f"the Engine lacks a platform of the image behind {tag} and pushed only another one",
            _only(found),
            hint="pull or build every platform, or release an image of one platform",
        )
    if digest := _only(found):
        return digest
    seen = " and ".join(sorted(map(printable, found))) or "none"
    # Podman 3 may not report a successful push, so tagger has to ask the registry.
    kind = EngineError if found else Unproven
    raise kind(f"the Engine's push of {tag} ended with digest: {seen}", AGAIN)


def as_refusal(text: str) -> Mapping[str, Any] | None:
    """Return the message in a text, if that reports an error.

    >>> as_refusal('{"error": "denied", "errorDetail": {"message": "denied"}}')["error"], as_refusal("denied")
    ('denied', None)
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and _problem(message) else None


def _digests(message: Mapping[str, Any], aux: Mapping[str, Any], tag: Tag) -> set[str]:
    """Return the digests that a message names for our tag."""
    line = _DIGEST_LINE.fullmatch(str(message.get("status", "")).strip())
    in_line = {line[2]} if line and line[1] == tag else set()
    return in_line | ({str(aux.get("Digest"))} if aux.get("Tag") == tag else set())


def upload(message: object) -> Upload | None:
    """Return the progress of a layer's upload; None for another message."""
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
    """Return the error that a message reports; `error` is deprecated since API 1.48, `errorDetail` is not."""
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
    if advice == _RIGHT and not logged_in:  # registries do not say whether the login or the right is missing
        advice = f"run docker login for the registry, or {_RIGHT}"
    return kind(f"the push of {tag} failed: {printable(text, _LONGEST_REASON)}", advice)
