"""Give a built container image its semantic-version tags: all of the right ones, verified, or nothing moved.

    >>> import tagger
    >>> tagger.tags("2.1.106")
    ('2.1.106', '2.1', '2', 'latest')

`tagger.release(...)` is the command `tagger release`; what goes wrong is a `TaggerError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tagger.api import (
        Wanted,
        check,
        diagnose,
        listed,
        ls,
        next_version,
        promote,
        prune,
        release,
        release_all,
        remove,
        remove_all,
        repair,
        tags,
        yank,
    )
    from tagger.cascade import Scheme, lines
    from tagger.drift import Check, Floating, Move, Repair
    from tagger.errors import InputError, Interrupted, Refused, TaggerError, Unsettled
    from tagger.finding import Diagnosis, Finding, Level
    from tagger.listing import Listing, Row
    from tagger.plan import Action, Change
    from tagger.removal import Removal
    from tagger.result import Outcome, Release, Released
    from tagger.retention import Pruning
    from tagger.share import FloatsVia
    from tagger.successor import Part
    from tagger.withdrawal import Yank

_HOMES = {
    "Action": "plan",
    "Change": "plan",
    "Check": "drift",
    "Diagnosis": "finding",
    "Finding": "finding",
    "Floating": "drift",
    "FloatsVia": "share",
    "InputError": "errors",
    "Interrupted": "errors",
    "Level": "finding",
    "Listing": "listing",
    "Move": "drift",
    "Outcome": "result",
    "Part": "successor",
    "Pruning": "retention",
    "Refused": "errors",
    "Release": "result",
    "Released": "result",
    "Removal": "removal",
    "Repair": "drift",
    "Row": "listing",
    "Scheme": "cascade",
    "TaggerError": "errors",
    "Unsettled": "errors",
    "Wanted": "api",
    "Yank": "withdrawal",
    "check": "api",
    "diagnose": "api",
    "lines": "cascade",
    "listed": "api",
    "ls": "api",
    "next_version": "api",
    "promote": "api",
    "prune": "api",
    "release": "api",
    "release_all": "api",
    "remove": "api",
    "remove_all": "api",
    "repair": "api",
    "tags": "api",
    "yank": "api",
}

__all__ = [
    "Action",
    "Change",
    "Check",
    "Diagnosis",
    "Finding",
    "Floating",
    "FloatsVia",
    "InputError",
    "Interrupted",
    "Level",
    "Listing",
    "Move",
    "Outcome",
    "Part",
    "Pruning",
    "Refused",
    "Release",
    "Released",
    "Removal",
    "Repair",
    "Row",
    "Scheme",
    "TaggerError",
    "Unsettled",
    "Wanted",
    "Yank",
    "__version__",
    "check",
    "diagnose",
    "lines",
    "listed",
    "ls",
    "next_version",
    "promote",
    "prune",
    "release",
    "release_all",
    "remove",
    "remove_all",
    "repair",
    "tags",
    "yank",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import tagger` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tagger' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"tagger.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
