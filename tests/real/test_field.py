"""One field of a result, for scripts: `--field NAME` prints its values, and nothing else on stdout."""

from __future__ import annotations

import json
import re

import pytest
import typer.main
from command import tagger
from doubles import FakeEngine, ModelRegistry

from tagger.cli.render.field import asking
from tagger.cli.render.json import as_json
from tagger.cli.run import program


@pytest.fixture
def gallery(model: ModelRegistry) -> str:
    """A repository in which `latest` drifted."""
    digests = model.seed("gallery/ui", {"2.1.105": b"old", "2.1.106": b"new"})
    held = model.repositories["gallery/ui"]
    held.update({"2.1": digests["2.1.106"], "2": digests["2.1.106"], "latest": digests["2.1.105"]})
    return f"{model.host}/gallery/ui"


def test_a_script_can_read_the_digest_of_a_release(fake: FakeEngine, model: ModelRegistry) -> None:
    words = ["release", "image-gallery", "2.1.106", "--registry", model.host]
    ran = tagger(fake, *words, "--field", "digest")
    assert (ran.code, ran.out) == (0, f"{model.repositories['image-gallery']['2.1.106']}\n")
    assert tagger(fake, *words, "--field", "outcome").out == "unchanged\n"
    assert tagger(fake, *words, "--field", "repositories.tags.tag").out.split() == ["2.1.106", "2.1", "2", "latest"]


def test_the_values_of_a_list_are_printed_one_per_line(gallery: str) -> None:
    assert tagger(None, "ls", gallery, "--field", "versions.version").out == "2.1.106\n2.1.105\n"
    assert tagger(None, "check", gallery, "--field", "drift.tag").out == "latest\n"
    assert tagger(None, "check", gallery, "--field", "ok").out == "false\n"


def test_the_exit_code_stays_and_an_empty_value_prints_nothing(gallery: str) -> None:
    ran = tagger(None, "check", gallery, "--field", "not_looked_at")
    assert (ran.code, ran.out, ran.err) == (5, "", "")
    ran = tagger(None, "release", "Image", "2.1.106", "--field", "digest")
    assert (ran.code, ran.out, "lower case" in ran.error, "note" in ran.err) == (2, "", True, False)


def test_an_unknown_field_is_named_with_the_known_ones(gallery: str) -> None:
    ran = tagger(None, "ls", gallery, "--field", "digset")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "tagger: note: the result has no field 'digset'; it has repository, versions, floating, other\n"


def test_the_settings_have_fields_too() -> None:
    assert tagger(None, "config", "--variant", "alpine", "--field", "settings.variants.value").out == "alpine\n"


@pytest.mark.parametrize("value", ["a\nb", "##[error]x", "::error::x", "\x1b[2J"])
def test_no_value_can_break_its_line_or_control_a_terminal(value: str) -> None:
    with asking("a"):
        shown = as_json({"a": value})
        nested = as_json({"a": {"b": value}})
    assert re.fullmatch(r"[^\n\x1b]+", shown + nested)
    assert "##[" not in shown + nested


def test_the_whole_result_is_printed_without_a_field() -> None:
    with asking("a"), asking(None):
        assert json.loads(as_json({"a": "b"})) == {"a": "b"}


def test_every_command_with_json_has_field() -> None:
    for name, each in typer.main.get_command(program()).commands.items():  # type: ignore[attr-defined]  # it is a group
        names = {option.name for option in each.params}
        assert ("as_json" in names) is ("field" in names), name


def test_several_repositories_print_their_fields_in_turn(gallery: str, model: ModelRegistry) -> None:
    model.seed("gallery/api", {"1.0.0": b"one"})
    ran = tagger(None, "ls", gallery, "--also", f"{model.host}/gallery/api", "--field", "versions.version")
    assert ran.out.split() == ["2.1.106", "2.1.105", "1.0.0"]
