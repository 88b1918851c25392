"""Who a request is from: Basic and Bearer authorization, as the registry asks for it."""

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
    """A request on its way: what it was sent with, the failure known before, and the scopes it asked tokens for."""

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
        # What the registry asked for last, and what its root asks for (None: not known).
        self._asked: Challenge | None = None
        self._root: list[str] | None = None

    def credential(self) -> Credential | None:
        """The credential for the registry, if it may go there: the form that the token server accepts.

        Raises Denied when somebody on the way could read it, and CredentialsError.
        """
        found, trust = self._credential(), self._site.trust
        # What may be insecure may be plain HTTP or have any certificate.
        if found and trust.insecure and not trust.plain_credentials:
            raise Denied(
                f"the credentials for {self._site.registry} would be sent without verified TLS",
                f"set up TLS, or allow this with --insecure {self._site.registry}",
            )
        return found.login if found and found.login and self._tokens.by_password else found

    def token_server(self, greeting: Answer) -> str | None:
        """The token server that the registry's root asks for; None where it asks for none.

        Raises Denied when the credential may not go there, BadAnswer and CredentialsError.
        """
        asked = challenge.choose(_values(greeting.headers, "www-authenticate"))
        if asked is None or asked.scheme != "bearer":
            return None
        self._tokens.check_realm(asked.parameters.get("realm", ""), self.credential())
        return host_of(asked)

    def begin(self, scope: str, *, anonymous: bool = False) -> Sending:
        """A request for a scope, with the authorization that is known for it.

        A registry that has asked once who we are gets the answer with the request from then on.
        """
        failure, known = self._failures.get(scope), None if anonymous else self._authorizations.get(scope)
        sending = Sending(scope, known, failure)
        # Only the answer to a delete says what a token to delete has to be for.
        if self._asked and known is None and not anonymous and challenge.right(scope) != "delete":
            self._authorize(self._asked, "", sending)
        return sending

    def answers(self, answer: Answer, sending: Sending) -> bool:
        """Whether there is another authorization to try, where an answer asks for one.

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
        """The answer; a refusal of a valid login names the right that is missing."""
        if answer.status not in _DENIALS or sending.authorization is None or not self._asked:
            return answer
        bearer = self._asked.scheme == "bearer"
        valid = self._tokens.logged_in if bearer else answer.status == HTTPStatus.FORBIDDEN
        return replace(answer, lacks=challenge.right(sending.scope)) if valid else answer

    def _asked_at_root(self, *, hidden: bool) -> Challenge | None:
        """What the registry's root asks for; where something may just be missing, it is asked only with credentials."""
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
        """Get an authorization for the scope of a request; whether there is a new one to try.

        Of several requests at once one asks for all.
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
        """What answers a challenge, None where there is nothing, or nothing new, to answer it with."""
        credential = self.credential()
        if asked.scheme == "bearer":
            token = self._tokens.token(asked, sending.scope, named, sending.tried, credential)
            return Secret(f"Bearer {token}") if token else None
        login = credential.login if credential and credential.is_identity_token else credential
        return login.basic() if login else None


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getlist", None)
    return list(every(name)) if every else [headers[name]] if name in headers else []
