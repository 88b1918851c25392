"""Suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tagger.errors import InputError


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known name that is most similar by difflib's ratio; None if none is similar enough.

    >>> nearest("registry", ["registries", "floats"]), nearest("test", ["registries", "floats"])
    ('registries', None)
    """
    import difflib  # most names are right

    return next(iter(difflib.get_close_matches(name, known, 1, alike)), None)


def unknown(what: str, key: str, known: Sequence[str], elsewhere: Sequence[str] = ()) -> InputError:
    """Return the error for an unknown key, which names the right place, the similar key, or all keys.

    `elsewhere` are the keys at the top of the file.
    """
    if key in elsewhere:
        return InputError(what, "write it at the top of the file, or in the table of an image")
    near = nearest(key, known)
    return InputError(what, f"did you mean {near}?" if near else f"the keys are {', '.join(known)}")
