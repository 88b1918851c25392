"""The main job on a real Engine and a real registry: what moves, what stays, and what a failure leaves behind."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import canary
import pytest
from command import Ran, start, tagger, wait
from doubles import Proxy, Request, Response, on, refusal
from services import ContainerdEngine, Daemon, Registry

import tagger as api

MANIFEST = r"/manifests/"
Tags = dict[str, str]
"""What each tag holds, as the letter of an image's content."""


@pytest.fixture(
    params=[
        pytest.param("engine", marks=pytest.mark.engine, id="classic"),
        pytest.param("containerd_engine", marks=pytest.mark.containerd, id="containerd"),
    ]
)
def any_engine(request: pytest.FixtureRequest) -> Daemon:
    """A real Engine: one of each image store."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Daemon)
    return found


@dataclass
class Lab:
    """One repository of a real registry, with images that are known by a letter."""

    engine: Daemon
    registry: Registry
    path: str
    host: str
    known: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)

    def image(self, letter: str) -> str:
        """Make the image with this letter as its content, and return its name."""
        name = f"lab/{self.path}-{letter}".replace("/", "-")
        if letter not in self.images:
            self.images[letter] = self.engine.image(name, letter)
        return name

    def publish(self, tags: Tags) -> None:
        """Put the registry into a state, with docker alone."""
        for letter in set(tags.values()):
            first, *others = [tag for tag, held in tags.items() if held == letter]
            reference = f"{self.registry.host}/{self.path}:{first}"
            self.engine.docker("tag", self.image(letter), reference)
            self.engine.docker("push", "--quiet", reference)
            self.engine.docker("rmi", "--no-prune", reference)
            self.known[self.registry.digest(self.path, first) or ""] = letter
            manifest = self.registry.manifest(self.path, first)
            for tag in others:
                self.registry.put(self.path, tag, manifest, json.loads(manifest)["mediaType"])

    def release(self, letter: str, version: str, *options: str) -> Ran:
        """Release the image of a letter into this repository."""
        return tagger(self.engine, *self.words(letter, version, *options))

    def words(self, letter: str, version: str, *options: str) -> list[str]:
        """The words of a release command."""
        target = ["--registry", self.host, "--repository", self.path]
        return ["release", self.image(letter), version, *target, *options]

    def tags(self) -> Tags:
        """Return what each tag of the registry holds; `?` is none of the images published by hand."""
        return {tag: self.known.get(digest, "?") for tag, digest in self.registry.snapshot(self.path).items()}

    def local(self) -> set[str]:
        """The Engine's local tags of this repository."""
        return set(self.engine.tags(f"{self.host}/{self.path}"))


@pytest.fixture
def lab(any_engine: Daemon, registry: Registry, repository: str) -> Lab:
    """A fresh repository."""
    return Lab(any_engine, registry, repository, registry.host)


@pytest.fixture
def faulty(any_engine: Daemon, registry: Registry, repository: str) -> Iterator[tuple[Lab, Proxy]]:
    """A fresh repository behind a proxy that fails on demand."""
    with Proxy(registry.host) as proxy:
        yield Lab(any_engine, registry, repository, proxy.host), proxy


# -- the rules, each row of the table for real ---------------------------------------------------------------------

