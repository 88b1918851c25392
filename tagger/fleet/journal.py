"""The results of a run, one line each: on stdout, in a file, or both. The file is also the run's state."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tagger.errors import InputError
from tagger.fleet.entry import Decided, Entry, Ran, is_torn, read
from tagger.fleet.tally import Tally
from tagger.text import printable

_STDOUT = 1


class Journal:
    """The decisions so far; safe to use from several threads.

    Raises InputError for a file that cannot be used.
    """

    def __init__(self, ran: Ran, path: str | None = None, *, resumed: bool = True) -> None:
        self.tally = Tally()
        self._ran, self._path = ran, path
        self._lock = threading.Lock()
        self._torn = ""
        self._decided: set[bytes] = set()
        self._file = None if path is None else self._opened(path, resumed=resumed)
        self._is_stdout = self._file is not None and os.path.sameopenfile(self._file, _STDOUT)

    def close(self) -> None:
        """Release the file for other processes."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def is_new(self, repository: str) -> bool:
        """Return whether a repository comes for the first time, in this run and the resumed one, and remember it.

        The names themselves are not kept.
        """
        key = _key(repository)
        if key in self._decided:
            return False
        self._decided.add(key)
        return True

    def add(self, entry: Entry, show: Callable[[], None]) -> None:
        """Record a result, and show it unless the file is stdout. Raises InputError if it cannot be written."""
        with self._lock:
            if self._file is not None:
                self._write(self._file, entry.line.encode())
            self.tally.add(entry.outcome, entry.exit_code, entry.content)
            if not self._is_stdout:
                show()

    def add_undecided(self, entry: Entry, show: Callable[[], None]) -> None:
        """Show a temporary result, for a repository that will be tried again; only its exit code counts."""
        with self._lock:
            self.tally.exit_codes.add(entry.exit_code)
            show()

    def _write(self, file: int, line: bytes) -> None:
        try:
            while line and not self._torn:
                line = line[os.write(file, line) :]
        except OSError as error:
            self._torn = error.strerror or "it is torn"
        if self._torn:  # no line may follow an incomplete one
            raise InputError(f"{printable(self._path)} cannot be written ({self._torn})", "free some space, and resume")

    def _opened(self, path: str, *, resumed: bool) -> int:
        file = None
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            _check_regular(file)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, self._resumed(path) if resumed else _replaced(path))
            mine, file = file, None
        except BlockingIOError:
            raise InputError(
                f"another tagger is writing {printable(path)}", "wait until it ends, or give another file"
            ) from None
        except OSError as error:
            raise InputError(f"'{printable(path)}' cannot be written ({error.strerror})", "give another file") from None
        finally:
            if file is not None:
                os.close(file)
        return mine

    def _resumed(self, path: str) -> int:
        """Take the lines of a file as decided; return where its last complete line ends."""
        end = 0
        for number, (length, found) in enumerate(results(path), 1):
            if found.ran != self._ran:
                raise InputError(
                    f"line {number} of {printable(path)} is a result of {printable(found.ran)}, not of {self._ran}",
                    "resume a run with its own command",
                )
            end += length
            self._decided.add(_key(found.repository))
            self.tally.add(found.outcome, found.exit_code, found.content)
        return end


def _check_regular(file: int) -> None:
    """Raise OSError for a pipe, since nobody may ever write to it, and for a device."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def _replaced(path: str) -> int:
    """Empty a file that begins like a state. Raises InputError if it does not."""
    next(results(path), None)
    return 0


def results(path: str) -> Iterator[tuple[int, Decided]]:
    """Yield each result in a file with the length of its line, without an incomplete last line.

    Raises InputError for any other line that is not a result.
    """
    torn = 0
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if torn:
                raise InputError(f"line {torn} of {printable(path)} is not a result of tagger", "give another file")
            if found := read(line):
                yield len(line), found
            elif is_torn(line):
                torn = number
            else:
                raise InputError(f"line {number} of {printable(path)} is not a result of tagger", "give another file")


def _key(repository: str) -> bytes:
    return hashlib.sha256(repository.encode()).digest()[:16]
