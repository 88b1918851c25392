"""What completion offers: choices, images in the settings and the Engine, tags; nothing if there is no answer."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from command import HasUrl, Ran, tagger, tagger_in
from doubles import Basic, FakeEngine, ModelRegistry
from launcher import STEM

from tagger.cli import offer

SETTINGS = (
    '[images.gallery]\nregistries = ["registry.local:5000"]\n[images.gate]\nregistries = ["registry.local:5000"]\n'
)


def asked(line: str, shell: str = "bash") -> Mapping[str, str]:
    """Return what a shell's script asks tagger when Tab is pressed at the end of a line."""
    word = line.rpartition(" ")[2]
    return {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        "powershell": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_WORD_TO_COMPLETE": word},
    }[shell] | {"_TAGGER_COMPLETE": f"complete_{shell}"}


def completed(engine: HasUrl | None, line: str, shell: str = "bash") -> Ran:
    """Press the tabulator key at the end of a line."""
    return tagger(engine, **asked(line, shell))


def offered(engine: HasUrl | None, line: str) -> list[str]:
    """Return what bash is offered; nothing may be on stderr, which a shell would show in the middle of the line."""
    ran = completed(engine, line)
    assert ran.err == ""
    return ran.out.split()


def test_the_allowed_values_of_an_option_are_offered() -> None:
    assert offered(None, "tagger release --floats-via ") == ["engine", "registry"]
    assert offered(None, "tagger tags 1.0.0 --build-metadata d") == ["drop"]
    assert offered(None, "tagger promote --require s") == ["signature", "sbom"]
    assert offered(None, "tagger completion ") == ["bash", "zsh", "fish", "powershell"]
    assert {*offered(None, "tagger help rel")} == {"release"}


def test_images_of_the_engine_are_offered_for_a_release(fake: FakeEngine) -> None:
    fake.load("gallery/api:build-7", b"the api")
    assert sorted(offered(fake, "tagger release ")) == ["gallery/api:build-7", "image-gallery"]
    assert offered(fake, "tagger release im") == ["image-gallery"]


def test_images_of_the_settings_are_offered_for_a_repository(tmp_path: Path) -> None:
    (tmp_path / "tagger.toml").write_text(SETTINGS)
    for command in ("release", "ls", "check", "repair", "yank", "rm", "prune", "doctor", "config"):
        ran = tagger_in(tmp_path, **asked(f"tagger {command} ga"), DOCKER_HOST="unix:///nowhere/docker.sock")
        assert (ran.out.split(), ran.err) == (["gallery", "gate"], ""), command


def test_repositories_of_the_settings_are_offered_with_their_registry_for_a_source(
    model: ModelRegistry, tmp_path: Path
) -> None:
    """A source without a registry is in Docker Hub, where somebody else may have that name."""
    model.seed("gallery/ui", {"build-77": b"build"})
    (tmp_path / "tagger.toml").write_text(f'[images."gallery/ui"]\nregistries = ["{model.host}"]\n')
    for typed, offers in (
        ("", [f"{model.host}/gallery/ui"]),
        ("gallery/", []),
        ("gallery/ui:", []),
        (f"{model.host}/gallery/ui:b", [f"{model.host}/gallery/ui:build-77"]),
        ("Gallery!:", []),
    ):
        ran = tagger_in(tmp_path, **asked(f"tagger promote {typed}"), HTTPS_PROXY="http://127.0.0.1:9")
        assert (ran.out.split(), ran.err) == (offers, ""), typed


def test_text_that_a_shell_would_run_is_not_offered(tmp_path: Path) -> None:
    names = ("gallery", "x\\\\", "<(touch ran)", "$(touch ran)", "`touch ran`", "-rf", "a b", "*", "';touch ran;'")
    (tmp_path / "tagger.toml").write_text("".join(f'[images."{name}"]\nrepository = "a/b"\n' for name in names))
    for shell in ("bash", "zsh", "fish", "powershell"):
        said = tagger_in(tmp_path, **asked("tagger ls ", shell)).out
        assert ("gallery" in said, "touch" in said, "\\" in said, "rf" in said) == (True, False, False, False), shell


def test_tags_are_offered_after_a_repository(model: ModelRegistry) -> None:
    model.seed("gallery/ui", {"2.1.105": b"old", "2.1.106": b"new", "build-77": b"build"})
    ui = f"{model.host}/gallery/ui"
    assert sorted(offered(None, f"tagger yank {ui} 2.1.")) == ["2.1.105", "2.1.106"]
    assert sorted(offered(None, f"tagger rm {ui} 2.1.105 2.1.10")) == ["2.1.105", "2.1.106"]
    assert offered(None, f"tagger promote {ui}:b") == [f"{ui}:build-77"]
    assert {request.path for request in model.requests} == {"/v2/gallery/ui/tags/list"}, "the list alone"


def test_completion_stays_silent_when_it_can_ask_nothing(model: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "tagger.toml").write_text("nonsense =")
    model.auth = Basic("ann", "another-password")
    for words in (f"rm {model.host}/gallery/ui ", f"promote {model.host}/gallery/ui:", "release ", "ls ", "rm Ui "):
        ran = tagger_in(tmp_path, **asked(f"tagger {words}"), DOCKER_HOST="unix:///nowhere/docker.sock")
        assert (ran.code, ran.out.strip(), ran.err) == (0, "", ""), words


def test_completion_does_not_wait_for_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offer, "_SECONDS", 0.01)
    answers = threading.Event()

    def silent() -> list[str]:
        answers.wait()
        return ["late"]

    assert offer._in_time(silent) == []
    answers.set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_gets_its_own_format(model: ModelRegistry, shell: str) -> None:
    model.seed("gallery/ui", {"2.1.105": b"old"})
    said = completed(None, f"tagger rm {model.host}/gallery/ui 2.1.", shell)
    assert (said.code, "2.1.105" in said.out, said.err) == (0, True, "")
    assert "_TAGGER_COMPLETE" in tagger(None, "completion", shell).out


def typed(words: Sequence[str], folder: Path, script: str) -> list[str]:
    """Let a real shell complete, with `tagger` on its PATH."""
    (folder / "bin").mkdir()
    STEM.program(folder / "bin")
    env = {**os.environ, "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run([*words, script], cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.long
@pytest.mark.shell("fish")
def test_fish_itself_accepts_the_script(model: ModelRegistry, tmp_path: Path) -> None:
    model.seed("gallery/ui", {"2.1.105": b"old", "2.1.106": b"new"})
    (tmp_path / "script.fish").write_text(tagger(None, "completion", "fish").out)
    ask = f"source script.fish; complete --do-complete 'tagger rm {model.host}/gallery/ui 2.1.1'"
    assert sorted(typed(["fish", "-c"], tmp_path, ask)) == ["2.1.105", "2.1.106"]


@pytest.mark.long
@pytest.mark.shell("zsh")
def test_zsh_itself_accepts_the_script(model: ModelRegistry, tmp_path: Path) -> None:
    model.seed("gallery/ui", {"2.1.105": b"old", "2.1.106": b"new"})
    (tmp_path / "script.zsh").write_text(tagger(None, "completion", "zsh").out)
    # compdef and _arguments need a line editor: they print what they get.
    stand_ins = 'compdef() { : }; _arguments() { print -rl -- "$@" }; _files() { : }'
    words = f"words=(tagger rm {model.host}/gallery/ui 2.1.1); CURRENT=4; _tagger_completion"
    said = " ".join(typed(["zsh", "-f", "-c"], tmp_path, f"{stand_ins}; source script.zsh; {words}"))
    assert "2.1.105" in said
    assert "2.1.106" in said
