"""The real registry behind the imitations."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from services import Registry

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """The session's registry, which keeps its files in memory where it can: each test fills a repository."""
    folder = _MEMORY if _MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="tagger-", dir=folder) as own, Registry.start(Path(own)) as service:
        yield service
