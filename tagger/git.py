"""The version of a git checkout: the semver tag at HEAD."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tagger.errors import InputError, InvalidVersion, Refused
from tagger.rules.candidate import is_candidate
from tagger.rules.git_tag import GitTag
from tagger.rules.numbering import SEMVER, Numbering
from tagger.rules.version import Version, newest_first, spells_mark
from tagger.text import printable
from tagger.values import dataclass

WORD = "git"
"""The word that stands for the version of the checkout."""

_SECONDS = 30
_DISTRUSTED = re.compile(r"dubious ownership in repository at '(.*)'")
# GitLab and Woodpecker, CircleCI, Bitbucket, Drone, Buildkite, Travis, AppVeyor, Cirrus, Semaphore, Bitrise, Buddy,
# Vela, Jenkins.
_TAG_VARIABLES = ("CI_COMMIT_TAG", "CIRCLE_TAG", "BITBUCKET_TAG", "DRONE_TAG", "BUILDKITE_TAG", "TRAVIS_TAG",
                  "APPVEYOR_REPO_TAG_NAME", "CIRRUS_TAG", "SEMAPHORE_GIT_TAG_NAME", "BITRISE_GIT_TAG",
                  "BUDDY_EXECUTION_TAG", "VELA_BUILD_TAG", "TAG_NAME")  # fmt: skip
# Azure Pipelines, builds.sr.ht, AWS CodeBuild: the prefix of a tag's name.
_REF_VARIABLES = {"BUILD_SOURCEBRANCH": "refs/tags/", "GIT_REF": "refs/tags/", "CODEBUILD_WEBHOOK_TRIGGER": "tag/"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The requested version, and its commit if git named one."""

    version: Version
    revision: str | None = None


