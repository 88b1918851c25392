"""Why a registry refuses a request, read from its answer and never from its name.

Every registry has its own status, code and sentence for the same reason. An Engine quotes only the sentence.
"""

from __future__ import annotations

import re
from enum import Enum, auto


class Why(Enum):
    """The reasons that another attempt cannot change."""

    IMMUTABLE = auto()
    QUOTA = auto()
    NO_REPOSITORY = auto()
    NO_RIGHT = auto()


_IMMUTABLE = re.compile(
    r"immutab"
    r"|cannot be overwritten"
    r"|disallowed.operation|operation is disallowed"  # a lock of Azure Container Registry
    r"|not allow updating|redeploy is not allowed"  # Nexus
    r"|\btag(_INVALID)?\b.{0,100}\b(already exists|already assigned|is (protected|locked|read-only))",
    re.IGNORECASE | re.DOTALL,
)
_QUOTA = re.compile(
    r"\bquota\b|limit_?exceeded|storage limit"
    r"|exceed\w*\b.{0,60}\b(upper limit|storage|capacity|limit of)|insufficient storage",
    re.IGNORECASE | re.DOTALL,
)
_NO_REPOSITORY = re.compile(
    r"name.unknown|\b(repository|project|namespace)\b.{0,200}?\b(does not exist|not found|not known)",
    re.IGNORECASE | re.DOTALL,
)
# A registry that is busy speaks of quotas too, and so does one that asks to come back later.
_BUSY = re.compile(r"too ?many ?requests|\brate\b|per (second|minute|hour|day)", re.IGNORECASE)
# What a registry puts in quotes is a name, and a name may contain any of these words.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")


def reason(said: str, status: int | None = None, name: str = "") -> Why | None:
    """Say why a request was refused for good, None where the answer does not tell or the refusal may pass.

    `said` has the codes and messages of the answer, `status` its HTTP status where there is one, and `name` is the
    repository's, which may contain any word.

    >>> reason("TAG_INVALID: The image tag '2.1.403' already exists and cannot be overwritten", 400)
    <Why.IMMUTABLE: 1>
    >>> reason("DENIED: requested access to the resource is denied", 403)
    <Why.NO_RIGHT: 4>
    """
    text = _QUOTED.sub("''", re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "''", said) if name else said)
    if status not in (401, 429) and _IMMUTABLE.search(text):
        return Why.IMMUTABLE
    if status in (402, 507):
        return Why.QUOTA
    if status == 429 or (status or 0) >= 500 or _BUSY.search(text):  # noqa: PLR2004 - HTTP's own numbers
        return None
    if status != 401 and _QUOTA.search(text):  # noqa: PLR2004 - HTTP's own number
        return Why.QUOTA
    if status in (401, 403):
        return Why.NO_RIGHT  # which is also how registries hide that there is no such repository
    return Why.NO_REPOSITORY if _NO_REPOSITORY.search(text) else None