CASCADE = {"2.1.106": "a", "2.1": "a", "2": "a", "latest": "a"}
ROWS: dict[str, tuple[Tags, str, str, Tags, dict[str, str]]] = {
    "a new repository": ({}, "2.1.106", "b", {"2.1.106": "b", "2.1": "b", "2": "b", "latest": "b"}, {}),
    "the next patch": (
        {"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a"},
        "2.1.106", "b",
        {"2.1.105": "a", "2.1.106": "b", "2.1": "b", "2": "b", "latest": "b"},
        {},
    ),
    "a backport to an old major": (
        {"1.9.8": "z", "1.9": "z", "1": "z", **CASCADE},
        "1.9.9", "b",
        {"1.9.8": "z", "1.9.9": "b", "1.9": "b", "1": "b", **CASCADE},
        {"latest": "2.1.106 is newer"},
    ),
    "a backport to an old minor": (
        {"2.0.6": "z", "2.0": "z", **CASCADE},
        "2.0.7", "b",
        {"2.0.6": "z", "2.0.7": "b", "2.0": "b", **CASCADE},
        {"2": "2.1.106 is newer", "latest": "2.1.106 is newer"},
    ),
    "a patch that comes late": (
        {"2.1.107": "a", "2.1": "a", "2": "a", "latest": "a"},
        "2.1.106", "b",
        {"2.1.106": "b", "2.1.107": "a", "2.1": "a", "2": "a", "latest": "a"},
        {"2.1": "2.1.107 is newer", "2": "2.1.107 is newer", "latest": "2.1.107 is newer"},
    ),
    "a pre-release": (CASCADE, "2.2.0-rc.1", "b", {**CASCADE, "2.2.0-rc.1": "b"}, {}),
    "after a pre-release": (
        {"2.2.0-rc.1": "a"},
        "2.1.106", "b",
        {"2.2.0-rc.1": "a", "2.1.106": "b", "2.1": "b", "2": "b", "latest": "b"},
        {},
    ),
    "the same image again, with drift": (
        {**CASCADE, "latest": "z"}, "2.1.106", "a", CASCADE, {},
    ),
    "drift of a newer version is left to a repair": (
        {"2.1.106": "z", "2.1.107": "a", "2.1": "a", "2": "a", "latest": "z"},
        "2.0.8", "b",
        {"2.1.106": "z", "2.1.107": "a", "2.1": "a", "2": "a", "latest": "z", "2.0.8": "b", "2.0": "b"},
        {"2": "2.1.107 is newer", "latest": "2.1.107 is newer (it holds 2.1.106 now: see tagger check)"},
    ),
    "within 0.y": (
        {"0.1.9": "a", "0.1": "a", "latest": "a"},
        "0.2.0", "b",
        {"0.1.9": "a", "0.1": "a", "0.2.0": "b", "0.2": "b", "latest": "b"},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.usefixtures("hurried")
def test_every_row_of_the_tag_rules_holds(lab: Lab, row: str) -> None:
    before, version, letter, after, kept = ROWS[row]
    lab.publish({**before, "scratch": letter})
    planned = lab.release(letter, version, "--dry-run", "--json")
    assert lab.tags() == {**before, "scratch": letter}
    done = lab.release(letter, version, "--json")
    assert (done.code, lab.tags()) == (0, {**after, "scratch": letter})
    for ran in (planned, done):
        changes = ran.json["repositories"][0]["tags"]
        assert {c["tag"]: c["reason"] for c in changes if c["action"] == "keep"} == kept
    assert {c["tag"]: c["action"] for c in planned.json["repositories"][0]["tags"]} == {
        c["tag"]: c["action"] for c in done.json["repositories"][0]["tags"]
    }
    again = lab.release(letter, version, "--json")
    assert (again.code, again.json["outcome"], lab.tags()) == (0, "unchanged", {**after, "scratch": letter})


def test_another_image_under_a_published_version_is_refused(lab: Lab) -> None:
    lab.publish({**CASCADE, "scratch": "b"})
    ran = lab.release("b", "2.1.106", "--json")
    assert (ran.code, ran.json["outcome"], lab.tags()) == (3, "refused", {**CASCADE, "scratch": "b"})
    assert ran.error == ran.json["error"]
    assert "--force" in ran.error
    assert lab.local() == set()


def test_force_overwrites_a_version_and_names_the_old_image(lab: Lab) -> None:
    lab.publish({**CASCADE, "scratch": "b"})
    held = lab.registry.digest(lab.path, "2.1.106")
    ran = lab.release("b", "2.1.106", "--force")
    assert (ran.code, lab.tags()) == (0, {**dict.fromkeys(CASCADE, "b"), "scratch": "b"})
    assert f"forced: overwrites {held}" in ran.out
    assert "waiting" not in ran.err


@pytest.mark.parametrize("via", ["engine", "registry"])
def test_the_four_tags_share_one_digest_in_the_registry_and_one_image_in_the_engine(lab: Lab, via: str) -> None:
    ran = lab.release("a", "2.1.106", "--floats-via", via)
    digests = lab.registry.snapshot(lab.path)
    assert (ran.code, set(digests), len(set(digests.values()))) == (0, set(CASCADE), 1)
    local = lab.engine.tags(f"{lab.host}/{lab.path}")
    assert (set(local), len(set(local.values()))) == (set(CASCADE), 1)
    assert f"{lab.host}/{lab.path}@{digests['latest']}" in ran.out


# -- the dry run ---------------------------------------------------------------------------------------------------


def test_a_dry_run_says_why_and_writes_nothing(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish(CASCADE)
    words = lab.words("a", "2.1.105", "--dry-run")
    # Without the column that says how long ago an image was created.
    listing = ("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    images = sorted(lab.engine.docker(*listing).splitlines())
    ran = tagger(lab.engine, *words)
    assert ran.code == 0
    assert "create 2.1.105" in ran.out
    assert "keep latest: 2.1.106 is newer" in ran.out
    assert sorted(lab.engine.docker(*listing).splitlines()) == images
    assert {request.method for request in proxy.requests} <= {"GET", "HEAD"}


# -- targets -------------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_the_command_of_the_first_page_works_by_name(engine: Daemon, registry_local: Registry) -> None:
    engine.image("image-gallery", "the gallery")
    ran = tagger(engine, "release", "image-gallery", "2.1.106", "--registry", "registry.local:5000")
    assert ran.code == 0, ran.err
    assert set(registry_local.snapshot("image-gallery")) == set(CASCADE)


def test_an_image_whose_name_has_a_registry_is_released_there(lab: Lab) -> None:
    name = f"{lab.host}/{lab.path}:build-77"
    lab.engine.docker("tag", lab.image("a"), name)
    ran = tagger(lab.engine, "release", name, "2.1.106")
    assert (ran.code, set(lab.tags())) == (0, set(CASCADE))


def test_an_id_and_a_digest_are_images_too(lab: Lab) -> None:
    image_id = lab.engine.image(lab.image("a"), "a")
    target = ("--registry", lab.host, "--repository", lab.path)
    for spelling in (image_id, image_id.removeprefix("sha256:"), image_id.removeprefix("sha256:")[:12]):
        ran = tagger(lab.engine, "release", spelling, "2.1.106", *target)
        assert (ran.code, set(lab.tags())) == (0, set(CASCADE)), ran.err
        without = tagger(lab.engine, "release", spelling, "2.1.106", "--registry", lab.host)
        assert (without.code, "--repository" in without.error) == (2, True)
    digest = lab.registry.digest(lab.path, "2.1.106")
    ran = tagger(lab.engine, "release", f"{lab.host}/{lab.path}@{digest}", "2.1.107")
    assert (ran.code, lab.registry.digest(lab.path, "latest")) == (0, digest)


@pytest.mark.usefixtures("hurried")
def test_assume_newest_moves_every_floating_tag_without_reading_other_versions(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish({**CASCADE, "scratch": "b"})
    ran = lab.release("b", "1.0.0", "--assume-newest")
    assert (ran.code, lab.tags()["latest"], lab.tags()["2"]) == (0, "b", "a")
    assert not [request for request in proxy.requests if "/tags/list" in request.path]


# -- failures ------------------------------------------------------------------------------------------------------


def writes(tag: str) -> str:
    """The path of a manifest PUT as a regular expression."""
    return rf"/manifests/{tag}$"


@pytest.mark.parametrize("via", ["engine", "registry"])
@pytest.mark.usefixtures("hurried")
def test_a_failed_floating_tag_puts_the_others_back(faulty: tuple[Lab, Proxy], via: str) -> None:
    lab, proxy = faulty
    before = {"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a"}
    lab.publish({**before, "scratch": "b"})
    old = lab.registry.manifest(lab.path, "latest")
    proxy.intercept(on("PUT", writes("latest"), lambda request: None if request.body == old else Response(403)))
    ran = lab.release("b", "2.1.106", "--floats-via", via, "--json")
    assert ran.code == 1, ran.err
    assert lab.tags() == {**before, "scratch": "b", "2.1.106": "b"}
    assert ran.json["outcome"] == "failed"
    assert {t["tag"]: t["after"] == t["before"] for t in ran.json["repositories"][0]["tags"]} == {
        "2.1.106": False, "2.1": True, "2": True, "latest": True,
    }  # fmt: skip
    assert "same command again" in ran.error
    assert lab.local() == {"2.1.106"}
    proxy.rules.clear()
    assert lab.release("b", "2.1.106").code == 0
    assert set(lab.tags().values()) == {"a", "b"}
    assert lab.tags()["latest"] == "b"


@pytest.mark.usefixtures("hurried")
def test_a_failed_first_release_removes_its_floating_tags_again(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    proxy.intercept(on("PUT", writes("latest"), Response(403)))
    ran = lab.release("a", "2.1.106")
    assert (ran.code, set(lab.tags())) == (1, {"2.1.106"})


@pytest.mark.usefixtures("hurried")
def test_a_version_tag_that_cannot_be_pushed_moves_nothing(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish(CASCADE)
    proxy.intercept(on("PUT", MANIFEST, refusal(403, "DENIED", "requested access to the resource is denied")))
    ran = lab.release("b", "2.1.107")
    assert (ran.code, lab.tags(), lab.local()) == (3, CASCADE, set()), ran.err
    assert "docker login" in ran.error


def test_without_the_right_to_push_nothing_is_written_locally_or_remotely(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish(CASCADE)
    proxy.requests.clear()
    words = lab.words("b", "2.1.107")
    proxy.intercept(on("POST", "/blobs/uploads/", refusal(403, "DENIED", "requested access to the resource is denied")))
    ran = tagger(lab.engine, *words)
    assert (ran.code, lab.tags(), lab.local()) == (3, CASCADE, set()), ran.err
    assert "does not let you push" in ran.error
    assert not [request for request in proxy.requests if request.method == "PUT"]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.usefixtures("hurried")
def test_a_push_of_the_version_tag_that_fails_once_is_repeated(faulty: tuple[Lab, Proxy], status: int) -> None:
    lab, proxy = faulty
    proxy.intercept(on("PUT", writes("2.1.106"), refusal(status, "UNAVAILABLE", "come back later"), times=1))
    ran = lab.release("a", "2.1.106")
    assert (ran.code, set(lab.tags())) == (0, set(CASCADE)), ran.err
    assert len([r for r in proxy.requests if r.method == "PUT" and r.path.endswith("/manifests/2.1.106")]) > 1
    # Some versions of that Engine retry by themselves, and no other Engine does.
    assert "2.1.106 again in 1 s, because" in ran.err or isinstance(lab.engine, ContainerdEngine)


def test_a_release_that_runs_out_of_time_leaves_the_tags_where_they_were(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish(CASCADE)
    held = threading.Event()

    def hold(_: Request) -> Response:
        held.wait(60)
        return Response(drop=True)

    proxy.intercept(on("PUT", writes("2.1.107"), hold))
    ran = lab.release("b", "2.1.107", "--timeout", "6")
    held.set()
    assert (ran.code, lab.tags(), lab.local()) == (1, CASCADE, set()), ran.err
    assert "the command did not finish within the 6 s of --timeout" in ran.error


def test_every_request_is_shown_with_its_time_on_request(lab: Lab) -> None:
    ran = lab.release("a", "2.1.106", "--verbose")
    assert re.search(r"tagger: GET http://\S+/tags/list 404 in \d+ ms", ran.err), ran.err
    assert re.search(r"tagger: Engine: POST /v\S+/push 200 in \d+ ms", ran.err), ran.err
    assert not re.search(r" in \d+ ms", lab.release("a", "2.1.106").err)


@pytest.mark.usefixtures("hurried")
def test_a_lost_answer_for_a_floating_tag_does_not_fail_the_release(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    proxy.intercept(on("PUT", writes("2.1"), proxy.lose_answer, times=1))
    assert lab.release("a", "2.1.106", "--floats-via", "registry").code == 0
    assert set(lab.tags()) == set(CASCADE)


@dataclass
class Outage:
    """Stop a registry in the middle of a release, when two floating tags have moved and the third is about to."""

    registry: Registry
    proxy: Proxy
    moved: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Response | None:
        """Let two floating tags through, one after the other: a registry killed in a write may tear the tag."""
        if request.method != "PUT" or re.search(r"/manifests/(2|2\.1|latest)$", request.path) is None:
            return None
        with self.lock:
            if self.begun.is_set():
                return Response(drop=True)
            if self.moved == 2:
                self.registry.kill()
                self.begun.set()
                return Response(drop=True)
            self.moved += 1
            return self.proxy.answer(request)


@pytest.fixture
def outage(any_engine: Daemon, repository: str, tmp_path: Path) -> Iterator[tuple[Lab, Outage]]:
    """A repository where 2.1.105 is released, and its own registry, which the test stops."""
    with Registry.start(tmp_path) as registry, Proxy(registry.host) as proxy:
        lab = Lab(any_engine, registry, repository, proxy.host)
        lab.publish({**BEFORE, "scratch": "b"})
        stop = Outage(registry, proxy)
        proxy.intercept(stop)
        yield lab, stop


BEFORE = {"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a"}


@pytest.mark.usefixtures("hurried")
def test_the_moved_floating_tags_are_named_when_the_registry_stops(outage: tuple[Lab, Outage]) -> None:
    lab, stop = outage
    ran = lab.release("b", "2.1.106", "--json")
    assert (ran.code, ran.json["outcome"]) == (4, "partial"), ran.err
    named = {t["tag"] for t in ran.json["repositories"][0]["tags"] if t["reason"] == "not put back"}
    assert all(f"{lab.path}:{tag}" in ran.error for tag in named)
    stop.proxy.rules.clear()
    lab.registry.restart()
    moved = {tag for tag, letter in BEFORE.items() if lab.tags()[tag] != letter}
    assert (len(moved), moved <= named) == (2, True)
    assert lab.release("b", "2.1.106").code == 0
    assert lab.tags() == {**dict.fromkeys((*BEFORE, "2.1.106", "scratch"), "b"), "2.1.105": "a"}


def test_a_registry_that_comes_back_in_time_gets_the_missing_tags(outage: tuple[Lab, Outage]) -> None:
    lab, stop = outage
    process = start(lab.engine, *lab.words("b", "2.1.106"))
    assert stop.begun.wait(30)
    time.sleep(3)  # in which several attempts fail
    stop.proxy.rules.clear()
    lab.registry.restart()
    ran = wait(process)
    assert ran.code == 0, ran.err
    assert "by a manifest PUT instead" in ran.err
    assert lab.tags() == {**dict.fromkeys((*BEFORE, "2.1.106", "scratch"), "b"), "2.1.105": "a"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.usefixtures("hurried")
def test_an_interruption_puts_the_floating_tags_back(
    faulty: tuple[Lab, Proxy], number: signal.Signals, code: int
) -> None:
    lab, proxy = faulty
    before = {"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a"}
    lab.publish({**before, "scratch": "b"})
    held, released = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        held.set()
        released.wait(20)

    proxy.intercept(on("PUT", writes("latest"), hold, times=1))
    process = start(lab.engine, *lab.words("b", "2.1.106"))
    assert held.wait(30)
    process.send_signal(number)
    released.set()
    ran = wait(process)
    assert (ran.code, lab.tags()) == (code, {**before, "2.1.106": "b", "scratch": "b"}), ran.err
    assert "interrupted" in ran.error
    assert lab.local() == {"2.1.106"}


def test_an_interruption_of_the_first_push_moves_no_floating_tag_and_reports_no_more(
    faulty: tuple[Lab, Proxy],
) -> None:
    lab, proxy = faulty
    lab.publish(CASCADE)
    held, released = threading.Event(), threading.Event()

    def hold(request: Request) -> Response:
        held.set()
        released.wait(20)
        return proxy.answer(request)

    proxy.intercept(on("PUT", writes("2.1.107"), hold))
    process = start(lab.engine, *lab.words("b", "2.1.107", "--json"))
    assert held.wait(30)
    process.send_signal(signal.SIGINT)
    ran = wait(process)
    assert (ran.code, lab.tags(), lab.local()) == (130, CASCADE, set()), ran.err
    assert "2.1.107 was interrupted and may still appear" in ran.error
    assert ran.json["repositories"][0]["tags"][0]["reason"] == "not known"
    released.set()  # the registry finishes what the Engine had sent
    proxy.rules.clear()
    assert lab.release("b", "2.1.107").code == 0


def test_a_second_signal_names_the_pushes_that_it_leaves_running(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish({**BEFORE, "scratch": "b"})
    held, released = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        held.set()
        released.wait(20)

    proxy.intercept(on("PUT", writes("latest"), hold, times=1))
    process = start(lab.engine, *lab.words("b", "2.1.106", "--json"))
    assert held.wait(30)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    ran = wait(process)
    released.set()
    assert (ran.code, ran.json["outcome"]) == (4, "partial"), ran.err
    assert all(f"{lab.path}:{tag}" in ran.error for tag in ("2.1", "2", "latest"))
    proxy.rules.clear()
    assert lab.release("b", "2.1.106").code == 0
    assert lab.tags()["latest"] == "b"


def test_a_rival_that_publishes_during_a_release_keeps_its_floating_tags(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    lab.publish({"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a", "scratch": "b"})

    def rival(_: Request) -> None:
        lab.publish({"2.1.107": "c", "2.1": "c", "2": "c", "latest": "c"})

    proxy.intercept(on("PUT", writes("2.1.106"), rival, times=1))
    ran = lab.release("b", "2.1.106")
    assert ran.code == 0, ran.err
    assert {tag: lab.tags()[tag] for tag in ("2.1.106", "2.1.107", "2.1", "2", "latest")} == {
        "2.1.106": "b", "2.1.107": "c", "2.1": "c", "2": "c", "latest": "c",
    }  # fmt: skip


@pytest.mark.usefixtures("hurried")
def test_a_rival_that_fixes_drift_is_not_taken_for_a_release_of_the_same_version(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    newer = {"2.1.0": "y", "2.1": "y", "2": "y", "latest": "y"}
    lab.publish({"2.0.0": "a", "2.0": "z", **newer})

    def rival(_: Request) -> None:
        lab.publish({"2.0": "a"})

    proxy.intercept(on("PUT", writes("2.0.1"), rival, times=1))
    ran = lab.release("b", "2.0.1")
    lab.known[lab.registry.digest(lab.path, "2.0.1") or ""] = "b"
    assert (ran.code, lab.tags()) == (0, {"2.0.0": "a", "2.0.1": "b", "2.0": "b", **newer}), ran.err


@pytest.mark.usefixtures("hurried")
def test_a_rival_with_another_image_for_the_same_version_is_reported(faulty: tuple[Lab, Proxy]) -> None:
    lab, proxy = faulty
    before = {"2.1.105": "a", "2.1": "a", "2": "a", "latest": "a", "scratch": "b"}
    lab.publish(before)

    def rival(_: Request) -> None:
        lab.publish({"2.1.106": "c"})

    proxy.intercept(on("PUT", writes("2.1"), rival, times=1))
    ran = lab.release("b", "2.1.106")
    assert (ran.code, "somebody else" in ran.error) == (1, True), ran.err
    assert lab.tags()["2.1.106"] == "c"
    assert "b" not in {lab.tags()[tag] for tag in ("2.1", "2", "latest")}


@pytest.mark.containerd
def test_an_index_with_a_missing_platform_is_never_released_as_one_platform(
    containerd_engine: ContainerdEngine, registry: Registry, repository: str
) -> None:
    name = f"multi-{repository.rpartition('-')[2]}"
    containerd_engine.index(name, "half", absent=["linux/arm64"])
    ran = tagger(containerd_engine, "release", name, "1.0.0", "--registry", registry.host, "--repository", repository)
    assert (ran.code, registry.snapshot(repository)) == (1, {}), ran.err
    assert "platform" in ran.error


@pytest.mark.containerd
def test_a_complete_index_is_released_whole(
    containerd_engine: ContainerdEngine, registry: Registry, repository: str
) -> None:
    name = f"multi-{repository.rpartition('-')[2]}"
    image_id = containerd_engine.index(name, "whole")
    ran = tagger(containerd_engine, "release", name, "1.0.0", "--registry", registry.host, "--repository", repository)
    assert (ran.code, set(registry.snapshot(repository).values())) == (0, {image_id}), ran.err
    assert len(json.loads(registry.manifest(repository, "latest"))["manifests"]) == 2


@pytest.mark.containerd
def test_an_index_has_one_digest_in_every_registry_and_stays_whole_when_it_is_promoted(
    containerd_engine: ContainerdEngine, registry: Registry, guarded_registry: Registry, repository: str, tmp_path: Path
) -> None:
    name = f"multi-{repository.rpartition('-')[2]}"
    image_id = containerd_engine.index(name, "everywhere")
    config = canary.docker_config(tmp_path, guarded_registry.host)
    hosts = ["--registry", registry.host, "--registry", guarded_registry.host, "--repository", repository]
    ran = tagger(containerd_engine, "release", name, "1.0.0", *hosts, "--json", **config)
    assert ran.code == 0, ran.err
    assert {part["digest"] for part in ran.json["repositories"]} == {image_id}
    assert "warnings" not in ran.json
    golden = f"{repository}/golden"
    words = ["promote", f"{registry.host}/{repository}:1.0.0", "1.0.0", "--to", f"{guarded_registry.host}/{golden}"]
    promoted = tagger(None, *words, **config)
    assert (promoted.code, set(guarded_registry.snapshot(golden).values())) == (0, {image_id}), promoted.err


# -- several registries --------------------------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.usefixtures("hurried")
def test_several_registries_get_their_tags_together_or_not_at_all(
    engine: Daemon, registry: Registry, registry_local: Registry, repository: str
) -> None:
    with Proxy(registry.host) as proxy:
        labs = [
            Lab(engine, registry, repository, proxy.host),
            Lab(engine, registry_local, repository, registry_local.host),
        ]
        for lab in labs:
            lab.publish({**BEFORE, "scratch": "b"})
        words = [*labs[0].words("b", "2.1.106"), "--registry", labs[1].host, "--json"]
        proxy.intercept(on("PUT", writes("latest"), Response(403), times=1))
        failed = tagger(engine, *words)
        assert (failed.code, [lab.tags() for lab in labs]) == (1, [{**BEFORE, "2.1.106": "b", "scratch": "b"}] * 2), (
            failed.err
        )
        done = tagger(engine, *words)
        assert (done.code, len(done.json["repositories"])) == (0, 2), done.err
        assert all(lab.tags()["latest"] == "b" for lab in labs)


# -- the Python API ------------------------------------------------------------------------------------------------


def test_the_python_api_reads_as_well_as_the_command(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", lab.engine.url)
    done = api.release(lab.image("a"), "2.1.106", registry=lab.host, repository=lab.path)
    assert (done.outcome, [str(c.tag) for c in done.repositories[0].changes]) == ("released", list(CASCADE))
    with pytest.raises(api.Refused) as caught:
        api.release(lab.image("b"), "2.1.106", registry=lab.host, repository=lab.path)
    assert caught.value.release
    assert caught.value.release.outcome is api.Outcome.REFUSED
