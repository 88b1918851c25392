"""The Python API: what the commands do, with words in and values out.

This is the only place that builds a real Engine and real registries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Sequence

from tagger import reference
from tagger.cascade import Scheme, parse_version
from tagger.connection import Connection, Trust
from tagger.credentials import Credential, DockerConfig
from tagger.engine import Engine, addresses
from tagger.errors import InputError, TaggerError, printable
from tagger.reference import Repository, Tag
from tagger.registry import RemoteRepository
from tagger.result import Outcome, Release
from tagger.settle import Tags
from tagger.share import FloatsVia, Order
from tagger.steps import Progress
from tagger.steps import release as run

Credentials = Callable[[Repository], Credential | None]


def tags(version: str, *, build_metadata: str = "refuse") -> tuple[str, ...]:
    """Give the tags that a version competes for, the most specific first, without asking anyone.

    >>> tags("2.2.0-rc.1")
    ('2.2.0-rc.1',)

    Raises InputError, and Refused for build metadata.
    """
    return Scheme().tags(parse_version(version, build_metadata=build_metadata))


def release(
    image: str,
    version: str,
    *,
    registry: str | Sequence[str] = (),
    repository: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    floats_via: FloatsVia | str = FloatsVia.ENGINE,
    assume_newest: bool = False,
    build_metadata: str = "refuse",
    insecure: Collection[str] = (),
    auth_host: Collection[str] = (),
    progress: Progress = lambda _: None,
) -> Release:
    """Release an image of the Engine under its semver tags, verified, or move nothing.

    `image` is anything that the Engine resolves; it goes to `registry` and `repository`, or to what its own name says.
    `dry_run` plans and writes nothing; `force` overwrites a version that holds another image; `floats_via` "registry"
    moves floating tags by manifest PUT; `assume_newest` does not ask which other versions there are. `insecure` names
    registries that may be reached without TLS, `auth_host` token servers on another host than their registry's.
    `progress` is told, line by line, what happens.

    Returns what happened to every tag (outcome "planned", "released" or "unchanged").

    Raises InputError for what cannot be used, Refused when a rule says no, Unsettled when tags could not be put back,
    Interrupted on Ctrl-C, and TaggerError for every other failure; each has the same report in its `release`.
    """
    try:
        wanted = parse_version(version, build_metadata=build_metadata)
        via = _floats_via(floats_via)
        targets = _targets(image, [registry] if isinstance(registry, str) else registry, repository)
        Scheme().tags(wanted)
        config = DockerConfig.load()
        credentials: Credentials = functools.cache(config.credential)
        for target in targets:
            credentials(target)  # a broken credential helper is found before anything is pushed
        engine = Engine.open(config, credentials)
        found = engine.image(image)
        if repository is None and not found.is_named(image):
            raise InputError(f"{image} is an image ID and names no repository: say which with --repository")
        repositories = [_remote(target, engine, credentials, insecure, auth_host) for target in targets]
        if assume_newest:
            repositories = [_Unlisted(remote) for remote in repositories]
        order = Order(image, found, wanted, via=via, overwrite=force, dry_run=dry_run)
        return run(engine, repositories, order, progress)
    except TaggerError as error:
        if error.release is None:
            error.release = Release(image, version, dry_run, Outcome(error.outcome), (), str(error))
        raise


class _Unlisted:
    """A repository whose other versions do not count, since nobody asks for them."""

    def __init__(self, repository: Tags) -> None:
        self.name = repository.name
        self.digest = repository.digest
        self.manifest = repository.manifest
        self.put = repository.put
        self.remove = repository.remove

    def tags(self) -> Sequence[Tag]:
        return ()


def _targets(image: str, registries: Iterable[str], repository: str | None) -> list[Repository]:
    found = [reference.target(image, registry, repository) for registry in registries]
    return list(dict.fromkeys(found)) or [reference.target(image, None, repository)]


def _floats_via(text: str) -> FloatsVia:
    try:
        return FloatsVia(text)
    except ValueError:
        raise InputError(
            f"floating tags go via 'engine' or 'registry', not '{printable(text)}': give one of the two"
        ) from None


def _remote(
    target: Repository, engine: Engine, credentials: Credentials, insecure: Collection[str], auth_host: Collection[str]
) -> Tags:
    named = target.registry.host in insecure or target.registry.hostname in insecure
    loopback = not named and _is_loopback(target)
    trust = Trust(
        insecure=named or loopback or engine.allows_insecure(target.registry),
        plain_credentials=named or loopback,
        token_hosts=frozenset(auth_host),
    )
    return RemoteRepository(target, Connection(target.registry, lambda: credentials(target), trust))


def _is_loopback(target: Repository) -> bool:
    found = addresses(target.registry)
    return bool(found) and all(address.is_loopback for address in found)
