"""A plan: the changes in each repository, and the check that it still fits; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tagger.errors import InputError, Refused
from tagger.fleet.entry import PLANNED, Decided
from tagger.text import printable
from tagger.values import dataclass

_CHANGES = {"repair": ("repaired", "removed"), "prune": ("removed", "moved")}
"""The keys of a command's result that contain changes."""
_LIMITS: Mapping[str, type] = {"keep": int, "keep_minors": int, "keep_revisions": int, "older_than": str}
"""The limits of a prune plan: the options of the command that made it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The changes in one repository, and what its tags held when they were decided."""

    repository: str
    command: str
    changes: Mapping[str, list[Any]]
    seen: Mapping[str, str | None]
    limits: Mapping[str, Any]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that will change."""
        return tags_of(self.changes)

    def check(self, now: Mapping[str, Any], seen: Mapping[str, str | None]) -> None:
        """Raise Refused unless the same decision follows from what the tags hold now."""
        moved = [tag for tag in self.tags if seen.get(tag) != self.seen.get(tag)]
        if moved or changes_of(self.command, now) != self.changes:
            named = f"{', '.join(map(printable, moved))} moved" if moved else "tags moved"
            raise Refused(
                f"{printable(self.repository)} no longer matches the plan, because {named}", "make a new plan for it"
            )


def changes_of(command: str, content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the changes in a command's result.

    >>> changes_of("prune", {"removed": ["2.0.0"], "moved": [{"tag": "latest"}], "held": []})
    {'removed': ['2.0.0'], 'moved': [{'tag': 'latest'}]}
    """
    return {key: list(content.get(key, ())) for key in _CHANGES[command]}


def tags_of(changes: Mapping[str, Iterable[Any]]) -> tuple[str, ...]:
    """Return the tags in changes, each once.

    >>> tags_of({"removed": ["2.0.0"], "moved": [{"tag": "latest"}]})
    ('2.0.0', 'latest')
    """
    every = (each for changed in changes.values() for each in changed)
    return tuple(dict.fromkeys(each["tag"] if isinstance(each, dict) else each for each in every))


def planned(lines: Iterable[Decided]) -> Iterator[Planned]:
    """Yield the work in the lines of a plan, without repositories that need no change.

    Raises InputError for a line that does not belong to a plan, and for a repository that comes twice.
    """
    met: set[int] = set()
    for number, line in enumerate(lines, 1):
        if line.ran.command not in _CHANGES or line.ran.dry_run is not True:
            raise InputError(
                f"line {number} is a result of {printable(line.ran)}, not part of a plan",
                "make a plan with tagger repair --plan FILE or tagger prune --plan FILE",
            )
        if hash(line.repository) in met:
            raise InputError(
                f"line {number} repeats the plan for {printable(line.repository)}", "remove one of the two"
            )
        met.add(hash(line.repository))
        if line.outcome == PLANNED:
            yield _read(number, line)


def _read(number: int, line: Decided) -> Planned:
    command, content = line.ran.command, line.content
    try:
        changes = changes_of(command, content)
        seen, limits = dict(content["seen"]), dict(content.get("limits", {}))
        texts = [*tags_of(changes), *seen]
    except (TypeError, LookupError, ValueError):
        texts, changes, seen, limits = [None], {}, {}, {}
    known = all(isinstance(limits[key], _LIMITS.get(key, ())) for key in limits)
    if not known or not all(isinstance(text, str) for text in texts) or ("keep" in limits) != (command == "prune"):
        raise InputError(f"line {number} is not what tagger writes into a plan", "make a new plan")
    return Planned(line.repository, command, changes, seen, limits)
