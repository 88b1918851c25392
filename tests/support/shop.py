"""Play a command on a repository of a real registry, fail one of its requests, and judge how it ended."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Literal

import canary
from command import Ran
from doubles import Proxy, Request, Response, Rule, Server, on, refusal
from launcher import Launched
from pushed import Repository
from services import Registry
from stage import Act, Case, Point, Watch

from tagger.names import Tag
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, mark, parse_version

Mode = Literal["cut", "lost", "refused", "killed", "interrupted", "interrupted twice"]
MODES: tuple[Mode, ...] = ("cut", "lost", "refused", "killed", "interrupted", "interrupted twice")
WRITES = ("PUT", "POST", "PATCH", "DELETE")
SCHEME = Scheme()
_ATTEMPTS = 4  # after so many failures, it fails permanently
_NOTICED_SECONDS = 0.2  # a signal is to be noticed before the answer comes


# -- repositories ----------------------------------------------------------------------------------------------------


def copied(template: Repository, path: str) -> Repository:
    """Copy a repository within its registry's storage, which costs no request."""
    root = template.registry.root / "docker/registry/v2/repositories"
    shutil.copytree(root / template.path, root / path)
    return Repository(template.registry, path)


def untag(repository: Repository, tag: str) -> bool:
    """Remove one tag in its registry's storage, if it is there."""
    with tempfile.TemporaryDirectory(dir=repository.registry.folder) as bin_, contextlib.suppress(FileNotFoundError):
        # A rename is atomic, whatever else is written to the tag meanwhile.
        repository.registry.link_file(repository.path, tag).parents[1].rename(f"{bin_}/{tag}")
        return True
    return False


def deletes_single_tags(registry: Registry) -> Rule:
    """Delete single tags, as the registry here does not: a rule."""

    def rule(request: Request) -> Response | None:
        found = re.fullmatch(r"/v2/(.+)/manifests/([^:]+)", request.path)
        if request.method != "DELETE" or not found or (registry.users and "Authorization" not in request.headers):
            return None
        gone = untag(Repository(registry, found[1]), found[2])
        return Response(202) if gone else refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")

    return rule


def deletes_nothing(_: Registry) -> Rule:
    """Delete nothing at all: a rule."""
    return on("DELETE", "", refusal(405, "UNSUPPORTED", "The operation is unsupported."))


def throw_aways(repository: Repository, held: Mapping[str, str]) -> set[str]:
    """The tags that hold a placeholder instead of an image."""
    found = set()
    for tag, digest in held.items():
        status, _, body = repository.registry.request("GET", f"/v2/{repository.path}/manifests/{digest}")
        content = json.loads(body)
        if status == 200 and (content.get("manifests") == [] or "removed" in content.get("artifactType", "")):
            found.add(tag)
    return found


# -- what is tried ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Play:
    """A command, and what it should do to a repository HERE; anything else that it reads is THERE.

    `expected` says what each tag holds that changes: what another one held before, here or there, or else holds
    afterwards; None where it goes. `takes` are the tags that are to go, `releases` is the version that is published.
    """

    name: str
    words: str
    fill: Callable[[Repository], None]
    expected: Mapping[str, str | None]
    fill_there: Callable[[Repository], None] | None = None
    takes: frozenset[str] = frozenset()
    releases: str | None = None
    rule: Callable[[Registry], Rule] | None = None
    scheme: Scheme = SCHEME

    @property
    def version(self) -> Version | None:
        """Read the version that is published."""
        return self.scheme.numbering.asked(self.releases) if self.releases else None


