"""Challenges: the header `WWW-Authenticate` of a 401 answer (RFC 9110, section 11)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field

from tagger.values import dataclass

_SCHEME = re.compile(r"[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?=\s|,|$)(?!\s*=)")
_PARAMETER = re.compile(r"""[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""")
_JUNK = re.compile(r"[\s,]*[^\s,]*")
_PREFERENCE = ("bearer", "basic")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One authentication scheme, in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Parse the challenges of some headers.

    >>> parse(['Bearer realm="https://auth.local/token",scope="repository:a:pull,push", Basic realm=x'])[0].parameters
    {'realm': 'https://auth.local/token', 'scope': 'repository:a:pull,push'}
    """
    found: list[Challenge] = []
    for header in headers:
        position = 0
        while position < len(header):
            if parameter := _PARAMETER.match(header, position):
                name, quoted, bare = parameter.groups()
                if found:
                    value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                    found[-1].parameters.setdefault(name.lower(), value)
                position = parameter.end()
            elif scheme := _SCHEME.match(header, position):
                found.append(Challenge(scheme[1].lower()))
                position = scheme.end()
            elif junk := _JUNK.match(header, position):
                # Skip all of it in one step: many steps would take quadratic time.
                position = junk.end()
    return found


def choose(headers: Iterable[str]) -> Challenge | None:
    """Return the challenge to answer: Bearer before Basic, and no other.

    >>> choose(['Negotiate', 'Basic realm="r"']).scheme
    'basic'
    """
    offered = {challenge.scheme: challenge for challenge in reversed(parse(headers))}
    return next((offered[scheme] for scheme in _PREFERENCE if scheme in offered), None)


def scopes(wanted: str, named: str) -> list[str]:
    """Return the scopes to try for a token, in this order; `named` is the one in the challenge, if any.

    Token servers disagree on the name of the right to delete. A read requests only the right to read, and a write only
    scopes that allow it.

    >>> scopes("repository:app:delete", "repository:app:delete")
    ['repository:app:delete', 'repository:app:pull,push', 'repository:app:*']
    >>> scopes("repository:app:pull", "repository:app:pull,push")
    ['repository:app:pull']
    >>> scopes("repository:app:pull,push", "repository:app:delete")
    ['repository:app:pull,push']
    """
    rights = _rights(wanted)
    if "delete" in rights:
        base = wanted.rpartition(":")[0]
        asked = [named, f"{base}:pull,push", f"{base}:*"]
    elif "push" in rights:
        # Distribution needs the right to delete for cancelling an upload, and that right alone allows nothing else.
        asked = [wanted, named if _rights(named) & {"push", "*"} else ""]
    else:
        asked = [wanted, named if _rights(named) == rights or not wanted else ""]
    return [*dict.fromkeys(scope for scope in asked if scope)] or [""]


def right(scope: str) -> str:
    """Return the greatest right of a scope.

    >>> right("repository:app:pull,push")
    'push'
    """
    return next((each for each in ("delete", "push") if each in _rights(scope)), "pull")


def _rights(scope: str) -> set[str]:
    return {action for part in scope.split() for action in part.rpartition(":")[2].split(",")}
