"""Gates with real services: while they run, no tag that users pull moves, and only what they saw is released."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import Ran, start, tagger, wait
from doubles import Proxy, Request, Response, on, refusal
from pushed import Repository
from services import Daemon, Registry

from tagger.names import Digest
from tagger.rules.candidate import candidate
from tagger.rules.version import parse_version

pytestmark = pytest.mark.engine

CASCADE = ("2.1.106", "2.1", "2", "latest")
Tags = Mapping[str, str]
PYTHON = shlex.quote(sys.executable)

_LOOK = """
import http.client, json, os, sys
host, _, path = os.environ["TAGGER_REPOSITORY"].partition("/")
registry = http.client.HTTPConnection(host)
def asked(method, url):
    registry.request(method, url, headers={"Accept": ", ".join(json.loads(sys.argv[2]))})
    answer = registry.getresponse()
    return answer.headers, answer.read()
tags = json.loads(asked("GET", f"/v2/{path}/tags/list")[1]).get("tags") or []
held = {tag: asked("HEAD", f"/v2/{path}/manifests/{tag}")[0]["docker-content-digest"] for tag in tags}
told = {name: value for name, value in os.environ.items() if name.startswith("TAGGER_")}
with open(sys.argv[1], "a") as seen:
    print(json.dumps({"held": held, "told": told, "words": sys.argv[3:]}), file=seen)
