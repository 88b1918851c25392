"""`tagger init`: settings for an old repository, on a real registry."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from command import tagger, tagger_in
from lists import YEARS
from pushed import Repository
from services import Registry

pytestmark = pytest.mark.engine


def filled(registry: Registry, path: str, tags: dict[str, str]) -> Repository:
    """Push an image for each tag; tags with the same text hold one image."""
    repository = Repository(registry, path)
    for tag, text in tags.items():
        repository.image(tag, text, layers=1)
    return repository


def test_a_check_of_years_of_tags_passes_after_init(registry: Registry, tmp_path: Path) -> None:
    repository = filled(registry, "init/years", YEARS)
    before = {tag: registry.manifest("init/years", tag) for tag in YEARS}
    ran = tagger_in(tmp_path, "init", str(repository), "--write")
    assert ran.code == 0, ran.err
    assert (tmp_path / "tagger.toml").read_text() == (
        f'registries = ["{registry.host}"]\n'
        'repository = "init/years"\n'
        'floats = ["{major}.{minor}", "latest"]\n'
        'ignore = ["2024.1.0"]\n'
    )
    checked = tagger_in(tmp_path, "check", str(repository))
    assert (checked.code, checked.out.partition("; ")[0]) == (0, f"{repository}: no drift, 2 floating tags checked")
    following = tagger_in(tmp_path, "promote", f"{repository}:main", "1.2.5", "--dry-run", "--json")
    actions = {tag["tag"]: tag["action"] for tag in following.json["repositories"][0]["tags"]}
    assert actions == {"1.2.5": "create", "1.2": "move", "latest": "move"}
    assert {tag: registry.manifest("init/years", tag) for tag in repository.tags()} == before
    assert ran.out == (
        f"{repository}: 11 tags\n"
        "4 versions, the newest 1.2.4\n"
        "  v: 1 of 4 version tags begin with it, and both spellings count\n"
        "  floats {major}.{minor}: its tag holds the newest version of its series\n"
        "  floats latest: it holds the newest version\n"
        "  ignore 2024.1.0: far above 1.2.4, and no floating tag holds it\n"
        "  in place: 1.2, latest\n"
        "  the next release after 1.2.4 moves 1.2, latest\n"
        "left alone:\n"
        "  dates: 20240101\n"
        "  nearly versions: 1.2.5_build7\n"
        "  other tags: main, sha-abc123\n"
        "  versions of variants or platforms that these settings leave out, or rebuilds: 1.2.4-alpine\n"
        "wrote tagger.toml\n"
    )


def test_builds_and_rebuilds_beside_versions_are_checked_after_init_too(registry: Registry, tmp_path: Path) -> None:
    versions = {"1.2.4-r1": "a", "1.2.4-r2": "b", "1.2.4": "b", "1.2": "b", "1": "b", "latest": "b"}
    builds = {"main-98": "c", "main-1233": "d", "main-1234": "e", "edge": "e"}
    repository = filled(registry, "init/lines", versions | builds)
    assert tagger_in(tmp_path, "init", str(repository), "--write").code == 0
    assert (tmp_path / "tagger.toml").read_text() == (
        f'registries = ["{registry.host}"]\n'
        'repository = "init/lines"\n'
        'revisions = "-r{n}"\n'
        "\n"
        "[lines.main]\n"
        'versions = "main-{n}"\n'
        'floats = ["edge"]\n'
    )
    checked = tagger_in(tmp_path, "check", str(repository))
    assert (checked.code, checked.out) == (0, f"{repository}: no drift, 5 floating tags checked\n")


def test_init_overwrites_no_settings_and_prints_them_without_write(registry: Registry, tmp_path: Path) -> None:
    repository = filled(registry, "init/twice", {"1.0.0": "a", "latest": "a"})
    (tmp_path / "tagger.toml").write_text('prefix = "v"\n')
    refused = tagger_in(tmp_path, "init", str(repository), "--write")
    assert refused.code == 2
    assert "tagger init overwrites no file" in refused.err
    assert (tmp_path / "tagger.toml").read_text() == 'prefix = "v"\n'
    printed = tagger_in(tmp_path, "init", str(repository), "--json")
    assert printed.code == 0
    found = json.loads(printed.out)
    assert (found["written"], tomllib.loads(found["file"])["floats"]) == (None, ["latest"])


def test_init_reads_the_repository_of_the_settings(registry: Registry, tmp_path: Path) -> None:
    filled(registry, "init/named", {"1.0.0": "a", "1.0": "a", "1": "a", "latest": "a"})
    (tmp_path / "tagger.toml").write_text(f'registries = ["{registry.host}"]\nrepository = "init/named"\n')
    ran = tagger_in(tmp_path, "init")
    assert ran.code == 0
    assert ran.out.startswith(f"{registry.host}/init/named: 4 tags\n")
    (tmp_path / "tagger.toml").write_text(
        f'registries = ["{registry.host}"]\n[images.named]\nrepository = "init/named"\n[images.other]\n'
    )
    assert tagger_in(tmp_path, "init", "named").out == ran.out
    both = tagger_in(tmp_path, "init")
    assert both.code == 2
    assert f"the settings name {registry.host}/init/named, {registry.host}/other: choose one of them" in both.err
    (tmp_path / "tagger.toml").unlink()
    assert tagger_in(tmp_path, "init").code == 2


def test_init_of_a_missing_repository_is_bad_input_and_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    assert tagger(None, "init", f"{registry.host}/init/nowhere").code == 2
    only = filled(registry, "init/branches", {"main": "a", "pr-12": "b"})
    refused = tagger_in(tmp_path, "init", str(only), "--write")
    assert (refused.code, [*tmp_path.iterdir()]) == (2, [])
    assert "has no versions that tagger can read" in refused.err
