"""Files that a CI system reads afterwards: what is written is appended at once, so that it is there whole or not."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from tagger.errors import InputError, TaggerError, printable


def check(file: str | None) -> None:
    """Find out before anything else whether a file can be appended to. Raises InputError."""
    if file is None:
        return
    try:
        os.close(_opened(file))
    except OSError as error:
        raise InputError(f"{printable(file)} cannot be written ({error.strerror}): give another file") from None


def append(file: str | None, text: str) -> None:
    """Append text that ends in a line break, behind whatever line is there already. Raises TaggerError."""
    if file is None:
        return
    try:
        descriptor = _opened(file)
        try:
            _write_whole(descriptor, (("" if _at_line_start(file) else "\n") + text).encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TaggerError(
            f"{printable(file)} cannot be written ({error.strerror}): the exit code says how the command ended"
        ) from None


def _write_whole(descriptor: int, content: bytes) -> None:
    """Write all of it, or take back what went in before the disk was full. Raises OSError."""
    written = os.write(descriptor, content)
    if written < len(content):
        with contextlib.suppress(OSError):  # a pipe keeps what it got
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _opened(file: str) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def _at_line_start(file: str) -> bool:
    try:
        with Path(file).open("rb") as content:
            if content.seek(0, os.SEEK_END) == 0:
                return True
            content.seek(-1, os.SEEK_END)
            return content.read(1) == b"\n"
    except OSError:  # a pipe, say
        return True
