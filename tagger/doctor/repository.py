"""The checks of one repository: each asks the module that knows the answer.

No tag and no image changes: the test of the right to push starts an upload and cancels it, and the test of deletes
names something that does not exist.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from http import HTTPStatus

from tagger.credentials.credential import Credential
from tagger.doctor.finding import Finding, Said, found, got, note, ok, once, problem
from tagger.engine.address import is_at_loopback
from tagger.engine.client import Engine
from tagger.errors import Refused, RegistryUnreachable, TaggerError, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.registry.pools import proxy_to
from tagger.registry.referrers import lists_referrers
from tagger.registry.repository import RemoteRepository
from tagger.registry.tls import authorities
from tagger.text import counted, printable
from tagger.wiring.access import is_another

# With the first difference, a token may seem too young; with the second, many servers refuse it.
_NOTED_SECONDS, _WRONG_SECONDS = 60, 300
_NOT_KNOWN_YET = "unknown until the repository has an image that can be read"
_BY_DIGEST = "the registry deletes only by digest, so a tag moves to a placeholder first; some registries refuse that"
_HEAD_AGREES = "it returns the same digest as GET"
_HEAD_DIFFERS = "it does not return the same digest as GET, so tagger asks by GET"


class Examination:
    """The checks of one repository and its registry; `engine` is None if none answers."""

    def __init__(
        self,
        opened: RemoteRepository,
        credentials: Callable[[Repository], tuple[Credential | None, str]],
        engine: Engine | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._opened, self._credentials, self._engine, self._now = opened, credentials, engine, now
        self._name = opened.name
        self._greeting = once(opened.connection.site.greeting)
        self._tags = once(opened.listed)
        self._host = str(opened.name.registry)

    def findings(self) -> list[Finding]:
        """Run every check, one after the other."""
        checks: dict[str, Callable[[], Said]] = {
            "credential": self._credential,
            "scheme": self._scheme,
            "certificates": self._certificates,
            "proxy": self._proxy,
            "token server": self._asked(self._token_server),
            "pull": self._asked(self._pull),
            "push": self._asked(self._push),
            "delete": self._asked(self._delete),
            "single tags": self._asked(self._single_tags),
            "referrers": self._asked(self._referrers),
            "tag list": self._asked(self._tag_list),
            "HEAD": self._asked(self._head),
            "clock": self._asked(self._clock),
        }
        return [found(check, ask, self._name) for check, ask in checks.items()]

    def _asked(self, check: Callable[[], Said]) -> Callable[[], Said]:
        """Return a check that does not try an unreachable registry again."""

        def ask() -> Said:
            try:
                self._greeting()
            except RegistryUnreachable:
                return note("unknown, because the registry cannot be reached")
            except TaggerError:
                pass  # the check itself will meet it, or does not need the root
            return check()

        return ask

    # -- the way there

    def _credential(self) -> Said:
        credential, place = self._credentials(self._name)
        if credential is None:
            looked = f" ({place} has none)" if place else ""
            return note(
                f"the Docker configuration has none for {self._host}{looked}",
                f"run docker login {self._host} if the registry asks for one",
            )
        self._opened.credential()
        kind = "an identity token" if credential.is_identity_token else "a user and a password"
        return ok(f"{kind} from {place}")

    def _scheme(self) -> Said:
        self._greeting()
        origin, trust = self._opened.connection.site.origin, self._opened.connection.site.trust
        if not trust.insecure:
            return ok(f"{origin}, with a verified certificate")
        plain = origin.startswith("http:")
        text = (
            f"{origin}, {'plain HTTP' if plain else 'with a certificate that is not verified'}, because {trust.because}"
        )
        if self._engine and plain and not self._engine.allows_insecure(self._name.registry):
            return note(text, f"add {self._host} to the Engine's insecure-registries, or the Engine cannot push to it")
        if self._engine and is_another(self._name, self._engine.host):
            return problem(
                text,
                "the Engine is on another machine, and pushes there: use a name that both can reach",
            )
        if is_at_loopback(self._name.registry):
            return ok(text)
        return note(text, "set up TLS; until then commands without an Engine need --insecure " + self._host)

    def _certificates(self) -> Said:
        places = authorities(self._name.registry)
        if not places:
            return note("this machine has no CAs", "install ca-certificates, or name a file with SSL_CERT_FILE")
        return ok("those of " + " and ".join(printable(place) for place in places))

    def _proxy(self) -> Said:
        greeted = got(self._greeting)
        way = proxy_to(greeted.url if greeted else f"https://{self._name.registry.api_host}/v2/")
        return ok(f"through {way}" if way else "none is used")

    def _token_server(self) -> Said:
        server = self._opened.connection.auth.token_server(self._greeting())
        if server:
            return ok(server)
        if self._greeting().status == HTTPStatus.UNAUTHORIZED:
            return ok("none: the registry checks the user and the password itself")
        return ok("none: the registry asks for no login at /v2/")

    # -- rights

    def _pull(self) -> Said:
        tags = self._tags()
        if tags is None:
            return note(
                "there is no such repository, or the registry hides it from you",
                "create it, unless this registry creates repositories on the first push",
            )
        return ok(f"the list of tags can be read: {counted(len(tags), 'tag')}")

    def _push(self) -> Said:
        if self._opened.blobs.lets_push():
            return ok("an upload can begin")
        return note("the registry does not say; only a push will show")

    def _delete(self) -> Said:
        if self._is_empty():
            return note(_NOT_KNOWN_YET)
        try:
            self._opened.check_removal()
        except Refused as error:
            return note(f"{error}; releases and promotions need no deletes")
        return ok("the registry takes deletes; a rule of its own may still protect some tags")

    def _single_tags(self) -> Said:
        if self._is_empty():
            return note(_NOT_KNOWN_YET)
        try:
            alone = self._opened.deleting.takes_single_tags()
        except Refused:
            return note("no tag can be deleted: see delete")
        return ok("each can be deleted by itself") if alone else note(_BY_DIGEST)

    def _is_empty(self) -> bool:
        """Return whether the list names no tag; a denied list does not count as empty."""
        with contextlib.suppress(TaggerError):
            return not self._tags()
        return False

    # -- what the registry does

    def _referrers(self) -> Said:
        digest = next(filter(None, map(self._digest, self._sample())), None)
        if digest is None:
            return note(_NOT_KNOWN_YET)
        if lists_referrers(self._opened, digest):
            return ok("the registry lists what refers to an image")
        return note("the registry has no referrers API: signatures and attestations are found by their tags")

    def _tag_list(self) -> Said:
        if got(self._tags) is None:
            return note(_NOT_KNOWN_YET)
        pages = self._opened.list.pages
        if len(pages) > 1:
            return ok(f"{counted(sum(pages), 'tag')} in {len(pages)} pages, {max(pages)} on the largest")
        return ok("the whole list comes in one page")

    def _head(self) -> Said:
        unknown = note(_NOT_KNOWN_YET)
        for tag in self._sample():
            try:
                agrees = self._opened.head_agrees(tag)
            except Unreadable as error:
                unknown = note(str(error))
                continue
            if agrees is not None:
                return ok(_HEAD_AGREES) if agrees else note(_HEAD_DIFFERS)
        return unknown

    def _clock(self) -> Said:
        stated = self._greeting().time()
        if stated is None:
            return note("the registry does not report its time")
        ahead = round(self._now() - stated)
        if abs(ahead) <= _NOTED_SECONDS:
            return ok("this machine and the registry agree on the time")
        text = f"this machine's clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the registry's"
        advice = "correct the wrong clock: tokens and certificates are valid only for a time"
        return (problem if abs(ahead) > _WRONG_SECONDS else note)(text, advice)

    def _digest(self, tag: Tag) -> Digest | None:
        """Return where a tag points; None if that is unreadable, for example because a policy blocks the image."""
        with contextlib.suppress(Unreadable):
            return self._opened.digest(tag)
        return None

    def _sample(self) -> list[Tag]:
        """Return a few tags to read: lists may name some that do not exist."""
        return (got(self._tags) or [])[-3:]
