"""One field out of a JSON result, for scripts: what `--field` names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from tagger.cli.render.console import say
from tagger.text import neutral_json, one_line, printable

_asked: ContextVar[str | None] = ContextVar("field", default=None)
_PARTS = "repositories"  # the parts of a release that have fields


@contextlib.contextmanager
def asking(name: str | None) -> Iterator[None]:
    """Show only one field of each result within this context; None: the whole result."""
    before = _asked.set(name)
    try:
        yield
    finally:
        _asked.reset(before)


def asked() -> str | None:
    """Return the requested field; None without one."""
    return _asked.get()


def in_lines(content: dict[str, Any] | list[dict[str, Any]], name: str) -> str:
    """Return the values of a field, one per line; a note reports a result without such a field."""
    found = [*_values(content, name.split("."))]
    results = content if isinstance(content, list) else [content]
    if not found and not any(each.get("error") for each in results):
        names = dict.fromkeys(name for each in results for name in each)
        say(f"note: the result has no field '{printable(name)}'; it has {', '.join(names)}")
    return "\n".join(_line(value) for value in found if value is not None)


def _values(content: object, names: Sequence[str]) -> Iterator[object]:
    """Return every value at a path of names, through lists; a key that a release lacks is looked up in its parts."""
    if isinstance(content, list | tuple):
        for each in content:
            yield from _values(each, names)
        if not names and not content:
            yield None
    elif not names:
        yield content
    elif isinstance(content, dict):
        first, *rest = names
        if first in content:
            yield from _values(content[first], rest)
        else:
            yield from _values(content.get(_PARTS), names)


def _line(value: object) -> str:
    import json

    return one_line(value) if isinstance(value, str) else neutral_json(json.dumps(value))
