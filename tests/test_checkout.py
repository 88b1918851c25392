"""The version of a git checkout, and what an image says of itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command import tagger
from pushed import MANIFEST, Repository
from services import Engine, Registry

import tagger as api
from tagger.checkout import parse_asked
from tagger.errors import InputError


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a checkout with one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init")
    (folder / "file").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    return folder


def test_the_version_is_the_semver_tag_at_head(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    git(checkout, "tag", "nightly")
    found = parse_asked("git", folder=checkout)
    assert (str(found.version), found.revision) == ("2.1.106", git(checkout, "rev-parse", "HEAD"))
    git(checkout, "tag", "2.1.106")
    git(checkout, "tag", "-a", "-m", "annotated", "release-3")
    assert str(parse_asked("git", folder=checkout).version) == "2.1.106", "two spellings are one version"


def test_a_version_of_another_commit_is_none_of_head(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    (checkout / "file").write_text("2")
    git(checkout, "commit", "-am", "two")
    with pytest.raises(InputError, match="no semver tag at HEAD"):
        parse_asked("git", folder=checkout)


def test_two_versions_are_not_one(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    git(checkout, "tag", "v2.2.0")
    with pytest.raises(InputError, match=r"several versions at HEAD, v2\.2\.0 and v2\.1\.106"):
        parse_asked("git", folder=checkout)


def test_what_is_not_committed_is_in_no_version(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    (checkout / "new").write_text("")
    with pytest.raises(InputError, match="not committed, such as new"):
        parse_asked("git", folder=checkout)


def test_no_checkout_no_commit_and_no_git_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="run this in a checkout"):
        parse_asked("git", folder=tmp_path)
    git(tmp_path, "init")
    with pytest.raises(InputError, match="run this in a checkout with a commit"):
        parse_asked("git", folder=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no git here"):
        parse_asked("git", folder=tmp_path)


def test_the_commands_take_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(checkout, "tag", "v2.1.106")
    monkeypatch.chdir(checkout)
    assert tagger(None, "tags", "git").out.split() == ["2.1.106", "2.1", "2", "latest"]


# -- labels --------------------------------------------------------------------------------------------------------


def labelled(repository: Repository, tag: str, **labels: str) -> None:
    """Push an image with labels."""
    named = {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": named}}).encode()
    repository.put(tag, MANIFEST, {"config": repository.blob(config, "application/json"), "layers": []})


@pytest.mark.engine
def test_labels_that_contradict_the_version_or_the_commit_are_told_and_refused_when_asked(
    registry: Registry, repository: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Repository(registry, repository)
    labelled(shop, "build-77", version="2.1.105", revision="0" * 40)
    git(checkout, "tag", "v2.1.106")
    monkeypatch.chdir(checkout)
    refused = tagger(None, "promote", f"{shop}:build-77", "git", "--strict")
    assert (refused.code, "image.version=2.1.105" in refused.error, "HEAD is" in refused.error) == (3, True, True)
    assert shop.tags() == ["build-77"]
    ran = tagger(None, "promote", f"{shop}:build-77", "git", "--json")
    assert (ran.code, len(ran.json["warnings"]), ran.json["version"]) == (0, 2, "2.1.106"), ran.err


@pytest.mark.engine
@pytest.mark.parametrize("label", ["2.1.106", "v2.1.106", "2.1.106-alpine"])
def test_labels_that_say_the_version_in_any_spelling_are_right(registry: Registry, repository: str, label: str) -> None:
    shop = Repository(registry, repository)
    labelled(shop, "build-77", version=label, revision="0" * 40)
    schemes = api.lines(api.Scheme(), ["alpine"])
    done = api.promote(f"{shop}:build-77", "2.1.106", schemes=schemes, strict=True)
    assert (done.outcome, done.warnings) == ("released", ())


@pytest.mark.engine
def test_the_engines_image_is_asked_for_its_labels_too(
    engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    name = f"labelled-{repository.rpartition('-')[2]}"
    lines = ("FROM scratch", "LABEL org.opencontainers.image.version=1.0.0", "COPY Dockerfile /", "")
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    engine.docker("build", "--tag", name, str(tmp_path))
    target = ["--registry", registry.host, "--repository", repository]
    refused = tagger(engine, "release", name, "2.1.106", *target, "--strict")
    assert (refused.code, "image.version=1.0.0" in refused.error) == (3, True), refused.err
    ran = tagger(engine, "release", name, "2.1.106", *target)
    assert (ran.code, f"note: {name} says" in ran.out) == (0, True), ran.err
    assert tagger(engine, "release", name, "1.0.0", *target, "--strict").code == 0
