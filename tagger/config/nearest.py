"""What a name that nobody knows may have been meant for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagger.errors import InputError


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known name that one is most like; None if it is like none, by the measure of difflib.

    >>> nearest("registry", ["registries", "floats"]), nearest("test", ["registries", "floats"])
    ('registries', None)
    """
    import difflib  # most names are right

    return next(iter(difflib.get_close_matches(name, known, 1, alike)), None)


def unknown(what: str, key: str, known: Sequence[str]) -> InputError:
    """The error for an unknown key: it names the key that is like it, or else all."""
    near = nearest(key, known)
    return InputError(what, f"did you mean {near}?" if near else f"the keys are {', '.join(known)}")
