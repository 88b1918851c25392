"""Why a registry refuses a request, by its answer and never by its name.

Each registry has its own status, code and sentence for the same reason. An Engine quotes only the sentence.
"""

from __future__ import annotations

import re
from enum import Enum, auto


class Why(Enum):
    """The reasons that another attempt cannot change."""

    IMMUTABLE = auto()
    READ_ONLY = auto()
    QUOTA = auto()
    NO_REPOSITORY = auto()
    NO_RIGHT = auto()


_WORDS = {
    Why.IMMUTABLE: (
        r"immutab"
        r"|cannot be (overwritten|overridden|overriden)"
        r"|already.(exists|assigned)"
        r"|disallowed.operation|operation is disallowed"  # a lock of Azure Container Registry
        r"|not allow updating|redeploy is not allowed"  # Nexus
        r"|\btag\b.{0,100}\bis (protected|locked)"
    ),
    Why.READ_ONLY: (
        r"read.only mode|maintenance mode|\barchived\b|\b(registry|repository|project|system)\b.{0,60}\bread.only\b"
    ),
    Why.QUOTA: (
        r"\bquota\b|limit_?exceeded|storage limit|insufficient storage"
        r"|exceed\w*\b.{0,60}\b(upper limit|storage|capacity|limit of)"
    ),
    Why.NO_REPOSITORY: (
        r"name.unknown|\b(repository|project|namespace)\b.{0,200}?\b(does not exist|not found|not known)"
    ),
}
_REASONS = {why: re.compile(words, re.IGNORECASE | re.DOTALL) for why, words in _WORDS.items()}
# A busy registry mentions quotas too, and so does one that asks for a later attempt.
_BUSY = re.compile(r"too ?many ?requests|\brate\b|per (second|minute|hour|day)", re.IGNORECASE)
_UNKNOWN_USER, _FORBIDDEN, _BUSY_STATUS, _FAULTS = 401, 403, 429, 500
_UNPAID_OR_FULL = (402, 507)
# Text in quotes is a name, and a name may contain any of these words.
_QUOTED = re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|`[^`]*`")


def reason(said: str, status: int | None = None, name: str = "") -> Why | None:
    """Return why a request was refused permanently; None if the answer does not say, or it may be temporary.

    `said` has the codes and messages of the answer, `status` is its HTTP status if there is one, and `name` is the
    repository's, which may contain any word.

    >>> reason("TAG_INVALID: The image tag '2.1.403' already exists and cannot be overwritten", 400)
    <Why.IMMUTABLE: 1>
    >>> reason("DENIED: requested access to the resource is denied", 403)
    <Why.NO_RIGHT: 5>
    """
    text = _QUOTED.sub("''", re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "''", said) if name else said)
    found = next((why for why, words in _REASONS.items() if words.search(text)), None)
    if status in _UNPAID_OR_FULL:
        return Why.QUOTA
    if status == _UNKNOWN_USER:
        return Why.NO_RIGHT
    if status == _BUSY_STATUS or _BUSY.search(text) or (status or 0) >= _FAULTS:
        return found if found is Why.IMMUTABLE and status != _BUSY_STATUS else None
    if status == _FORBIDDEN and found in (None, Why.NO_REPOSITORY):
        return Why.NO_RIGHT  # registries also hide a missing repository in this way
    return found