@dataclass(frozen=True, slots=True)
class Scene:
    """A play on its own repositories."""

    play: Play
    repositories: Mapping[str, Repository]
    folder: Path

    @contextmanager
    def proxied(self, watch: Watch | None = None) -> Iterator[Callable[..., Launched]]:
        """Put proxies in front of the registries, and yield what starts the command; nothing runs at the end."""
        with ExitStack() as opened:
            hosts: dict[str, str] = {}
            for name, repository in self.repositories.items():
                proxy = opened.enter_context(Proxy(repository.registry.host))
                if watch:
                    proxy.intercept(watch.rule(name.lower(), proxy))
                if self.play.rule:
                    proxy.intercept(self.play.rule(repository.registry))
                hosts[name] = f"{proxy.host}/{repository.path}"
            environment = canary.docker_config(self.folder, *(host.partition("/")[0] for host in hosts.values()))

            if self.play.scheme.revisions:
                environment["TAGGER_REVISIONS"] = self.play.scheme.revisions

            def start(words: str = self.play.words) -> Launched:
                filled = re.sub(r"\b(HERE|THERE)\b", lambda name: hosts[name[0]], words)
                return Launched(None, *filled.split(), "--json", **environment)

            yield start

    def once_more(self, words: str | None = None) -> Ran:
        """Run the command again, or another one, when nothing fails any more."""
        with self.proxied() as start:
            return (start(words) if words else start()).wait()

    def held(self, name: str = "HERE") -> dict[str, str]:
        """Return what each tag of a repository holds, past the proxies."""
        repository = self.repositories[name]
        return repository.registry.snapshot(repository.path)


@dataclass(frozen=True, slots=True)
class Theatre:
    """How every scene of a play begins, the requests of one that succeeds, and how it ends."""

    play: Play
    templates: Mapping[str, Repository]
    points: Sequence[Point]
    before: Mapping[str, str]
    there: Mapping[str, str]
    goal: Mapping[str, str]

    @classmethod
    def of(cls, play: Play, here: Registry, there: Registry) -> Theatre:
        """Fill the repositories, and play once without a fault."""
        unique = secrets.token_hex(6)
        templates = {"HERE": Repository(here, f"{unique}/here")}
        play.fill(templates["HERE"])
        if play.fill_there:
            templates["THERE"] = Repository(there, f"{unique}/there")
            play.fill_there(templates["THERE"])
        with _set(play, templates) as (scene, unique):
            before, beside = scene.held(), scene.held("THERE") if "THERE" in templates else {}
            watch = Watch(unique)
            with scene.proxied(watch) as start:
                ran = start().wait()
            assert ran.code == 0, ran.err
            goal = scene.held()
        known = {**beside, **goal, **before}
        attached = {tag: tag for tag in beside if tag.startswith("sha256-")}
        changed = {tag: known[owner] for tag, owner in {**attached, **play.expected}.items() if owner}
        wanted = {**{tag: digest for tag, digest in before.items() if tag not in play.expected}, **changed}
        assert goal == wanted, f"{play.name} without a fault: {goal}, not {wanted}: {ran.out}{ran.err}"
        return cls(play, templates, watch.points, before, beside, goal)


@contextmanager
def _set(play: Play, templates: Mapping[str, Repository]) -> Iterator[tuple[Scene, str]]:
    unique = secrets.token_hex(6)
    repositories = {name: copied(each, f"{unique}/{name.lower()}") for name, each in templates.items()}
    with tempfile.TemporaryDirectory(prefix="tagger-scene-") as folder:
        yield Scene(play, repositories, Path(folder)), unique


# -- one fault -------------------------------------------------------------------------------------------------------


def failing(theatre: Theatre, point: Point, mode: Mode) -> Case:
    """Play with a fault at one point, then once more without."""
    victim: Future[Launched] = Future()
    with _set(theatre.play, theatre.templates) as (scene, unique):
        watch = Watch(unique, point, _acting(mode, victim))
        try:
            with scene.proxied(watch) as start:
                victim.set_result(start())
                ran = victim.result().wait()
            held = scene.held()
            wrong = [*_broken(theatre, scene, held, ran, mode if watch.reached else "cut")]
            if wrong:
                wrong.append(f"it said {ran.error if ran.code not in (0, -9) else ran.out!r}")
                wrong.append(f"tags {_told(theatre, held)}")
            healed = _finished(theatre, scene, ran, mode)
        except AssertionError as broken:  # such as a traceback
            return Case(point, mode, watch.reached, 99, finished=False, wrong=[str(broken)[-3000:]])
        if scene.repositories.get("THERE") and scene.held("THERE") != theatre.there:
            wrong.append("the repository that it reads changed")
    return Case(point, mode, watch.reached, ran.code, not healed, [*wrong, *healed])


