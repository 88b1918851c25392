"""What can go wrong, as a tree; every class knows its exit code.

    TaggerError                  1  failed, and the registry is as it was
    ├── InputError               2  something named on the command line or in the environment cannot be used
    │   ├── InvalidReference        an image, repository, registry, tag or digest is misspelt
    │   ├── InvalidVersion          not a semantic version
    │   ├── ImageNotFound           the Engine has no such image
    │   ├── CredentialsError        the Docker configuration or a credential helper is broken
    │   ├── EngineUnreachable       no Engine answers at its address
    │   └── RegistryUnreachable     no registry answers at its address
    ├── Refused                  3  a rule says no; nothing was written
    │   ├── Denied                  the registry does not let these credentials do that
    │   ├── Immutable               the registry lets nobody write that tag again, or delete it
    │   ├── OverQuota               the registry takes no more from this account
    │   └── NoRepository            the registry has no such repository, and a push does not create it
    ├── EngineError              1  the Engine reported a failure
    │   ├── WrongImage              it pushed something else than the image: another one, or one platform of several
    │   ├── Transient               it failed for a reason that may pass by itself
    │   ├── BrokenOff               the connection to it broke, so nobody knows what became of the request
    │   └── Unproven                it ended a push without an error, and without a digest
    ├── ReleaseFailed            1  a release broke off, and the floating tags were put back
    │   └── Conflict                somebody else published the same version with another image meanwhile
    ├── RegistryError            1  the registry reported a failure, or answered nonsense
    │   ├── Unreadable              it fails to say where a tag points: neither there nor absent
    │   └── TooLong                 an answer is longer than tagger reads
    ├── TimedOut                 1  the time of --timeout is over
    ├── CalledOff                1  what runs beside this was interrupted
    ├── Fault                    1  tagger met a fault of its own
    ├── Unsettled                4  some tags are not where they should be; they are named
    └── Interrupted        130, 143  a signal came, and the floating tags were put back

A message is one sentence that says what is wrong and what to do next. It never holds a secret, and text that came
from elsewhere goes through `printable` first, which makes it short. Whatever is printed goes through `one_line` last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from tagger.reference import Digest
    from tagger.removal import Removal
    from tagger.result import Release

_LONGEST_QUOTE = 300
_SHORTEST_HIDDEN = 4
# A password that is not encoded as it should be may have slashes; a port and a path do not make one.
_USER_IN_URL = re.compile(r"""(?<!\w)//(?:[^/?#\s:@]*:(?!\d+/)[^\s"'<>]{0,300}|[^/?#\s]*)@""")
_STARTS_COMMAND = re.compile(r"#(?=#)|^ *:(?=:.*::)")
_hidden: dict[str, None] = {}


class TaggerError(Exception):
    """Say why tagger stopped; `release` or `removal` holds what was known and done by then, if anything was."""

    exit_code: int = 1
    outcome: ClassVar[str] = "failed"
    release: Release | None = None
    removal: Removal | None = None


class InputError(TaggerError):
    """Something named on the command line or in the environment cannot be used."""

    exit_code = 2


class InvalidReference(InputError, ValueError):
    """An image, repository, registry, tag or digest is misspelt."""


class InvalidVersion(InputError, ValueError):
    """The text is not a semantic version."""


class ImageNotFound(InputError):
    """The Engine has no such image."""


class CredentialsError(InputError):
    """The Docker configuration or a credential helper is broken."""


class EngineUnreachable(InputError):
    """No Engine answers at its address."""


class RegistryUnreachable(InputError):
    """No registry answers at its address."""


class Refused(TaggerError):
    """A rule says no; as the end of a command it means that nothing was written."""

    exit_code = 3
    outcome = "refused"


class Denied(Refused):
    """The registry does not let these credentials do that."""


class Immutable(Refused):
    """The registry lets nobody write that tag again, or delete it."""


class OverQuota(Refused):
    """The registry takes no more from this account."""


class NoRepository(Refused):
    """The registry has no such repository, and a push does not create it."""


class EngineError(TaggerError):
    """The Engine reported a failure."""


class WrongImage(EngineError):
    """The Engine pushed something else than the image, whose digest is `digest`."""

    def __init__(self, message: str, digest: Digest | None) -> None:
        super().__init__(message)
        self.digest = digest


class Transient(EngineError):
    """The Engine failed for a reason that may pass by itself: the registry was busy, down or out of reach."""


class BrokenOff(EngineError):
    """The connection to the Engine broke, so that nobody knows what became of the request."""


