"""A credential as a value that never shows its secret."""

from __future__ import annotations

import base64
from dataclasses import field

from tagger.names import Repository
from tagger.text import hide, hide_for_a_while
from tagger.values import dataclass

_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - the user name that means: the secret is an identity token


class Secret:
    """A text that appears as `***` wherever it is printed, formatted or logged, and where a server quotes it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        if text.startswith("Bearer "):
            hide_for_a_while(text.removeprefix("Bearer "))
        else:
            hide(text.removeprefix("Basic "))

    def reveal(self) -> str:
        """The text itself, only for code that sends it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password or, without a user name, an identity token (an OAuth2 refresh token).

    `login` is the user name and password beside an identity token, for token servers that accept no such token.
    """

    username: str
    secret: Secret
    login: Credential | None = field(default=None, repr=False)

    @property
    def is_identity_token(self) -> bool:
        """Whether the secret is an identity token."""
        return self.username in ("", _IDENTITY_TOKEN_USER)

    def basic(self) -> Secret:
        """The value of a Basic Authorization header (RFC 7617)."""
        pair = f"{self.username}:{self.secret.reveal()}".encode()
        return Secret("Basic " + base64.b64encode(pair).decode("ascii"))

    def for_engine(self, repository: Repository) -> dict[str, str]:
        """The AuthConfig of the Engine API."""
        secret, server = self.secret.reveal(), {"serveraddress": server_of(repository)}
        return server | (
            {"identitytoken": secret} if self.is_identity_token else {"username": self.username, "password": secret}
        )


def credential_of(username: str, secret: str) -> Credential | None:
    """Make a credential; None for an empty identity token."""
    found = Credential(username, Secret(secret))
    return None if found.is_identity_token and not secret else found


def server_of(repository: Repository) -> str:
    """Return the name under which Docker stores the credential for a repository's registry."""
    return _DOCKER_HUB_KEY if repository.registry.is_docker_hub else repository.registry.host
