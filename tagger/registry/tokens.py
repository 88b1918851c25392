"""Tokens from a registry's token server (distribution, "Token Authentication Specification")."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus

from tagger.credentials.credential import Credential
from tagger.errors import BadAnswer, Denied
from tagger.registry import challenge, hosts
from tagger.registry.answer import Answer
from tagger.registry.challenge import Challenge
from tagger.registry.http import Transport
from tagger.registry.site import Site
from tagger.registry.url import shown
from tagger.text import printable

_MOST_TOKENS = 4
_TOKEN_BYTES = 64 * 1024
_DENIALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# The answers of token servers to a scope that they do not know or do not grant.
_NO_SUCH_SCOPE = frozenset({400, 403, 404, 405, 422})


class Tokens:
    """The tokens from one registry's token server.

    `logged_in`: it accepted the credential. `by_password`: it accepted only the password beside an identity token.
    """

    def __init__(self, site: Site, transport: Transport) -> None:
        self._site = site
        self._registry = site.registry
        self._transport = transport
        self._granted: dict[str, str] = {}
        self.logged_in = self.by_password = False

    def token(
        self, asked: Challenge, wanted: str, named: str, tried: set[str], credential: Credential | None
    ) -> str | None:
        """Request a token for the first scope that the token server accepts; None when all were tried already.

        `wanted` is the scope of the request, `named` the scope in the challenge; `tried` collects the requested scopes.

        Raises Denied, BadAnswer, RegistryUnreachable.
        """
        self.check_realm(asked.parameters.get("realm", ""), credential)
        known = self._granted.get(wanted)
        if len(tried) == _MOST_TOKENS or (named and named == known and named in tried):
            return None  # the registry asks again for a granted scope: the right is missing
        likely = [*([known] if known else ()), *challenge.scopes(wanted, named)]
        left = [scope for scope in dict.fromkeys(likely) if scope not in tried]
        for scope in left:
            tried.add(scope)
            answer = self._ask(asked, scope, credential)
            if answer.status not in _NO_SUCH_SCOPE or scope == left[-1]:
                token = self._read(answer, asked, wanted, credential)
                self._granted[wanted] = scope
                self.logged_in = credential is not None
                return token
        return None

    def check_realm(self, realm: str, credential: Credential | None) -> None:
        """Refuse to send credentials to an untrusted token server (CVE-2020-15157 and similar ones).

        Raises BadAnswer for an address that nobody should trust, Denied for a host that the user has to allow.
        """
        try:
            parts = urllib.parse.urlsplit(realm)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urllib.parse.urlsplit(""), ""
        plain = parts.scheme == "http" and self._site.origin.startswith("http:")
        if not host or parts.username or not (parts.scheme == "https" or plain):
            raise BadAnswer(
                f"{self._registry} names '{shown(realm)}' as its token server, which is not an address to trust",
                "ask its administrator",
            )
        own = urllib.parse.urlsplit(self._site.origin).hostname
        named = {text.lower() for text in self._site.trust.token_hosts}
        allowed = {own, *hosts.known(self._registry).token_hosts, *named}
        if credential and allowed.isdisjoint({host, parts.netloc.lower()}):
            raise Denied(
                f"{self._registry} wants its credentials sent to {printable(host)}",
                f"if that is its token server, allow it with --auth-host {printable(host)}, or with auth_hosts in"
                f" tagger.toml",
            )

    def _ask(self, asked: Challenge, scope: str, credential: Credential | None) -> Answer:
        """Send the identity token; without one, or where none is accepted, the password of the same login."""
        realm, service = asked.parameters["realm"], asked.parameters.get("service", "")
        fields = {name: value for name, value in (("service", service), ("scope", scope)) if value}
        if not (credential and credential.is_identity_token):
            return self._ask_by_password(realm, fields, credential)
        form = fields | {
            "grant_type": "refresh_token", "client_id": "tagger", "refresh_token": credential.secret.reveal(),
        }  # fmt: skip
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        encoded = urllib.parse.urlencode(form).encode()
        answer = self._transport.send("POST", realm, content, encoded, limit=_TOKEN_BYTES)
        if answer.status == HTTPStatus.OK or not credential.login:
            return answer
        by_password = self._ask_by_password(realm, fields, credential.login)
        self.by_password = by_password.status == HTTPStatus.OK
        return by_password

    def _ask_by_password(self, realm: str, fields: Mapping[str, str], login: Credential | None) -> Answer:
        joint = "&" if urllib.parse.urlsplit(realm).query else "?"
        headers = {"Authorization": login.basic().reveal()} if login else {}
        # Each scope is a parameter of its own.
        each = [(name, part) for name, text in fields.items() for part in _parts(name, text)]
        return self._transport.send("GET", f"{realm}{joint}{urllib.parse.urlencode(each)}", headers, limit=_TOKEN_BYTES)

    def _read(self, answer: Answer, asked: Challenge, wanted: str, credential: Credential | None) -> str:
        self._check_granted(answer, f"the token server {host_of(asked)}", wanted, credential)
        content = answer.content() if answer.status == HTTPStatus.OK else {}
        token = content.get("token") or content.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise BadAnswer(
                f"the token server {host_of(asked)} of {self._registry} gave no token ({answer.complaint()})",
                f"try again later, or run docker login {self._registry}",
            )
        return token

    def _check_granted(self, answer: Answer, server: str, wanted: str, credential: Credential | None) -> None:
        login, said = f"run docker login {self._registry}", answer.complaint()
        identity_only = credential is not None and credential.is_identity_token and not credential.login
        if answer.status in _DENIALS and self.logged_in:
            raise Denied(
                f"{server} gives your login no right to {challenge.right(wanted)} ({said})",
                f"ask the administrator of {self._registry} for it",
            )
        if answer.status in _DENIALS and not credential:
            raise Denied(f"{server} gives no anonymous token for {self._registry} ({said})", login)
        if answer.status == HTTPStatus.UNAUTHORIZED or (answer.status in _DENIALS and not identity_only):
            raise Denied(f"{server} refuses the credentials for {self._registry} ({said})", login)
        if answer.status != HTTPStatus.OK and identity_only:
            raise BadAnswer(
                f"{server} of {self._registry} accepts no identity token ({said}), and your login has no password",
                f"{login} with a password or an access token",
            )


def host_of(asked: Challenge) -> str:
    """Return the host and port of the token server in a challenge."""
    return printable(urllib.parse.urlsplit(asked.parameters["realm"]).netloc.rpartition("@")[2])


def _parts(name: str, text: str) -> list[str]:
    return text.split() if name == "scope" else [text]
