"""Find out what works from here, and what does not: every check asks the module that knows, and becomes one finding.

No tag and no image changes: an upload that shows the right to push is begun and given up, and what is to be deleted is
not there.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TypeVar

from tagger import config
from tagger.access import is_another
from tagger.credentials.contexts import endpoint
from tagger.credentials.credential import Credential
from tagger.credentials.docker import DockerConfig
from tagger.doctor.finding import Finding, Level
from tagger.engine.address import is_at_loopback
from tagger.engine.client import Engine
from tagger.errors import EngineUnreachable, Fault, Refused, RegistryUnreachable, TaggerError, Unreadable
from tagger.names import Digest, Repository, Tag, target
from tagger.registry.pools import proxies, proxy_to
from tagger.registry.referrers import lists_referrers
from tagger.registry.repository import RemoteRepository
from tagger.registry.tls import authorities
from tagger.text import printable

# A token may be some seconds too young for a clock that is late; more than the second number is refused in many places.
_NOTED_SECONDS, _WRONG_SECONDS = 60, 300
_NOT_KNOWN_YET = "not known until the repository has an image that can be read"
_BY_DIGEST = "the registry deletes by digest alone, so a tag moves to a placeholder first; some registries refuse that"
_HEAD_AGREES = "it gives the same digest as GET"
_HEAD_DIFFERS = "it does not give the same digest as GET, so tagger asks by GET"
T = TypeVar("T")
Said = tuple[Level, str, str]
"""How a check came out, what it found, and what to do."""


def found(check: str, ask: Callable[[], Said], repository: Repository | None = None) -> Finding:
    """Run a check and give its finding: whatever goes wrong in it is a problem, and no more than that."""
    try:
        return Finding(check, *ask(), repository)
    except Exception as problem:  # noqa: BLE001 - no check may end the others
        error = problem if isinstance(problem, TaggerError) else Fault(problem)
        return Finding(check, Level.PROBLEM, str(error), "", repository)


def once(ask: Callable[[], T]) -> Callable[[], T]:
    """Make a question that is asked once: whoever asks again gets the same answer, or the same error."""

    @functools.cache
    def outcome() -> T | TaggerError:
        try:
            return ask()
        except TaggerError as error:
            return error

    def again() -> T:
        if isinstance(told := outcome(), TaggerError):
            raise told
        return told

    return again


def got(ask: Callable[[], T]) -> T | None:
    """Give an answer, None where there is none."""
    with contextlib.suppress(TaggerError):
        return ask()
    return None


def _ok(text: str) -> Said:
    return Level.OK, text, ""


def _note(text: str, advice: str = "") -> Said:
    return Level.NOTE, text, advice


def _problem(text: str, advice: str = "") -> Said:
    return Level.PROBLEM, text, advice


# -- this machine --------------------------------------------------------------------------------------------------


def settings(read: Callable[[], Iterable[config.Config]]) -> Said:
    """Say which settings are in force."""
    each = list(read())
    for one in each:
        one.schemes()
    targets(each)
    sources = dict.fromkeys(source for one in each for source in one.sources)
    return _ok(f"they come from {', '.join(map(printable, sources))}" if sources else "the defaults are in force")


def targets(every: Iterable[config.Config]) -> list[Repository]:
    """Name the repositories that settings name whole: registry and path. Raises InvalidReference, Refused."""
    named = [(one, one.image or one.settings.repository) for one in every]
    places = (
        target(name, registry, one.settings.repository)
        for one, name in named
        for registry in one.settings.registries
        if name
    )
    return list(dict.fromkeys(places))


def docker_configuration(load: Callable[[], DockerConfig]) -> Said:
    """Say where the Docker configuration is."""
    read = load()
    file = read.folder / "config.json"
    injected = ", and DOCKER_AUTH_CONFIG has entries too" if read.injected else ""
    return _ok((f"{file} is read" if file.exists() else f"there is no {file}") + injected)


def engine(docker: DockerConfig, environment: Mapping[str, str], opened: Callable[[], Engine]) -> Said:
    """Say which Engine answers, and how it stores images."""
    place = endpoint(docker, environment)
    try:
        return _ok(f"{opened().about()}, at {printable(place.host)}")
    except EngineUnreachable:
        if not place.is_missing:
            raise
        advice = "start one, or say where it is with DOCKER_HOST or docker context use"
        return _note("there is none on this machine, and tagger release needs one; promote does not", advice)


def proxy() -> Said:
    """Say which proxies the environment names."""
    named = ", ".join(f"{scheme} goes through {shown}" for scheme, shown in proxies().items())
    return _ok(f"{named}, but for the hosts of NO_PROXY" if named else "the environment names none")


# -- a repository --------------------------------------------------------------------------------------------------


class Examination:
    """What is asked of one repository and its registry; `engine` is None where none answers."""

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
        """Make every check, one after the other."""
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
        """Spare a check the wait for a registry that cannot be reached, which is a problem already."""

        def ask() -> Said:
            try:
                self._greeting()
            except RegistryUnreachable:
                return _note("not known, since the registry cannot be reached")
            except TaggerError:
                pass  # the check meets it, or has no need of the root
            return check()

        return ask

    # -- the way there

    def _credential(self) -> Said:
        credential, place = self._credentials(self._name)
        if credential is None:
            looked = f" ({place} has none)" if place else ""
            return _note(
                f"the Docker configuration has none for {self._host}{looked}",
                f"run docker login {self._host} where the registry asks for one",
            )
        self._opened.credential()
        kind = "an identity token" if credential.is_identity_token else "a user and a password"
        return _ok(f"{kind} from {place}")

    def _scheme(self) -> Said:
        self._greeting()
        origin, trust = self._opened.connection.site.origin, self._opened.connection.site.trust
        if not trust.insecure:
            return _ok(f"{origin}, with a verified certificate")
        plain = origin.startswith("http:")
        text = (
            f"{origin}, {'plain HTTP' if plain else 'with a certificate that is not verified'}, since {trust.because}"
        )
        if self._engine and plain and not self._engine.allows_insecure(self._name.registry):
            return _note(text, f"add {self._host} to the Engine's insecure-registries, or the Engine cannot push to it")
        if self._engine and is_another(self._name, self._engine.host):
            return _problem(
                text, "the Engine is on another machine, and pushes there: name the registry as both reach it"
            )
        if is_at_loopback(self._name.registry):
            return _ok(text)
        return _note(text, "set up TLS; until then commands that ask no Engine need --insecure " + self._host)

    def _certificates(self) -> Said:
        places = authorities(self._name.registry)
        if not places:
            return _note("this machine has no CAs", "install ca-certificates, or name a file by SSL_CERT_FILE")
        return _ok("those of " + " and ".join(printable(place) for place in places))

    def _proxy(self) -> Said:
        greeted = got(self._greeting)
        way = proxy_to(greeted.url if greeted else f"https://{self._name.registry.api_host}/v2/")
        return _ok(f"through {way}" if way else "none on the way")

    def _token_server(self) -> Said:
        server = self._opened.connection.auth.token_server(self._greeting())
        if server:
            return _ok(server)
        if self._greeting().status == HTTPStatus.UNAUTHORIZED:
            return _ok("none: the registry checks the user and the password itself")
        return _ok("none: the registry asks for no login at /v2/")

    # -- rights

    def _pull(self) -> Said:
        tags = self._tags()
        if tags is None:
            return _note(
                "there is no such repository, or the registry hides it from you",
                "create it, unless this registry creates one by the first push",
            )
        return _ok(f"the list of tags can be read: {_counted(len(tags), 'tag')}")

    def _push(self) -> Said:
        if self._opened.blobs.lets_push():
            return _ok("an upload can begin")
        return _note("the registry does not say, so that only a push will tell")

    def _delete(self) -> Said:
        if self._is_empty():
            return _note(_NOT_KNOWN_YET)
        try:
            self._opened.check_removal()
        except Refused as error:
            return _note(f"{error}; releases and promotions need no deletes")
        return _ok("the registry takes deletes; a rule of its own may still keep one tag or another")

    def _single_tags(self) -> Said:
        if self._is_empty():
            return _note(_NOT_KNOWN_YET)
        try:
            alone = self._opened.deleting.takes_single_tags()
        except Refused:
            return _note("no tag can be deleted: see delete")
        return _ok("each can be deleted by itself") if alone else _note(_BY_DIGEST)

    def _is_empty(self) -> bool:
        """Say whether the list names no tag; one that is denied says nothing of that."""
        with contextlib.suppress(TaggerError):
            return not self._tags()
        return False

    # -- what the registry does

    def _referrers(self) -> Said:
        digest = next(filter(None, map(self._digest, self._sample())), None)
        if digest is None:
            return _note(_NOT_KNOWN_YET)
        if lists_referrers(self._opened, digest):
            return _ok("the registry lists what refers to an image")
        return _note("the registry has no referrers API: signatures and attestations are found by their tags")

    def _tag_list(self) -> Said:
        if got(self._tags) is None:
            return _note(_NOT_KNOWN_YET)
        pages = self._opened.list.pages
        if len(pages) > 1:
            return _ok(f"{_counted(sum(pages), 'tag')} in {len(pages)} pages, {max(pages)} on the largest")
        return _ok("the whole list comes in one page")

    def _head(self) -> Said:
        unknown = _note(_NOT_KNOWN_YET)
        for tag in self._sample():
            try:
                agrees = self._opened.head_agrees(tag)
            except Unreadable as error:
                unknown = _note(str(error))
                continue
            if agrees is not None:
                return _ok(_HEAD_AGREES) if agrees else _note(_HEAD_DIFFERS)
        return unknown

    def _clock(self) -> Said:
        told = self._greeting().time()
        if told is None:
            return _note("the registry does not say what time it is")
        ahead = round(self._now() - told)
        if abs(ahead) <= _NOTED_SECONDS:
            return _ok("this machine and the registry agree on the time")
        text = f"this machine's clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the registry's"
        advice = "set the one that is wrong: tokens and certificates are valid for a time only"
        return (_problem if abs(ahead) > _WRONG_SECONDS else _note)(text, advice)

    def _digest(self, tag: Tag) -> Digest | None:
        """Ask where a tag points; None where that cannot be read, as where a policy holds an image back."""
        with contextlib.suppress(Unreadable):
            return self._opened.digest(tag)
        return None

    def _sample(self) -> list[Tag]:
        """Give a few tags to ask for: lists name some that are not there."""
        return (got(self._tags) or [])[-3:]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