def _acting(mode: Mode, victim: Future[Launched]) -> Act:
    """Return what happens at the point, and to the requests after it."""

    def act(server: Server, request: Request) -> Response | None:
        again = re.escape(request.path) + "$"
        if mode == "cut":
            server.intercept(on(request.method, again, Response(drop=True), times=_ATTEMPTS - 1))
            return Response(drop=True)
        if mode == "lost":
            server.intercept(on(request.method, again, server.lose_answer, times=_ATTEMPTS - 1))
            return server.lose_answer(request)
        if mode == "refused":
            no = (
                refusal(405, "UNSUPPORTED", "unsupported")
                if request.method == "DELETE"
                else refusal(403, "DENIED", "no")
            )
            server.rules.insert(1, on(request.method, "", no))  # before what plays another registry
            return no
        process = victim.result(60)
        if mode == "killed":
            process.kill()
            return None  # what is under way when a process dies still arrives
        process.send_signal(SIGINT)
        time.sleep(_NOTICED_SECONDS)
        if mode == "interrupted twice":
            with contextlib.suppress(ValueError, ProcessLookupError):  # it may have ended by now
                process.send_signal(SIGINT)
            time.sleep(_NOTICED_SECONDS)
        return None

    return act


# -- what must hold --------------------------------------------------------------------------------------------------


def _broken(theatre: Theatre, scene: Scene, held: Mapping[str, str], ran: Ran, mode: Mode) -> Iterator[str]:
    """Yield the promises that a command broke when it met a fault."""
    play, before, goal = theatre.play, theatre.before, theatre.goal
    known = {*before.values(), *goal.values()}
    odd = {tag: digest for tag, digest in held.items() if digest not in known or tag in play.takes}
    empty = throw_aways(scene.repositories["HERE"], odd)
    floats = resolve(Published.of(map(Tag, {*before, *goal}), play.scheme).versions, play.scheme)
    moved = {tag for tag in floats if held.get(tag) in known}
    if foreign := [
        t for t in {*held, *before, *goal} - empty - moved if held.get(t) not in {before.get(t), goal.get(t)}
    ]:
        yield f"neither old nor new: {sorted(foreign)}"
    if empty - play.takes:
        yield f"a throw-away manifest in place of an image: {sorted(empty - play.takes)}"
    if lost := ({*before.values()} & {*goal.values()}) - {*held.values()}:
        yield f"an image is lost: {[tag for tag, digest in before.items() if digest in lost]}"
    yield from _untrue(theatre, held, empty, ran, mode)


def _untrue(theatre: Theatre, held: Mapping[str, str], empty: Collection[str], ran: Ran, mode: Mode) -> Iterator[str]:
    """Yield what is not true of an exit code and of the sentence that comes with it."""
    before, goal = theatre.before, theatre.goal
    changed = {tag for tag in {*held, *before} if held.get(tag) != before.get(tag)}
    signalled = mode.startswith("interrupted")
    # A signal that arrives while the process ends kills it, which a shell reports as 130.
    code = 130 if signalled and ran.code == -SIGINT else ran.code
    expected = (-9,) if mode == "killed" else (0, 3, 4, 130) if signalled else (0, 1, 2, 3, 4)
    if code not in expected:
        yield f"exit {code}, which is not what that means"
    elif code == 0:
        if held != _owned_up(theatre, held, empty, ran):
            yield "exit 0, and not done"
    elif code in {1, 2, 3} and (left := sorted(changed - _may_stay(theatre, held))):
        yield f"exit {code}, and changed: {left}"
    elif code in {4, 130} and changed and (silent := _unnamed(ran, _astray(theatre, held, empty))):
        yield f"exit {code}, out of place and not named: {silent}"
    elif code == 4 and len(_unnamed(ran, {*before, *goal})) == len({*before, *goal}):
        yield "exit 4, and no tag is named"