def parse_asked(
    text: str,
    numbering: Numbering = SEMVER,
    *,
    build_metadata: str = "refuse",
    git_tag: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Asked:
    """Parse a version to write, or find the version of the checkout around a folder (None: the working directory).

    If a CI system names its tag in the environment, that tag overrides others at HEAD. Only tags of the form
    `git_tag` count, such as `gallery/v{version}` (None: all).

    Raises what `Numbering.asked` raises, and InputError for the mark of a yanked version, and if git does not give
    exactly one version: no checkout, uncommitted changes, no semver tag at HEAD, or tags of several versions.
    """
    if text == WORD:
        spelling = _Spelling(GitTag.parse(git_tag) if git_tag else None, numbering, build_metadata)
        asked = _at_head(folder or Path.cwd(), spelling, environment)
    else:
        asked = Asked(numbering.asked(text, build_metadata=build_metadata))
    if spells_mark(asked.version.prerelease):
        raise InputError(
            f"{asked.version} would mark a version as yanked",
            "withdraw a version with tagger yank, or choose another name for the pre-release",
        )
    if is_candidate(asked.version):
        raise InputError(
            f"{asked.version} would look like an image that waits for its gates",
            "choose another name for the pre-release",
        )
    return asked


def revision(folder: Path | None = None) -> str:
    """Return the commit at HEAD of the checkout around a folder (None: the working directory). Raises InputError."""
    return _git(folder or Path.cwd(), "rev-parse", "--verify", "HEAD", wanted="the commit", instead="name the image")


def parse_asked_for_all(
    text: str, numbering: Numbering, git_tags: Mapping[str, str | None], *, build_metadata: str = "refuse"
) -> Asked:
    """Parse the version of several images, or find it if each may have git tags of its own form.

    Raises what `parse_asked` raises, and InputError if their tags at HEAD spell different versions.
    """
    forms = dict.fromkeys(git_tags.values() if text == WORD else [None])
    found = {form: parse_asked(text, numbering, build_metadata=build_metadata, git_tag=form) for form in forms}
    first, *others = found.values()
    if any(each.version != first.version for each in others):
        said = ", ".join(f"{printable(image)} is {found[form].version}" for image, form in git_tags.items())
        raise InputError(
            f"the git tags at HEAD name different versions ({said})",
            "release each image on its own, or give the version itself",
        )
    return first


@dataclass(frozen=True, slots=True)
class _Spelling:
    """The spelling of versions in git tags."""

    form: GitTag | None
    numbering: Numbering
    build_metadata: str

    def version(self, tag: str) -> Version | None:
        """Return the version that a tag spells; None if it spells none."""
        text = self.form.version_in(tag) if self.form else tag
        try:
            return self.numbering.asked(text, build_metadata=self.build_metadata) if text else None
        except (InvalidVersion, Refused):
            return None


def _at_head(folder: Path, spelling: _Spelling, environment: Mapping[str, str]) -> Asked:
    revision = _git(folder, "rev-parse", "--verify", "HEAD")
    # An untracked file is in no commit, and in no image that is built from a commit.
    if changed := _git(folder, "status", "--porcelain", "--untracked-files=no").splitlines():
        raise InputError(
            f"the checkout has uncommitted changes, such as {printable(changed[0][3:])}",
            "commit them, or give the version itself",
        )
    tags = _git(folder, "tag", "--no-column", "--points-at", "HEAD").splitlines()
    versions = {tag: version for tag in tags if (version := spelling.version(tag))}
    named = next((tag for tag in _tags_of_ci(environment) if spelling.version(tag)), None)
    if named in versions:
        return Asked(versions[named], revision)
    if named is not None:
        there = f"the tags there are {_listed(tags)}" if tags else "there is none"
        raise InputError(
            f"this job runs for tag {printable(named)}, which is not at HEAD ({there})",
            "check out that tag and fetch the tags, or give the version itself",
        )
    found = newest_first({*versions.values()})
    if not found:
        raise InputError(_no_version(folder, tags, spelling))
    if len(found) > 1:
        spelt = {version: tag for tag, version in versions.items()}
        names = _listed([spelt[version] for version in found])
        raise InputError(f"there are several versions at HEAD, {names}", "give the one that you mean")
    return Asked(found[0], revision)


def _tags_of_ci(environment: Mapping[str, str]) -> Iterator[str]:
    """Return the tags for which a CI system runs; other tools may use the same variables for something else."""
    if environment.get("GITHUB_REF_TYPE") == "tag":  # GitHub, Gitea, Forgejo
        yield environment.get("GITHUB_REF_NAME", "")
    yield from (environment.get(name, "") for name in _TAG_VARIABLES)
    for name, before in _REF_VARIABLES.items():
        if (ref := environment.get(name, "")).startswith(before):
            yield ref.removeprefix(before)


def _no_version(folder: Path, tags: Sequence[str], spelling: _Spelling) -> str:
    if not tags and _git(folder, "rev-parse", "--is-shallow-repository") == "true":
        return (
            "this clone is shallow and has no tag at HEAD: fetch the tags with git fetch --tags (actions/checkout:"
            " fetch-depth: 0), or give the version itself"
        )
    if whole := [tag for tag in tags if replace(spelling, build_metadata="drop").version(tag)]:
        return (
            f"the version of {_listed(whole)} has build metadata, but an image's tag cannot contain '+': drop it with"
            " --build-metadata drop, or give the version itself"
        )
    besides = f" among {_listed(tags)}" if tags else ""
    form, template = spelling.form, spelling.numbering.versions
    wanted = f"tag like {printable(form or template)}" if form or template else "semver tag"
    version = spelling.numbering.sample if template else "1.2.3"
    example = str(form).format(version=version) if form else version if template else f"v{version}"
    return f"there is no {wanted} at HEAD{besides}: git tag {printable(example)}, or give the version itself"


def _listed(tags: Sequence[str]) -> str:
    return " and ".join(map(printable, tags))


def _git(folder: Path, *words: str, wanted: str = "the version", instead: str = "give the version itself") -> str:
    import subprocess  # most versions are given in words

    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            ["git", *words],  # noqa: S607 - the user's git
            cwd=folder, env={**os.environ, "LC_ALL": "C"},
            capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise InputError(f"git is not installed, so tagger cannot find {wanted}", f"install it, or {instead}") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git {words[0]} gave no answer within {_SECONDS} s", instead) from None
    if done.returncode and (distrusted := _DISTRUSTED.search(done.stderr)):
        where = printable(distrusted[1])
        raise InputError(
            f"git does not trust the checkout at {where}, which belongs to another user",
            f"git config --global --add safe.directory {where}, or {instead}",
        )
    if done.returncode:
        said = printable(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}")
        raise InputError(f"git does not know {wanted} ({said})", f"run this in a checkout with a commit, or {instead}")
    return done.stdout.rstrip("\n")
