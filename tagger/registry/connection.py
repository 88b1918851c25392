"""A connection to one registry: requests with authorization, and redirects.

Credentials go to the registry's own scheme, host and port and to its token server, and nowhere else.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

from tagger.credentials.credential import Credential
from tagger.errors import BadAnswer
from tagger.names import Registry
from tagger.registry.answer import Answer
from tagger.registry.auth import Auth
from tagger.registry.http import Body, Transport
from tagger.registry.pools import Pools
from tagger.registry.site import Found, Site, Trust
from tagger.registry.traffic import Traffic
from tagger.registry.url import shown
from tagger.work import Deadline, Trace

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_MOST_STEPS = 9
_ANSWER_BYTES = 64 * 1024


class Connection:
    """A pool of connections to one registry; safe to use from several threads."""

    def __init__(
        self,
        registry: Registry,
        credential: Callable[[], Credential | None],
        trust: Trust | None = None,
        *,
        deadline: Deadline | None = None,
        trace: Trace | None = None,
        pools: Pools | None = None,
        traffic: Traffic | None = None,
        found: Found | None = None,
    ) -> None:
        trust = trust or Trust()
        self.registry = registry
        self.deadline = deadline or Deadline()
        self._transport = Transport(
            registry, insecure=trust.insecure, deadline=self.deadline, trace=trace, pools=pools, traffic=traffic
        )
        self.site = Site(registry, trust, self._transport, found)
        self.auth = Auth(self.site, self._transport, credential)
        self.close = self._transport.close

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
        """Send a request to the registry, and return its answer with any status.

        `path` is absolute, or a URL of this registry; `scope` is what a token must allow; `limit` is the greatest size
        of a body; without `elsewhere` a redirect to another host is the answer. Repeatable requests are retried for a
        few seconds after a temporary failure; the pieces of a blob are sent only once.

        Raises RegistryUnreachable, BadAnswer, Denied and CredentialsError.
        """
        sent = dict(headers or {})
        first = self.site.tried_plainly(method, path, sent, limit)
        url = urllib.parse.urljoin(self.site.origin, path)
        self.site.check_own(url)
        sending = self.auth.begin(scope, anonymous=first is not None)
        while True:
            authorized = sending.headers(sent)
            answer = self._transport.send(method, url, authorized, body, limit=limit, first=first)
            answer, first = self._followed(method, answer, authorized, limit, elsewhere=elsewhere), None
            if not self.auth.answers(answer, sending) or isinstance(body, Iterator):
                return self.auth.explained(answer, sending)

    @contextlib.contextmanager
    def opened(self, path: str, *, scope: str) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Get a blob from the place that the registry names: yield the answer, and its body in pieces.

        Nothing is retried. Raises what `request` raises, at any piece too.
        """
        url = urllib.parse.urljoin(self.site.origin, path)
        sending = self.auth.begin(scope)
        for _ in range(_MOST_STEPS):
            headers = sending.headers({}) if self.site.owns(url) else {}
            with self._transport.opened(url, headers, limit=_ANSWER_BYTES) as (answer, pieces):
                if self.auth.answers(answer, sending):
                    continue
                if following := self.following("GET", answer):
                    url = following
                    continue
                yield self.auth.explained(answer, sending), pieces
                return
        raise self._circles()

    def following(self, method: str, answer: Answer) -> str | None:
        """Return the URL that an answer redirects to, None if there is none. Raises BadAnswer for an unsafe one."""
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not location:
            return None
        following = answer.resolve(location)
        self.site.check_not_downgraded(following)
        if method not in ("GET", "HEAD") or not (self.site.owns(following) or following.lower().startswith("https://")):
            raise BadAnswer(
                f"{self.registry} redirects {method} to {shown(following)}, which tagger does not follow",
                "ask its administrator for the right address",
            )
        return following

    def _followed(self, method: str, answer: Answer, headers: dict[str, str], limit: int, *, elsewhere: bool) -> Answer:
        """Follow the redirects of a read after its first answer, to another host only with `elsewhere`."""
        for _ in range(_MOST_REDIRECTS):
            if not elsewhere and self._leads_elsewhere(answer):
                return answer
            following = self.following(method, answer)
            if following is None:
                return answer
            if not self.site.owns(following):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = self._transport.send(method, following, headers, limit=limit)
        raise self._circles()

    def _leads_elsewhere(self, answer: Answer) -> bool:
        return answer.status in _REDIRECTS and not self.site.owns(answer.resolve(answer.headers.get("location", "")))

    def _circles(self) -> BadAnswer:
        return BadAnswer(f"{self.registry} redirects in circles", "ask its administrator for the right address")
