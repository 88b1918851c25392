"""How many requests a command sends: nothing is asked twice within one step, and connections and tokens are reused."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import canary
import pytest
from command import HasUrl, tagger
from doubles import (
    DOCKER_MANIFEST,
    Basic,
    Bearer,
    EngineProxy,
    FakeEngine,
    ModelRegistry,
    Proxy,
    Request,
    digest_of,
    manifest,
)
from services import Engine, Registry

FLOATS = ("2.1", "2", "latest")
# The requests of every look at four tags.
LOOK = Counter(["GET list", "HEAD 2.1.106", "HEAD 2.1", "HEAD 2", "HEAD latest"])
# The requests about the images of the floating tags that will move.
ASK_FIRST = LOOK + Counter(["HEAD 2.1.105"])
CHECK_THE_RIGHT_TO_PUSH = Counter(["POST uploads", "DELETE uploads"])
LOOK_ONCE_MORE = Counter(["HEAD 2.1.106"])
CONFIRM = LOOK - Counter(["HEAD 2.1.106"]) + Counter(["GET 2.1.106"])
WRITE = Counter(f"PUT {tag}" for tag in FLOATS)
VERIFY = LOOK
BEFORE_THE_PUSH = ASK_FIRST + LOOK_ONCE_MORE + CHECK_THE_RIGHT_TO_PUSH


@dataclass
class Known:
    """A repository with 2.1.105 released, which has the layers of the image that is to be 2.1.106."""

    engine: EngineProxy
    registry: Proxy
    path: str
    image: str

    def release(self, *options: str) -> tuple[Counter[str], Counter[str]]:
        """Release, and return the requests to the registry and to the Engine."""
        self.engine.requests.clear()
        self.registry.requests.clear()
        words = ("release", self.image, "2.1.106", "--registry", self.registry.host, "--repository", self.path)
        ran = tagger(self.engine, *words, *options)
        assert ran.code == 0, ran.err
        return asked(self.registry.requests), Counter(map(of_engine, self.engine.requests))


def asked(requests: list[Request]) -> Counter[str]:
    """Count tagger's own requests to a registry, without those of the Engine."""
    own = [request for request in requests if request.headers.get("User-Agent", "").startswith("tagger/")]
    return Counter(f"{request.method} {what(request)}" for request in own)


def what(request: Request) -> str:
    """Name what a request to a registry is about: a tag, the list, the uploads, the token, a manifest's tags."""
    if "/uploads/" in request.path:
        return "uploads"
    name = request.path.rpartition("/")[2]
    return "+".join(request.query["tag"]) if "tag" in request.query else "digest" if ":" in name else name


def of_engine(request: Request) -> str:
    """Name a request to the Engine."""
    return re.sub(r"/images/.+/", "/images/NAME/", re.sub(r"^/v[0-9.]+", "", request.path))


@pytest.fixture
def known(engine: Engine, registry: Registry) -> Iterator[Known]:
    """Publish 2.1.105, and let the registry see the layers of 2.1.106 under another tag."""
    path, image = f"known/app-{secrets.token_hex(4)}", f"build-{secrets.token_hex(4)}"
    with ExitStack() as services:
        proxy = services.enter_context(Proxy(registry.host))
        through = services.enter_context(EngineProxy(engine.socket))
        old, new = f"{registry.host}/{path}:2.1.105", f"{registry.host}/{path}:build"
        engine.image(old, "old")
        built = engine.image(new, "new")
        for reference in (old, new):
            engine.docker("push", "--quiet", reference)
        for tag in FLOATS:
            assert registry.put(path, tag, registry.manifest(path, "2.1.105"), DOCKER_MANIFEST) == 201
        engine.docker("tag", new, image)
        yield Known(through, proxy, path, image)
        engine.docker("image", "rm", "--force", built)


@pytest.mark.engine
def test_a_release_of_four_tags_reads_three_times_and_the_version_once_more(known: Known) -> None:
    registry, engine = known.release()
    assert registry == BEFORE_THE_PUSH + CONFIRM + VERIFY
    assert engine == {
        "/version": 1,
        "/info": 1,
        "/images/NAME/json": 1 + 2 * 4,  # of each tag before it is made and after
        "/images/NAME/tag": 4,
        "/images/NAME/push": 4,
    }


