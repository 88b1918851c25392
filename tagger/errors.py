"""The errors, sorted by cause, with the exit code of a command that has written nothing.

    TaggerError                  1
    ├── InputError               2  something named on the command line or in the environment cannot be used
    │   ├── InvalidReference        an image, repository, registry, tag or digest is misspelt
    │   ├── InvalidVersion          not a semantic version
    │   ├── ImageNotFound           the Engine has no such image
    │   ├── NotThere                the repository has none of the versions or tags that were named
    │   └── CredentialsError        the Docker configuration or a credential helper is broken
    ├── Refused                  3  a rule says no
    │   ├── Denied                  the registry does not let these credentials do that
    │   ├── Immutable               the tag is immutable: nobody can write or delete it again
    │   ├── OverQuota               the registry takes no more from this account
    │   └── NoRepository            the registry has no such repository, and a push does not create it
    ├── EngineError              1  the Engine reported a failure
    │   ├── EngineUnreachable    2  no Engine answers at its address
    │   ├── WrongImage              it pushed something other than the image: another one, or one platform of several
    │   ├── Transient               it failed for a temporary reason
    │   ├── ConnectionLost          the connection to it broke, so the result of the request is unknown
    │   └── Unproven                it ended a push without an error, and without a digest
    ├── RegistryError            1  something is wrong with the registry
    │   ├── RegistryUnreachable  2  no registry answers at its address
    │   └── BadAnswer               it reported a failure, or answered nonsense
    │       ├── Unreadable          it fails to say where a tag points: neither there nor absent
    │       └── TooLong             an answer is longer than tagger reads
    ├── GateFailed               6  a gate does not let the image through, and no tag moved
    ├── TimedOut                 1  the time of --timeout is over
    ├── CalledOff                1  a concurrent task was interrupted
    └── Fault                    1  an internal error of tagger

A command that fails after its first write ends with one of these, whatever the cause:

    TaggerError
    ├── ReleaseFailed            1  a release failed, and the floating tags were put back
    │   └── Conflict                somebody else published the same version with another image meanwhile
    ├── Unsettled                4  some tags are not where they should be; they are named
    └── Interrupted        130, 143  a signal came, and the floating tags were put back

A message says what is wrong and, as a hint, what to do next. It never holds a secret: text from elsewhere goes through
`printable` first, which also makes it short. Everything that is printed goes through `one_line` last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagger.text import printable

AGAIN = "run the same command again"


class TaggerError(Exception):
    """The reason why tagger stopped; the Python API sets `release` or `removal` to the work done by then, if any."""

    exit_code: int = 1
    release: Any = None
    removal: Any = None

    def __init__(self, what: str, hint: str = "") -> None:
        """Take the problem, and what to do next."""
        super().__init__(f"{what}: {hint}" if hint else what)
        self.what = what
        self.hint = hint


class InputError(TaggerError):
    """Something named on the command line or in the environment cannot be used."""

    exit_code = 2


class InvalidReference(InputError, ValueError):
    """An image, repository, registry, tag or digest is misspelt."""


class InvalidVersion(InputError, ValueError):
    """The text is not a semantic version."""


class ImageNotFound(InputError):
    """The Engine has no such image."""


class NotThere(InputError):
    """The repository has none of the versions or tags that were named."""


class CredentialsError(InputError):
    """The Docker configuration or a credential helper is broken."""


class Refused(TaggerError):
    """A rule says no; as the end of a command it means that nothing was written."""

    exit_code = 3


class Denied(Refused):
    """The registry does not let these credentials do that."""


class Immutable(Refused):
    """The tag is immutable: nobody can write or delete it again."""


class OverQuota(Refused):
    """The registry takes no more from this account."""


class NoRepository(Refused):
    """The registry has no such repository, and a push does not create it."""


class EngineError(TaggerError):
    """The Engine reported a failure."""


class EngineUnreachable(EngineError):
    """No Engine answers at its address."""

    exit_code = 2


class WrongImage(EngineError):
    """The Engine pushed something other than the image, whose digest is `digest`."""

    def __init__(self, what: str, digest: str | None, hint: str = "") -> None:
        super().__init__(what, hint)
        self.digest = digest


class Transient(EngineError):
    """The Engine failed for a temporary reason: the registry was busy, down or out of reach."""


class ConnectionLost(EngineError):
    """The connection to the Engine broke, so the result of the request is unknown."""


class Unproven(EngineError):
    """The Engine ended a push without an error, and without the digest that would prove it."""


class ReleaseFailed(TaggerError):
    """A release failed halfway; the message says where the floating tags are."""


class Conflict(ReleaseFailed):
    """Somebody else published the same version with another image meanwhile."""


class RegistryError(TaggerError):
    """Something is wrong with the registry."""

    again_in = 0.0
    """The seconds after which the registry wants the next attempt; 0 if it does not say."""


class RegistryUnreachable(RegistryError):
    """No registry answers at its address."""

    exit_code = 2


class BadAnswer(RegistryError):
    """The registry reported a failure, or answered nonsense."""


class Unreadable(BadAnswer):
    """The registry fails to say where a tag points, so it is neither there nor absent."""


class TooLong(BadAnswer):
    """An answer of the registry is longer than tagger reads."""


class GateFailed(TaggerError):
    """A gate does not let the image through, and no tag that users pull has moved."""

    exit_code = 6


class TimedOut(TaggerError):
    """The time that --timeout gave the command is over."""


class CalledOff(TaggerError):
    """A signal arrived while this waited in a thread; the main thread handles the signal itself."""


class Fault(TaggerError):
    """tagger itself failed; the exception is the cause."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"tagger hit an internal error, {type(cause).__name__}: {printable(cause)}",
            "please report it with the output of --verbose",
        )
        self.__cause__ = cause


class Unsettled(TaggerError):
    """Some tags are not where they should be; `tags` names them."""

    exit_code = 4

    def __init__(self, what: str, tags: Sequence[str], hint: str = "") -> None:
        super().__init__(what, hint)
        self.tags = tuple(tags)


class Terminated(KeyboardInterrupt):
    """A signal other than SIGINT arrived; it is raised and handled like KeyboardInterrupt."""

    def __init__(self, signal: int = 15) -> None:
        super().__init__(signal)
        self.signal = signal


class Abandoned(KeyboardInterrupt):
    """A second signal arrived while work that the first one interrupted was still running."""


class Interrupted(TaggerError):
    """A signal came, and the floating tags were put back."""

    def __init__(self, what: str, cause: KeyboardInterrupt | None = None, hint: str = "") -> None:
        super().__init__(what, hint)
        self.exit_code = 128 + (cause.signal if isinstance(cause, Terminated) else 2)
