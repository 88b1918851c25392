"""Push a container image under its version and every tag that should follow it, verified, or move nothing.

    >>> import tagger
    >>> tagger.tags("2.1.106")
    ('2.1.106', '2.1', '2', 'latest')

`tagger.release(...)` is the command `tagger release`. Every failure is a `TaggerError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tagger.api.clean_up import prune, remove, remove_all
    from tagger.api.fix import repair, unyank, yank
    from tagger.api.look import (
        check,
        compare,
        diagnose,
        listed,
        ls,
        next_version,
        propose,
        repositories,
        sharing,
    )
    from tagger.api.release import promote, promote_all, release, release_all, tags
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

_NAMES = {
    "api.clean_up": "prune remove remove_all",
    "api.fix": "repair unyank yank",
    "api.look": "check compare diagnose listed ls next_version propose repositories sharing",
    "api.release": "promote promote_all release release_all tags",
    "doctor.finding": "Diagnosis Finding Level",
    "errors": "GateFailed InputError Interrupted Refused TaggerError Unsettled",
    "releasing.order": "FloatsVia",
    "releasing.outcome": "Outcome Release Released",
    "repository.check": "Check",
    "repository.compare": "Difference Holding",
    "repository.floating": "Floating Move",
    "repository.listing": "Listing Row",
    "repository.propose": "Proposed",
    "repository.prune": "Pruning",
    "repository.remove": "Removal",
    "repository.repair": "Repair",
    "repository.sharing": "Sharing",
    "repository.unyank": "Unyank",
    "repository.yank": "Yank",
    "rules.lines": "lines",
    "rules.next": "Part",
    "rules.plan": "Action Change",
    "rules.scheme": "Scheme",
    "wiring.promote": "Promotion",
    "wiring.release": "Wanted",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

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
