"""The repositories of a command, and the request rates of registries: from words to values; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from tagger.errors import InputError, InvalidReference
from tagger.names import Registry, Repository
from tagger.text import printable
from tagger.values import dataclass

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_RATE = re.compile(r"([^=]+)=([0-9]+(?:\.[0-9]+)?)/([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of all repositories, counted from 0, as Kubernetes counts the pods of an Indexed Job."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse `INDEX/COUNT`.

        >>> Shard.parse("3/20")
        Shard(index=3, count=20)

        Raises InputError.
        """
        match = _SHARD.fullmatch(text)
        if not match or int(match[1]) >= int(match[2]):
            raise InputError(f"'{printable(text)}' is not a shard", "count from 0, such as 0/20 to 19/20 for 20 shards")
        return cls(int(match[1]), int(match[2]))

    def has(self, name: str) -> bool:
        """Return whether a repository is in this part, by the SHA-256 of its name: other names do not matter."""
        return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % self.count == self.index


def parse_rates(texts: Iterable[str]) -> dict[str, float]:
    """Return the most requests per second for each host, from `HOST=20/s`, `HOST=300/m` or `HOST=5000/h`.

    >>> parse_rates(["registry.local:5000=90/m"])
    {'registry.local:5000': 1.5}

    Raises InputError.
    """
    rates = {}
    for text in texts:
        match = _RATE.fullmatch(text)
        if not match or not float(match[2]):
            raise InputError(
                f"'{printable(text)}' is not a rate", "give HOST=NUMBER/s, /m or /h, such as registry.local:5000=20/s"
            )
        rates[Registry.parse(match[1]).host] = float(match[2]) / _SECONDS[match[3]]
    return rates


def names(lines: Iterable[str], source: str) -> Iterator[str]:
    """Yield the names in lines of text, one per line, without comments and blank lines.

    >>> [*names(["# ours", "", "registry.local:5000/gallery/ui  # the gallery"], "stdin")]
    ['registry.local:5000/gallery/ui']

    Raises InputError at the end if there was none, because the program that should have written them may have failed.
    """
    some = False
    for line in lines:
        if name := line.removeprefix("\ufeff").partition("#")[0].strip():  # some editors write a byte order mark
            some = True
            yield name
    if not some:
        raise InputError(f"{printable(source)} names no repository", "write one name per line")


def whole(name: str) -> str:
    """Return the full name of a repository, or an invalid text unchanged: that is a result and does not end the run."""
    try:
        return str(Repository.parse(name))
    except InvalidReference:
        return printable(name)


def wanted(named: Iterable[str], shard: Shard) -> Iterator[tuple[str, str]]:
    """Yield the repositories of a shard, each with its full name."""
    for name in named:
        if shard.has(spelt := whole(name)):
            yield spelt, name
