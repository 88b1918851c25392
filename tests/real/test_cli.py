"""The command line: what it prints where, its exit codes, and one sentence for every bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command import Ran, asked, start, tagger, tagger_in, wait
from doubles import Basic, FakeEngine, ModelRegistry, Request, Response, on
from services import Engine, Registry, free_port

import tagger as api
from tagger.errors import RegistryUnreachable

IMAGE = "image-gallery"


def is_one_sentence(text: str) -> bool:
    """Whether a message is one line that says what to do after a colon or a semicolon."""
    return "\n" not in text and re.search(r"[:;] ?\S.*\w", text) is not None and len(text) < 500


# -- tags ----------------------------------------------------------------------------------------------------------


def test_tags_prints_the_cascade_offline() -> None:
    assert tagger(None, "tags", "2.1.106").out.split() == ["2.1.106", "2.1", "2", "latest"]
    assert tagger(None, "tags", "v0.2.0").out.split() == ["0.2.0", "0.2", "latest"]
    assert tagger(None, "tags", "3.0.0-rc.1").out.split() == ["3.0.0-rc.1"]
    assert tagger(None, "tags", "2.1.106+build.5", "--build-metadata", "drop").out.split()[0] == "2.1.106"


def test_the_version_and_the_help_are_printed() -> None:
    for word in ("--version", "-V"):
        assert re.fullmatch(r"tagger \d+\.\d+\.\d+\n", tagger(None, word).out)
    assert "--dry-run" in tagger(None, "release", "--help").out


def test_help_is_a_command_too() -> None:
    assert tagger(None, "help").out == tagger(None, "--help").out
    assert tagger(None, "help", "release") == tagger(None, "release", "--help")
    ran = tagger(None, "help", "relase")
    assert (ran.code, "Did you mean 'release'?" in ran.err) == (2, True)


# -- bad words: nothing is asked of anyone -------------------------------------------------------------------------

BAD_VERSIONS = [
    "1.2",
    "01.2.3",
    "latest",
    "",
    "2.1.106\n",
    "\uff12.\uff11.\uff11\uff10\uff16",
    "1.2.3.4",
    "v",
    "2.1.106-",
    "9" * 5000,
]


@pytest.mark.parametrize("version", BAD_VERSIONS)
def test_a_word_that_is_not_a_version_is_refused(version: str) -> None:
    for words in (["tags", version], ["release", IMAGE, version, "--registry", "registry.local:5000"]):
        ran = tagger(None, *words)
        assert (ran.code, ran.out) == (2, ""), ran
        assert "not a semantic version" in ran.error
        assert is_one_sentence(ran.error)


def test_refused_build_metadata_is_reported_with_the_option_that_drops_it() -> None:
    ran = tagger(None, "tags", "2.1.106+build.5")
    assert (ran.code, "--build-metadata drop" in ran.error) == (3, True)
    assert tagger(None, "tags", "2.1.106", "--build-metadata", "maybe").code == 2


def test_a_tag_over_128_characters_is_bad_input() -> None:
    ran = tagger(None, "tags", "1.0.0-" + "a" * 123)
    assert (ran.code, "128" in ran.error) == (2, True)
    assert tagger(None, "tags", "1.0.0-" + "a" * 122).code == 0


BAD_TARGETS = [
    (["Image-Gallery"], 2, "lower case"),
    (["gallery/../ui"], 2, "'..'"),
    (["../volumes/x"], 2, "'..'"),
    (["gallery ui"], 2, "not a repository name"),
    ([""], 2, "not a repository name"),
    ([IMAGE, "--registry", "http://registry.local:5000"], 2, "URL"),
    ([IMAGE, "--registry", "registry"], 2, "registry:PORT"),
    ([IMAGE, "--registry", "registry.local:5000/gallery"], 2, "HOST"),
    ([IMAGE, "--registry", "registry.local:5000", "--repository", "Gallery/UI"], 2, "lower case"),
    ([IMAGE, "--registry", "registry.local:5000", "--repository", "gallery/../../x"], 2, "'..'"),
    ([IMAGE, "--registry", "registry.local:5000", "--repository", "gallery:latest"], 2, "not a repository name"),
    ([IMAGE], 3, "--registry"),
    ([f"library/{IMAGE}"], 3, "official images"),
    (["docker.io/library/redis"], 3, "official images"),
    ([IMAGE, "--repository", "library/redis"], 3, "official images"),
    (["sha256:" + "a" * 64], 2, "--repository"),
    ([IMAGE, "--registry", "registry.local:5000", "--floats-via", "pigeon"], 2, "'engine' or 'registry'"),
]


@pytest.mark.parametrize(("words", "code", "says"), BAD_TARGETS)
def test_an_impossible_target_is_refused_before_any_request(words: list[str], code: int, says: str) -> None:
    ran = tagger(None, "release", words[0], "2.1.106", *words[1:], "--json")
    assert (ran.code, says in ran.error, is_one_sentence(ran.error)) == (code, True, True), ran.err
    assert ran.json == {
        "image": words[0],
        "version": "2.1.106",
        "dry_run": False,
        "outcome": "refused" if code == 3 else "failed",
        "error": ran.error,
        "repositories": [],
    }


# -- an Engine or a registry that is not there, or is not what it should be ----------------------------------------


def test_a_missing_engine_at_the_socket_is_reported(model: ModelRegistry, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    ran = tagger(None, "release", IMAGE, "2.1.106", "--registry", model.host, DOCKER_HOST=nowhere)
    assert (ran.code, "DOCKER_HOST" in ran.error, nowhere in ran.error) == (2, True, True)


def test_an_unknown_context_is_an_error_and_not_the_local_socket() -> None:
    ran = tagger(None, "release", IMAGE, "2.1.106", "--registry", "127.0.0.1:9", DOCKER_CONTEXT="nope")
    assert (ran.code, "'nope'" in ran.error, "docker context ls" in ran.error) == (2, True, True)


def release(engine: FakeEngine, registry: str, *options: str) -> Ran:
    """Release the image of the fake Engine."""
    return tagger(engine, "release", IMAGE, "2.1.106", "--registry", registry, "--json", *options)


def test_an_image_that_the_engine_does_not_have_is_named(fake: FakeEngine, model: ModelRegistry) -> None:
    ran = tagger(fake, "release", "nope", "2.1.106", "--registry", model.host)
    assert (ran.code, "nope" in ran.error, "build or pull" in ran.error) == (2, True, True)


def test_a_registry_that_refuses_the_connection_is_reported(fake: FakeEngine) -> None:
    ran = release(fake, f"127.0.0.1:{free_port()}")
    assert (ran.code, "no registry answers" in ran.error, ran.json["outcome"]) == (2, True, "failed")


def test_a_registry_on_an_unknown_host_is_reported(fake: FakeEngine) -> None:
    ran = release(fake, "nosuch.invalid:5000")
    assert (ran.code, "nosuch.invalid" in ran.error) == (2, True)


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_server_is_not_taken_for_a_registry(fake: FakeEngine, model: ModelRegistry, status: int) -> None:
    model.intercept(lambda _: Response(status, b"<html>hello", {"Content-Type": "text/html"}))
    ran = release(fake, model.host)
    assert (ran.code, "not a registry" in ran.error) == (2, True)


def test_a_server_without_http_is_not_taken_for_a_registry(fake: FakeEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(5)
        host = f"127.0.0.1:{mute.getsockname()[1]}"
        mute.close()
        assert release(fake, host).code == 2


@pytest.mark.engine
def test_nothing_moves_without_the_right_to_push(engine: Engine, repository: str, tmp_path: Path) -> None:
    engine.image(IMAGE, "the gallery")
    with Registry.start(tmp_path, htpasswd={"ann": "canary-password"}) as registry:
        words = ("release", IMAGE, "2.1.106", "--registry", registry.host, "--repository", repository)
        for config in ({}, {"auths": {registry.host: {"username": "ann", "password": "canary-wrong"}}}):
            folder = tmp_path / f"config-{len(config)}"
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps(config))
            ran = tagger(engine, *words, DOCKER_CONFIG=str(folder))
            assert (ran.code, "docker login" in ran.error) == (3, True), ran.err
            assert "canary" not in ran.err + ran.out
        assert registry.tags(repository) == []


@pytest.mark.engine
def test_credentials_of_the_docker_configuration_work_for_engine_and_registry(
    engine: Engine, repository: str, tmp_path: Path
) -> None:
    engine.image(IMAGE, "the gallery")
    with Registry.start(tmp_path, htpasswd={"ann": "canary-password"}) as registry:
        auths = {registry.host: {"username": "ann", "password": "canary-password"}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        ran = tagger(
            engine, "release", IMAGE, "2.1.106", "--registry", registry.host, "--repository", repository,
            DOCKER_CONFIG=str(tmp_path),
        )  # fmt: skip
        assert (ran.code, len(registry.tags(repository))) == (0, 4), ran.err
        assert "canary" not in ran.err + ran.out


def test_credentials_are_sent_over_plain_http_to_loopback_only(fake: FakeEngine, model: ModelRegistry) -> None:
    model.auth = Basic("ann", "canary-password")
    ran = release(fake, model.host)
    assert (ran.code, "docker login" in ran.error) == (3, True)


def test_a_short_image_id_is_not_a_repository(fake: FakeEngine, model: ModelRegistry) -> None:
    short = fake.load("other", b"another")[:19]
    ran = tagger(fake, "release", short, "2.1.106", "--registry", model.host)
    assert (ran.code, "--repository" in ran.error) == (2, True), ran.err
    ran = tagger(fake, "release", short, "2.1.106", "--registry", model.host, "--repository", "gallery/ui")
    assert (ran.code, len(model.repositories["gallery/ui"])) == (0, 4), ran.err


def test_a_password_in_a_registry_s_name_is_not_repeated(fake: FakeEngine) -> None:
    ran = tagger(fake, "release", IMAGE, "2.1.106", "--registry", "ann:canary@registry.local", "--json")
    assert (ran.code, "canary" in ran.err + ran.out) == (2, False)


def test_a_push_of_the_wrong_image_is_withdrawn(fake: FakeEngine, model: ModelRegistry) -> None:
    before = dict(model.seed(IMAGE, {"2.1.105": b"older"}))
    theirs = fake.load("theirs", b"what another program tagged meanwhile")
    push = fake.push

    def after_a_retag(name: str, tag: str) -> object:
        fake.tags[f"{name}:{tag}"] = theirs
        return push(name, tag)

    fake.push = after_a_retag  # type: ignore[assignment] # the messages are whatever the Engine gives
    ran = tagger(fake, "release", IMAGE, "2.1.106", "--registry", model.host)
    assert (ran.code, "another program moved the local tag" in ran.error) == (1, True), ran.err
    assert model.repositories[IMAGE] == before


def test_a_refusal_of_the_push_reports_nothing_as_done(fake: FakeEngine, model: ModelRegistry) -> None:
    fake.push = lambda _name, _tag: [{"errorDetail": {"message": "denied: no right"}}]
    changes = release(fake, model.host).json["repositories"][0]["tags"]
    assert {(c["action"], c["before"], c["after"]) for c in changes} == {("keep", None, None)}


# -- signals and output --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_release_at_once_while_the_registry_is_silent(
    fake: FakeEngine, model: ModelRegistry, number: signal.Signals, code: int
) -> None:
    asked, done = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        asked.set()
        done.wait(20)

    model.intercept(on("GET", "/tags/list", hold))
    process = start(fake, "release", IMAGE, "2.1.106", "--registry", model.host, "--json")
    assert asked.wait(20)
    process.send_signal(number)
    ran = wait(process)
    done.set()
    assert (ran.code, ran.json["outcome"], "interrupted" in ran.error) == (code, "failed", True)


def test_a_report_that_cannot_be_written_does_not_turn_success_into_failure(
    fake: FakeEngine, model: ModelRegistry
) -> None:
    words = [sys.executable, "-m", "tagger", "release", IMAGE, "2.1.106", "--registry", model.host, "--json"]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            words,
            env={**os.environ, "DOCKER_HOST": fake.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, len(model.repositories[IMAGE])) == (0, 4)
    assert "the report cannot be written (No space left on device)" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_reader_that_leaves_early_changes_nothing(fake: FakeEngine, model: ModelRegistry) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "tagger", "release", IMAGE, "2.1.106", "--registry", model.host]
    ran = subprocess.run(words, env={**os.environ, "DOCKER_HOST": fake.url}, stdout=writer, stderr=writer, check=False)
    os.close(writer)
    assert (ran.returncode, len(model.repositories[IMAGE])) == (0, 4)


# -- JSON in every outcome -----------------------------------------------------------------------------------------


def outcome(ran: Ran) -> tuple[int, str, bool]:
    """The exit code, the outcome, and whether there is an error."""
    return ran.code, ran.json["outcome"], ran.json["error"] is not None


def test_json_is_one_object_in_every_outcome(fake: FakeEngine, model: ModelRegistry) -> None:
    assert outcome(release(fake, model.host, "--dry-run")) == (0, "planned", False)
    assert outcome(release(fake, model.host)) == (0, "released", False)
    assert outcome(release(fake, model.host)) == (0, "unchanged", False)
    fake.load(IMAGE, b"another gallery")
    assert outcome(release(fake, model.host)) == (3, "refused", True)
    model.intercept(on("GET", "/tags/list", Response(500)))
    assert outcome(release(fake, model.host)) == (1, "failed", True)


def test_json_has_the_documented_shape(fake: FakeEngine, model: ModelRegistry) -> None:
    done = release(fake, model.host).json
    digest = model.repositories[IMAGE]["latest"]
    assert done == {
        "image": IMAGE,
        "version": "2.1.106",
        "dry_run": False,
        "outcome": "released",
        "error": None,
        "repositories": [
            {
                "repository": f"{model.host}/{IMAGE}",
                "digest": digest,
                "tags": [
                    {
                        "tag": tag,
                        "reference": f"{model.host}/{IMAGE}:{tag}",
                        "action": "create",
                        "before": None,
                        "after": digest,
                        "reason": None,
                    }
                    for tag in ("2.1.106", "2.1", "2", "latest")
                ],
            }
        ],
    }


def test_data_goes_to_stdout_and_everything_else_to_stderr(fake: FakeEngine, model: ModelRegistry) -> None:
    ran = tagger(fake, "release", IMAGE, "2.1.106", "--registry", model.host)
    assert ran.out.splitlines()[0] == f"{model.host}/{IMAGE}"
    assert all(line.startswith("tagger: ") for line in ran.err.splitlines())
    assert "\x1b" not in ran.out + ran.err


def test_a_hostile_message_cannot_write_to_the_terminal(fake: FakeEngine, model: ModelRegistry) -> None:
    hostile = {"errorDetail": {"message": "denied \x1b]0;pwn\x07\x1b[2J\r\n::error::gotcha\u202e"}}
    fake.push = lambda _name, _tag: [hostile]
    ran = tagger(fake, "release", IMAGE, "2.1.106", "--registry", model.host)
    assert ran.code == 3
    assert not set(ran.err + ran.out) & {"\x1b", "\x07", "\r", "\u202e"}
    assert not any(line.startswith("::") for line in ran.err.splitlines())


# -- reading and repairing a repository ----------------------------------------------------------------------------

VERSIONS = {"1.0.0": b"one", "2.1.105": b"two", "2.1.106": b"three"}


@pytest.fixture
def gallery(model: ModelRegistry) -> str:
    """A repository in which `latest` drifted."""
    digests = model.seed("gallery/ui", VERSIONS)
    held = model.repositories["gallery/ui"]
    held.update({"1": digests["1.0.0"], "1.0": digests["1.0.0"], "2.1": digests["2.1.106"], "2": digests["2.1.106"]})
    held.update({"latest": digests["2.1.105"], "nightly": digests["1.0.0"]})
    return f"{model.host}/gallery/ui"


def test_ls_shows_versions_drift_and_other_tags(gallery: str) -> None:
    lines = tagger(None, "ls", gallery).out.splitlines()
    assert lines[0] == f"{gallery}: 3 versions"
    assert [line.split()[0] for line in lines[1:4]] == ["2.1.106", "2.1.105", "1.0.0"]
    assert lines[4:6] == ["drifted:", lines[5]]
    assert re.fullmatch(r"  latest holds 2\.1\.105 \(sha256:[0-9a-f]{12}\), but should hold 2\.1\.106", lines[5])
    assert lines[6] == "other tags: nightly"


def test_the_json_of_ls_check_repair_and_rm_has_the_documented_shape(gallery: str, model: ModelRegistry) -> None:
    held = dict(model.repositories["gallery/ui"])
    ls = tagger(None, "ls", gallery, "--json").json
    assert ls["versions"][0] == {
        "version": "2.1.106", "tag": "2.1.106", "digest": held["2.1.106"], "floating": ["2.1", "2"],
    }  # fmt: skip
    drift = {"tag": "latest", "digest": held["latest"], "version": "2.1.105", "expected": "2.1.106"}
    assert drift | {"ok": False} in ls["floating"]
    assert (set(ls), ls["other"]) == ({"repository", "versions", "floating", "other"}, ["nightly"])
    assert tagger(None, "check", gallery, "--json").json == {
        "repository": gallery, "ok": False, "drift": [drift],
        "checked": ["2.1", "2", "latest", "1.0", "1"], "not_looked_at": ["nightly"],
    }  # fmt: skip
    repaired = {"tag": "latest", "before": held["latest"], "after": held["2.1.106"], "version": "2.1.106"}
    for option in ("--dry-run", "--json"):
        assert tagger(None, "repair", gallery, "--json", option).json == {
            "repository": gallery, "dry_run": option == "--dry-run", "repaired": [repaired],
        }  # fmt: skip
    moved = [
        {"tag": tag, "before": held["2.1.106"], "after": held["2.1.105"], "version": "2.1.105"}
        for tag in ("2.1", "2", "latest")
    ]
    for option in ("--dry-run", "--json"):
        assert tagger(None, "rm", gallery, "2.1.106", "--yes", "--json", option).json == {
            "repository": gallery, "dry_run": option == "--dry-run", "removed": ["2.1.106"], "moved": moved,
        }  # fmt: skip


@pytest.mark.parametrize("option", ["--dry-run", "--yes"])
def test_rm_says_that_there_is_nothing_to_remove(gallery: str, model: ModelRegistry, option: str) -> None:
    model.repositories["gallery/empty"] = {}
    empty = gallery.replace("/ui", "/empty")
    assert tagger(None, "rm", empty, "--all", option).out == f"{empty}: nothing to remove\n"


def test_check_exits_with_5_until_repair_has_run(gallery: str) -> None:
    assert tagger(None, "check", gallery).code == 5
    assert tagger(None, "repair", gallery).code == 0
    ran = tagger(None, "check", gallery)
    assert (ran.code, ran.out) == (0, f"{gallery}: no drift, 5 floating tags checked; not looked at: nightly\n")
    assert tagger(None, "repair", gallery).out == f"{gallery}: nothing to repair\n"


def test_next_prints_a_version_for_release(gallery: str) -> None:
    assert tagger(None, "next", gallery, "--minor").out == "2.2.0\n"
    assert tagger(None, "next", gallery, "--pre", "rc").out == "2.1.107-rc.1\n"
    for words in ([], ["--minor", "--major"]):
        assert tagger(None, "next", gallery, *words).code == 2


def test_next_counts_in_the_line_of_the_settings(tmp_path: Path, model: ModelRegistry) -> None:
    edge = '[lines.edge]\nversions = "main-{n}"\nfloats = ["edge"]\n'
    model.seed("gallery/ui", {"2.1.106": b"a", "main-7": b"b"})
    for line, words, environment, found in (
        ("", ["--patch"], {}, "2.1.107\n"),
        ("", ["--line", "edge"], {}, "main-8\n"),
        ("", [], {"TAGGER_LINE": "edge"}, "main-8\n"),
        ('line = "edge"\n', [], {}, "main-8\n"),
        ('line = "edge"\n', ["--patch", "--line", "default"], {}, "2.1.107\n"),
    ):
        (tmp_path / "tagger.toml").write_text(line + edge)
        ran = tagger_in(tmp_path, "next", f"{model.host}/gallery/ui", *words, **environment)
        assert (ran.code, ran.out) == (0, found), ran.err


def test_next_needs_an_option_for_the_first_version(gallery: str) -> None:
    absent = gallery.replace("/ui", "/absent")
    ran = tagger(None, "next", absent, "--minor")
    assert (ran.code, ran.out, "there is no repository gallery/absent" in ran.error, "--first" in ran.error) == (
        2, "", True, True,
    )  # fmt: skip
    assert tagger(None, "next", absent, "--minor", "--first").out == "0.1.0\n"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        *((word, "use tagger rm") for word in ("delete", "remove", "del", "erase", "untag", "DELETE")),
        *((word, "use tagger ls") for word in ("list", "versions", "show")),
        *((word, "use tagger release") for word in ("push", "publish", "tag")),
        *((word, "use tagger promote") for word in ("copy", "retag")),
        *((word, "use tagger repair") for word in ("fix", "restore")),
        *((word, "use tagger yank") for word in ("unpublish", "unrelease", "withdraw", "rollback")),
        *((word, "use tagger check") for word in ("verify", "status")),
        *((word, "use tagger prune") for word in ("clean", "purge")),
        ("bump", "use tagger next"),
        ("version", "use tagger --version"),
        ("login", "use docker login"),
        ("unyank", "tagger yank REPOSITORY VERSION --undo"),
    ],
)
@pytest.mark.parametrize("before", [[], ["--verbose"]])
def test_a_command_from_another_tool_is_answered_with_ours(word: str, says: str, before: list[str]) -> None:
    ran = tagger(None, *before, word, "x", "--json")
    assert (ran.code, ran.out, f"there is no command '{word}': " in ran.error, says in ran.error) == (2, "", True, True)


def test_a_misspelt_command_is_answered_with_the_similar_one() -> None:
    ran = tagger(None, "relase")
    assert (ran.code, "Did you mean 'release'?" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["release", "--all"], "Option '--all' requires an argument"),
        (["promote"], "give SOURCE and VERSION, or only --all VERSION"),
        (["promote", "127.0.0.1:9/gallery:a"], "give SOURCE and VERSION, or only --all VERSION"),
        (["prune", "127.0.0.1:9/gallery"], "give --keep N, or set keep in the settings"),
    ],
)
def test_a_missing_argument_is_named(words: list[str], says: str) -> None:
    ran = tagger(None, *words)
    assert (ran.code, ran.out, says in ran.err) == (2, "", True), ran.err


def test_rm_needs_names_or_all(gallery: str) -> None:
    for words in ([], ["1.0.0", "--all"]):
        ran = tagger(None, "rm", gallery, *words, "--json")
        assert (ran.code, "--all" in ran.error, ran.json["error"]) == (2, True, ran.error)


@pytest.mark.parametrize(
    ("settings", "words", "key"),
    [
        ("keep = 0", [], "error"),
        ("keep = 0", ["gallery"], "error"),
        ("keep = 0", ["--check"], "ok"),
        ("keep =", ["--check"], "error"),
        ("", ["--check", "gallery"], "error"),
        ("line = 'edge'", [], "settings"),
    ],
)
def test_the_json_of_config_is_one_object_after_a_failure_too(
    tmp_path: Path, settings: str, words: list[str], key: str
) -> None:
    (tmp_path / "tagger.toml").write_text(settings)
    ran = tagger_in(tmp_path, "config", *words, "--json")
    assert (ran.code, key in ran.json) == (2, True), ran.out


@pytest.mark.parametrize("option", ["--variant", "--prefix", "--line"])
def test_rm_all_does_not_remove_what_its_other_options_leave_out(
    option: str, gallery: str, model: ModelRegistry
) -> None:
    before = held(model)
    ran = tagger(None, "rm", gallery, "--all", option, "default", "--yes", "--json")
    assert (ran.code, held(model)) == (2, before)
    assert "the tags of every variant and line" in ran.error


@pytest.mark.parametrize("option", ["--variant", "--prefix", "--line", "--limit"])
def test_ls_of_a_digest_refuses_the_options_of_versions(option: str, gallery: str, model: ModelRegistry) -> None:
    ran = tagger(None, "ls", f"{gallery}@{held(model)['1']}", option, "1" if option == "--limit" else "default")
    assert (ran.code, ran.out, option in ran.err) == (2, "", True)


REMOVING = {
    "rm": (["rm", "2.1.106"], {"2.1.106"}),
    "rm --all": (["rm", "--all"], {*VERSIONS, "2.1.104", "1", "1.0", "2", "2.1", "latest", "nightly"}),
    "prune": (["prune", "--keep", "1"], {"2.1.104"}),
}


@pytest.fixture
def shop(gallery: str, model: ModelRegistry) -> str:
    """A repository with something to prune."""
    model.seed("gallery/ui", {"2.1.104": b"old"})
    return gallery


def held(model: ModelRegistry) -> dict[str, str]:
    """Return where each tag points."""
    return dict(model.repositories["gallery/ui"])


@pytest.mark.parametrize(("words", "going"), REMOVING.values(), ids=REMOVING)
def test_a_command_that_removes_shows_what_it_would_remove_and_asks(
    words: list[str], going: set[str], shop: str, model: ModelRegistry
) -> None:
    command = [words[0], shop, *words[1:]]
    before = held(model)
    for answer in ("n\n", "\n", "\x04"):
        ran = asked(lambda answer=answer: answer, *command)  # type: ignore[misc] # bound in a loop
        assert (ran.code, held(model), "nothing was removed" in ran.err) == (0, before, True), ran.err
        assert {line.split()[1] for line in ran.err.splitlines() if line.startswith("  remove ")} == going
    ran = asked(lambda: signal.SIGTERM, *command)
    assert (ran.code, held(model)) == (143, before), ran.err
    ran = asked(lambda: "y\n", *command, "--json")
    assert (ran.code, {*ran.json["removed"]}, {*before} - {*held(model)}) == (0, going, going), ran.err


@pytest.mark.parametrize(("words", "going"), REMOVING.values(), ids=REMOVING)
def test_nothing_is_removed_without_a_terminal_to_ask(
    words: list[str], going: set[str], shop: str, model: ModelRegistry
) -> None:
    command = [words[0], shop, *words[1:]]
    before = held(model)
    ran = tagger(None, *command)
    says = "not a terminal, so nothing was removed: check with --dry-run, then pass --yes"
    assert (ran.code, ran.error, held(model)) == (2, says, before)
    assert (tagger(None, *command, "--dry-run").code, held(model)) == (0, before)
    assert (tagger(None, *command, "--yes").code, {*before} - {*held(model)}) == (0, going)


@pytest.mark.parametrize("words", [["--all"], ["2.1.106"]])
def test_nothing_is_removed_without_consent(words: list[str], shop: str, model: ModelRegistry) -> None:
    def answer() -> str:
        tags = model.repositories["gallery/ui"]
        tags["latest"] = tags["2.1"] = model.seed("gallery/ui", {"2.1.107": b"meanwhile"})["2.1.107"]
        return "y\n"

    ran = asked(answer, "rm", shop, *words)
    assert (ran.code, "so nothing was removed" in ran.err) == (3, True), ran.err
    assert {*VERSIONS, "2.1.107", "latest"} <= {*held(model)}


def test_rm_all_removes_after_its_question_even_a_tag_that_names_the_version_of_a_variant(
    tmp_path: Path, model: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tagger.toml").write_text('variants = ["alpine"]\n')
    monkeypatch.chdir(tmp_path)
    model.seed("gallery/ui", {"2.1.106": b"a", "2.1.105-alpine": b"b", "alpine": b"b"})
    ran = asked(lambda: "y\n", "rm", f"{model.host}/gallery/ui", "--all")
    assert (ran.code, held(model)) == (0, {}), ran.err


def test_a_repository_that_does_not_exist_is_distinguished_from_one_without_tags(
    gallery: str, model: ModelRegistry
) -> None:
    model.repositories["gallery/empty"] = {}
    for command in (["ls"], ["check"], ["repair"]):
        ran = tagger(None, *command, gallery.replace("/ui", "/absent"))
        assert (ran.code, "there is no repository gallery/absent" in ran.error) == (2, True)
        assert tagger(None, *command, gallery.replace("/ui", "/empty")).code == 0


def test_a_tag_list_that_is_refused_names_docker_login(gallery: str, model: ModelRegistry) -> None:
    model.auth = Basic("ann", "canary-password")
    ran = tagger(None, "ls", gallery)
    assert (ran.code, f"docker login {model.host}" in ran.error) == (3, True)


def test_a_registry_over_plain_http_is_reported_with_the_option_that_allows_it(
    gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.wiring.access.is_at_loopback", lambda _: False)
    host = gallery.partition("/")[0]
    with pytest.raises(RegistryUnreachable, match=f"insecure-registries, or pass --insecure {host}"):
        api.ls(gallery)
    assert len(api.ls(gallery, insecure=[host]).versions) == 3


# -- completion ----------------------------------------------------------------------------------------------------


def complete(line: str) -> list[str]:
    """Press the tabulator key at the end of a line, in bash, whose script asks like this."""
    words = line.split(" ")
    environment = {"_TAGGER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return tagger(None, **environment).out.split()


def test_a_shell_completes_commands_options_and_the_tags_of_a_repository(gallery: str) -> None:
    assert {"release", "repair"} <= {*complete("tagger re")}
    assert "--dry-run" in complete("tagger release --dr")
    assert sorted(complete(f"tagger rm {gallery} 2.1.10")) == ["2.1.105", "2.1.106"], "shells sort"
    assert complete("tagger rm 127.0.0.1:9/gallery 2") == []


def test_completing_a_tag_requests_only_the_list(gallery: str, model: ModelRegistry) -> None:
    model.requests.clear()
    assert "2.1.106" in complete(f"tagger rm {gallery} 2")
    assert [request.path for request in model.requests] == ["/v2/gallery/ui/tags/list"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell: str) -> None:
    assert "_TAGGER_COMPLETE" in tagger(None, "completion", shell).out
    assert tagger(None, "completion", "csh").code == 2


@pytest.mark.engine
def test_bash_itself_accepts_the_script(gallery: str, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(tagger(None, "completion", "bash").out)
    ask = f"source {script}; COMP_WORDS=(tagger rm {gallery} 2.1.1); COMP_CWORD=3; _tagger_completion tagger"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f'{ask}; echo "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(done.stdout.split()) == ["2.1.105", "2.1.106"], done.stderr