@pytest.mark.engine
def test_a_release_via_the_registry_writes_each_floating_tag_once(known: Known) -> None:
    registry, engine = known.release("--floats-via", "registry")
    assert registry == BEFORE_THE_PUSH + CONFIRM + WRITE + VERIFY
    assert engine["/images/NAME/push"] == 1


@pytest.mark.engine
def test_a_dry_run_reads_once(known: Known) -> None:
    registry, engine = known.release("--dry-run")
    assert registry == ASK_FIRST
    assert engine == {"/version": 1, "/info": 1, "/images/NAME/json": 1}


@pytest.mark.engine
def test_a_repeated_release_reads_once_and_compares_the_image(known: Known) -> None:
    known.release()
    registry, engine = known.release()
    assert registry == LOOK + Counter(["GET digest"]), "its image"
    assert engine == {"/version": 1, "/info": 1, "/images/NAME/json": 1}


# -- reading and repairing a repository ----------------------------------------------------------------------------


@pytest.fixture
def drifted(engine: Engine, registry: Registry) -> Iterator[tuple[Proxy, str]]:
    """Publish eight versions in two minor series of one major; `latest` is behind."""
    path = f"drifted/app-{secrets.token_hex(4)}"
    place = f"{registry.host}/{path}"
    for name in ("old", "new"):
        engine.image(f"{place}:{name}", name)
        engine.docker("push", "--quiet", f"{place}:{name}")
    old, new = (registry.manifest(path, name) for name in ("old", "new"))
    for tag in [*(f"1.{minor}.{patch}" for minor in range(2) for patch in range(4)), "1.0", "1.1", "1"]:
        assert registry.put(path, tag, old if tag == "1.0.0" else new, DOCKER_MANIFEST) == 201
    assert registry.put(path, "latest", old, DOCKER_MANIFEST) == 201
    with Proxy(registry.host) as proxy:
        yield proxy, path


def run(proxy: Proxy, path: str, *words: str, code: int = 0) -> Counter[str]:
    """Run a command on a repository and return what it asked."""
    proxy.requests.clear()
    ran = tagger(None, words[0], f"{proxy.host}/{path}", *words[1:])
    assert ran.code == code, ran.err
    return asked(proxy.requests)


# The floating tags, and the versions that they belong to; latest holds the oldest version, so that all are asked.
VERSIONS = Counter(f"HEAD 1.{minor}.{patch}" for minor in range(2) for patch in range(4))
COMPARE = Counter(f"HEAD {tag}" for tag in ("1.0", "1.1", "1", "latest", "1.0.3", "1.1.3"))


@pytest.mark.engine
def test_a_check_reads_each_tag_once(drifted: tuple[Proxy, str]) -> None:
    proxy, path = drifted
    assert run(proxy, path, "check", code=5) == (COMPARE | VERSIONS) + Counter(["GET list"])
    run(proxy, path, "repair")
    assert run(proxy, path, "check") == COMPARE + Counter(["GET list"])


@pytest.mark.engine
def test_init_reads_no_digest_twice_and_others_only_to_explain_a_named_tag(
    drifted: tuple[Proxy, str],
) -> None:
    proxy, path = drifted
    run(proxy, path, "repair")
    words = Counter(["HEAD old", "HEAD new"])
    assert run(proxy, path, "init") == (COMPARE | VERSIONS) + words + Counter(["GET list"])


@pytest.mark.engine
def test_a_list_requests_only_the_digests_that_it_shows(drifted: tuple[Proxy, str]) -> None:
    assert run(*drifted, "ls", "--limit", "0") == (COMPARE | VERSIONS) + Counter(["GET list"])


@pytest.mark.engine
def test_a_repair_reads_writes_the_drifted_tags_and_reads_again(drifted: tuple[Proxy, str]) -> None:
    write, verify = Counter(["GET digest", "PUT latest"]), Counter(["GET list", "HEAD latest", "HEAD 1.1.3"])
    assert run(*drifted, "repair") == (COMPARE | VERSIONS) + Counter(["GET list"]) + write + verify
    assert run(*drifted, "repair") == COMPARE + Counter(["GET list"])


# -- what no registry at hand does ---------------------------------------------------------------------------------