def _owned_up(theatre: Theatre, held: Mapping[str, str], empty: Collection[str], ran: Ran) -> Mapping[str, str]:
    """The goal, except for what the command reports as left: what a yank keeps, and signatures that were not copied.

    A mark that was undone and could not go is kept too, and holds no image any more. So is a placeholder that a repair
    could not remove.
    """
    told = ran.json
    stays = {tag for tag in empty if f":{tag} holds a placeholder and stays" in str(told.get("warnings"))}
    here = [tag for tag in told.get("kept", ()) if tag in held and tag in theatre.before]
    kept = {tag: held[tag] if "restored" in told and tag in empty else theatre.before[tag] for tag in here}
    missed = {tag for tag in theatre.goal.keys() - held.keys() if tag.startswith("sha256-") and told.get("warnings")}
    goal = {tag: digest for tag, digest in theatre.goal.items() if tag not in missed}
    return {**goal, **kept, **{tag: held[tag] for tag in stays}}


def _unnamed(ran: Ran, tags: Collection[str]) -> list[str]:
    """The tags that an error does not name."""
    return sorted(t for t in tags if not re.search(rf"(?<![\w.-]){re.escape(t)}(?![\w-]|\.\w)", ran.error))


def _astray(theatre: Theatre, held: Mapping[str, str], empty: Collection[str]) -> set[str]:
    """The tags that are not where they belong: a release's floating tags where they were, all others as resolved."""
    play, before, scheme = theatre.play, theatre.before, theatre.play.scheme
    if play.version:
        marked = scheme.version_tag(mark(play.version))
        return {str(tag) for tag in (*scheme.floating_tags(play.version), marked) if held.get(tag) != before.get(tag)}
    versions = Published.of([Tag(tag) for tag in held if tag not in empty], scheme).versions
    owners = resolve(versions, scheme)
    strays = {str(tag) for tag, owner in owners.items() if held.get(tag) != held[versions[owner]]}
    return strays | {tag for tag in play.takes if tag in held and tag not in owners}


def _may_stay(theatre: Theatre, held: Mapping[str, str]) -> set[str]:
    """What a failed release may leave: its version tag, a name it kept, and what refers to its image."""
    play = theatre.play
    if not play.version:
        return set()
    attached = {tag for tag in held if tag.startswith("sha256-")}
    named = [play.version, *([play.scheme.numbering.rebuilt(play.version, 0)] if play.scheme.revisions else [])]
    return attached | {str(play.scheme.version_tag(version)) for version in named}


def _told(theatre: Theatre, held: Mapping[str, str]) -> str:
    """Show the tags that changed, or should have: what each held before, holds now, and should hold."""
    owners = {
        digest: tag
        for tag, digest in (*theatre.there.items(), *theatre.goal.items(), *theatre.before.items())
        if SCHEME.parse(tag) or tag not in SCHEME.floating_tags(parse_version("2.1.107"))
    }
    parts = []
    for tag in sorted({*held, *theatre.before, *theatre.goal}):
        seen = [
            owners.get(digest, digest[7:15]) if digest else "-"
            for digest in (theatre.before.get(tag), held.get(tag), theatre.goal.get(tag))
        ]
        if len(set(seen)) > 1:
            parts.append(f"{tag}: {seen[0]} -> {seen[1]} (goal {seen[2]})")
    return "; ".join(parts)


def _finished(theatre: Theatre, scene: Scene, first: Ran, mode: Mode) -> list[str]:
    """Run the command again, and repair if it was killed or left nothing named; yield what is wrong then."""
    again = scene.once_more()
    held = scene.held()
    said = f"run again after exit {first.code}: exit {again.code}: {again.err[-400:]}"
    nothing_left = again.code == 2 and not any(SCHEME.parse(tag) and tag in held for tag in theatre.play.takes)
    if held != theatre.goal and (mode == "killed" or nothing_left):
        repaired = scene.once_more("repair HERE")
        mended = scene.held()
        if mended == theatre.goal:
            return []
        return [f"{said}; then repair: exit {repaired.code}: {repaired.err[-400:]}; tags {_told(theatre, mended)}"]
    if held == theatre.goal and (again.code == 0 or nothing_left):
        return []
    return [f"{said}; tags {_told(theatre, held)}"]