class Unproven(EngineError):
    """The Engine ended a push without an error, and without the digest that would prove it."""


class ReleaseFailed(TaggerError):
    """A release broke off; the message says where the floating tags are, which is no place of doubt."""


class Conflict(ReleaseFailed):
    """Somebody else published the same version with another image meanwhile."""


class RegistryError(TaggerError):
    """The registry reported a failure, or answered nonsense."""


class Unreadable(RegistryError):
    """The registry fails to say where a tag points, so that the tag is neither there nor absent."""


class TooLong(RegistryError):
    """An answer of the registry is longer than tagger reads."""


class TimedOut(TaggerError):
    """The time that the whole command had is over."""


class CalledOff(TaggerError):
    """A signal arrived while this waited in a thread; the signal itself is raised where it arrived."""


class Fault(TaggerError):
    """tagger met a fault of its own, which is the cause."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"tagger met a fault of its own, {type(cause).__name__}: {printable(cause)}: please report it, with what"
            " --verbose shows"
        )
        self.__cause__ = cause


class Unsettled(TaggerError):
    """Some tags are not where they should be; `tags` names them."""

    exit_code = 4
    outcome = "partial"

    def __init__(self, message: str, tags: Sequence[str]) -> None:
        super().__init__(message)
        self.tags = tuple(tags)


class Terminated(KeyboardInterrupt):
    """Another signal than SIGINT arrived: raised where KeyboardInterrupt would be, and handled as that is."""

    def __init__(self, signal: int = 15) -> None:
        super().__init__(signal)
        self.signal = signal


class Abandoned(KeyboardInterrupt):
    """A second signal arrived while what the first one interrupted was still running."""


class Interrupted(TaggerError):
    """A signal came, and the floating tags were put back."""

    def __init__(self, message: str, cause: KeyboardInterrupt | None = None) -> None:
        super().__init__(message)
        self.exit_code = 128 + (cause.signal if isinstance(cause, Terminated) else 2)


def hide(secret: str) -> None:
    """Keep a secret out of all that is shown from now on: a server may quote what it was sent."""
    if len(secret) >= _SHORTEST_HIDDEN:
        forms = (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1])
        _hidden.update(dict.fromkeys(forms))


def without_secrets(text: str) -> str:
    """Show `***` for each stretch of text that secrets given to `hide` cover, and no user or password in a URL.

    >>> without_secrets("no proxy answers at http://user:password@proxy.example:3128")
    'no proxy answers at http://proxy.example:3128'
    """
    covered = bytearray(len(text))
    for secret in list(_hidden):
        at = text.find(secret)
        while at >= 0:
            covered[at : at + len(secret)] = b"\1" * len(secret)
            at = text.find(secret, at + 1)
    if any(covered):
        runs = groupby(zip(text, covered, strict=True), itemgetter(1))
        text = "".join("***" if secret else "".join(c for c, _ in run) for secret, run in runs)
    return _USER_IN_URL.sub("//", text)


def one_line(text: str) -> str:
    r"""Make text one line that moves no cursor and commands no CI system; a line that is so already stays as it is.

    Control, format (bidirectional among them) and private characters become their escapes. Of `#` in a row all but the
    last do, since some CI systems take `##[command]`, `##vso[command]` and `##teamcity[command]` for theirs anywhere in
    a line; so does the first character of `::command::`, which GitHub takes for its own at the start of a line.

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
    """Join lines that are safe to show."""
    return "\n".join(map(one_line, lines))


def neutral_json(text: str) -> str:
    """Spell JSON, or a string of TOML, so that it means the same and commands no CI system."""
    return re.sub("#(?=#)", r"\\u0023", text)


def printable(text: object, limit: int = _LONGEST_QUOTE) -> str:
    r"""Make text from elsewhere safe to show on a terminal or in a CI log, as one line of at most `limit` characters.

    It holds no secret that was given to `hide`, and is what `one_line` makes of it.

    >>> printable("denied\n::error::x \x1b[2J")
    'denied\\n::error::x \\x1b[2J'

    What is too long loses its middle, since registries name the missing right at the end.

    >>> printable("x" * 1000 + "y", limit=5)
    'xxx…y'
    """
    return _without_middle(one_line(_without_middle(without_secrets(str(text)), limit)), limit)


def _without_middle(text: str, limit: int) -> str:
    end = limit // 3
    return text if len(text) <= limit else f"{text[: limit - 1 - end]}…{text[len(text) - end :]}"
