"""Files and lines for CI systems: written in every outcome, complete, and safe whatever a registry says."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import Ran, start, tagger, wait
from doubles import FakeEngine, ModelRegistry, on, refusal

from tagger.cli.render.github import append, opened
from tagger.cli.render.markdown import release_variables
from tagger.errors import TaggerError
from tagger.names import Repository, parse_digest, parse_tag
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.releasing.placement import Placement
from tagger.rules.plan import Action, Change
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version

IMAGE = "image-gallery"


def release(fake: FakeEngine, model: ModelRegistry, *options: str, **environment: str) -> Ran:
    """Release 2.1.106."""
    return tagger(fake, "release", IMAGE, "2.1.106", "--registry", model.host, *options, **environment)


def variables(file: Path) -> dict[str, str]:
    """Read a file of NAME=VALUE."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_a_release_writes_the_outputs_for_the_next_step(fake: FakeEngine, model: ModelRegistry, tmp_path: Path) -> None:
    file, summary = tmp_path / "env", tmp_path / "summary.md"
    file.write_text("BEFORE=1")  # without a line break at its end
    ran = release(fake, model, "--env-file", str(file), "--summary", str(summary))
    assert ran.code == 0, ran.err
    digest = model.repositories[IMAGE]["latest"]
    assert variables(file) == {
        "BEFORE": "1",
        "TAGGER_OUTCOME": "released",
        "TAGGER_VERSION": "2.1.106",
        "TAGGER_DIGEST": digest,
        "TAGGER_TAGS": "2.1.106,2.1,2,latest",
        "TAGGER_REFERENCE": f"{model.host}/{IMAGE}@{digest}",
        "TAGGER_REFERENCES": f"{model.host}/{IMAGE}@{digest}",
    }
    text = summary.read_text()
    assert text.startswith("### Released: image-gallery 2.1.106\n")
    assert f"docker pull {model.host}/{IMAGE}@{digest}" in text
    rows = [line for line in text.splitlines() if line.startswith("| create")]
    assert [re.findall(r":([^:`]+)`", row)[0] for row in rows] == ["2.1.106", "2.1", "2", "latest"]


@pytest.mark.parametrize("outcome", ["refused", "failed", "never begun"])
def test_a_failed_release_writes_the_outputs_too(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path, outcome: str
) -> None:
    file, summary = tmp_path / "env", tmp_path / "summary.md"
    options = ["--env-file", str(file), "--summary", str(summary)]
    if outcome == "refused":
        assert release(fake, model).code == 0
        fake.load(IMAGE, b"another")
    elif outcome == "failed":
        model.intercept(on("PUT", r"/manifests/2$", refusal(403, "DENIED", "immutable")))
        options += ["--floats-via", "registry"]
    else:
        options += ["--floats-via", "pigeon"]
    ran = release(fake, model, *options)
    assert ran.code in (1, 2, 3), ran.err
    found = variables(file)
    assert found["TAGGER_OUTCOME"] == ("refused" if outcome == "refused" else "failed")
    assert found["TAGGER_TAGS"] == ("2.1.106" if outcome == "failed" else "")
    assert "> **" in summary.read_text()


def test_the_reference_is_in_the_first_registry_and_the_references_are_in_all() -> None:
    digest, tag = parse_digest(f"sha256:{'0' * 64}"), parse_tag("2.1.106")
    change = Change(tag, Action.CREATE, Version.parse("2.1.106"), None, digest)
    places = [
        Placement("gallery", Repository.parse(f"{host}/gallery"), Scheme()) for host in ("a.local", "b.local:5000")
    ]
    released = tuple(Released(place, digest, (change,)) for place in places)
    lines = release_variables(Release("gallery", "2.1.106", False, Outcome.RELEASED, released)).splitlines()
    assert f"TAGGER_REFERENCE=a.local/gallery@{digest}" in lines
    assert f"TAGGER_REFERENCES=a.local/gallery@{digest},b.local:5000/gallery@{digest}" in lines


def test_text_of_a_registry_becomes_neither_markdown_nor_a_new_line(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path
) -> None:
    file, summary = tmp_path / "env", tmp_path / "summary.md"
    hostile = "no\n### [x](http://evil)\nTAGGER_DIGEST=evil\n::error::x <img src=x> | `id`"
    model.intercept(on("GET", "/tags/list", refusal(400, "BAD", hostile)))
    ran = release(fake, model, "--env-file", str(file), "--summary", str(summary), "--annotate")
    assert ran.code == 1
    assert variables(file)["TAGGER_DIGEST"] == ""
    text = summary.read_text()
    prose = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert "http://evil" in text
    assert not re.search(r"[][<>`|]", prose.replace("> **", ""))
    assert not [line for line in text.splitlines() if line.startswith("### [")]
    assert len([line for line in ran.err.splitlines() if line.startswith("::error")]) == 1


def test_a_file_of_variables_can_be_sourced_with_any_version(tmp_path: Path) -> None:
    file, planted = tmp_path / "env", tmp_path / "planted"
    ran = tagger(None, "release", IMAGE, f"$(touch {planted})", "--env-file", str(file))
    assert ran.code == 2
    subprocess.run(["sh", "-ec", f". {file}"], check=True)
    assert not planted.exists()


