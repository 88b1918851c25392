"""The lines of a file or of stdin, one at a time, so that neither their number nor a slow writer matters."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterator

from tagger.errors import InputError
from tagger.text import printable

_STDIN = 0
_PIECE_BYTES = 64 * 1024
_LONGEST_BYTES = 64 * 1024
_GLANCE_SECONDS = 0.2


def of_file(path: str, check: Callable[[], None]) -> Iterator[str]:
    """Yield the lines of a file like `of_stdin`. Raises InputError, immediately if it cannot be opened."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(
            f"'{printable(path)}' cannot be read ({error.strerror})", "give a file with repository names"
        ) from None
    return _read(file, path, check)


def of_stdin(check: Callable[[], None]) -> Iterator[str]:
    """Yield the lines of stdin; `check` raises when tagger should stop waiting for the next one. Raises InputError."""
    if os.isatty(_STDIN):
        raise InputError("stdin is a terminal", "pipe the names in, such as from tagger repos, or use --from FILE")
    return _read(_STDIN, "stdin", check)


def _read(descriptor: int, name: str, check: Callable[[], None]) -> Iterator[str]:
    waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    rest = b""
    while True:
        while waits and not select.select((descriptor,), (), (), _GLANCE_SECONDS)[0]:
            check()
        try:
            piece = os.read(descriptor, _PIECE_BYTES)
        except OSError as error:
            raise InputError(
                f"{printable(name)} cannot be read ({error.strerror})", "give a file with repository names"
            ) from None
        *complete, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="backslashreplace") for line in complete)
        if len(rest) > _LONGEST_BYTES:
            raise InputError(
                f"{printable(name)} has a line of more than {_LONGEST_BYTES} bytes", "write one name per line"
            )
        if not piece:
            if rest:
                yield rest.decode(errors="backslashreplace")
            return
