"""The authorization of requests: Basic and Bearer, as the registry asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from http import HTTPStatus

from tagger.credentials.credential import Credential, Secret
from tagger.errors import CredentialsError, Denied, TaggerError
from tagger.registry import challenge
from tagger.registry.answer import Answer
from tagger.registry.challenge import Challenge
from tagger.registry.http import Transport
from tagger.registry.site import Site
from tagger.registry.tokens import Tokens, host_of
from tagger.values import dataclass

_DENIALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_HIDING = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@dataclass(slots=True)
class Sending:
    """A request under way: its authorization, the failure known before, and the scopes of its requested tokens."""

    scope: str
    authorization: Secret | None
    failure: TaggerError | None
    tried: set[str] = field(default_factory=set)

    def headers(self, others: Mapping[str, str]) -> dict[str, str]:
        """The headers of the request."""
        return {**others, **({"Authorization": self.authorization.reveal()} if self.authorization else {})}


class Auth:
    """The authorizations for one registry, by scope; safe to use from several threads."""

    def __init__(self, site: Site, transport: Transport, credential: Callable[[], Credential | None]) -> None:
        self._site = site
        self._credential = credential
        self._tokens = Tokens(site, transport)
        self._lock = threading.RLock()
        self._authorizations: dict[str, Secret] = {}
        self._failures: dict[str, TaggerError] = {}
        # The last challenge of the registry, and the challenge of its root (None: not known).
        self._asked: Challenge | None = None
        self._root: list[str] | None = None

    def credential(self) -> Credential | None:
        """The credential for the registry, in the form that the token server accepts.

        Raises Denied when others could read it on the way, and CredentialsError.
        """
        found, trust = self._credential(), self._site.trust
        # An insecure registry may use plain HTTP or have any certificate.
        if found and trust.insecure and not trust.plain_credentials:
            raise Denied(
                f"the credentials for {self._site.registry} would be sent without verified TLS",
                f"set up TLS, or allow this with --insecure {self._site.registry}",
            )
        return found.login if found and found.login and self._tokens.by_password else found

    def token_server(self, greeting: Answer) -> str | None:
        """Return the token server that the registry's root asks for; None if it asks for none.

        Raises Denied when the credential may not go there, BadAnswer and CredentialsError.
        """
        asked = challenge.choose(_values(greeting.headers, "www-authenticate"))
        if asked is None or asked.scheme != "bearer":
            return None
        self._tokens.check_realm(asked.parameters.get("realm", ""), self.credential())
        return host_of(asked)

    def begin(self, scope: str, *, anonymous: bool = False) -> Sending:
        """Return a request for a scope, with the known authorization.

        After its first challenge, a registry gets the authorization with every request.
        """
        failure, known = self._failures.get(scope), None if anonymous else self._authorizations.get(scope)
        sending = Sending(scope, known, failure)
        # Only the answer to a delete says which scope a token to delete needs.
        if self._asked and known is None and not anonymous and challenge.right(scope) != "delete":
            self._authorize(self._asked, "", sending)
        return sending

    def answers(self, answer: Answer, sending: Sending) -> bool:
        """Return whether there is another authorization to try, if an answer asks for one.

        Many registries answer 403 or 404 to hide what exists, and ask for credentials only at their root.
        """
        hidden = answer.status in _HIDING and sending.authorization is None
        asked = challenge.choose(_values(answer.headers, "www-authenticate"))
        short = (
            answer.status == HTTPStatus.FORBIDDEN
            and asked is not None
            and asked.parameters.get("error") == "insufficient_scope"
        )
        if not (answer.status == HTTPStatus.UNAUTHORIZED or hidden or short) or not self._site.owns(answer.url):
            return False
        if asked:
            return self._authorize(asked, asked.parameters.get("scope", ""), sending)
        if "www-authenticate" in answer.headers:
            return False
        root = self._asked_at_root(hidden=hidden)
        return root is not None and self._authorize(root, "", sending)

    def explained(self, answer: Answer, sending: Sending) -> Answer:
        """Return the answer; a refusal of a valid login names the missing right."""
        if answer.status not in _DENIALS or sending.authorization is None or not self._asked:
            return answer
        bearer = self._asked.scheme == "bearer"
        valid = self._tokens.logged_in if bearer else answer.status == HTTPStatus.FORBIDDEN
        return replace(answer, lacks=challenge.right(sending.scope)) if valid else answer

    def _asked_at_root(self, *, hidden: bool) -> Challenge | None:
        """Return the challenge of the registry's root; with `hidden`, ask only if there are credentials."""
        with self._lock:
            if self._root is None:
                if hidden and not self._may_have_credential():
                    return None
                answer = self._site.greeting()
                challenged = answer.status == HTTPStatus.UNAUTHORIZED
                self._root = _values(answer.headers, "www-authenticate") if challenged else []
            return challenge.choose(self._root)

    def _may_have_credential(self) -> bool:
        try:
            return self._credential() is not None
        except CredentialsError:
            return True

    def _authorize(self, asked: Challenge, named: str, sending: Sending) -> bool:
        """Get an authorization for the scope of a request; return whether there is a new one to try.

        One of several concurrent requests asks for all.
        """
        with self._lock:
            latest = self._authorizations.get(sending.scope)
            if latest != sending.authorization:
                sending.authorization = latest
                return True
            failed = self._failures.get(sending.scope)
            if failed and failed is not sending.failure:
                raise failed
            try:
                found = self._authorization(asked, named, sending)
            except TaggerError as error:
                self._failures[sending.scope] = error
                raise
            if found in (None, sending.authorization):
                return False
            self._asked = asked
            self._authorizations[sending.scope] = sending.authorization = found
            return True

    def _authorization(self, asked: Challenge, named: str, sending: Sending) -> Secret | None:
        """Return the authorization for a challenge; None if there is none, or no new one."""
        credential = self.credential()
        if asked.scheme == "bearer":
            token = self._tokens.token(asked, sending.scope, named, sending.tried, credential)
            return Secret(f"Bearer {token}") if token else None
        login = credential.login if credential and credential.is_identity_token else credential
        return login.basic() if login else None


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getlist", None)
    return list(every(name)) if every else [headers[name]] if name in headers else []
