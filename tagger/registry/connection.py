"""A connection to one registry that authenticates as it is asked to: Basic and Bearer; redirects.

Credentials go to the registry's own scheme, host and port and to its token server, and nowhere else.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import urllib3

from tagger.credentials.credential import Credential, Secret
from tagger.errors import CredentialsError, Denied, RegistryError, TaggerError
from tagger.names import Registry
from tagger.registry import challenge, hosts
from tagger.registry.http import Answer, Body, Transport, shown
from tagger.text import printable
from tagger.work import Patience, Trace

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_MOST_TOKENS = 4
_TOKEN_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_DENIALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_HIDING = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
# What token servers answer to a scope that they do not know, or do not grant.
_NO_SUCH_SCOPE = frozenset({400, 403, 404, 405, 422})


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a registry is trusted without TLS.

    `insecure`: plain HTTP and unverified TLS are allowed, as in the Engine. `plain_credentials`: credentials may
    cross plain HTTP too (loopback, or named by the user). `plain_first`: plain HTTP is tried first, which is safe and
    usual where nothing leaves the machine. `token_hosts`: hosts beside its own that may be its token server.
    `because` says why it may be insecure.
    """

    insecure: bool = False
    because: str = ""
    plain_credentials: bool = False
    plain_first: bool = False
    token_hosts: frozenset[str] = frozenset()


