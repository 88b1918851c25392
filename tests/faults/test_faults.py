"""Every fault of docs/faults.md, one test each: exit code, message, tags before and after, and the re-run."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Protocol

import canary
import pytest
from command import Ran
from doubles import (
    Bearer,
    Message,
    Proxy,
    Request,
    Response,
    as_json,
    digest_of,
    on,
    refusal,
)
from faults_table import FILE, fault, table
from launcher import Launched, launched
from pushed import MANIFEST
from services import Engine, Registry, private_folder
from stage import FLOATS, TAGS, VERSION, Model, Point, Stage, model, stage

OLD = "2.1.105"


class Scene(Protocol):
    """A stage, real or not."""

    before: dict[str, str]

    def release(
        self, via: str = "engine", *more: str, version: str = VERSION, image: str | None = None, **environment: str
    ) -> Ran:
        """Release, and wait for the end."""

    def snapshot(self) -> dict[str, str]:
        """Map every tag to its digest."""

    def calm(self) -> None:
        """End every fault."""


@pytest.fixture
def scene(engine: Engine, guarded_registry: Registry) -> Iterator[Stage]:
    """A release on a real Engine and a real registry that wants a password."""
    with stage(engine, guarded_registry) as given:
        yield given


@pytest.fixture
def actors() -> Iterator[Model]:
    """A release on stand-ins."""
    with model() as given:
        yield given


def stopped(scene: Scene, ran: Ran, code: int, *says: str, published: bool = False) -> None:
    """Check that a release failed, said why, and left every tag where it was, except perhaps the version tag."""
    assert ran.code == code, ran.err
    missing = [word for word in says if word not in ran.error]
    assert not missing, ran.error
    after = scene.snapshot()
    assert published is (VERSION in after), after
    after.pop(VERSION, None)
    assert after == scene.before
    finishes(scene)


def finishes(scene: Scene, **environment: str) -> None:
    """Check that the same command, with the fault over, ends at the goal."""
    scene.calm()
    done(scene, scene.release(**environment))


def done(scene: Scene, ran: Ran) -> None:
    """Check that a release reached its goal."""
    assert ran.code == 0, ran.err
    after = scene.snapshot()
    assert {after.get(tag) for tag in TAGS} == {after[VERSION]}, after
    assert after[VERSION] != scene.before[OLD]
    assert after[OLD] == scene.before[OLD]


def manifest(tag: str) -> str:
    """The path of a tag's manifest as a regular expression."""
    return rf"/manifests/{re.escape(tag)}$"


def pushes(tag: str) -> Callable[[Request], bool]:
    """Recognise the request by which the Engine is to push a tag."""
    return lambda request: request.path.endswith("/push") and request.query.get("tag") == [tag]


# -- the Engine ----------------------------------------------------------------------------------------------------


@fault(
    "Engine",
    "the push reports an error inside HTTP 200",
    by="the registry refuses the manifest",
    does="names the error, with control characters escaped; no tag moves",
    exits="1",
)
@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_an_error_inside_a_200_is_a_failure(scene: Stage) -> None:
    scene.proxy.intercept(on("PUT", manifest(VERSION), refusal(400, "MANIFEST_INVALID", "bad \x1b[2J\r\n::error::x")))
    ran = scene.release()
    assert "\x1b" not in ran.err
    assert not re.search("^::", ran.err, re.MULTILINE)
    stopped(scene, ran, 1, f"the push of {VERSION} failed", "no tag moved", "run the same command again")


def says(*messages: Message) -> Callable[[str, str], Iterator[Message]]:
    """Replace what the Engine says of a push; it pushes nothing."""
    return lambda _name, _tag: iter(messages)


@fault(
    "Engine",
    "the push succeeds but names no digest",
    by="a stand-in's stream",
    does="does not trust the push; no tag moves",
    exits="1",
)
@pytest.mark.usefixtures("hurried")
def test_a_push_that_names_no_digest_proves_nothing(actors: Model) -> None:
    actors.engine.push = says({"status": "Pushed", "id": "c722b2e5e5dc"})
    stopped(actors, actors.release(), 1, "ended with digest: none", "no tag moved")


@fault(
    "Engine",
    "the push names its digest only in the status line, as the containerd store does",
    by="a stand-in's stream",
    does="reads it there",
    exits="0",
)
@pytest.mark.usefixtures("hurried")
def test_the_status_line_is_proof_enough() -> None:
    with model(store="containerd") as scene:
        done(scene, scene.release())


@fault(
    "Engine",
    "the push names two digests, or another tag's",
    by="a stand-in's stream",
    does="does not trust the push; no tag moves",
    exits="1",
)
@pytest.mark.parametrize("tags", [(VERSION, VERSION), ("2.1.107",)])
@pytest.mark.usefixtures("hurried")
def test_a_push_that_speaks_of_something_else_proves_nothing(actors: Model, tags: tuple[str, ...]) -> None:
    lines = [f"{tag}: digest: {digest_of(bytes([number]))} size: 9" for number, tag in enumerate(tags)]
    actors.engine.push = says(*({"status": line} for line in lines))
    stopped(actors, actors.release(), 1, "ended with digest", "no tag moved")


