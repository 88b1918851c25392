"""An internal error of tagger: one sentence, and with --verbose where it happened, without a secret."""

from __future__ import annotations

import json
from pathlib import Path

import canary
import pytest
from command import SCHEMA, Ran
from doubles import FakeEngine, ModelRegistry
from launcher import Launched

IMAGE = "image-gallery"
SENTENCE = "tagger hit an internal error, ValueError: {}: please report it with the output of --verbose"
BROKEN = """
import os
def broken(*_, **__):
    a_variable = "what a variable holds"
    raise ValueError(os.environ["WORDS_OF_THE_FAULT"])
{patch}
from tagger.cli.run import main
main()
"""
IN_ANY_COMMAND = (
    "from tagger.config import show; from tagger.rules import scheme\n"
    "scheme.Scheme.tags = show.as_text = show.as_json = broken"
)
IN_TYPER = "import typer; typer.Typer.__call__ = broken"
IN_A_READING = "from tagger.api import look; look.ls = look.check = broken"
IN_A_THREAD = "from tagger.registry import blobs; blobs.Blobs.give_up = broken"
IN_A_RELEASE = "from tagger.releasing import floats; floats._push = broken"


def run(patch: str, *words: str, **environment: str) -> Ran:
    """Run `tagger WORDS` with a fault in it."""
    environment = {"WORDS_OF_THE_FAULT": "it broke", **environment}
    return Launched(None, *words, script=BROKEN.format(patch=patch), **environment).end()


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (IN_ANY_COMMAND, ["tags", "2.1.106"]),
        (IN_ANY_COMMAND, ["config"]),
        (IN_TYPER, ["completion", "bash"]),
        (IN_A_READING, ["ls", "127.0.0.1:1/gallery"]),
    ],
)
def test_an_internal_error_is_a_sentence_and_with_verbose_a_traceback(patch: str, words: list[str]) -> None:
    plain = run(patch, *words)
    assert (plain.code, plain.out, plain.err) == (1, "", f"tagger: error: {SENTENCE.format('it broke')}\n")
    for options in (["-v", *words], [*words, "-v"], [words[0], "--verbose", *words[1:]]):
        shown = run(patch, *options)
        assert (shown.code, shown.out, shown.error) == (1, "", plain.error), shown
        lines = shown.err.splitlines()
        assert lines[0] == "tagger: Traceback (most recent call last):"
        assert any(line.endswith("in broken") for line in lines)
        assert all(line.startswith("tagger: ") for line in lines)
        assert "what a variable holds" not in shown.err.replace('a_variable = "what a variable holds"', "")


def test_an_internal_error_in_a_background_thread_is_a_sentence_too(fake: FakeEngine, model: ModelRegistry) -> None:
    words = ["release", IMAGE, "2.1.106", "--registry", model.host]
    plain = run(IN_A_THREAD, *words, DOCKER_HOST=fake.url)
    assert (plain.code, "Traceback" in plain.err) == (0, False), plain.err
    assert f"tagger: note: {SENTENCE.format('it broke')}" in plain.err.splitlines()
    model.repositories.clear()
    shown = run(IN_A_THREAD, *words, "-v", DOCKER_HOST=fake.url)
    assert "tagger: Traceback (most recent call last):" in shown.err.splitlines()
    assert all(line.startswith("tagger: ") for line in shown.err.splitlines())


def test_an_argument_after_two_hyphens_is_not_an_option() -> None:
    assert "Traceback" not in run(IN_ANY_COMMAND, "tags", "2.1.106", "--", "-v").err


def test_an_internal_error_is_in_the_json_too() -> None:
    ran = run(IN_A_READING, "ls", "127.0.0.1:1/gallery", "--json")
    content = json.loads(ran.out)
    SCHEMA.validate(content)
    assert (ran.code, content["error"]) == (1, SENTENCE.format("it broke"))


def test_an_internal_error_during_a_release_puts_the_tags_back_and_says_where_it_happened(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path
) -> None:
    words = ["release", IMAGE, "2.1.106", "--registry", model.host, "--env-file", str(tmp_path / "env")]
    plain = run(IN_A_RELEASE, *words, DOCKER_HOST=fake.url)
    assert plain.code == 1
    assert plain.error.startswith(SENTENCE.format("it broke") + "; the floating tags are where they were")
    assert "Traceback" not in plain.err
    assert "TAGGER_OUTCOME=failed" in (tmp_path / "env").read_text()
    shown = run(IN_A_RELEASE, *words, "--verbose", DOCKER_HOST=fake.url)
    assert shown.error.startswith(SENTENCE.format("it broke"))
    assert "tagger: Traceback (most recent call last):" in shown.err
    assert "in broken" in shown.err


def test_no_traceback_shows_a_secret_or_moves_a_cursor(fake: FakeEngine, model: ModelRegistry, tmp_path: Path) -> None:
    login = canary.docker_config(tmp_path, model.host)
    said = f"a header of {canary.PASSWORD}\n::error::x\x1b[2J ###vso[x] at http://user:{canary.PASSWORD}@proxy.local"
    words = ["release", IMAGE, "2.1.106", "--registry", model.host, "--verbose"]
    shown = run(IN_A_RELEASE, *words, DOCKER_HOST=fake.url, WORDS_OF_THE_FAULT=said, **login)
    assert "in broken" in shown.err
    assert "***" in shown.err
    assert "user" not in shown.err.partition("http://")[2].partition("\n")[0]
    assert all(
        line.isprintable() and "##" not in line and line.startswith("tagger: ") for line in shown.err.splitlines()
    )


def test_verbose_before_the_command_shows_requests_too(model: ModelRegistry) -> None:
    before = run("", "-v", "ls", f"{model.host}/gallery")
    behind = run("", "ls", f"{model.host}/gallery", "-v")
    assert [line.split()[1:3] for line in before.err.splitlines()] == [
        line.split()[1:3] for line in behind.err.splitlines()
    ]
    assert "GET http" in before.err
