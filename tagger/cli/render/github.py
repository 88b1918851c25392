"""What GitHub Actions and other CI systems read: annotations, and files that are appended to in one write."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path

from tagger.errors import InputError, TaggerError
from tagger.text import one_line, printable, without_secrets
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Appended:
    """A file that is open for appending; the reader of a pipe waits until tagger closes it."""

    name: str
    descriptor: int


def opened(file: str | None) -> Appended | None:
    """Open a file for appending before anything else begins; a pipe needs a reader by then. Raises InputError."""
    if file is None:
        return None
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno == errno.ENXIO and Path(file).is_fifo():
            raise InputError(f"{printable(file)} is a pipe that nobody reads", "start its reader first") from None
        raise InputError(f"'{printable(file)}' cannot be written ({error.strerror})", "give another file") from None
    os.set_blocking(descriptor, True)
    return Appended(file, descriptor)


def append(output: Appended | None, text: str) -> None:
    """Append text on a line of its own, and close the file. Raises TaggerError."""
    if output is None:
        return
    try:
        try:
            _write_whole(output.descriptor, (("" if _at_line_start(output) else "\n") + text).encode())
        finally:
            os.close(output.descriptor)
    except OSError as error:
        raise TaggerError(
            f"{printable(output.name)} cannot be written ({error.strerror}): the exit code says how the command ended"
        ) from None


def _write_whole(descriptor: int, content: bytes) -> None:
    """Write the whole text, or remove the part that was written before the disk was full. Raises OSError."""
    written = os.write(descriptor, content)
    if written < len(content):
        with contextlib.suppress(OSError):  # a pipe cannot be cut back
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _at_line_start(output: Appended) -> bool:
    """Whether a file ends with a line break, or is not a file but, for example, a pipe."""
    if not stat.S_ISREG(os.fstat(output.descriptor).st_mode):
        return True
    with contextlib.suppress(OSError), Path(output.name).open("rb") as content:
        if content.seek(0, os.SEEK_END):
            content.seek(-1, os.SEEK_END)
            return content.read(1) == b"\n"
    return True


def annotating(asked: bool | None = None) -> bool:
    """Whether errors become annotations: as `asked`, or by default in GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true" if asked is None else asked


def tell_github(kind: str, text: str) -> None:
    """Print an error or a warning as an annotation, which GitHub Actions shows beside the run."""
    escaped = one_line(without_secrets(text)).replace("%", "%25")
    with contextlib.suppress(OSError):
        sys.stderr.write(f"::{kind} title=tagger::{escaped}\n")
        sys.stderr.flush()
