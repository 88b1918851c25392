"""The files of an OCI layout, in a folder or in a tar of it, which is read without unpacking."""

from __future__ import annotations

import contextlib
import io
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tagger.errors import InputError
from tagger.text import printable
from tagger.values import dataclass

MARKER = "oci-layout"
_HEADER_BYTES = 1024 * 1024
_MOST_FILES = 100_000
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"(\xb5": "unzstd", b"\xfd7": "unxz", b"BZ": "bunzip2"}
WRITE_AGAIN = "write the layout again, with all of its blobs"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a layout: the file that contains it, its offset there, and its size."""

    path: Path
    start: int
    size: int


Find = Callable[[str], "File | None"]


def in_folder(folder: Path) -> Find:
    """Return a function that finds a file of a folder. Raises InputError for other kinds of files, such as a pipe."""

    def find(name: str) -> File | None:
        path = folder / name
        with readable(path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is not a file", WRITE_AGAIN)
        return File(path, 0, found.st_size)

    return find


def in_tar(path: Path) -> Find:
    """Return a function that finds a file of a tar, below the folder with the layout's marker."""
    with readable(path):
        if not path.is_file():
            raise InputError(f"{path} is neither a file nor a folder", "give the folder of an OCI layout, or its tar")
        with path.open("rb") as raw:
            begin = raw.read(2)
            size = path.stat().st_size
        if tool := _COMPRESSED.get(begin):
            raise InputError(f"{path} is compressed", f"uncompress it first, for example with {tool}")
        try:
            with _Headers(path) as headers, tarfile.open(fileobj=headers, mode="r:") as tar:
                files = dict(_members(path, size, tar))
        except (tarfile.TarError, ValueError, RecursionError) as error:
            raise InputError(f"{path} is not a complete tar ({printable(error)})", WRITE_AGAIN) from None
    folders = [name.removesuffix(MARKER) for name in files if PurePosixPath(name).name == MARKER]
    if len(folders) > 1:
        raise InputError(f"{path} has several OCI layouts: {', '.join(map(printable, sorted(folders)))}", "give one")
    return lambda name: files.get((folders[0] if folders else "") + name)


def _members(path: Path, size: int, tar: tarfile.TarFile) -> Iterator[tuple[str, File]]:
    """Yield the files of a tar. Raises InputError for a name that leads out of it, and for an incomplete tar."""
    for count, member in enumerate(tar):
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise InputError(
                f"{path} has a file '{printable(member.name)}', whose name leads outside", "do not trust this tar"
            )
        if count >= _MOST_FILES:
            raise InputError(f"{path} has more than {_MOST_FILES} files", "give the tar of an OCI layout")
        if member.isreg() and not member.issparse():
            if member.offset_data + member.size > size:
                raise InputError(f"{path} ends in the middle of {printable(member.name)}", WRITE_AGAIN)
            yield str(name), File(path, member.offset_data, member.size)


class _Headers(io.FileIO):
    """A file for reading headers only, which limits the size of each."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes. Raises tarfile.ReadError if they are too many."""
        if size is None or not 0 <= size <= _HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return super().read(size) or b""


@contextlib.contextmanager
def opened_file(file: File) -> Iterator[BinaryIO]:
    """Open the file that contains a file of a layout, at its beginning. Raises InputError."""
    with readable(file.path):
        content = file.path.open("rb")
    with content:
        content.seek(file.start)
        yield content


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of the system into InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read ({printable(error.strerror or error)})", "check its rights") from None