class Connection:
    """A pool of connections to one registry that authenticates as it is asked to; safe to use from several threads."""

    def __init__(
        self,
        registry: Registry,
        credential: Callable[[], Credential | None],
        trust: Trust | None = None,
        *,
        patience: Patience | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.registry = registry
        self.patience = patience or Patience()
        self._credential = credential
        self._trust = trust or Trust()
        self._transport = Transport(registry, insecure=self._trust.insecure, patience=self.patience, trace=trace)
        self._lock = threading.RLock()
        self._origin: str | None = None if self._trust.insecure else f"https://{registry.api_host}"
        self._authorizations: dict[str, Secret] = {}
        # What the registry asked for last, what its root asks for (None: not known), and the scopes that were taken.
        self._asked: challenge.Challenge | None = None
        self._root: list[str] | None = None
        self._taken: dict[str, str] = {}
        self._logged_in = self._by_password = False
        self._failures: dict[str, TaggerError] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        limit: int = 1024 * 1024,
        elsewhere: bool = True,
    ) -> Answer:
        """Send a request to the registry and give its answer, whatever the status.

        What carries the pieces of a blob is sent once, even if that is answered by 401.

        `path` is absolute, or a URL of this registry; `scope` is what a token has to allow; `limit` is the most bytes
        of a body that are read; without `elsewhere` a redirect to another host is the answer. Transient failures of
        repeatable requests are tried again, for a few seconds.

        Raises RegistryUnreachable, RegistryError, Denied and CredentialsError.
        """
        sent = dict(headers or {})
        first = self._tried_plainly(method, path, sent, limit)
        url = urllib.parse.urljoin(self.origin, path)
        self._same_origin(url)
        attempt = self._begun(scope, anonymous=first is not None)
        while True:
            authorized = _authorized(sent, attempt.authorization)
            answer = self._transport.send(method, url, authorized, body, limit=limit, first=first)
            answer, first = self._followed(method, answer, authorized, limit, elsewhere=elsewhere), None
            if not self._authenticate(answer, attempt) or isinstance(body, Iterator):
                return self._explained(answer, attempt)

    @contextlib.contextmanager
    def opened(self, path: str, *, scope: str) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Get a blob, from wherever the registry says that it is: the answer, and its body in pieces.

        Nothing is tried again. Raises, with any piece too, what `request` raises.
        """
        url = urllib.parse.urljoin(self.origin, path)
        attempt = self._begun(scope)
        for _ in range(_MOST_REDIRECTS + _MOST_TOKENS):
            headers = _authorized({}, attempt.authorization) if self._is_own(url) else {}
            with self._transport.opened(url, headers, limit=_TOKEN_BYTES) as (answer, pieces):
                if self._authenticate(answer, attempt):
                    continue
                if following := self._following("GET", answer):
                    url = following
                    continue
                yield self._explained(answer, attempt), pieces
                return
        raise self._circles()

    def credential(self) -> Credential | None:
        """Give the credential for this registry, if it may go there: one that its token server takes.

        Raises Denied when somebody on the way could read it, and CredentialsError.
        """
        found = self._credential()
        # What may be insecure may be plain HTTP or have any certificate.
        if found and self._trust.insecure and not self._trust.plain_credentials:
            raise Denied(
                f"the credentials for {self.registry} would travel without verified TLS: set that up, or allow it with"
                f" --insecure {self.registry}"
            )
        return found.login if found and found.login and self._by_password else found

    @property
    def origin(self) -> str:
        """Give the registry's scheme, host and port; the first use may ask the registry whether it speaks TLS."""
        with self._lock:
            if self._origin is None:
                self._origin = self._probe()
            return self._origin

    @property
    def trust(self) -> Trust:
        """Give how far the registry is trusted without TLS."""
        return self._trust

    def greeting(self) -> Answer:
        """Give what the registry's root answers to a stranger. Raises RegistryUnreachable, RegistryError."""
        plainly = self._tried_plainly("GET", "/v2/", {}, _TOKEN_BYTES)
        return plainly or self._transport.send("GET", f"{self.origin}/v2/", {}, limit=_TOKEN_BYTES)

    def token_server(self, greeting: Answer) -> str | None:
        """Name the token server that the registry's root asks for; None where it asks for none.

        Raises Denied when the credential may not go there, RegistryError and CredentialsError.
        """
        asked = challenge.choose(_values(greeting.headers, "www-authenticate"))
        if asked is None or asked.scheme != "bearer":
            return None
        self._check_realm(asked.parameters.get("realm", ""), self.credential())
        return _host(asked)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def _probe(self) -> str:
        """Find out whether an insecure registry speaks TLS: as the Engine does, HTTPS first and then HTTP."""
        secure = f"https://{self.registry.api_host}"
        try:
            self._transport.once("GET", f"{secure}/v2/", {}, limit=_TOKEN_BYTES)
        except (urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError):
            return f"http://{self.registry.api_host}"
        except urllib3.exceptions.HTTPError as error:
            raise self._transport.unreachable(secure, error) from None
        return secure

    def _tried_plainly(self, method: str, path: str, headers: dict[str, str], limit: int) -> Answer | None:
        """Send the first reads over plain HTTP, without credentials; give the answer if that is what is spoken there.

        Servers that want TLS answer such a request by 400, or by breaking off.
        """
        if self._origin is not None or not self._trust.plain_first or method not in ("GET", "HEAD"):
            return None
        plain = f"http://{self.registry.api_host}"
        try:
            answer = self._transport.once(method, plain + path, headers, limit=limit)
        except (urllib3.exceptions.HTTPError, RegistryError):
            return None
        with self._lock:
            if answer.status != 400 and self._origin is None:  # noqa: PLR2004 - HTTP's own number
                self._origin = plain
            return answer if self._origin == plain and answer.status != 400 else None  # noqa: PLR2004 - as above

    def _followed(self, method: str, answer: Answer, headers: dict[str, str], limit: int, *, elsewhere: bool) -> Answer:
        """Follow the redirects of a read from its first answer on, to another host only where that is wanted."""
        for _ in range(_MOST_REDIRECTS):
            if not elsewhere and self._leads_elsewhere(answer):
                return answer
            following = self._following(method, answer)
            if following is None:
                return answer
            if not self._is_own(following):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = self._transport.send(method, following, headers, limit=limit)
        raise self._circles()

    def _leads_elsewhere(self, answer: Answer) -> bool:
        location = answer.headers.get("location", "")
        return answer.status in _REDIRECTS and not self._is_own(answer.resolve(location))

    def _following(self, method: str, answer: Answer) -> str | None:
        """Give the URL that an answer redirects to, None where it does not. Raises RegistryError for one to refuse."""
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not location:
            return None
        following = answer.resolve(location)
        self._not_downgraded(following)
        if method not in ("GET", "HEAD") or not (self._is_own(following) or following.lower().startswith("https://")):
            raise RegistryError(
                f"{self.registry} redirects {method} to {shown(following)}, which tagger does not follow:"
                " ask whoever runs it for the right address"
            )
        return following

    def _circles(self) -> RegistryError:
        return RegistryError(f"{self.registry} redirects in circles: ask whoever runs it for its right address")

    # -- authentication ----------------------------------------------------------------------------------------

    def _begun(self, scope: str, *, anonymous: bool = False) -> _Attempt:
        """Begin a request: with what is known to serve its scope; what asked who we are once is told before it asks."""
        failure, before = self._failures.get(scope), None if anonymous else self._authorizations.get(scope)
        attempt = _Attempt(scope, before, failure)
        # What a token to delete has to be for stands in the answer to a delete.
        if self._asked and before is None and not anonymous and challenge.right(scope) != "delete":
            self._authorize(self._asked, "", attempt)
        return attempt

    def _authenticate(self, answer: Answer, attempt: _Attempt) -> bool:
        """Get another authorization where an answer asks for one, and say whether there is one to try.

        Behind 403 and 404 many a registry hides from strangers what is there; only its root asks who they are.
        """
        hidden = answer.status in _HIDING and attempt.authorization is None
        asked = challenge.choose(_values(answer.headers, "www-authenticate"))
        short = answer.status == HTTPStatus.FORBIDDEN and asked and _error(asked) == "insufficient_scope"
        if not (answer.status == HTTPStatus.UNAUTHORIZED or hidden or short) or not self._is_own(answer.url):
            return False
        if asked:
            return self._authorize(asked, asked.parameters.get("scope", ""), attempt)
        if "www-authenticate" in answer.headers:
            return False
        root = self._asked_at_root(hidden=hidden)
        return root is not None and self._authorize(root, "", attempt)

    def _asked_at_root(self, *, hidden: bool) -> challenge.Challenge | None:
        """Give what the registry's root asks for; where something may just not be there, only with credentials."""
        with self._lock:
            if self._root is None:
                try:
                    nobody = hidden and self._credential() is None
                except CredentialsError:
                    nobody = False
                if nobody:
                    return None
                answer = self.greeting()
                challenged = answer.status == HTTPStatus.UNAUTHORIZED
                self._root = _values(answer.headers, "www-authenticate") if challenged else []
            return challenge.choose(self._root)

    def _authorize(self, asked: challenge.Challenge, named: str, attempt: _Attempt) -> bool:
        """Get an authorization for the scope of a request; say whether there is a new one to try.

        Of several requests at once one asks for all.
        """
        with self._lock:
            latest = self._authorizations.get(attempt.scope)
            if latest != attempt.authorization:
                attempt.authorization = latest
                return True
            failed = self._failures.get(attempt.scope)
            if failed and failed is not attempt.failure:
                raise failed
            try:
                found = self._authorization(asked, named, attempt)
            except TaggerError as error:
                self._failures[attempt.scope] = error
                raise
            if found in (None, attempt.authorization):
                return False
            self._asked = asked
            self._authorizations[attempt.scope] = attempt.authorization = found
            return True

    def _authorization(self, asked: challenge.Challenge, named: str, attempt: _Attempt) -> Secret | None:
        """Get what a challenge asks for, None where there is nothing, or nothing new, to answer it with."""
        credential = self.credential()
        if asked.scheme == "bearer":
            token = self._token(asked, named, attempt, credential)
            return Secret(f"Bearer {token}") if token else None
        login = credential.login if credential and credential.is_identity_token else credential
        return login.basic() if login else None

    def _token(
        self, asked: challenge.Challenge, named: str, attempt: _Attempt, credential: Credential | None
    ) -> str | None:
        """Get a token for the first scope that the token server takes; None when each was asked for already."""
        self._check_realm(asked.parameters.get("realm", ""), credential)
        known = self._taken.get(attempt.scope)
        if len(attempt.asked) == _MOST_TOKENS or (named and named == known and named in attempt.asked):
            return None  # what was granted is asked for once more: the right is missing
        likely = [*([known] if known else ()), *challenge.scopes(attempt.scope, named)]
        left = [scope for scope in dict.fromkeys(likely) if scope not in attempt.asked]
        for scope in left:
            attempt.asked.add(scope)
            answer = self._asked_for(asked, scope, credential)
            if answer.status not in _NO_SUCH_SCOPE or scope == left[-1]:
                token = self._read_token(answer, asked, attempt.scope, credential)
                self._taken[attempt.scope] = scope
                self._logged_in = credential is not None
                return token
        return None

    def _asked_for(self, asked: challenge.Challenge, scope: str, credential: Credential | None) -> Answer:
        """Ask for a token: by an identity token, else, or where none is taken, by the password of the same login."""
        realm, service = asked.parameters["realm"], asked.parameters.get("service", "")
        fields = {name: value for name, value in (("service", service), ("scope", scope)) if value}
        if not (credential and credential.is_identity_token):
            return self._asked_with(realm, fields, credential)
        form = fields | {
            "grant_type": "refresh_token", "client_id": "tagger", "refresh_token": credential.secret.reveal(),
        }  # fmt: skip
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        encoded = urllib.parse.urlencode(form).encode()
        answer = self._transport.send("POST", realm, content, encoded, limit=_TOKEN_BYTES)
        if answer.status == HTTPStatus.OK or not credential.login:
            return answer
        by_password = self._asked_with(realm, fields, credential.login)
        self._by_password = by_password.status == HTTPStatus.OK
        return by_password

    def _asked_with(self, realm: str, fields: Mapping[str, str], login: Credential | None) -> Answer:
        joint = "&" if urllib.parse.urlsplit(realm).query else "?"
        headers = {"Authorization": login.basic().reveal()} if login else {}
        # Each scope is a parameter of its own (distribution, "Token Authentication Specification").
        each = [(name, part) for name, text in fields.items() for part in _parts(name, text)]
        return self._transport.send("GET", f"{realm}{joint}{urllib.parse.urlencode(each)}", headers, limit=_TOKEN_BYTES)

    def _read_token(self, answer: Answer, asked: challenge.Challenge, scope: str, credential: Credential | None) -> str:
        server = f"the token server {_host(asked)}"
        login = f"run docker login {self.registry}"
        if answer.status in _DENIALS and self._logged_in:
            raise Denied(
                f"{server} gives your login no right to {challenge.right(scope)} ({answer.complaint()}):"
                f" ask whoever runs {self.registry} for it"
            )
        if answer.status in _DENIALS and not credential:
            raise Denied(f"{server} gives nobody a token for {self.registry} ({answer.complaint()}): {login}")
        if answer.status == HTTPStatus.UNAUTHORIZED or (answer.status in _DENIALS and not _only_identity(credential)):
            raise Denied(f"{server} refuses the credentials for {self.registry} ({answer.complaint()}): {login}")
        if answer.status != HTTPStatus.OK and _only_identity(credential):
            raise RegistryError(
                f"{server} of {self.registry} takes no identity token ({answer.complaint()}), and your login has no"
                f" password to try: {login} with a password or an access token"
            )
        try:
            content = answer.json() if answer.status == HTTPStatus.OK else {}
            token = content.get("token") or content.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryError(
                f"{server} of {self.registry} gave no token ({answer.complaint()}): try again later, or {login}"
            )
        return token

    def _explained(self, answer: Answer, attempt: _Attempt) -> Answer:
        """Say in a refusal which right is missing, where the login itself was good."""
        if answer.status not in _DENIALS or attempt.authorization is None or not self._asked:
            return answer
        bearer = self._asked.scheme == "bearer"
        good = self._logged_in if bearer else answer.status == HTTPStatus.FORBIDDEN
        return replace(answer, lacks=challenge.right(attempt.scope)) if good else answer

    def _check_realm(self, realm: str, credential: Credential | None) -> None:
        """Refuse to hand credentials to a token server that may be a stranger's (CVE-2020-15157 and its kin)."""
        try:
            parts = urllib.parse.urlsplit(realm)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urllib.parse.urlsplit(""), ""
        plain = parts.scheme == "http" and self.origin.startswith("http:")
        if not host or parts.username or not (parts.scheme == "https" or plain):
            raise RegistryError(
                f"{self.registry} names '{shown(realm)}' as its token server, which is not an address to trust:"
                " ask whoever runs it"
            )
        own = urllib.parse.urlsplit(self.origin).hostname
        named = {text.lower() for text in self._trust.token_hosts}
        allowed = {own, *hosts.known(self.registry).token_hosts, *named}
        if credential and allowed.isdisjoint({host, parts.netloc.lower()}):
            raise Denied(
                f"{self.registry} wants its credentials sent to {printable(host)}: if that is its token server,"
                f" allow it with --auth-host {printable(host)}, or with auth_hosts in tagger.toml"
            )

    def _same_origin(self, url: str) -> None:
        self._not_downgraded(url)
        if not self._is_own(url):
            raise RegistryError(
                f"{self.registry} points to another host, {shown(url)}, which tagger does not follow:"
                " ask whoever runs it for the right address"
            )

    def _is_own(self, url: str) -> bool:
        return _origin_of(url) == _origin_of(self.origin)

    def _not_downgraded(self, url: str) -> None:
        """Refuse to go on over plain HTTP at the host that was reached over TLS: its proxy keeps that from it."""
        scheme, host, port = _origin_of(self.origin)
        plain = ("http", host, _PORTS["http"] if port == _PORTS[scheme] else port)
        if scheme == "https" and _origin_of(url) == plain:
            raise RegistryError(
                f"{self.registry} is reached over https and points to {shown(url)}, which tagger does not follow:"
                " have the proxy before it send X-Forwarded-Proto: https, or set the registry's external URL"
            )


