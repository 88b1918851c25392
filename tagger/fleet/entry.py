"""The line of one repository: how the command ended there. All lines together are the state of a run; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tagger.text import neutral_json
from tagger.values import dataclass

CHANGED, PLANNED, OK = "changed", "planned", "ok"
_BEGINNING = b'{"repository": "'
_OUTCOMES = {5: "drift", 3: "refused", 4: "unsettled"}


@dataclass(frozen=True, slots=True)
class Ran:
    """The command of a run, and whether it is a dry run: only the same command can resume a run."""

    command: str
    dry_run: bool | None = None
    """None for a command that never writes."""

    def __str__(self) -> str:
        return f"tagger {self.command} --dry-run" if self.dry_run else f"tagger {self.command}"


@dataclass(frozen=True, slots=True)
class Entry:
    """How a command ended in one repository."""

    repository: str
    ran: Ran
    exit_code: int
    content: Mapping[str, Any]
    """The command's own JSON for the repository."""
    changes: bool = False
    """Whether it changed anything, or would."""
    failed: bool = False
    """Whether it ended with an error."""

    @property
    def outcome(self) -> str:
        """A word for the exit code and the change."""
        if self.exit_code:
            return _OUTCOMES.get(self.exit_code, "failed")
        if not self.changes:
            return OK
        return PLANNED if self.ran.dry_run else CHANGED

    @property
    def line(self) -> str:
        """The line, with its line break."""
        dry_run = {} if self.ran.dry_run is None else {"dry_run": self.ran.dry_run}
        said = {"repository": self.repository, "command": self.ran.command, "outcome": self.outcome}
        content = {**said, "exit_code": self.exit_code, **dry_run, **self.content, "repository": self.repository}
        return neutral_json(json.dumps(content)) + "\n"


@dataclass(frozen=True, slots=True)
class Decided:
    """The content of a line from an earlier run."""

    repository: str
    ran: Ran
    outcome: str
    exit_code: int
    content: Mapping[str, Any]


def read(line: bytes) -> Decided | None:
    """Read a line; None for an incomplete one, or one that tagger did not write."""
    try:
        content = json.loads(line)
        ran = Ran(content["command"], content.get("dry_run"))
        found = Decided(content["repository"], ran, content["outcome"], content["exit_code"], content)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    texts = (found.repository, ran.command, found.outcome)
    whole = line.endswith(b"\n") and all(isinstance(text, str) for text in texts)
    return found if whole and isinstance(found.exit_code, int) else None


def is_torn(line: bytes) -> bool:
    """Whether an unreadable line may be the beginning of one, or the rest of one after a power cut.

    >>> is_torn(b'{"repos'), is_torn(b"an answer")
    (True, False)
    """
    begun = line.rstrip(b"\0\n")
    return begun[: len(_BEGINNING)] == _BEGINNING[: len(begun)]
