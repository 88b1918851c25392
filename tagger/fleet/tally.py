"""The number of repositories with each outcome, which is all that a run keeps in memory; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tagger.text import counted


class Tally:
    """The count of each outcome, the drifted tags, and the exit codes."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.exit_codes: set[int] = set()
        self.drifted = 0

    def add(self, outcome: str, exit_code: int, content: Mapping[str, Any]) -> None:
        """Count a repository."""
        self.outcomes[outcome] += 1
        self.exit_codes.add(exit_code)
        drift = content.get("drift", ())
        self.drifted += len(drift) if isinstance(drift, list) else 0

    @property
    def text(self) -> str:
        """The summary at the end.

        >>> tally = Tally()
        >>> tally.add("ok", 0, {})
        >>> tally.add("drift", 5, {"drift": [{}, {}]})
        >>> tally.text
        '2 repositories: 1 drift, 1 ok; 2 tags drifted'
        """
        each = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.outcomes.items()))
        said = counted(self.outcomes.total(), "repository") + (f": {each}" if each else "")
        return said + (f"; {counted(self.drifted, 'tag')} drifted" if self.drifted else "")