@dataclass(slots=True)
class _Attempt:
    """A request on its way: what it was sent with, the failure known before, and the scopes it asked tokens for."""

    scope: str
    authorization: Secret | None
    failure: TaggerError | None
    asked: set[str] = field(default_factory=set)


def _authorized(headers: dict[str, str], authorization: Secret | None) -> dict[str, str]:
    return {**headers, "Authorization": authorization.reveal()} if authorization else headers


def _parts(name: str, text: str) -> list[str]:
    return text.split() if name == "scope" else [text]


def _origin_of(url: str) -> tuple[str, str, int | str | None]:
    """Give scheme, host and port of a URL as RFC 6454 compares them; one with a user in it is nobody's origin."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return parts.scheme, "", parts.netloc
    return parts.scheme, parts.hostname or "", parts.netloc if "@" in parts.netloc else port


def _host(asked: challenge.Challenge) -> str:
    return printable(urllib.parse.urlsplit(asked.parameters["realm"]).netloc.rpartition("@")[2])


def _error(asked: challenge.Challenge) -> str:
    return asked.parameters.get("error", "")


def _only_identity(credential: Credential | None) -> bool:
    return credential is not None and credential.is_identity_token and not credential.login


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getlist", None)
    return list(every(name)) if every else [headers[name]] if name in headers else []
