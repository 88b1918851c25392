"""Opens repositories with their credential, scheme and trust."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypedDict

from tagger.credentials.credential import Credential
from tagger.credentials.docker import DockerConfig
from tagger.credentials.helpers import Helpers
from tagger.engine.address import is_at_loopback, is_local
from tagger.errors import InputError
from tagger.events import Progress, silent
from tagger.names import Registry, Repository
from tagger.registry.catalog import catalog
from tagger.registry.connection import Connection
from tagger.registry.pools import CONNECTIONS, Pools
from tagger.registry.repository import RemoteRepository
from tagger.registry.site import Found, Trust
from tagger.registry.tag_list import NoList
from tagger.registry.traffic import Traffic
from tagger.releasing.order import Target
from tagger.work import AtHand, Deadline, Trace

if TYPE_CHECKING:
    from tagger.engine.client import Engine


class Access(TypedDict, total=False):
    """The parameters of every function that asks a registry: how to reach it, and what to report."""

    insecure: Collection[str]
    """Registries that may be used without TLS. Default: none."""
    auth_host: Collection[str]
    """Token servers on another host than their registry. Default: none."""
    progress: Progress
    """Called with a line for each event. Default: none."""
    trace: Trace | None
    """Called with a line for each request. Default: none."""
    shared: Shared | None
    """What this call shares with others, such as connections. Default: nothing."""


class Registries:
    """The repositories that one command opens, each once; each credential is looked up once too."""

    def __init__(
        self,
        config: DockerConfig,
        access: Access,
        deadline: Deadline,
        engine: Callable[[], Engine] | None = None,
    ) -> None:
        self._config, self._helpers = config, Helpers(deadline)
        self._access = access
        self._deadline = deadline
        self._engine = engine
        self._opened: dict[Repository, RemoteRepository] = {}

    def open(self, target: Repository) -> RemoteRepository:
        """Open a repository."""
        if target not in self._opened:
            trust = _trust(target, lambda: self._engine_allows(target), self._access)
            connection = Connection(
                target.registry,
                lambda: self._config.credential(target, self._helpers),
                trust,
                deadline=self._deadline,
                trace=self._access.get("trace"),
            )
            self._opened[target] = RemoteRepository(target, connection)
        return self._opened[target]

    def resolved(self, target: Repository) -> tuple[Credential | None, str]:
        """Return the credential for a repository and its source, like `DockerConfig.resolved`."""
        return self._config.resolved(target, self._helpers)

    def pushed_to(self, target: Repository, *, listed: bool) -> Target:
        """Open a repository for a release, if its credential may go there; unless `listed`, it shows no version."""
        opened = self.open(target)
        if not listed:
            opened.list = NoList()
        opened.credential()
        return opened

    def _engine_allows(self, target: Repository) -> bool:
        return self._engine is not None and self._engine().allows_insecure(target.registry)


class Shared:
    """The state that calls for many repositories share: connections, credentials, the time, and request rates.

    `jobs` is the number of concurrent calls, `rates` the most requests per second by registry, and `sharers` the number
    of processes that share a registry's quota. With `finishing`, running calls are not cancelled. Safe to use from
    several threads.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        jobs: int = 1,
        rates: Mapping[str, float] | None = None,
        sharers: int = 1,
        finishing: bool = False,
    ) -> None:
        self._deadline, self._jobs, self._sharers, self._finishing = deadline, jobs, sharers, finishing
        self._rates = {Registry.parse(host): rate / sharers for host, rate in (rates or {}).items()}
        self._config, self._helpers = DockerConfig.load(), Helpers(deadline)
        self._lock = threading.Lock()
        self._pools: dict[tuple[Registry, bool], Pools] = {}
        self._traffic: dict[Registry, Traffic] = {}
        self._found: dict[tuple[Registry, bool], Found] = {}

    def open(self, target: Repository, access: Access) -> RemoteRepository:
        """Open a repository for one call, which sends its requests one by one."""
        return RemoteRepository(target, self._connection(target, access))

    def catalog(self, registry: Registry, access: Access) -> Iterator[Repository]:
        """The repositories that a registry lists; see `registry.catalog`."""
        return catalog(self._connection(Repository(registry, ""), access))

    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests there were, by host and status."""
        with self._lock:
            every = [*self._traffic.values()]
        return sum((traffic.counts for traffic in every), Counter[tuple[str, str]]())

    def idle_rates(self) -> list[str]:
        """The registries that have a rate and got no request: their names may be misspelt."""
        with self._lock:
            return [str(registry) for registry in self._rates if registry not in self._traffic]

    def _connection(self, target: Repository, access: Access) -> Connection:
        trust = _trust(target, lambda: False, access)
        pools, traffic, found = self._of(target.registry, insecure=trust.insecure)
        return Connection(
            target.registry,
            lambda: self._config.credential(target, self._helpers),
            trust,
            deadline=self._deadline.part(lambda _: AtHand(), finishing=self._finishing),
            trace=access.get("trace"),
            pools=pools,
            traffic=traffic,
            found=found,
        )

    def _of(self, registry: Registry, *, insecure: bool) -> tuple[Pools, Traffic, Found]:
        with self._lock:
            if (registry, insecure) not in self._pools:
                reading = self._deadline.part(finishing=self._finishing)
                reading.put_back()
                connections = max(self._jobs, CONNECTIONS)
                self._pools[registry, insecure] = Pools(
                    registry, insecure=insecure, deadline=reading, connections=connections
                )
            if registry not in self._traffic:
                rate = self._rates.get(registry)
                self._traffic[registry] = Traffic(str(registry), self._deadline, rate=rate, sharers=self._sharers)
            found = self._found.setdefault((registry, insecure), Found())
            return self._pools[registry, insecure], self._traffic[registry], found


def _trust(target: Repository, engine_allows: Callable[[], bool], access: Access) -> Trust:
    hosts = {_host(text) for text in access.get("insecure", ())}
    named = not hosts.isdisjoint({target.registry.host.lower(), target.registry.hostname.lower()})
    loopback = not named and is_at_loopback(target.registry)
    if named:
        because = "--insecure names it"
    elif loopback:
        because = "it is on this machine"
    else:
        because = "the Engine's insecure-registries name it" if engine_allows() else ""
    return Trust(
        insecure=bool(because),
        because=because,
        plain_credentials=named or loopback,
        # Without a port HTTP and HTTPS are two servers.
        plain_first=loopback and target.registry.host != target.registry.hostname,
        token_hosts=frozenset(access.get("auth_host", ())),
    )


def _host(text: str) -> str:
    if "/" in text or "@" in text or not text:
        raise InputError(
            "--insecure takes HOST or HOST:PORT, such as registry.local:5000", "give it without scheme or path"
        )
    return text.lower()


def alone(repository: str, access: Access) -> RemoteRepository:
    """Open a repository without an Engine, so that the Engine's list of insecure registries does not count."""
    if shared := access.get("shared"):
        return shared.open(Repository.parse(repository), access)
    return Registries(DockerConfig.load(), access, deadline_of(access)).open(Repository.parse(repository))


def deadline_of(access: Access) -> Deadline:
    """The time that a command has. Raises InputError."""
    return Deadline(seconds("--timeout", access.get("timeout")), access.get("progress", silent))


def seconds(name: str, given: object) -> float | None:
    """Return a given number of seconds, or None. Raises InputError."""
    if given is None or (isinstance(given, int | float) and given > 0):
        return given
    raise InputError(f"{name} takes a number of seconds greater than 0", "give one such as 600")


def is_another(target: Repository, engine_host: str) -> bool:
    """Return whether a registry's name means another registry for the Engine at an address than for tagger."""
    return not is_local(engine_host) and is_at_loopback(target.registry)