def test_a_file_that_cannot_be_written_is_reported_before_anything_is_done(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path
) -> None:
    for option in ("--env-file", "--summary"):
        ran = release(fake, model, option, str(tmp_path / "nowhere" / "file"))
        assert (ran.code, "cannot be written" in ran.error, len(ran.err.splitlines())) == (2, True, 1), ran.err
        assert "error: '' cannot be written" in release(fake, model, option, "").err
    assert model.repositories == {}


@pytest.mark.parametrize("option", ["--env-file", "--summary"])
def test_a_pipe_without_a_reader_is_reported_before_anything_is_done(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path, option: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    ran = release(fake, model, option, str(pipe))
    assert (ran.code, ran.error) == (2, f"{pipe} is a pipe that nobody reads: start its reader first")
    assert model.repositories == {}


@pytest.mark.parametrize("option", ["--env-file", "--summary"])
def test_the_reader_of_a_pipe_gets_everything_and_its_end(
    fake: FakeEngine, model: ModelRegistry, tmp_path: Path, option: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    running = start(fake, "release", IMAGE, "2.1.106", "--registry", model.host, option, str(pipe))
    ((_, first),) = poll.poll(60_000)
    ran = wait(running)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    assert ran.code == 0, ran.err
    assert "2.1.106" in text
    assert first & select.POLLIN, "the pipe had its end before anything was written"


def test_a_full_disk_changes_nothing_about_the_release(fake: FakeEngine, model: ModelRegistry) -> None:
    ran = release(fake, model, "--env-file", "/dev/full")
    assert (ran.code, "/dev/full cannot be written" in ran.err) == (0, True), ran.err


def test_a_half_written_file_on_a_full_disk_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "env"
    file.write_text("BEFORE=1\n")
    write = os.write
    monkeypatch.setattr("tagger.cli.render.github.os.write", lambda descriptor, content: write(descriptor, content[:5]))
    with pytest.raises(TaggerError, match="cannot be written"):
        append(opened(str(file)), "TAGGER_VERSION=2.1.106\n")
    assert file.read_text() == "BEFORE=1\n"


def test_under_github_actions_errors_are_annotations(fake: FakeEngine, model: ModelRegistry) -> None:
    model.intercept(on("GET", "/tags/list", refusal(400, "BAD", "100% wrong")))
    ran = release(fake, model, GITHUB_ACTIONS="true")
    first = next(line for line in ran.err.splitlines() if line.startswith("::"))
    assert first.startswith("::error title=tagger::")
    assert "100%25 wrong" in first
    assert "::error" not in release(fake, model, "--no-annotate", GITHUB_ACTIONS="true").err
    assert "::error" not in release(fake, model).err
    assert "::error" in tagger(None, "check", f"{model.host}/gallery", GITHUB_ACTIONS="true").err


# -- the action's options ------------------------------------------------------------------------------------------


def words_of_the_action(folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Run the release step of the action with a tagger that only prints its words, one a line."""
    step = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())["runs"]["steps"][-1]
    programs = folder / "tagger/bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "python").write_text(
        "#!/bin/sh\n"
        'if [ "$1 $2 $3" = "-I -m tagger" ]; then shift 3; printf "%s\\n" "$@"; exit; fi\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    (programs / "python").chmod(0o755)
    (folder / "shlex.py").write_text("raise SystemExit('a file of the checkout runs')\n")
    given = dict.fromkeys(step["env"], "") | {"IMAGE": "gallery", "VERSION": "git", "OPTIONS": options}
    files = {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": "summary", "GITHUB_OUTPUT": "output"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder, env={**os.environ, **given, **files}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", []),
        ("--strict", ["--strict"]),
        ("--floats-via registry", ["--floats-via", "registry"]),
        ("  --strict\n\n--timeout 60 --quiet\n", ["--strict", "--timeout", "60", "--quiet"]),
        ("--repository 'two words' --prefix ''", ["--repository", "two words", "--prefix", ""]),
        ('--prefix "" --repository a\\ b', ["--prefix", "", "--repository", "a b"]),
        (
            "--prefix $(touch here);touch here `touch here` $HOME *",
            ["--prefix", "$(touch", "here);touch", "here", "`touch", "here`", "$HOME", "*"],
        ),
    ],
)
def test_options_of_the_action_are_split_like_shell_words_and_never_evaluated(
    tmp_path: Path, options: str, words: list[str]
) -> None:
    ran = words_of_the_action(tmp_path, options)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[:-1] == [
        "release", "gallery", "git", *words, "--summary", "summary", "--env-file", "output",
    ]  # fmt: skip
    assert not (tmp_path / "here").exists()


def test_options_of_the_action_with_an_open_quote_give_one_sentence(tmp_path: Path) -> None:
    ran = words_of_the_action(tmp_path, "--strict\n--prefix 'v")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "a line of options has an unclosed quote" in ran.stderr
