"""Text from elsewhere, made safe to show: without secrets, cursor movements and commands for CI systems."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from urllib.parse import quote, quote_plus

_LONGEST_QUOTE = 300
_SHORTEST_HIDDEN = 4
# A badly encoded password may contain slashes; a port with a path is not a password.
_USER_IN_URL = re.compile(r"""(?<!\w)//(?:[^/?#\s:@]*:(?!\d+/)[^\s"'<>]{0,300}|[^/?#\s]*)@""")
_STARTS_COMMAND = re.compile(r"#(?=#)|^ *:(?=:.*::)")
_MOST_PASSING = 1000
_hidden: dict[str, None] = {}
_passing: dict[str, None] = {}
_passing_lock = threading.Lock()


def hide(secret: str) -> None:
    """Hide a secret in all output from now on, because a server may quote it."""
    _hidden.update(_forms(secret))


def hide_for_a_while(secret: str) -> None:
    """Hide a secret until many others follow, such as the token for one of thousands of repositories."""
    with _passing_lock:
        _passing.update(_forms(secret))
        while len(_passing) > _MOST_PASSING:
            del _passing[next(iter(_passing))]


def _forms(secret: str) -> dict[str, None]:
    if len(secret) < _SHORTEST_HIDDEN:
        return {}
    return dict.fromkeys((secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]))


def without_secrets(text: str) -> str:
    """Return text with `***` for each hidden secret, and without user and password in URLs.

    >>> without_secrets("no proxy answers at http://user:password@proxy.example:3128")
    'no proxy answers at http://proxy.example:3128'
    """
    covered = bytearray(len(text))
    for secret in [*list(_hidden), *list(_passing)]:
        at = text.find(secret)
        while at >= 0:
            covered[at : at + len(secret)] = b"\1" * len(secret)
            at = text.find(secret, at + 1)
    if any(covered):
        runs = groupby(zip(text, covered, strict=True), itemgetter(1))
        text = "".join("***" if secret else "".join(c for c, _ in run) for secret, run in runs)
    return _USER_IN_URL.sub("//", text)


def one_line(text: str) -> str:
    r"""Return text as one line that moves no cursor and commands no CI system; harmless text stays as it is.

    Control, format (such as bidirectional) and private characters become escapes. So does every `#` in a row but the
    last, because some CI systems run `##[command]`, `##vso[command]` and `##teamcity[command]` anywhere in a line, and
    the first character of `::command::`, which GitHub runs at the start of a line.

    >>> one_line("denied\n::error::x \x1b[2J")
    'denied\\n::error::x \\x1b[2J'
    >>> one_line("it is ###vso[task.complete]")
    'it is \\x23\\x23#vso[task.complete]'
    >>> one_line("::error::x")
    '\\x3a:error::x'
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return _STARTS_COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", shown)


def in_lines(lines: Iterable[str]) -> str:
    """Return lines joined, each made safe to show.

    >>> print(in_lines(["one", "two"]))
    one
    two
    """
    return "\n".join(map(one_line, lines))


def neutral_json(text: str) -> str:
    """Return JSON, or a TOML string, with the same meaning and without commands for CI systems."""
    return re.sub("#(?=#)", r"\\u0023", text)


def printable(text: object, limit: int = _LONGEST_QUOTE) -> str:
    r"""Return text from elsewhere as one line of at most `limit` characters, safe for a terminal or a CI log.

    Hidden secrets are removed, and the rest is as in `one_line`.

    >>> printable("denied\n::error::x \x1b[2J")
    'denied\\n::error::x \\x1b[2J'

    Text that is too long loses its middle, because registries name the missing right at the end.

    >>> printable("x" * 1000 + "y", limit=5)
    'xxx…y'
    """
    return _without_middle(one_line(_without_middle(without_secrets(str(text)), limit)), limit)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "tag"), counted(2, "tag"), counted(3, "repository")
    ('1 tag', '2 tags', '3 repositories')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _without_middle(text: str, limit: int) -> str:
    end = limit // 3
    return text if len(text) <= limit else f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"
