"""A release works with the Engines that people use, or says what the Engine does not offer.

These are imitations (see `engines`), most of them before a real Engine; the registry is that of a host that has
immutable version tags, before a real one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature

import pytest
from command import Ran
from launcher import launched
from services import Engine, Registry

from hosts.ecr import Ecr
from hosts.engines import EngineImitation, OfEngine
from hosts.engines.behind_proxy import BehindProxy
from hosts.engines.containerd import Containerd
from hosts.engines.docker_in_docker import DockerInDocker
from hosts.engines.locked import Locked
from hosts.engines.podman import Podman, Podman30, Podman34, Podman43
from hosts.engines.socket_proxy import SocketProxy
from hosts.table import FILE, of_engines, page, tried
from hosts.test_hosts import EVERY as HOSTS
from hosts.test_hosts import Shop, filling, unchanged

pytestmark = pytest.mark.engine

_OPEN: tuple[type[EngineImitation | Containerd], ...] = (
    EngineImitation, Containerd, Podman, Podman43, Podman34, Podman30, SocketProxy, DockerInDocker, BehindProxy,
)  # fmt: skip
EVERY: tuple[type[OfEngine], ...] = (*_OPEN, Locked)
# `make test` tries those that differ most, `make test-long` the others.
OFTEN = {Podman, Podman43, SocketProxy}
TRIED = [
    pytest.param(kind, id=kind.name, marks=[] if kind in OFTEN else [pytest.mark.long]) for kind in _OPEN
]  # fmt: skip


@contextmanager
def opened(kind: type[EngineImitation | Containerd], engine: Engine, registry: Registry) -> Iterator[Shop]:
    """Open a shop with an Engine of a kind, which has the image `build`."""
    engine.image("build", "the image of the real Engine")
    host = Ecr(registry)
    host.immutable = r"\d+\.\d+\.\d+"
    with host, kind(engine.socket) as imitation:
        shop = Shop(host, imitation, environment=kind.environment)
        host.copy(filling(host), shop.path)
        yield shop


@pytest.fixture(params=TRIED)
def shop(request: pytest.FixtureRequest, engine: Engine, registry: Registry) -> Iterator[Shop]:
    """Open a shop with an Engine of each kind."""
    with opened(request.param, engine, registry) as made:
        yield made


def refuses(shop: Shop, what: str) -> str:
    """What tagger says about what the Engine does not offer; empty if the Engine offers it."""
    assert isinstance(shop.engine, OfEngine)
    return shop.engine.refuses.get(what, "")


@tried("again", "The same release again pushes nothing.", needs="release", table=of_engines)
@tried("release", "A release pushes the version, and its floating tags follow.", needs="release", table=of_engines)
@tried("dry run", "A dry run plans the release, and pushes nothing.", needs="dry run", table=of_engines)
def test_a_release_moves_the_cascade_and_a_dry_run_or_a_repeat_changes_nothing(shop: Shop) -> None:
    before = shop.tags
    unchanged(shop, lambda: shop.release("2.1.106", "--dry-run"))
    ran = shop.release("2.1.106")
    assert ran.code == 0, ran.err
    after = shop.tags
    assert after == before | dict.fromkeys(("2.1.106", "2.1", "2", "latest"), after["2.1.106"])
    unchanged(shop, lambda: shop.release("2.1.106"))


@tried("reason", "A push that the registry refuses fails with the registry's reason.", needs="reason", table=of_engines)
def test_a_push_that_the_registry_refuses_fails_with_its_reason(shop: Shop) -> None:
    before = shop.tags
    ran = shop.release("2.1.105", "--force")
    assert (ran.code in (1, 3), shop.tags) == (True, before), ran.err
    assert re.search(refuses(shop, "reason") or "repository is immutable", ran.error), ran.error


@pytest.mark.parametrize("kind", [Podman, Podman43])
def test_a_refused_manifest_list_is_named_with_another_way_to_release_it(
    engine: Engine, registry: Registry, kind: type[Podman]
) -> None:
    with opened(kind, engine, registry) as shop:
        assert isinstance(shop.engine, Podman)
        shop.engine.lists["listed"] = "build"
        before = shop.tags
        place = ("--registry", shop.registry.host, "--repository", shop.path)
        ran = launched(shop.engine, "release", "listed", "2.1.106", *place)
        assert (ran.code, shop.tags) == (2, before), ran.err
        assert "podman manifest push --all listed" in ran.error
        assert "tagger promote" in ran.error


def test_a_socket_without_permission_is_named_with_the_group_that_has_it(engine: Engine, registry: Registry) -> None:
    # The superuser may use every socket, unless that right is dropped.
    right = "-dac_override,-dac_read_search"
    alone = ["setpriv", "--bounding-set", right, "--inh-caps", right, sys.executable, "-m", "tagger"]
    with Locked(engine.socket) as locked:
        words = [*alone, "release", "build", "2.1.106", "--registry", registry.host, "--repository", "app"]
        done = subprocess.run(words, env={"DOCKER_HOST": locked.url}, capture_output=True, text=True, check=False)
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert ran.code == 2, ran.err
    assert all(said in ran.error for said in Locked.refuses.values()), ran.error
    assert not locked.requests


def test_every_test_of_every_engine_is_on_the_page() -> None:
    of_every = {
        name for name, test in globals().items() if name.startswith("test_") and "shop" in signature(test).parameters
    }
    assert {trial.test.__name__ for trial in of_engines} == of_every


def test_the_page_of_hosts_is_current() -> None:
    assert FILE.read_text() == page(HOSTS, EVERY), "python tests/hosts/table.py writes it"
