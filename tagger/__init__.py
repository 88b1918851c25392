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
    from tagger.api import release, tags
    from tagger.errors import (
        InputError,
        Interrupted,
        Refused,
        TaggerError,
        Unsettled,
    )
    from tagger.plan import Action, Change
    from tagger.result import Outcome, Release, Released
    from tagger.share import FloatsVia

_HOMES = {
    "Action": "plan",
    "Change": "plan",
    "FloatsVia": "share",
    "InputError": "errors",
    "Interrupted": "errors",
    "Outcome": "result",
    "Refused": "errors",
    "Release": "result",
    "Released": "result",
    "TaggerError": "errors",
    "Unsettled": "errors",
    "release": "api",
    "tags": "api",
}

__all__ = [
    "Action",
    "Change",
    "FloatsVia",
    "InputError",
    "Interrupted",
    "Outcome",
    "Refused",
    "Release",
    "Released",
    "TaggerError",
    "Unsettled",
    "__version__",
    "release",
    "tags",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import tagger` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tagger' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"tagger.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
