"""The faults that tagger must survive, and what it does: each row is above the test that proves it.

Run this file to write the table into docs/faults.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

FILE = Path(__file__).parents[2] / "docs/faults.md"
Kind = Literal["Engine", "Registry", "Authorization", "Rivals", "Versions and images", "Gates", "The process"]
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: what happens, how the test makes it happen, what tagger does, and with which exit codes."""

    kind: Kind
    fault: str
    by: str
    does: str
    exits: str
    test: Callable[..., None]

    @property
    def cases(self) -> int:
        """Count the cases of the test."""
        cases = 1
        for mark in self._marks():
            cases *= len(mark.args[1]) if mark.name == "parametrize" else 1
        return cases

    @property
    def is_real(self) -> bool:
        """Whether a real Engine and a real registry take part."""
        return any(mark.name == "engine" for mark in self._marks())

    def _marks(self) -> list[pytest.Mark]:
        found: Any = getattr(self.test, "pytestmark", [])
        return list(found)


rows: list[Row] = []

_HEAD = """# What tagger does when something fails

This page is generated from [tests/faults/test_faults.py](../tests/faults/test_faults.py). Each row is a test. It checks
the exit code, the message, and the tags before and after, and that the same command finishes the job once the fault is
over. It also searches the output, with `--verbose`, for the password in use.

There are {rows} faults in {cases} cases. {real} happen to a real Engine and a real registry, {scripted} to a stand-in \
that does what no real one does on demand."""


def fault(kind: Kind, what: str, *, by: str, does: str, exits: str) -> Callable[[Test], Test]:
    """Enter a test into the table."""

    def enter(test: Test) -> Test:
        rows.append(Row(kind, what, by, does, exits, test))
        return test

    return enter


def table() -> str:
    """Write the table in Markdown."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    real = sum(row.is_real for row in rows)
    lines = [_HEAD.format(rows=len(rows), cases=sum(row.cases for row in rows), real=real, scripted=len(rows) - real)]
    for kind in kinds:
        lines += ["", f"## {kind}", "", "| fault | injected by | tagger | exit |", "| --- | --- | --- | --- |"]
        lines += [f"| {row.fault} | {row.by} | {row.does} | {row.exits} |" for row in rows if row.kind == kind]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import faults_table as imported  # as the tests see it, not as this program
    import test_faults  # noqa: F401 - fills the table

    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(imported.table())
