"""Push a container image under its version and every tag that should follow it, verified, or move nothing.

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
        check,
        compare,
        diagnose,
        listed,
        ls,
        next_version,
        promote,
        promote_all,
        propose,
        prune,
        release,
        release_all,
        remove,
        remove_all,
        repair,
        repositories,
        sharing,
        tags,
        unyank,
        yank,
    )
    from tagger.doctor.finding import Diagnosis, Finding, Level
    from tagger.errors import GateFailed, InputError, Interrupted, Refused, TaggerError, Unsettled
    from tagger.releasing.order import FloatsVia
    from tagger.releasing.outcome import Outcome, Release, Released
    from tagger.repository.check import Check
    from tagger.repository.compare import Difference, Holding
    from tagger.repository.floating import Floating, Move
    from tagger.repository.listing import Listing, Row
    from tagger.repository.propose import Proposed
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal
    from tagger.repository.repair import Repair
    from tagger.repository.sharing import Sharing
    from tagger.repository.unyank import Unyank
    from tagger.repository.yank import Yank
    from tagger.rules.lines import lines
    from tagger.rules.next import Part
    from tagger.rules.plan import Action, Change
    from tagger.rules.scheme import Scheme
    from tagger.wiring.promote import Promotion
    from tagger.wiring.release import Wanted

_HOMES = {
    "Action": "rules.plan",
    "Change": "rules.plan",
    "Check": "repository.check",
    "Diagnosis": "doctor.finding",
    "Difference": "repository.compare",
    "Finding": "doctor.finding",
    "Floating": "repository.floating",
    "FloatsVia": "releasing.order",
    "GateFailed": "errors",
    "Holding": "repository.compare",
    "InputError": "errors",
    "Interrupted": "errors",
    "Level": "doctor.finding",
    "Listing": "repository.listing",
    "Move": "repository.floating",
    "Outcome": "releasing.outcome",
    "Part": "rules.next",
    "Proposed": "repository.propose",
    "Promotion": "wiring.promote",
    "Pruning": "repository.prune",
    "Refused": "errors",
    "Release": "releasing.outcome",
    "Released": "releasing.outcome",
    "Removal": "repository.remove",
    "Repair": "repository.repair",
    "Row": "repository.listing",
    "Scheme": "rules.scheme",
    "Sharing": "repository.sharing",
    "TaggerError": "errors",
    "Unsettled": "errors",
    "Unyank": "repository.unyank",
    "Wanted": "wiring.release",
    "Yank": "repository.yank",
    "check": "api",
    "compare": "api",
    "diagnose": "api",
    "lines": "rules.lines",
    "listed": "api",
    "ls": "api",
    "next_version": "api",
    "promote": "api",
    "promote_all": "api",
    "propose": "api",
    "prune": "api",
    "release": "api",
    "release_all": "api",
    "remove": "api",
    "remove_all": "api",
    "repair": "api",
    "repositories": "api",
    "sharing": "api",
    "tags": "api",
    "unyank": "api",
    "yank": "api",
}

__all__ = [
    "Action",
    "Change",
    "Check",
    "Diagnosis",
    "Difference",
    "Finding",
    "Floating",
    "FloatsVia",
    "GateFailed",
    "Holding",
    "InputError",
    "Interrupted",
    "Level",
    "Listing",
    "Move",
    "Outcome",
    "Part",
    "Promotion",
    "Proposed",
    "Pruning",
    "Refused",
    "Release",
    "Released",
    "Removal",
    "Repair",
    "Row",
    "Scheme",
    "Sharing",
    "TaggerError",
    "Unsettled",
    "Unyank",
    "Wanted",
    "Yank",
    "__version__",
    "check",
    "compare",
    "diagnose",
    "lines",
    "listed",
    "ls",
    "next_version",
    "promote",
    "promote_all",
    "propose",
    "prune",
    "release",
    "release_all",
    "remove",
    "remove_all",
    "repair",
    "repositories",
    "sharing",
    "tags",
    "unyank",
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
