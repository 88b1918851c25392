"""Pipes instead of files."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def pipe(path: Path, content: str = "") -> Iterator[None]:
    """Make a pipe whose writer comes with its first reader, writes the content, and leaves."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(content,))
    writer.start()
    try:
        yield
    finally:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that no writer waits on
        writer.join()
        os.close(reader)