"""
_ACCEPT = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]


@dataclass(frozen=True)
class Bench:
    """A repository to release to, and gates that are written for it."""

    engine: Daemon
    repository: Repository
    folder: Path

    def image(self, content: str) -> str:
        """Make an image, and return its name."""
        name = f"gates/{self.repository.path}-{content}".replace("/", "-")
        self.engine.image(name, content)
        return name

    def release(self, content: str, *options: str) -> Ran:
        """Release an image as 2.1.106."""
        return tagger(self.engine, *self.words(content, *options))

    def words(self, content: str, *options: str) -> list[str]:
        """The words of that command."""
        registry = ["--registry", self.repository.registry.host, "--repository", self.repository.path]
        return ["release", self.image(content), "2.1.106", *registry, *options]

    def script(self, name: str, content: str) -> str:
        """Write a gate in Python, and return its command."""
        file = self.folder / f"{name}.py"
        file.write_text(content)
        return f"{PYTHON} {file}"

    def shell(self, name: str, content: str) -> str:
        """Write a gate for the shell, which runs in the folder, and return its command."""
        file = self.folder / f"{name}.sh"
        file.write_text(f"set -e; cd {self.folder}; {content}\n")
        return f"sh {file}"

    def watching(self, *words: str) -> str:
        """A gate that notes what a second client sees, and what tagger passed to it."""
        return " ".join(
            [self.script("look", _LOOK), str(self.folder / "seen"), shlex.quote(json.dumps(_ACCEPT)), *words]
        )

    def seen(self) -> list[dict[str, Any]]:
        """Return what was noted."""
        file = self.folder / "seen"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def held(self) -> dict[str, str]:
        """Return what each tag holds."""
        return self.repository.registry.snapshot(self.repository.path)


@pytest.fixture
def bench(engine: Daemon, registry: Registry, repository: str, tmp_path: Path) -> Bench:
    """An empty repository."""
    return Bench(engine, Repository(registry, repository), tmp_path)


@pytest.fixture
def keeping(engine: Daemon, repository: str, tmp_path: Path) -> Iterator[Bench]:
    """A repository of a registry that deletes nothing."""
    (tmp_path / "registry").mkdir()
    with Registry.start(tmp_path / "registry", deletes=False) as registry:
        yield Bench(engine, Repository(registry, repository), tmp_path)


def waiting(digest: str) -> str:
    """The tag under which an image waits."""
    return str(candidate(parse_version("2.1.106"), Digest(digest)))


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# -- what a second client sees -------------------------------------------------------------------------------------


def test_no_tag_that_users_pull_moves_while_a_gate_runs(bench: Bench) -> None:
    old = bench.repository.image("2.1.105", "old").digest
    for tag in ("2.1", "2", "latest"):
        bench.repository.image(tag, "old")
    before = bench.held()
    ran = bench.release(
        "new", "--gate", bench.watching("{reference}", "{digest}", "{version}", "{repository}"), "--json"
    )
    assert ran.code == 0, ran.err
    new = ran.json["repositories"][0]["digest"]
    [seen] = bench.seen()
    assert seen["held"] == {**before, waiting(new): new}
    assert bench.held() == {**dict.fromkeys(CASCADE, new), "2.1.105": old}, "and the candidate is gone"
    told = [f"{bench.repository}@{new}", new, "2.1.106", str(bench.repository)]
    assert seen["words"] == told
    names = ("TAGGER_REFERENCE", "TAGGER_DIGEST", "TAGGER_VERSION", "TAGGER_REPOSITORY")
    assert [seen["told"][name] for name in names] == told
    assert [(gate["ok"], gate["reference"]) for gate in ran.json["gates"]] == [(True, told[0])]
    local = set(bench.engine.tags(str(bench.repository)))
    assert local == set(CASCADE), "nor is the candidate in the Engine"


def test_a_second_client_sees_no_tag_of_the_cascade_move_before_the_last_gate_ends(bench: Bench) -> None:
    for tag in ("2.1.105", "2.1", "2", "latest"):
        bench.repository.image(tag, "old")
    before = {tag: digest for tag, digest in bench.held().items() if tag in CASCADE}
    ended = bench.folder / "ended"
    gates = ["--gate", "sleep 1", "--gate", f"sh -c 'sleep 1; touch {ended}'"]
    process = start(bench.engine, *bench.words("new", *gates))
    waited = False
    while not process.has_ended():
        over = ended.exists()
        held = bench.held()
        waited = waited or (not over and any("candidate" in tag for tag in held))
        assert over or ended.exists() or {tag: held[tag] for tag in CASCADE if tag in held} == before
    assert (wait(process).code, waited) == (0, True)
    assert len({*bench.held().values()}) == 2


def test_a_gate_that_fails_leaves_the_candidate_and_nothing_else(bench: Bench) -> None:
    before = {"1.0.0": bench.repository.image("1.0.0", "old").digest}
    scan = bench.script("scan", "print('CRITICAL: 3'); print('::error::x'); raise SystemExit(3)")
    ran = bench.release("new", "--gate", scan, "--gate", bench.watching(), "--json")
    assert (ran.code, ran.json["outcome"], bench.seen()) == (6, "failed", [])
    assert "ended with exit code 3" in ran.error
    [gate] = ran.json["gates"]
    assert (gate["ok"], gate["output"][0]) == (False, "CRITICAL: 3")
    digest = gate["reference"].partition("@")[2]
    assert bench.held() == {**before, waiting(digest): digest}
    assert f"{bench.repository}:{waiting(digest)}" in ran.json["warnings"][0]
    assert f"{Path(sys.executable).name}: CRITICAL: 3" in ran.err, "its output is shown with its name"
    assert bench.engine.tags(str(bench.repository)) == {}
    # The next run starts with the gates again, with the same candidate.
    again = bench.release("new", "--gate", bench.watching())
    assert (again.code, len(bench.seen())) == (0, 1), again.err
    assert bench.held() == {**before, **dict.fromkeys(CASCADE, digest)}


def test_a_signing_gate_and_a_verifying_gate_see_the_released_digest(bench: Bench) -> None:
    for command in ("genpkey -algorithm ed25519 -out key.pem", "pkey -in key.pem -pubout -out public.pem"):
        subprocess.run(["openssl", *command.split()], cwd=bench.folder, check=True)
    sign = bench.shell(
        "sign",
        "printf %s $TAGGER_REFERENCE >signed; openssl pkeyutl -sign -rawin -inkey key.pem -in signed -out signature",
    )
    verify = bench.shell(
        "verify",
        "printf %s $1 >asked; openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in asked -sigfile signature",
    )
    ran = bench.release("new", "--gate", sign, "--gate", f"{verify} {{reference}}", "--json")
    assert (ran.code, [gate["ok"] for gate in ran.json["gates"]]) == (0, [True, True]), ran.err
    digest = bench.held()["2.1.106"]
    assert (bench.folder / "signed").read_text() == f"{bench.repository}@{digest}"
    unsigned = bench.release("other", "--force", "--gate", f"{verify} {{reference}}")
    assert (unsigned.code, bench.held()["2.1.106"]) == (6, digest), unsigned.err


# -- gates that misbehave ------------------------------------------------------------------------------------------


def test_a_gate_that_hangs_ends_with_its_children(bench: Bench) -> None:
    hanging = f"sh -c 'sleep 600 & echo $! >{bench.folder}/child; sleep 600'"
    ran = bench.release("new", "--gate", hanging, "--gate-timeout", "1")
    assert (ran.code, "did not end within 1 s" in ran.error) == (6, True), ran.err
    child = int((bench.folder / "child").read_text())
    until(lambda: not alive(child))


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_timeout_of_the_command_ends_a_gate_too(bench: Bench) -> None:
    ran = bench.release("new", "--gate", "sh -c 'echo it began; sleep 600'", "--timeout", "8", "--json")
    assert (ran.code, "--timeout" in ran.error) == (1, True), ran.err
    assert [(gate["ok"], gate["output"]) for gate in ran.json["gates"]] == [(False, ["it began"])]
    assert not {*CASCADE} & {*bench.held()}


def test_the_advice_for_a_waiting_image_removes_its_candidate(bench: Bench) -> None:
    """A clean-up keeps the candidate, because there is no old version to go with it."""
    ran = bench.release("new", "--gate", "false", "--json")
    [advice] = [text for text in ran.json["warnings"] if "for the next attempt" in text]
    [tag] = bench.held()
    assert ("tagger rm removes it" in advice, "prune" in advice) == (True, False)
    assert tagger(None, "prune", str(bench.repository), "--keep", "1", "--yes").code == 0
    assert [*bench.held()] == [tag]
    assert tagger(None, "rm", str(bench.repository), tag, "--yes").code == 0
    assert bench.held() == {}


def test_a_killed_gate_counts_as_failed(bench: Bench) -> None:
    ran = bench.release("new", "--gate", "sh -c 'kill -9 $$'")
    assert (ran.code, "was killed by signal 9" in ran.error) == (6, True), ran.err


def test_a_gate_may_write_a_hundred_megabytes_and_its_result_counts(bench: Bench) -> None:
    lines = bench.script(
        "flood", "import sys\nfor _ in range(1000): sys.stdout.write(('x' * 99 + '\\n') * 1000)\nprint('end')"
    )
    endless = bench.script("line", "import sys\nfor _ in range(100): sys.stdout.write('y' * 1000000)")
    ran = bench.release("new", "--gate", lines, "--gate", endless, "--json")
    assert ran.code == 0, ran.err[-1000:]
    assert len(ran.err) < 200_000
    assert "more output is not shown" in ran.err
    assert [(len(gate["output"]), len(gate["output"][-1]) <= 500) for gate in ran.json["gates"]] == [
        (20, True),
        (1, True),
    ]
    assert ran.json["gates"][0]["output"][-1] == "end"


def test_a_missing_or_empty_gate_is_reported_before_anything_is_pushed(bench: Bench) -> None:
    for gate in ("no-such-program {reference}", "", "sh -c 'open"):
        assert bench.release("new", "--gate", gate).code == 2
    assert bench.held() == {}


def test_a_gate_that_publishes_another_image_under_the_version_is_detected(bench: Bench) -> None:
    other = bench.repository.image("scratch", "other")
    lie = bench.script(
        "lie",
        "import http.client, os\n"
        "host, _, path = os.environ['TAGGER_REPOSITORY'].partition('/')\n"
        "for tag in ('2.1.106', 'latest'):\n"
        "    registry = http.client.HTTPConnection(host)\n"
        f"    registry.request('PUT', f'/v2/{{path}}/manifests/{{tag}}', {other.body!r}, "
        f"{{'Content-Type': {other.media_type!r}}})\n"
        "    assert registry.getresponse().status == 201\n",
    )
    ran = bench.release("new", "--gate", lie)
    assert (ran.code, other.digest in ran.error) == (3, True), ran.err
    held = bench.held()
    assert {tag: held.get(tag) for tag in CASCADE} == dict.fromkeys(CASCADE) | {
        "2.1.106": other.digest,
        "latest": other.digest,
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_during_a_gate_ends_the_gate_and_moves_no_tag(bench: Bench, number: signal.Signals, code: int) -> None:
    running = bench.folder / "running"
    process = start(
        bench.engine, *bench.words("new", "--gate", f"sh -c 'echo $$ >{running}; sleep 600; true'", "--json")
    )
    until(lambda: running.exists() and bool(running.read_text()))
    process.send_signal(number)
    ran = wait(process)
    assert (ran.code, "interrupted" in ran.error) == (code, True), ran.err
    until(lambda: not alive(int(running.read_text())))
    [name] = bench.held()
    assert name in ran.json["warnings"][0]
    assert bench.engine.tags(str(bench.repository)) == {}


# -- candidates ----------------------------------------------------------------------------------------------------


def test_a_candidate_of_a_killed_run_is_used_again_and_removed(bench: Bench) -> None:
    running = bench.folder / "running"
    process = start(bench.engine, *bench.words("new", "--gate", f"sh -c 'echo $$ >{running}; sleep 600; true'"))
    until(lambda: running.exists() and bool(running.read_text()))
    process.kill()
    wait(process)
    os.killpg(int(running.read_text()), signal.SIGKILL)
    [(tag, digest)] = bench.held().items()
    assert tag == waiting(digest)
    ran = bench.release("new", "--gate", bench.watching())
    assert ran.code == 0, ran.err
    assert bench.seen()[0]["held"] == {tag: digest}
    assert bench.held() == dict.fromkeys(CASCADE, digest)


def test_a_candidate_that_a_rival_overwrote_changes_nothing_and_is_left_to_the_rival(bench: Bench) -> None:
    other = bench.repository.image("scratch", "other")
    rival = bench.script(
        "rival",
        "import http.client, os\n"
        "host, _, path = os.environ['TAGGER_REPOSITORY'].partition('/')\n"
        "tag = '2.1.106-candidate.' + os.environ['TAGGER_DIGEST'][7:19]\n"
        "registry = http.client.HTTPConnection(host)\n"
        f"registry.request('PUT', f'/v2/{{path}}/manifests/{{tag}}', {other.body!r}, "
        f"{{'Content-Type': {other.media_type!r}}})\n"
        "assert registry.getresponse().status == 201\n",
    )
    ran = bench.release("new", "--gate", rival, "--json")
    assert ran.code == 0, ran.err
    new = ran.json["repositories"][0]["digest"]
    assert bench.held() == {**dict.fromkeys(CASCADE, new), "scratch": other.digest, waiting(new): other.digest}
    assert "somebody else has moved it" in ran.json["warnings"][0]


def test_a_candidate_that_cannot_be_removed_is_named_and_has_no_floating_tag(keeping: Bench) -> None:
    ran = keeping.release("new", "--gate", "true", "--json")
    assert ran.code == 0, ran.err
    held = keeping.held()
    digest = held["2.1.106"]
    assert {**dict.fromkeys(CASCADE, digest), waiting(digest): digest}.items() <= held.items()
    assert set(held.values()) == {digest}
    said = " ".join(ran.json["warnings"])
    assert all(tag in said for tag in held if "candidate" in tag)
    check = tagger(None, "check", str(keeping.repository), "--json")
    assert (check.code, check.json["not_looked_at"]) == (0, [])
    listed = tagger(None, "ls", str(keeping.repository), "--json").json["versions"]
    assert {row["tag"]: row["floating"] for row in listed}[waiting(digest)] == []
    again = keeping.release("new", "--gate", "true", "--json")
    assert (again.code, again.json["outcome"]) == (0, "unchanged"), again.err


@pytest.mark.parametrize("command", ["release", "promote"])
def test_a_candidate_in_an_immutable_registry_is_used_again_and_stays(bench: Bench, command: str) -> None:
    behind = bench.repository

    def immutable(request: Request) -> Response | None:
        tag = request.path.rpartition("/")[2]
        return refusal(400, "TAG_INVALID", f"tag {tag} is immutable") if tag in behind.tags() else None

    with Proxy(behind.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/2\.1\.106", immutable))
        source = bench.image("new") if command == "release" else f"{proxy.host}/{behind.path}:build-77"
        if command == "promote":
            behind.image("build-77", "new")
        target = ["--registry", proxy.host, "--repository", behind.path] if command == "release" else []
        words = [command, source, "2.1.106", *target, "--json"]
        failed = tagger(bench.engine, *words, "--gate", "false")
        assert failed.code == 6, failed.err
        held = bench.held()
        digest = failed.json["gates"][0]["reference"].partition("@")[2]
        assert held[waiting(digest)] == digest
        ran = tagger(bench.engine, *words, "--gate", "true")
        assert (ran.code, ran.json["outcome"]) == (0, "released"), ran.err
        candidates = {tag for tag in held if "candidate" in tag}
        assert all(f"{tag} stays" in " ".join(ran.json["warnings"]) for tag in candidates)
    assert bench.held() == {**held, **dict.fromkeys(CASCADE, digest)}


# -- promotion -----------------------------------------------------------------------------------------------------


def promoting(source: Repository, target: Repository, *options: str) -> Ran:
    """Promote the image that was built to another registry."""
    return tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target), *options)


def test_a_promotion_waits_for_its_gates_in_the_target_repository(bench: Bench, elsewhere: Registry) -> None:
    source, target = bench.repository, Repository(elsewhere, f"{bench.repository.path}/golden")
    built = source.index("build-77", "gallery")
    signed = source.referrer(built, "signature")
    target.image("2.1.105", "old")
    before = elsewhere.snapshot(target.path)
    ran = promoting(source, target, "--gate", bench.watching(), "--gate", "false", "--json")
    assert (ran.code, ran.json["outcome"]) == (6, "failed"), ran.err
    assert [gate["ok"] for gate in ran.json["gates"]] == [True, False]
    [seen] = bench.seen()
    spelt = built.digest.replace(":", "-")
    assert {tag: held for tag, held in seen["held"].items() if tag != spelt} == {
        **before,
        waiting(built.digest): built.digest,
    }
    assert elsewhere.snapshot(target.path) == seen["held"]
    assert target.holds_all_of(built)
    assert signed.digest in elsewhere.manifest(target.path, spelt).decode(), "a gate can read the signature there"
    ran = promoting(source, target, "--gate", bench.watching(), "--json")
    assert ran.code == 0, ran.err
    held = elsewhere.snapshot(target.path)
    assert {tag: held.get(tag) for tag in (*CASCADE, waiting(built.digest))} == {
        **dict.fromkeys(CASCADE, built.digest),
        waiting(built.digest): None,
    }


def test_a_promotion_that_wrote_only_the_version_tag_starts_again_with_the_gates(bench: Bench) -> None:
    built = bench.repository.image("2.1.106", "gallery")
    words = ["promote", f"{bench.repository}:2.1.106", "2.1.106"]
    assert tagger(None, *words, "--gate", "false").code == 6
    assert bench.held() == {"2.1.106": built.digest}, "it needs no candidate, since it is there"
    assert tagger(None, *words, "--gate", bench.watching()).code == 0
    assert [seen["held"] for seen in bench.seen()] == [{"2.1.106": built.digest}]
    assert bench.held() == dict.fromkeys(CASCADE, built.digest)
    assert tagger(None, *words, "--gate", bench.watching()).code == 0
    assert len(bench.seen()) == 1, "nothing moves, so there is nothing to judge"


def test_a_dry_run_runs_no_gate(bench: Bench) -> None:
    built = bench.repository.image("build-77", "gallery")
    words = ["promote", f"{bench.repository}:build-77", "2.1.106", "--dry-run"]
    assert tagger(None, *words, "--gate", bench.watching()).code == 0
    assert (bench.held(), bench.seen()) == ({"build-77": built.digest}, [])


# -- after the release ---------------------------------------------------------------------------------------------


def test_commands_after_a_release_see_every_tag_and_their_failure_is_a_warning(bench: Bench) -> None:
    locked = bench.script("lock", "print('no right to lock'); raise SystemExit(2)")
    ran = bench.release("new", "--after", locked, "--after", bench.watching("{reference}"), "--json")
    digest = bench.held()["2.1.106"]
    assert (ran.code, ran.json["outcome"], ran.json["error"]) == (7, "released", None), ran.err
    assert [(after["ok"], after["output"]) for after in ran.json["after"]] == [
        (False, ["no right to lock"]),
        (True, []),
    ]
    assert "ended with exit code 2" in ran.json["warnings"][0]
    assert bench.held() == dict.fromkeys(CASCADE, digest)
    [seen] = bench.seen()
    assert (seen["held"], seen["words"]) == (dict.fromkeys(CASCADE, digest), [f"{bench.repository}@{digest}"])
    again = bench.release("new", "--after", bench.watching())
    assert (again.code, len(bench.seen())) == (0, 1), "nothing moved"
    text = bench.release("other", "--force", "--after", locked)
    assert (text.code, "  no right to lock" in text.out, "error" in text.err) == (7, True, False)


@pytest.mark.parametrize("how", ["signal", "timeout"])
def test_an_interrupted_command_after_a_release_leaves_the_tags_where_they_belong(bench: Bench, how: str) -> None:
    running = bench.folder / "running"
    limit = [] if how == "signal" else ["--gate-timeout", "1"]
    after = f"sh -c 'echo $$ >{running}; sleep 600; true'"
    process = start(bench.engine, *bench.words("new", "--after", after, "--json", *limit))
    until(lambda: running.exists() and bool(running.read_text()))
    if how == "signal":
        process.send_signal(signal.SIGINT)
    ran = wait(process)
    assert (ran.code, ran.json["outcome"]) == (130 if how == "signal" else 7, "released"), ran.err
    until(lambda: not alive(int(running.read_text())))
    assert {*bench.held()} == {*CASCADE}


# -- several repositories ------------------------------------------------------------------------------------------


def test_every_gate_of_every_repository_comes_before_any_version_tag(bench: Bench, elsewhere: Registry) -> None:
    second = Repository(elsewhere, bench.repository.path)
    words = bench.words("new", "--registry", elsewhere.host, "--gate", bench.watching(), "--json")
    ran = tagger(bench.engine, *words)
    assert ran.code == 0, ran.err
    assert [seen["told"]["TAGGER_REPOSITORY"] for seen in bench.seen()] == [str(bench.repository), str(second)]
    assert all(not {*CASCADE} & {*seen["held"]} for seen in bench.seen())
    assert {*bench.held()} == {*second.tags()} == {*CASCADE}
    failing = bench.script(
        "second", f"import os; raise SystemExit('{elsewhere.host}' in os.environ['TAGGER_REPOSITORY'])"
    )
    ran = tagger(bench.engine, *bench.words("other", "--registry", elsewhere.host, "--force", "--gate", failing))
    assert ran.code == 6, ran.err
    assert len({digest for tag, digest in bench.held().items() if tag in CASCADE}) == 1


def test_gates_come_from_the_settings_unless_the_command_line_gives_others(bench: Bench) -> None:
    (bench.folder / "tagger.toml").write_text(f"gates = [{json.dumps(bench.watching())}, 'false']\n")
    (bench.folder / ".git").mkdir()
    process = start(bench.engine, *bench.words("new"), folder=str(bench.folder))
    assert wait(process).code == 6
    assert len(bench.seen()) == 1
    assert wait(start(bench.engine, *bench.words("new", "--gate", "true"), folder=str(bench.folder))).code == 0


def test_images_that_are_released_together_have_one_set_of_gates(bench: Bench) -> None:
    images = [bench.image("one"), bench.image("two")]
    tables = [
        f'[images."{image}"]\ngates = ["{gate}"]\n' for image, gate in zip(images, ("true", "false"), strict=True)
    ]
    host = f'registries = ["{bench.repository.registry.host}"]\n'
    (bench.folder / "tagger.toml").write_text(host + "".join(tables))
    (bench.folder / ".git").mkdir()
    ran = wait(start(bench.engine, "release", "--all", "2.1.106", folder=str(bench.folder)))
    assert (ran.code, "the images differ in gates" in ran.error) == (2, True), ran.err
    assert (
        wait(start(bench.engine, "release", "--all", "2.1.106", "--gate", "false", folder=str(bench.folder))).code == 6
    )