@fault(
    "Engine",
    "another program moves the local tag between tag and push",
    by="a second client, at the push",
    does="sees that the manifest is not the image's, withdraws the version tag, moves nothing",
    exits="1; or 4, naming the tag, if the registry cannot delete a single tag",
)
@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_another_image_under_our_local_tag_is_never_released(scene: Stage, engine: Engine) -> None:
    stranger = engine.image(f"stranger-{secrets.token_hex(4)}", f"stranger to {scene.repository}")

    def move(request: Request) -> None:
        if pushes(VERSION)(request):
            engine.docker("tag", stranger, f"{scene.name}:{VERSION}")

    scene.engine.intercept(move)
    ran = scene.release()
    engine.docker("image", "rm", "--force", stranger)
    stopped(scene, ran, 1, "another program moved the local tag", "no tag moved")


@fault(
    "Engine",
    "the Engine pushes one platform of an index and reports success",
    by="a stand-in's stream",
    does="refuses, withdraws the version tag, moves nothing",
    exits="1",
)
def test_one_platform_of_several_is_never_released(actors: Model) -> None:
    def narrow(name: str, tag: str) -> Iterator[Message]:
        yield from actors.engine.deliver(name, tag)
        yield {"aux": {"manifestPushedInsteadOfIndex": True}}

    actors.engine.push = narrow
    actors.registry.deletes = "tag"
    stopped(actors, actors.release(), 1, "lacks a platform", "no tag moved")


@fault(
    "Engine",
    "silence for longer than --timeout",
    by="a registry that stops (SIGSTOP) in the middle of a push",
    does="ends in time; no tag moves",
    exits="1",
)
@pytest.mark.engine
def test_silence_ends_with_the_time(engine: Engine) -> None:
    with private_folder() as folder, Registry.start(folder) as registry, stage(engine, registry) as scene:

        def pause(_: Request) -> None:
            registry.pause()

        scene.proxy.intercept(on("PATCH", "/blobs/uploads/", pause, times=1))
        ran = scene.release("engine", "--timeout", "5")
        registry.resume()
        stopped(scene, ran, 1, "did not finish within the 5 s of --timeout")


@fault(
    "Engine",
    "the Engine dies in the middle of a push and is back within seconds",
    by="SIGKILL to dockerd",
    does="pushes again",
    exits="0",
)
@pytest.mark.engine
def test_a_push_is_repeated_when_a_killed_engine_comes_back(guarded_registry: Registry) -> None:
    with private_folder() as folder, Engine.start(folder) as engine, stage(engine, guarded_registry) as scene:
        killed = threading.Event()

        def kill(_: Request) -> Response:
            engine.kill()
            killed.set()
            return Response(drop=True)

        scene.proxy.intercept(on("PUT", manifest(VERSION), kill, times=1))
        release = scene.start()
        assert killed.wait(60)
        engine.restart()
        ran = release.wait()
        done(scene, ran)
        assert f"pushing {scene.name}:{VERSION} again" in ran.err


@fault(
    "Engine",
    "the Engine dies in the middle of a push and stays away",
    by="SIGKILL to dockerd",
    does="says that the push broke; no floating tag moves",
    exits="1",
)
@pytest.mark.engine
def test_an_engine_that_is_killed_and_stays_down_moves_nothing(guarded_registry: Registry) -> None:
    with private_folder() as folder, Engine.start(folder) as engine, stage(engine, guarded_registry) as scene:

        def kill(_: Request) -> Response:
            engine.kill()
            return Response(drop=True)

        scene.proxy.intercept(on("PUT", manifest(VERSION), kill, times=1))
        ran = scene.release("engine", "--timeout", "8")
        engine.restart()
        stopped(scene, ran, 1, "did not finish within the 8 s of --timeout")


@fault(
    "Engine",
    "no Engine at its address, or an unknown context",
    by="DOCKER_HOST, DOCKER_CONTEXT",
    does="names the address or the context; tries no other Engine",
    exits="2",
)
@pytest.mark.engine
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "no Docker Engine answers at unix:///nonexistent"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "no Docker Engine answers at"),
        ({"DOCKER_HOST": "nonsense://"}, "no Docker Engine answers at nonsense"),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": "nope"}, "there is no Docker context 'nope'"),
    ],
)
def test_a_missing_engine_is_reported(scene: Stage, environment: dict[str, str], words: str) -> None:
    stopped(scene, scene.release(**environment), 2, words)


