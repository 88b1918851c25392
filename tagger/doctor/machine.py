"""The checks of this machine: settings, Docker configuration, Engine, proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tagger.config import places
from tagger.config.settings import Config
from tagger.credentials.contexts import endpoint
from tagger.credentials.docker import DockerConfig
from tagger.doctor.finding import Said, note, ok
from tagger.engine.client import Engine
from tagger.errors import EngineUnreachable
from tagger.names import Repository
from tagger.registry.pools import proxies
from tagger.text import printable


def settings(read: Callable[[], Iterable[Config]]) -> Said:
    """Check which settings are in force."""
    each = list(read())
    for one in each:
        one.all_schemes()
    targets(each)
    sources = dict.fromkeys(source for one in each for source in one.sources)
    return ok(f"they come from {', '.join(map(printable, sources))}" if sources else "the defaults are in force")


def targets(every: Iterable[Config]) -> list[Repository]:
    """Return the repositories that settings name with registry and path. Raises InvalidReference, Refused."""
    return list(dict.fromkeys(target for one in every for target in places.targets(one, one.image)))


def docker_configuration(load: Callable[[], DockerConfig]) -> Said:
    """Check where the Docker configuration is."""
    read = load()
    file = read.folder / "config.json"
    injected = ", and DOCKER_AUTH_CONFIG has entries too" if read.injected else ""
    return ok((f"{file} is read" if file.exists() else f"there is no {file}") + injected)


def engine(docker: DockerConfig, environment: Mapping[str, str], opened: Callable[[], Engine]) -> Said:
    """Check which Engine answers, and how it stores images."""
    place = endpoint(docker, environment)
    try:
        return ok(f"{opened().about()}, at {printable(place.host)}")
    except EngineUnreachable:
        if not place.is_missing:
            raise
        advice = "start one, or name its address with DOCKER_HOST or docker context use"
        return note("there is none on this machine; tagger release needs one, promote does not", advice)


def proxy() -> Said:
    """Check which proxies the environment names."""
    named = ", ".join(f"{scheme} goes through {shown}" for scheme, shown in proxies().items())
    return ok(f"{named}, except for the hosts of NO_PROXY" if named else "the environment names none")