@contextmanager
def scripted(registry: ModelRegistry) -> Iterator[tuple[ModelRegistry, FakeEngine]]:
    """Publish 2.1.105 in a registry in this process, and return an Engine with the image of 2.1.106."""
    with registry, FakeEngine(registry) as engine:
        registry.seed("known/app", dict.fromkeys(("2.1.105", *FLOATS), b"old"))
        engine.load("build", b"new")
        yield registry, engine


def release(engine: HasUrl, registry: ModelRegistry, **environment: str) -> Counter[str]:
    """Release via the registry, and return the requests to it."""
    options = ("--registry", registry.host, "--repository", "known/app", "--floats-via", "registry")
    ran = tagger(engine, "release", "build", "2.1.106", *options, **environment)
    assert ran.code == 0, ran.err
    tags = registry.repositories["known/app"]
    assert {tags[tag] for tag in FLOATS} == {tags["2.1.106"]}
    return asked(registry.requests)


def test_floating_tags_are_written_by_one_request_where_the_registry_confirms_them_all() -> None:
    with scripted(ModelRegistry(tags_at_once=10)) as (registry, engine):
        assert release(engine, registry) == BEFORE_THE_PUSH + CONFIRM + VERIFY + Counter(["PUT 2.1+2+latest"])


def test_floating_tags_that_the_registry_does_not_confirm_are_written_one_by_one() -> None:
    with scripted(ModelRegistry(tags_at_once=1)) as (registry, engine):
        written = Counter(["PUT 2.1+2+latest", "PUT 2", "PUT latest"])
        assert release(engine, registry) == BEFORE_THE_PUSH + CONFIRM + VERIFY + written


@pytest.mark.parametrize("auth", [Basic(canary.USER, canary.PASSWORD), Bearer(canary.USER, canary.PASSWORD)])
def test_a_release_requests_one_token_to_read_and_one_to_write_and_keeps_its_connections(
    auth: Basic | Bearer, tmp_path: Path
) -> None:
    with scripted(ModelRegistry(auth=auth)) as (registry, engine):
        counted = release(engine, registry, **canary.docker_config(tmp_path, registry.host))
        by_tagger = {request.headers["User-Agent"] for request in registry.requests}
        assert all(agent.startswith("tagger/") for agent in by_tagger)
        challenged = counted - (BEFORE_THE_PUSH + CONFIRM + WRITE + VERIFY) - Counter({"GET token": 2})
        assert challenged <= LOOK  # the first look goes out at once, before the registry has asked who it is
        assert counted["GET token"] == 2 * isinstance(auth, Bearer)
        assert registry.connections <= len(LOOK) + 1


@pytest.mark.parametrize(
    "words",
    [
        "release build 2.1.106 --registry HOST --repository known/app --dry-run",
        "promote HOST/known/app:built 2.1.106 --dry-run",
        "promote HOST/known/app:built 2.1.106 --to HOST/known/other --dry-run",
        "repair HOST/known/app --dry-run",
        "rm HOST/known/app 2.1.104 --dry-run",
        "rm HOST/known/app --all --dry-run",
        "yank HOST/known/app 2.1.105 --dry-run",
        "prune HOST/known/app --keep 1 --dry-run",
        "ls HOST/known/app",
        "check HOST/known/app",
        "init HOST/known/app",
        "next HOST/known/app --patch",
    ],
)
def test_a_command_that_writes_nothing_requests_no_right_to_push(words: str, tmp_path: Path) -> None:
    with scripted(ModelRegistry(auth=Bearer(canary.USER, canary.PASSWORD))) as (registry, engine):
        registry.seed("known/app", {"2.1.104": b"older"})
        registry.put("known/app", "built", manifest(b"new", config=digest_of(b"{}")))
        registry.blobs["known/app", digest_of(b"{}")] = b"{}"
        config = canary.docker_config(tmp_path, registry.host)
        ran = tagger(engine, *words.replace("HOST", registry.host).split(), **config)
        assert ran.code == 0, ran.err
        asked_for = {scope for sent in registry.requests for scope in sent.query.get("scope", [])}
        assert "repository:known/app:pull" in asked_for
        assert not {scope for scope in asked_for if "push" in scope or "*" in scope}
