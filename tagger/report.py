"""The same result as text for a person and as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tagger.plan import Action, Change
from tagger.reference import Digest
from tagger.result import Outcome, Release, Released

_SHORT_DIGEST = len("sha256:") + 12


def as_json(release: Release) -> str:
    """Write a release as one JSON object, in ASCII."""
    content = {
        "image": release.image,
        "version": release.version,
        "dry_run": release.dry_run,
        "outcome": release.outcome,
        "error": release.error,
        "repositories": [_repository(released) for released in release.repositories],
    }
    return json.dumps(content, indent=2)


def as_text(release: Release) -> str:
    """Write a release as lines: for each repository what happens to each tag and why, and then the outcome."""
    return "\n".join(_lines(release))


def _lines(release: Release) -> Iterator[str]:
    for released in release.repositories:
        yield str(released.repository)
        yield from (f"  {_change(change)}" for change in released.changes)
    if verdict := _verdict(release):
        yield verdict


def _verdict(release: Release) -> str | None:
    where = ", ".join(f"{r.repository}@{r.digest}" for r in release.repositories if r.digest)
    match release.outcome:
        case Outcome.PLANNED:
            return "dry run: nothing was written"
        case Outcome.RELEASED:
            return f"released {release.version} as {where}"
        case Outcome.UNCHANGED:
            return f"unchanged: {release.version} is already released as {where}"
        case _:
            return None


def _change(change: Change) -> str:
    detail = "; ".join(part for part in (_movement(change), change.reason) if part)
    return f"{change.action} {change.tag}" + (f": {detail}" if detail else "")


def _movement(change: Change) -> str:
    match change.action:
        case Action.CREATE:
            return _short(change.after) if change.after else ""
        case Action.MOVE:
            return f"{_short(change.before)} to {_short(change.after)}"
        case Action.UNCHANGED:
            return _short(change.after)
        case _:
            return ""


def _short(digest: Digest | None) -> str:
    return digest[:_SHORT_DIGEST] if digest else "the new image"


def _repository(released: Released) -> dict[str, Any]:
    return {
        "repository": str(released.repository),
        "digest": released.digest,
        "tags": [
            {
                "tag": change.tag,
                "reference": f"{released.repository}:{change.tag}",
                "action": change.action,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
            }
            for change in released.changes
        ],
    }
