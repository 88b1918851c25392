"""The version of a git checkout, and what an image says about itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command import tagger
from pushed import MANIFEST, Repository
from services import Engine, Registry

import tagger as api
from tagger.errors import InputError
from tagger.git import parse_asked
from tagger.rules.numbering import Numbering


def git(folder: Path, *words: str) -> str:
    """Run git as a test user."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
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
    found = parse_asked("git", folder=checkout, environment={})
    assert (str(found.version), found.revision) == ("2.1.106", git(checkout, "rev-parse", "HEAD"))
    git(checkout, "tag", "2.1.106")
    git(checkout, "tag", "-a", "-m", "annotated", "release-3")
    assert str(parse_asked("git", folder=checkout, environment={}).version) == "2.1.106", (
        "two spellings are one version"
    )


def test_a_user_who_lists_tags_in_columns_gets_the_same_version(checkout: Path) -> None:
    git(checkout, "config", "column.ui", "always")
    for tag in ("nightly", "v2.1.106"):
        git(checkout, "tag", tag)
    assert str(parse_asked("git", folder=checkout, environment={}).version) == "2.1.106"


def test_a_version_tag_at_another_commit_does_not_count(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    (checkout / "file").write_text("2")
    git(checkout, "commit", "-am", "two")
    with pytest.raises(InputError, match="no semver tag at HEAD"):
        parse_asked("git", folder=checkout, environment={})


def test_two_versions_at_head_are_refused(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    git(checkout, "tag", "v2.2.0")
    with pytest.raises(InputError, match=r"several versions at HEAD, v2\.2\.0 and v2\.1\.106"):
        parse_asked("git", folder=checkout, environment={})


def test_uncommitted_changes_are_refused(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    (checkout / "file").write_text("2")
    with pytest.raises(InputError, match="uncommitted changes, such as file"):
        parse_asked("git", folder=checkout, environment={})


def test_an_untracked_file_does_not_matter(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    (checkout / "tagger.env").write_text("")
    assert str(parse_asked("git", folder=checkout, environment={}).version) == "2.1.106"


CI: list[dict[str, str]] = [
    {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v2.2.0"},
    {"CI_COMMIT_TAG": "v2.2.0"},
    {"CIRCLE_TAG": "v2.2.0"},
    {"BITBUCKET_TAG": "v2.2.0"},
    {"DRONE_TAG": "v2.2.0"},
    {"BUILDKITE_TAG": "v2.2.0"},
    {"TRAVIS_TAG": "v2.2.0"},
    {"APPVEYOR_REPO_TAG_NAME": "v2.2.0"},
    {"CIRRUS_TAG": "v2.2.0"},
    {"SEMAPHORE_GIT_TAG_NAME": "v2.2.0"},
    {"BITRISE_GIT_TAG": "v2.2.0"},
    {"BUDDY_EXECUTION_TAG": "v2.2.0"},
    {"VELA_BUILD_TAG": "v2.2.0"},
    {"TAG_NAME": "v2.2.0"},
    {"BUILD_SOURCEBRANCH": "refs/tags/v2.2.0"},
    {"GIT_REF": "refs/tags/v2.2.0"},
    {"CODEBUILD_WEBHOOK_TRIGGER": "tag/v2.2.0"},
]
NO_VERSION: list[dict[str, str]] = [
    {"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "2.2.0"},
    {"TAG_NAME": "nightly"},
    {"BUILD_SOURCEBRANCH": "refs/heads/2.2.0"},
    {"GIT_REF": "refs/heads/2.2.0"},
    {"CODEBUILD_WEBHOOK_TRIGGER": "branch/2.2.0"},
]


@pytest.mark.parametrize("environment", CI)
def test_the_git_tag_of_a_job_overrides_others_at_head(checkout: Path, environment: dict[str, str]) -> None:
    for tag in ("v2.2.0", "v2.2.0-rc.1", "v2.1.106"):
        git(checkout, "tag", tag)
    assert str(parse_asked("git", folder=checkout, environment=environment).version) == "2.2.0"


def test_a_tag_that_a_job_runs_for_and_that_is_not_at_head_is_refused(checkout: Path) -> None:
    job = {"CI_COMMIT_TAG": "v2.2.0"}
    with pytest.raises(InputError, match=r"runs for tag v2\.2\.0, which is not at HEAD \(there is none\): check out"):
        parse_asked("git", folder=checkout, environment=job)
    git(checkout, "tag", "v2.1.106")
    with pytest.raises(InputError, match=r"the tags there are v2\.1\.106"):
        parse_asked("git", folder=checkout, environment=job)


@pytest.mark.parametrize("environment", NO_VERSION)
def test_a_job_that_runs_for_no_version_changes_nothing(checkout: Path, environment: dict[str, str]) -> None:
    git(checkout, "tag", "v2.1.106")
    assert str(parse_asked("git", folder=checkout, environment=environment).version) == "2.1.106"


def test_a_shallow_clone_without_tags_is_reported_with_the_way_to_fetch_them(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "tag", "v2.1.106")
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--no-tags", f"file://{checkout}", "shallow")
    with pytest.raises(InputError, match="shallow and has no tag at HEAD: fetch the tags with git fetch --tags"):
        parse_asked("git", folder=tmp_path / "shallow", environment={})


def test_a_checkout_of_another_user_is_reported_with_the_way_to_trust_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(checkout, "tag", "v2.1.106")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match=f"git config --global --add safe.directory {checkout}, or give the version"):
        parse_asked("git", folder=checkout, environment={})


def test_tags_at_head_that_are_not_versions_are_named(checkout: Path) -> None:
    git(checkout, "tag", "nightly")
    with pytest.raises(InputError, match="no semver tag at HEAD among nightly: git tag"):
        parse_asked("git", folder=checkout, environment={})


@pytest.mark.parametrize(
    ("numbering", "form", "wanted"),
    [
        (Numbering(), None, r"no semver tag at HEAD: git tag v1\.2\.3"),
        (Numbering("main-{n}"), None, r"no tag like main-\{n\} at HEAD: git tag main-12,"),
        (Numbering("main-{n}"), "api/{version}", r"no tag like api/\{version\} at HEAD: git tag api/main-12,"),
    ],
)
def test_a_missing_git_tag_is_described_by_one_that_would_count(
    checkout: Path, numbering: Numbering, form: str | None, wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted) as missing:
        parse_asked("git", numbering, git_tag=form, folder=checkout, environment={})
    git(checkout, "tag", str(missing.value).partition(": git tag ")[2].partition(",")[0])
    assert parse_asked("git", numbering, git_tag=form, folder=checkout, environment={}).revision


def test_build_metadata_in_the_only_git_tag_is_named_with_the_option_that_drops_it(checkout: Path) -> None:
    git(checkout, "tag", "v2.1.106+build.5")
    with pytest.raises(InputError, match=r"v2\.1\.106\+build\.5 has build metadata.* --build-metadata drop"):
        parse_asked("git", folder=checkout, environment={})
    found = parse_asked("git", build_metadata="drop", folder=checkout, environment={})
    assert str(found.version) == "2.1.106"


# -- what marks a version as yanked --------------------------------------------------------------------------------

MARKS = ["2.1.106-yanked", "v2.1.106-yanked", "2.2.0-rc.1.yanked", "2.1.106-yanked-alpine", "2.1.106-yanked.1"]


@pytest.mark.parametrize("version", MARKS)
def test_no_command_writes_a_tag_that_would_mark_a_version_as_yanked(version: str) -> None:
    for words in (["tags"], ["release", "x"], ["promote", "127.0.0.1:9/x:build"]):
        ran = tagger(None, *words, version, DOCKER_HOST="unix:///nowhere")
        assert (ran.code, "would mark a version as yanked" in ran.error) == (2, True), ran.err


@pytest.mark.parametrize("tag", MARKS)
def test_a_git_tag_that_would_mark_a_version_as_yanked_is_refused(checkout: Path, tag: str) -> None:
    git(checkout, "tag", tag)
    with pytest.raises(InputError, match="would mark a version as yanked"):
        parse_asked("git", folder=checkout, environment={})


@pytest.mark.parametrize("name", ["yanked", "yanked-alpine", "alpine.yanked"])
def test_a_variant_or_channel_that_would_mark_a_version_as_yanked_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="would mark versions as yanked"):
        api.Scheme(variant=name)
    with pytest.raises(InputError, match="not a pre-release label"):
        api.Scheme(channels=(name,))


def test_a_missing_checkout_commit_or_git_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="run this in a checkout"):
        parse_asked("git", folder=tmp_path)
    git(tmp_path, "init")
    with pytest.raises(InputError, match="run this in a checkout with a commit"):
        parse_asked("git", folder=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git is not installed"):
        parse_asked("git", folder=tmp_path)


def test_the_commands_take_the_tag_that_the_job_runs_for(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tag in ("v2.1.106", "v2.1.106-rc.1"):
        git(checkout, "tag", tag)
    monkeypatch.chdir(checkout)
    several = tagger(None, "tags", "git")
    assert (several.code, "v2.1.106 and v2.1.106-rc.1" in several.error) == (2, True)
    job = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v2.1.106"}
    assert tagger(None, "tags", "git", **job).out.split() == ["2.1.106", "2.1", "2", "latest"]


def test_the_commands_accept_git_as_the_version(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(checkout, "tag", "v2.1.106")
    monkeypatch.chdir(checkout)
    assert tagger(None, "tags", "git").out.split() == ["2.1.106", "2.1", "2", "latest"]


# -- a repository of several images ----------------------------------------------------------------------------------

FORM = "gallery/v{version}"


def test_only_tags_of_an_images_own_form_are_its_versions(checkout: Path) -> None:
    for tag in ("v9.0.0", "api/v2.2.0", "gallery/v2.1.106", "gallery/vv3.0.0", "gallery/v2", "old-gallery/v1.0.0"):
        git(checkout, "tag", tag)
    assert str(parse_asked("git", folder=checkout, environment={}, git_tag=FORM).version) == "2.1.106"
    assert str(parse_asked("git", folder=checkout, environment={}, git_tag="api/v{version}").version) == "2.2.0"
    assert str(parse_asked("git", folder=checkout, environment={}).version) == "9.0.0"


def test_a_missing_tag_of_that_form_is_reported_with_the_form(checkout: Path) -> None:
    with pytest.raises(
        InputError, match=r"no tag like gallery/v\{version\} at HEAD: git tag gallery/v1\.2\.3, or give"
    ):
        parse_asked("git", folder=checkout, environment={}, git_tag=FORM)
    git(checkout, "tag", "v2.1.106")
    with pytest.raises(
        InputError, match=r"no tag like gallery/v\{version\} at HEAD among v2\.1\.106: git tag gallery/v1\.2\.3"
    ):
        parse_asked("git", folder=checkout, environment={}, git_tag=FORM)


@pytest.mark.parametrize("environment", CI)
def test_the_git_tag_of_a_job_counts_for_the_images_with_its_form(checkout: Path, environment: dict[str, str]) -> None:
    for tag in ("gallery/v2.2.0", "gallery/v2.2.0-rc.1", "api/v1.0.0"):
        git(checkout, "tag", tag)
    job = {name: text.replace("v2.2.0", "gallery/v2.2.0") for name, text in environment.items()}
    assert str(parse_asked("git", folder=checkout, environment=job, git_tag=FORM).version) == "2.2.0"
    assert str(parse_asked("git", folder=checkout, environment=job, git_tag="api/v{version}").version) == "1.0.0"
    elsewhere = {name: text.replace("v2.2.0", "gallery/v9.0.0") for name, text in environment.items()}
    with pytest.raises(InputError, match=r"this job runs for tag gallery/v9\.0\.0, which is not at HEAD"):
        parse_asked("git", folder=checkout, environment=elsewhere, git_tag=FORM)


@pytest.mark.parametrize("form", ["gallery/v", "", "{version}{version}", "{image}/v{version}", "v{version}}"])
def test_a_form_without_a_place_for_the_version_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(checkout)
    (checkout / "tagger.toml").write_text(f'git_tag = "{form}"\n')
    ran = tagger(None, "config", "--check")
    assert (ran.code, "git_tag takes a text with {version} in it once" in ran.error) == (2, True)
    with pytest.raises(api.InputError):
        api.tags("git", git_tag=form or "{")


@pytest.mark.engine
def test_images_are_released_by_their_own_git_tags_and_together_if_these_agree(
    engine: Engine, registry: Registry, repository: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, server = f"{repository}-ui", f"{repository}-api"
    for name in (ui, server):
        engine.image(name, name)
    tables = "".join(f'[images."{n}"]\ngit_tag = "{k}/v{{version}}"\n' for k, n in (("ui", ui), ("api", server)))
    (checkout / "tagger.toml").write_text(f'registries = ["{registry.host}"]\n{tables}')
    monkeypatch.chdir(checkout)
    git(checkout, "tag", "ui/v2.1.106")
    git(checkout, "tag", "api/v1.0.0")
    refused = tagger(engine, "release", "--all", "git")
    assert refused.code == 2
    assert f"different versions ({ui} is 2.1.106, {server} is 1.0.0)" in refused.error
    for name, version in ((ui, "2.1.106"), (server, "1.0.0")):
        assert tagger(engine, "release", name, "git", "--json").json["version"] == version
    git(checkout, "tag", "--delete", "api/v1.0.0")
    refused = tagger(engine, "release", "--all", "git")
    assert (refused.code, "no tag like api/v{version} at HEAD among ui/v2.1.106" in refused.error) == (2, True)
    git(checkout, "tag", "api/v2.1.106")
    ran = tagger(engine, "release", "--all", "git", "--json")
    assert (ran.code, ran.json["version"], len(ran.json["repositories"])) == (0, "2.1.106", 2), ran.err
    promoted = tagger(None, "promote", f"{registry.host}/{server}:1.0.0", "git", "--force", "--dry-run", "--json")
    assert promoted.json["version"] == "2.1.106", promoted.err


# -- labels --------------------------------------------------------------------------------------------------------


def labelled(repository: Repository, tag: str, architecture: str = "amd64", /, **labels: str) -> None:
    """Push an image with labels."""
    named = {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
    config = json.dumps({"os": "linux", "architecture": architecture, "config": {"Labels": named}}).encode()
    repository.put(
        tag, MANIFEST, {"config": repository.blob(config, "application/vnd.oci.image.config.v1+json"), "layers": []}
    )


@pytest.mark.engine
def test_labels_that_contradict_the_version_or_the_commit_are_reported_and_refused_with_strict(
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
def test_labels_with_any_spelling_of_the_version_are_right(registry: Registry, repository: str, label: str) -> None:
    shop = Repository(registry, repository)
    labelled(shop, "build-77", version=label, revision="0" * 40)
    schemes = api.lines(api.Scheme(), ["alpine"])
    done = api.promote(f"{shop}:build-77", "2.1.106", schemes=schemes, strict=True)
    assert (done.outcome, done.warnings) == ("released", ())


@pytest.mark.engine
def test_an_image_without_the_labels_is_refused_with_strict(
    registry: Registry, repository: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Repository(registry, repository)
    git(checkout, "tag", "v2.1.106")
    monkeypatch.chdir(checkout)
    labelled(shop, "build-77", version="2.1.105")
    labelled(shop, "build-78")
    refused = tagger(None, "promote", f"{shop}:build-77", "git", "--strict")
    assert (refused.code, "image.version=2.1.105" in refused.error) == (3, True), refused.err
    assert "build-77 has no label org.opencontainers.image.revision: build it with that label" in refused.error
    refused = tagger(None, "promote", f"{shop}:build-78", "2.1.106", "--strict")
    assert (refused.code, "image.revision" in refused.error) == (3, False), "no commit is known that it could be of"
    assert "build-78 has no label org.opencontainers.image.version: build it with that label" in refused.error
    assert shop.tags() == ["build-77", "build-78"]
    assert tagger(None, "promote", f"{shop}:build-78", "2.1.106").code == 0


@pytest.mark.engine
def test_the_labels_of_every_platform_are_checked(registry: Registry, repository: str) -> None:
    shop = Repository(registry, repository)
    labelled(shop, "one", "amd64", version="2.1.105")
    labelled(shop, "two", "arm64", version="2.1.104")
    labelled(shop, "three", "riscv64")
    images = [word for tag in ("two", "three") for word in ("--platform-image", f"{shop}:{tag}")]
    refused = tagger(None, "promote", f"{shop}:one", "2.1.106", *images, "--strict")
    assert refused.code == 3, refused.err
    for said in (
        "amd64) has the label org.opencontainers.image.version=2.1.105,",
        "arm64) has the label",
        "riscv64) has no label",
    ):
        assert f"(linux/{said}" in refused.error


@pytest.mark.engine
def test_the_labels_of_the_engines_image_are_checked_too(
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
    assert (ran.code, f"note: {name} has the label" in ran.out) == (0, True), ran.err
    assert tagger(engine, "release", name, "1.0.0", *target, "--strict").code == 0
