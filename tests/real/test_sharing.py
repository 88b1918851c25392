"""`tagger ls REPOSITORY@DIGEST`: which tags share an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import tagger, tagger_in
from doubles import ModelRegistry, Response, on
from pushed import Repository
from services import Registry

import tagger as api

GONE = f"sha256:{'0' * 64}"


@pytest.mark.engine
def test_every_tag_of_an_image_is_listed_and_no_other(registry: Registry, repository: str) -> None:
    ui = Repository(registry, repository)
    image = ui.image("2.1.106", "the gallery")
    for tag in ("build-77", "nightly"):
        ui.image(tag, "the gallery")
    ui.image("2.1.105", "before")
    ran = tagger(None, "ls", f"{ui}@{image.digest}")
    assert ran.out.splitlines() == [f"{ui}@{image.digest}: 3 tags", "  2.1.106", "  build-77", "  nightly"]
    shown = tagger(None, "ls", f"{ui}@{image.digest}", "--json").json
    assert shown == {"repository": str(ui), "digest": image.digest, "tags": ["2.1.106", "build-77", "nightly"]}
    assert tagger(None, "ls", f"{ui}@{image.digest}", "--field", "tags").out.split() == shown["tags"]
    assert api.sharing(str(ui), image.digest).tags == ("2.1.106", "build-77", "nightly")


def test_the_name_of_a_table_means_its_repositories(model: ModelRegistry, tmp_path: Path) -> None:
    digest = model.seed("gallery/ui", {"2.1.106": b"new"})["2.1.106"]
    (tmp_path / "tagger.toml").write_text(f'[images.ui]\nregistries = ["{model.host}"]\nrepository = "gallery/ui"\n')
    ran = tagger_in(tmp_path, "ls", f"ui@{digest}")
    assert (ran.code, ran.out.splitlines()[1:]) == (0, ["  2.1.106"])


def test_an_image_without_a_tag_is_found_and_a_missing_one_is_bad_input(model: ModelRegistry) -> None:
    digest = model.seed("gallery/ui", {"2.1.106": b"new", "2.1.105": b"old"})["2.1.106"]
    del model.repositories["gallery/ui"]["2.1.106"]
    ui = f"{model.host}/gallery/ui"
    ran = tagger(None, "ls", f"{ui}@{digest}")
    assert (ran.code, ran.out) == (0, f"{ui}@{digest}: no tags\n")
    ran = tagger(None, "ls", f"{ui}@{GONE}")
    assert (ran.code, ran.error) == (2, f"{ui} has no image {GONE}: tagger ls shows the digests that it has")


@pytest.mark.usefixtures("no_waiting")
def test_an_unreadable_tag_is_named_because_it_may_hold_the_image_too(model: ModelRegistry) -> None:
    digest = model.seed("gallery/ui", {"2.1.106": b"new", "2.1.105": b"old"})["2.1.106"]

    model.rules.append(on("HEAD", "/manifests/2.1.105", Response(500)))
    found = api.sharing(f"{model.host}/gallery/ui", digest)
    assert (found.tags, found.unreadable) == (("2.1.106",), ("2.1.105",))


@pytest.mark.parametrize("word", ["x/y@latest", "x/y@sha256:abc", "x/y@"])
def test_a_word_that_is_not_a_digest_is_refused(word: str) -> None:
    ran = tagger(None, "ls", word)
    assert (ran.code, ran.out, "is not a digest" in ran.error) == (2, "", True)


def test_a_limit_counts_versions(model: ModelRegistry) -> None:
    assert tagger(None, "ls", f"{model.host}/x@{GONE}", "--limit", "3").code == 2