@fault(
    "Engine",
    "the Engine's disk is full when it creates a tag",
    by="an error to the tag request",
    does="quotes the Engine; no tag moves",
    exits="1",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", [VERSION, "latest"])
@pytest.mark.usefixtures("hurried")
def test_an_engine_whose_disk_is_full_moves_nothing(scene: Stage, tag: str) -> None:
    full = as_json(500, {"message": "write /var/lib/docker/image/repositories.json: no space left on device"})
    scene.engine.intercept(lambda r: full if r.path.endswith("/tag") and r.query.get("tag") == [tag] else None)
    stopped(scene, scene.release(), 1, "no space left on device", published=tag != VERSION)


@fault(
    "Engine",
    "an Engine on another machine, for which a registry on loopback is another one",
    by="DOCKER_HOST=ssh://",
    does="refuses before any request",
    exits="2",
)
def test_loopback_of_another_machine_is_not_ours(actors: Model) -> None:
    ran = actors.release(DOCKER_HOST="tcp://192.0.2.7:2375", TAGGER_TIMEOUT="")
    assert ran.code == 2, ran.err
    assert actors.snapshot() == actors.before


# -- the registry --------------------------------------------------------------------------------------------------


@fault(
    "Registry",
    "the registry is down, or its name is unknown",
    by="a stopped registry, an unknown name",
    does="names the host and the cause, before it writes anything",
    exits="2",
)
@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_a_missing_registry_is_reported(engine: Engine) -> None:
    with private_folder() as folder, Registry.start(folder) as registry, stage(engine, registry) as scene:
        registry.kill()
        ran = launched(
            engine, "release", scene.image, VERSION, "--registry", registry.host, "--repository", "steps/app"
        )
        assert (ran.code, "no registry answers at" in ran.error) == (2, True), ran.err
        registry.restart()
        unknown = launched(engine, "release", scene.image, VERSION, "--registry", "nobody.invalid:5000")
        assert (unknown.code, "no host nobody.invalid" in unknown.error) == (2, True), unknown.err
        assert scene.snapshot() == scene.before
        finishes(scene)


@fault(
    "Registry",
    "the registry dies in the middle of a layer and is back later",
    by="SIGKILL to the registry, with --timeout",
    does="no tag moves",
    exits="1",
)
@pytest.mark.engine
def test_a_registry_that_dies_during_a_layer_moves_nothing(engine: Engine) -> None:
    with private_folder() as folder, Registry.start(folder) as registry, stage(engine, registry) as scene:

        def kill(_: Request) -> Response:
            registry.kill()
            return Response(drop=True)

        scene.proxy.intercept(on("PATCH", "/blobs/uploads/", kill, times=1))
        ran = scene.release("engine", "--timeout", "5")
        registry.restart()
        stopped(scene, ran, 1, "did not finish within the 5 s of --timeout")


@fault(
    "Registry",
    "the registry dies in the middle of a write and leaves a tag that it cannot read",
    by="an emptied file in its storage",
    does="writes a floating tag again; refuses to guess about a version tag",
    exits="0; 1 for the version tag",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", ["latest", VERSION])
@pytest.mark.usefixtures("hurried")
def test_a_damaged_floating_tag_is_repaired(scene: Stage, tag: str) -> None:
    if tag == VERSION:
        assert (
            scene.registry.put(scene.repository, tag, scene.registry.manifest(scene.repository, OLD), MANIFEST) == 201
        )
    link = scene.registry.link_file(scene.repository, tag)
    kept = link.read_bytes()
    link.write_bytes(b"")
    ran = scene.release()
    if tag == "latest":
        done(scene, ran)
        return
    assert (ran.code, f"where {scene.name}:{VERSION} points" in ran.error) == (1, True), ran.err
    link.write_bytes(kept)
    assert {name: held for name, held in scene.snapshot().items() if name != VERSION} == scene.before
    done(scene, scene.release("engine", "--force"))


@fault(
    "Registry",
    "the registry's disk is full",
    by="a full file system of 1 MB",
    does="quotes the Engine; no tag moves",
    exits="1",
)
@pytest.mark.engine
def test_a_registry_whose_disk_is_full_moves_nothing(engine: Engine) -> None:
    with (
        private_folder() as folder,
        small_disk(folder),
        Registry.start(folder) as registry,
        stage(engine, registry) as scene,
    ):
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 512)
        ran = scene.release("engine", "--timeout", "8")
        filler.unlink()
        stopped(scene, ran, 1, "no tag moved")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of 1 MB, which only this session sees."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


WAITS = {
    "seconds": "1",
    "a date": "DATE",
    "absent": None,
    "junk": "soon",
    "negative": "-1",
}


@fault(
    "Registry",
    "429, with Retry-After in seconds, as a date, absent, or nonsense",
    by="a proxy",
    does="waits as long as the registry asks, then tries again",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.usefixtures("hurried")
def test_a_request_is_repeated_later_after_too_many_requests(scene: Stage, wait: str) -> None:
    header = formatdate(time.time() + 2, usegmt=True) if wait == "a date" else WAITS[wait]
    headers = {} if header is None else {"Retry_After": header}
    busy = refusal(429, "TOOMANYREQUESTS", "slow down", **headers)
    scene.proxy.intercept(on("GET", "/tags/list", busy, times=1))
    scene.proxy.intercept(on("PUT", manifest("2"), busy, times=1))
    done(scene, scene.release("registry"))


@fault(
    "Registry",
    "429, with Retry-After in 30 years",
    by="a proxy",
    does="waits at most 30 s; ends at once if --timeout is shorter",
    exits="1",
)
@pytest.mark.engine
def test_an_absurdly_long_wait_is_refused(scene: Stage) -> None:
    busy = refusal(429, "TOOMANYREQUESTS", "slow down", Retry_After="1000000000")
    scene.proxy.intercept(on("GET", "/tags/list", busy))
    stopped(scene, scene.release("engine", "--timeout", "20"), 1, "did not finish within the 20 s of --timeout")


@fault(
    "Registry",
    "408, 500, 502, 503 or 504 once",
    by="a proxy",
    does="tries again; pushes a version tag again if it did not arrive",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.usefixtures("hurried")
def test_a_temporary_failure_is_survived(scene: Stage, status: int) -> None:
    failing = Response(status, b"<html>try later</html>", {"Content-Type": "text/html"})
    scene.proxy.intercept(on("HEAD", manifest("latest"), failing, times=1))
    scene.proxy.intercept(on("PUT", manifest(VERSION), failing, times=1))
    scene.proxy.intercept(on("PUT", manifest("2.1"), failing, times=1))
    done(scene, scene.release())


@fault(
    "Registry",
    "a write takes effect and its answer is lost",
    by="a proxy that answers by closing the connection",
    does="reads, and sees that the write took effect",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.usefixtures("hurried")
def test_a_lost_answer_is_not_a_failure(scene: Stage, tag: str) -> None:
    scene.proxy.intercept(on("PUT", manifest(tag), scene.proxy.lose_answer, times=1))
    done(scene, scene.release())


def created(request: Request) -> Response:
    """Answer that a manifest was stored, but do not store it."""
    return Response(201, b"", {"Docker-Content-Digest": digest_of(request.body)})


@fault(
    "Registry",
    "a write is answered with 201 but stores nothing",
    by="a proxy",
    does="believes only what it reads; no floating tag stays moved",
    exits="1",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", [VERSION, "latest"])
@pytest.mark.usefixtures("hurried")
def test_an_image_that_a_registry_says_it_stored_is_read_back(scene: Stage, tag: str) -> None:
    scene.proxy.intercept(on("PUT", manifest(tag), created))
    stopped(scene, scene.release("registry"), 1, "run the same command again", published=tag != VERSION)


@fault(
    "Registry",
    "stale reads for a while",
    by="a proxy that returns the old manifest a few more times",
    does="reads again until it sees the new one",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", ["latest", VERSION])
@pytest.mark.usefixtures("hurried")
def test_a_release_waits_until_stale_reads_end(scene: Stage, tag: str) -> None:
    written = threading.Event()
    old = refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
    if tag == "latest":
        body = scene.registry.manifest(scene.repository, OLD)
        old = Response(200, body, {"Content-Type": MANIFEST, "Docker-Content-Digest": scene.before[OLD]})
    stale = [on(method, manifest(tag), old, times=2) for method in ("HEAD", "GET")]

    def serve(request: Request) -> Response | None:
        if request.method == "PUT" and re.search(manifest(tag), request.path):
            written.set()
            return None
        return next((answer for rule in stale if (answer := rule(request))), None) if written.is_set() else None

    scene.proxy.intercept(serve)
    done(scene, scene.release())


@fault(
    "Registry",
    "stale reads that never end",
    by="a proxy that always returns the old manifest",
    does="puts the floating tags back, and names what it could not verify",
    exits="1",
)
@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_reads_that_stay_stale_are_not_a_success(scene: Stage) -> None:
    body = scene.registry.manifest(scene.repository, OLD)
    old = Response(200, body, {"Content-Type": MANIFEST, "Docker-Content-Digest": scene.before[OLD]})
    for method in ("HEAD", "GET"):
        scene.proxy.intercept(on(method, manifest("latest"), old))
    stopped(scene, scene.release("registry"), 1, "latest", published=True)


@fault(
    "Registry",
    "a list with a missing tag, with duplicates, out of order, or null",
    by="a proxy that rewrites the list",
    does="counts each existing tag once",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("tags", [["latest", "9.9.9", "2.1.105", "2", "2.1.105", "9.9.9", "2.1"], None])
def test_tags_that_are_listed_but_absent_do_not_count(scene: Stage, tags: list[str] | None) -> None:
    first = as_json(200, {"name": scene.repository, "tags": tags})
    scene.proxy.intercept(on("GET", "/tags/list", first, times=1))
    done(scene, scene.release())


@fault(
    "Registry",
    "a list whose pages form a loop or lead to another host",
    by="a stand-in's Link header",
    does="decides nothing from an incomplete list; no tag moves",
    exits="1",
)
@pytest.mark.parametrize(
    "link", ["</v2/steps/app/tags/list?n=2&last=2>", "<http://127.0.0.2:9/v2/steps/app/tags/list>"]
)
def test_an_incomplete_list_decides_nothing(actors: Model, link: str) -> None:
    answer = as_json(200, {"name": actors.repository, "tags": ["2", "latest"]}, Link=f'{link}; rel="next"')
    actors.registry.intercept(on("GET", "/tags/list", answer))
    stopped(actors, actors.release(), 1)


@fault(
    "Registry",
    "thousands of tags on many pages",
    by="a stand-in",
    does="reads all pages before it decides",
    exits="0",
)
def test_every_page_is_read(actors: Model) -> None:
    actors.registry.page_size = 100
    body = actors.registry.manifests[actors.repository, actors.before[OLD]][1]
    for patch in range(3000):
        actors.registry.put(actors.repository, f"2.0.{patch}", body)
    actors.registry.put(actors.repository, "2.2.0", body)
    ran = actors.release()
    after = actors.snapshot()
    assert (ran.code, after["2.1"]) == (0, after[VERSION]), ran.err
    assert {after["2"], after["latest"]} == {actors.before[OLD]}


@fault(
    "Registry",
    "an immutable version tag that already holds this image",
    by="a proxy that refuses every write to it, as ECR does",
    does="does not write it",
    exits="0",
)
@pytest.mark.engine
def test_an_immutable_tag_that_is_right_is_left_alone(scene: Stage) -> None:
    done(scene, scene.release())
    scene.registry.put(scene.repository, "latest", scene.registry.manifest(scene.repository, OLD), MANIFEST)
    scene.proxy.intercept(on("PUT", manifest(VERSION), refusal(400, "TAG_INVALID", "tag is immutable")))
    done(scene, scene.release())


@fault(
    "Registry",
    "an immutable floating tag",
    by="a proxy that refuses to move it, as ECR, Quay and Harbor do",
    does="puts the other floating tags back, and names the refusal",
    exits="1",
)
@pytest.mark.engine
@pytest.mark.parametrize("status", [400, 403, 412])
@pytest.mark.parametrize("via", ["engine", "registry"])
@pytest.mark.usefixtures("hurried")
def test_an_immutable_floating_tag_makes_the_others_go_back(scene: Stage, via: str, status: int) -> None:
    fixed = refusal(status, "DENIED", "the tag is immutable")
    scene.proxy.intercept(on("PUT", manifest("latest"), fixed))
    stopped(scene, scene.release(via), 1, "immutable", "floating tags are where they were", published=True)


@fault(
    "Registry",
    "`rm` where deletes are off",
    by="a registry without deletes",
    does="says how to switch them on; removes nothing",
    exits="3",
)
@pytest.mark.engine
def test_nothing_is_removed_where_deletes_are_off(engine: Engine) -> None:
    with (
        private_folder() as folder,
        Registry.start(folder, deletes=False) as registry,
        stage(engine, registry) as scene,
    ):
        ran = launched(None, "rm", scene.name, "--yes", OLD, "--json")
        assert (ran.code, scene.snapshot()) == (3, scene.before), ran.err
        done(scene, scene.release())


@fault(
    "Registry",
    "`rm` of a tag that shares its digest",
    by="a registry that deletes by digest",
    does="keeps the siblings",
    exits="0",
)
@pytest.mark.engine
def test_a_tag_survives_the_removal_of_another_tag_of_its_image(scene: Stage) -> None:
    body = scene.registry.manifest(scene.repository, OLD)
    scene.registry.put(scene.repository, "2.0.9", body, MANIFEST)
    ran = launched(None, "rm", scene.name, "--yes", "2.0.9", **scene.environment)
    assert (ran.code, scene.snapshot()) == (0, scene.before), ran.err


@fault(
    "Registry",
    "`rm` is answered with 202, but the tag remains",
    by="a proxy",
    does="checks, and says so",
    exits="1 or 4",
)
@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_a_tag_that_still_exists_is_not_reported_as_removed(scene: Stage) -> None:
    scene.proxy.intercept(on("DELETE", "/manifests/", Response(202)))
    ran = launched(None, "rm", scene.name, "--yes", OLD, **scene.environment)
    assert ran.code in (1, 4), ran.err
    assert OLD in ran.error
    assert scene.snapshot()[OLD] == scene.before[OLD]
    scene.calm()
    assert launched(None, "rm", scene.name, "--yes", OLD, **scene.environment).code == 0
    assert OLD not in scene.snapshot()


# -- authorization -------------------------------------------------------------------------------------------------


@pytest.fixture
def bearer() -> Iterator[tuple[Model, Bearer]]:
    """A release on stand-ins, with a token server."""
    auth = Bearer(canary.USER, canary.PASSWORD)
    with model(auth) as given:
        yield given, auth


@fault(
    "Authorization",
    "a token expires during a release",
    by="a stand-in that forgets its tokens",
    does="gets a new one, once",
    exits="0",
)
def test_a_token_that_expires_during_a_release_is_renewed(bearer: tuple[Model, Bearer]) -> None:
    scene, auth = bearer

    def expire(_: Request) -> None:
        auth.tokens.clear()

    scene.registry.intercept(on("PUT", manifest("2"), expire, times=1))
    done(scene, scene.release("registry"))


TOKEN_SERVERS = {
    "down": Response(drop=True),
    "failing": Response(500),
    "HTML": Response(200, b"<html>welcome</html>"),
    "without a token": as_json(200, {"hello": "world"}),
    "huge": as_json(200, {"token": "x" * 3_000_000}),
}


@fault(
    "Authorization",
    "a token server that is down, fails, or answers with HTML, megabytes or no token",
    by="a stand-in",
    does="names the token server; no tag moves, and tagger does not loop",
    exits="1, 2 or 3",
)
@pytest.mark.parametrize("kind", TOKEN_SERVERS)
@pytest.mark.usefixtures("hurried")
def test_a_token_server_that_fails_is_named(bearer: tuple[Model, Bearer], kind: str) -> None:
    scene, _ = bearer
    scene.registry.intercept(lambda request: TOKEN_SERVERS[kind] if request.path == "/token" else None)
    ran = scene.release()
    asked = [request for request in scene.registry.requests if request.path == "/token"]
    assert len(asked) <= 5 * 4, "each of the five requests that go out at once asks for a token four times"
    stopped(scene, ran, ran.code if ran.code in (1, 2, 3) else 3)


@fault(
    "Authorization",
    "a token with fewer rights than requested",
    by="a stand-in that grants only pull",
    does="finds out before the first write",
    exits="3",
)
def test_a_token_that_may_only_pull_moves_nothing(bearer: tuple[Model, Bearer]) -> None:
    scene, auth = bearer
    auth.grants = frozenset({"pull"})
    ran = scene.release()
    auth.grants = frozenset({"pull", "push"})
    assert not [request for request in scene.registry.requests if request.method == "PUT"]
    stopped(scene, ran, 3, "push")


@fault(
    "Authorization",
    "credentials without the right to push",
    by="a proxy that refuses uploads",
    does="finds out before it writes to the Engine or the registry",
    exits="3",
)
@pytest.mark.engine
def test_the_right_to_push_is_checked_before_anything_moves(scene: Stage, engine: Engine) -> None:
    scene.proxy.intercept(on("POST", "/blobs/uploads/", refusal(403, "DENIED", "denied")))
    ran = scene.release()
    assert not engine.tags(scene.name)
    assert not [request for request in scene.proxy.requests if request.method == "PUT"]
    stopped(scene, ran, 3, "does not let you push")


HELPERS = {
    "missing": (None, "cannot be started"),
    "failing": (f"echo '{canary.PASSWORD}'; exit 1", "docker-credential-test"),
    "printing junk": (f"echo 'welcome {canary.PASSWORD}'", "no usable credential"),
    "flooding": ("exec yes 'x'", "docker-credential-test"),
}


@fault(
    "Authorization",
    "a credential helper that is missing, fails, prints junk, or never stops printing",
    by="scripts",
    does="names the helper, never its output; no tag moves",
    exits="2",
)
@pytest.mark.engine
@pytest.mark.parametrize("helper", HELPERS)
def test_a_helper_that_fails_is_named_and_not_quoted(scene: Stage, tmp_path: Path, helper: str) -> None:
    script, words = HELPERS[helper]
    if script:
        program = tmp_path / "docker-credential-test"
        program.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        program.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {scene.proxy.host: "test"}}))
    path = f"{tmp_path}:{os.environ['PATH']}"
    stopped(scene, scene.release(DOCKER_CONFIG=str(tmp_path), PATH=path), 2, words)


@fault(
    "Authorization",
    "a Docker configuration that is broken or unreadable",
    by="files",
    does="names the file; no tag moves",
    exits="2",
)
@pytest.mark.engine
@pytest.mark.parametrize("broken", ["{", "[]", "folder"])
def test_a_broken_configuration_is_named(scene: Stage, tmp_path: Path, broken: str) -> None:
    file = tmp_path / "config.json"
    if broken == "folder":
        file.mkdir()
    else:
        file.write_text(broken)
    stopped(scene, scene.release(DOCKER_CONFIG=str(tmp_path)), 2, str(file))


@fault(
    "Authorization",
    "a Docker configuration that is broken for another host",
    by="a file",
    does="ignores it",
    exits="0",
)
@pytest.mark.engine
def test_a_broken_entry_for_another_host_does_not_matter(scene: Stage, tmp_path: Path) -> None:
    login = base64.b64encode(f"{canary.USER}:{canary.PASSWORD}".encode()).decode()
    auths = {scene.proxy.host: {"auth": login}, "other.example": {"auth": "%%%"}, "": 7}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths, "credHelpers": {"third.example": "nope"}}))
    done(scene, scene.release(DOCKER_CONFIG=str(tmp_path)))


# -- rivals --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(scene: Stage, point: Point, *, version: str = VERSION) -> Iterator[Launched]:
    """Hold a release at a point for as long as the block lasts."""
    arrived, go = threading.Event(), threading.Event()

    def hold(_server: object, _request: object) -> None:
        arrived.set()
        assert go.wait(120)

    with scene.watched(point, hold):
        first = scene.start(version=version)
        try:
            assert arrived.wait(60)
            yield first
        finally:
            go.set()


@fault(
    "Rivals",
    "two releases of different versions at once",
    by="a proxy that holds one while the other runs",
    does="both end with the floating tags at the newer version",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("at", [f"/manifests/{VERSION}", "/manifests/latest"])
def test_the_newer_of_two_concurrent_versions_gets_the_floating_tags(scene: Stage, engine: Engine, at: str) -> None:
    newer = engine.image(f"newer-{secrets.token_hex(4)}", f"newer than {scene.repository}")
    with Proxy(scene.registry.host) as door:
        with held(scene, Point("registry", "PUT", f"/v2/REPOSITORY{at}", 0)) as first:
            environment = canary.docker_config(Path(scene.environment["DOCKER_CONFIG"]), scene.proxy.host, door.host)
            words = ("release", newer, "2.1.107", "--registry", door.host, "--repository", scene.repository)
            second = launched(engine, *words, **environment)
        ran = first.wait()
    engine.docker("image", "rm", "--force", newer)
    after = scene.snapshot()
    assert (ran.code, second.code) == (0, 0), ran.err + second.err
    assert {after[tag] for tag in FLOATS} == {after["2.1.107"]}
    assert after[VERSION] not in (after["2.1.107"], scene.before[OLD])


@fault(
    "Rivals",
    "two releases of one version with different images",
    by="a proxy that holds one while the other runs",
    does="one wins, the other names the winner's image; the floating tags point to it",
    exits="0 for the winner; 1 or 3 for the other",
)
@pytest.mark.engine
@pytest.mark.parametrize("at", [("GET", "/v2/REPOSITORY/tags/list"), ("PUT", f"/v2/REPOSITORY/manifests/{VERSION}")])
@pytest.mark.usefixtures("hurried")
def test_one_of_two_images_for_one_version_wins(scene: Stage, engine: Engine, at: tuple[str, str]) -> None:
    rival = engine.image(f"rival-{secrets.token_hex(4)}", f"rival of {scene.repository}")
    with Proxy(scene.registry.host) as door:
        with held(scene, Point("registry", *at, 0)) as first:
            environment = canary.docker_config(Path(scene.environment["DOCKER_CONFIG"]), scene.proxy.host, door.host)
            words = ("release", rival, VERSION, "--registry", door.host, "--repository", scene.repository)
            second = launched(engine, *words, **environment)
        ran = first.wait()
    engine.docker("image", "rm", "--force", rival)
    after = scene.snapshot()
    assert min(ran.code, second.code) == 0
    assert max(ran.code, second.code) in (1, 3), ran.err + second.err
    assert {after[tag] for tag in TAGS} == {after[VERSION]}


# -- versions and images -------------------------------------------------------------------------------------------


@fault(
    "Versions and images",
    "a backport after a newer release",
    by="the command",
    does="moves only the tags of its own series",
    exits="0",
)
@pytest.mark.engine
def test_a_backport_never_takes_what_a_newer_version_has(scene: Stage) -> None:
    ran = scene.release(version="2.0.9")
    after = scene.snapshot()
    assert (ran.code, {tag: after[tag] for tag in scene.before}) == (0, scene.before), ran.err
    assert after["2.0"] == after["2.0.9"] != scene.before[OLD]


@fault(
    "Versions and images",
    "a pre-release",
    by="the command",
    does="writes only its version tag",
    exits="0",
)
@pytest.mark.engine
def test_no_floating_tag_points_to_a_pre_release(scene: Stage) -> None:
    ran = scene.release(version="2.2.0-rc.1")
    after = scene.snapshot()
    del after["2.2.0-rc.1"]
    assert (ran.code, after) == (0, scene.before), ran.err


@fault(
    "Versions and images",
    "build metadata, which a tag cannot hold",
    by="the command",
    does="asks for a decision",
    exits="3",
)
@pytest.mark.engine
def test_build_metadata_is_dropped_only_on_request(scene: Stage) -> None:
    stopped(scene, scene.release(version=f"{VERSION}+build.7"), 3, "--build-metadata")


@fault(
    "Versions and images",
    "a version that is already published with another image",
    by="the command",
    does="refuses",
    exits="3",
)
@pytest.mark.engine
def test_a_published_version_is_overwritten_only_on_request(scene: Stage) -> None:
    ran = scene.release(version=OLD)
    stopped(scene, ran, 3, "is published with another image", "--force")


@fault(
    "Versions and images",
    "somebody removes the image in the middle of a release",
    by="a second client, at the tag",
    does="quotes the Engine; no tag moves",
    exits="1",
)
@pytest.mark.engine
def test_an_image_that_is_removed_during_a_release_moves_nothing(scene: Stage, engine: Engine) -> None:
    def remove(request: Request) -> None:
        if request.path.endswith("/tag"):
            engine.docker("image", "rm", "--force", scene.image)

    scene.engine.intercept(remove)
    ran = scene.release()
    engine.image(scene.image, f"again for {scene.repository}")
    stopped(scene, ran, 1, "No such image")


@fault(
    "Versions and images",
    "an image that does not exist, or an ID that is too short",
    by="the command",
    does="names the image",
    exits="2",
)
@pytest.mark.engine
@pytest.mark.parametrize("image", ["not-there", "../volumes/x", "sha256:", "UPPER"])
def test_a_missing_image_is_named(scene: Stage, image: str) -> None:
    stopped(scene, scene.release(image=image), 2)


# -- gates ---------------------------------------------------------------------------------------------------------


def kept_waiting(scene: Stage, ran: Ran, code: int, *says: str) -> None:
    """Check that a gate stopped the image: only the candidate is there, and the next attempt uses it."""
    assert (ran.code, [word for word in says if word not in ran.error]) == (code, []), ran.err
    after = scene.snapshot()
    [candidate] = after.keys() - scene.before.keys()
    assert (candidate.startswith(f"{VERSION}-candidate."), candidate in ran.err + ran.out) == (True, True)
    assert {tag: digest for tag, digest in after.items() if tag != candidate} == scene.before
    done(scene, scene.release("engine", "--gate", "true"))
    assert candidate not in scene.snapshot()


@fault(
    "Gates",
    "a gate fails, or is killed",
    by="a gate",
    does="names the gate and its last lines; only the candidate is there",
    exits="6",
)
@pytest.mark.engine
@pytest.mark.parametrize(("gate", "how"), [("exit 3", "exit code 3"), ("kill -9 $$", "killed by signal 9")])
def test_a_gate_that_fails_keeps_the_image_back(scene: Stage, gate: str, how: str) -> None:
    ran = scene.release("engine", "--gate", f"sh -c 'echo it said; {gate}'")
    assert ran.json["gates"][0]["output"] == ["it said"]
    kept_waiting(scene, ran, 6, how)


@fault(
    "Gates",
    "a gate hangs, and so do its children",
    by="a gate, with --gate-timeout",
    does="ends all of them in time; only the candidate is there",
    exits="6",
)
@pytest.mark.engine
def test_a_gate_that_hangs_keeps_the_image_back(scene: Stage) -> None:
    ran = scene.release("engine", "--gate-timeout", "1", "--gate", "sh -c 'sleep 600 & sleep 600'")
    kept_waiting(scene, ran, 6, "did not end within 1 s")


@fault(
    "Gates",
    "a gate writes 100 MB, with control characters and commands to a CI system",
    by="a gate",
    does="shows the first lines, escaped, and releases",
    exits="0",
)
@pytest.mark.engine
def test_a_gate_that_floods_is_cut_short(scene: Stage) -> None:
    line = "'\\\\x1b[2J::error::x' + 'y' * 80 + chr(10)"
    flood = f"import sys; [sys.stdout.write(({line}) * 10000) for _ in range(100)]"
    ran = scene.release("engine", "--gate", f'{sys.executable} -c "{flood}"')
    assert (len(ran.err) < 500_000, "\x1b" in ran.err + ran.out) == (True, False)
    done(scene, ran)


@fault(
    "Gates",
    "SIGINT, SIGTERM or SIGHUP while a gate runs",
    by="signals",
    does="ends the gate; only the candidate is there",
    exits="130, 143, 129",
)
@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_gate_keeps_the_image_back(scene: Stage, number: signal.Signals, tmp_path: Path) -> None:
    running = tmp_path / "running"
    process = scene.start("engine", "--gate", f"sh -c 'touch {running}; sleep 600; true'")
    while not running.exists() and not process.has_ended():
        time.sleep(0.05)
    process.send_signal(number)
    kept_waiting(scene, process.wait(), 128 + number, "interrupted")


@fault(
    "Gates",
    "required evidence is missing",
    by="--require",
    does="says what is missing; only the candidate is there",
    exits="6",
)
@pytest.mark.engine
@pytest.mark.parametrize("kind", ["signature", "provenance", "sbom"])
def test_missing_evidence_keeps_the_image_back(scene: Stage, kind: str) -> None:
    kept_waiting(scene, scene.release("engine", "--require", kind), 6, f"there is no {kind}")


# -- the process ---------------------------------------------------------------------------------------------------


@fault(
    "The process",
    "SIGINT, SIGTERM or SIGHUP",
    by="signals, while floating tags are written",
    does="puts the floating tags back and writes nothing else",
    exits="130, 143, 129",
)
@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("hurried")
def test_a_signal_puts_the_floating_tags_back(scene: Stage, number: signal.Signals) -> None:
    with held(scene, Point("registry", "PUT", "/v2/REPOSITORY/manifests/latest", 0)) as first:
        first.send_signal(number)
        time.sleep(0.3)
    stopped(scene, first.wait(), 128 + number, "interrupted", published=True)


@fault(
    "The process",
    "SIGKILL",
    by="signals, at each kind of write",
    does="leaves each tag at its old or new digest; the next run finishes",
    exits="-",
)
@pytest.mark.engine
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.usefixtures("hurried")
def test_the_next_run_finishes_a_killed_one(scene: Stage, tag: str) -> None:
    with held(scene, Point("registry", "PUT", f"/v2/REPOSITORY/manifests/{tag}", 0)) as first:
        first.kill()
        assert first.wait().code == -9
    assert {scene.snapshot()[name] for name in FLOATS} <= {scene.before[OLD], scene.snapshot().get(VERSION)}
    finishes(scene)


@fault(
    "The process",
    "stdin, stdout and stderr are closed, or have no reader",
    by="a shell",
    does="releases",
    exits="0",
)
@pytest.mark.engine
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&1 | head -c 0"])
def test_a_closed_output_changes_nothing(scene: Stage, closed: str) -> None:
    words = f"{sys.executable} -m tagger release {scene.image} {VERSION} --registry {scene.proxy.host}"
    environment = {**os.environ, **scene.environment, "DOCKER_HOST": scene.engine.url}
    command = f"set -o pipefail; {words} --repository {scene.repository} {closed}"
    ended = subprocess.run(["bash", "-c", command], env=environment, timeout=120, check=False)
    done(scene, Ran(ended.returncode, "", ""))


# -- the table -----------------------------------------------------------------------------------------------------


def test_the_table_is_current() -> None:
    assert FILE.read_text() == table(), "python tests/support/faults_table.py writes it"


def test_every_test_is_in_the_table() -> None:
    from faults_table import rows

    tests = {name for name in globals() if name.startswith("test_")}
    entered = {row.test.__name__ for row in rows}
    assert tests - entered == {test_the_table_is_current.__name__, test_every_test_is_in_the_table.__name__}
