"""The version of a git checkout: the semver tag at HEAD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tagger.cascade import Version, newest_first, parse_version
from tagger.errors import InputError, InvalidVersion, Refused, printable

WORD = "git"
"""What stands for a version that git is asked for."""

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """The version that is asked for, and the commit that it is of, if git said so."""

    version: Version
    revision: str | None = None


def parse_asked(text: str, *, build_metadata: str = "refuse", folder: Path | None = None) -> Asked:
    """Parse a version, or find that of the checkout around a folder (None: the working directory).

    Raises what `parse_version` raises, and InputError where git has no one version: no checkout, changes that are not
    committed, no semver tag at HEAD, or tags of several versions.
    """
    if text != WORD:
        return Asked(parse_version(text, build_metadata=build_metadata))
    folder = folder or Path.cwd()
    revision = _git(folder, "rev-parse", "--verify", "HEAD")
    if changed := _git(folder, "status", "--porcelain").splitlines():
        raise InputError(
            f"the checkout has changes that are not committed, such as {printable(changed[0][3:])}: commit them, or"
            " give the version itself"
        )
    tags = _git(folder, "tag", "--points-at", "HEAD").splitlines()
    versions = {v: tag for tag in tags if (v := _version(tag, build_metadata))}
    if not versions:
        raise InputError("there is no semver tag at HEAD: git tag v1.2.3, or give the version itself")
    if len(versions) > 1:
        names = " and ".join(printable(versions[version]) for version in newest_first(versions))
        raise InputError(f"there are several versions at HEAD, {names}: give the one that is meant")
    return Asked(next(iter(versions)), revision)


def _version(tag: str, build_metadata: str) -> Version | None:
    try:
        return parse_version(tag, build_metadata=build_metadata)
    except (InvalidVersion, Refused):
        return None


def _git(folder: Path, *words: str) -> str:
    import subprocess  # most versions are given in words

    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            ["git", *words],  # noqa: S607 - the user's git
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise InputError("there is no git here to ask for the version: install it, or give the version") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git {words[0]} gave no answer within {_SECONDS} s: give the version itself") from None
    if done.returncode:
        said = printable(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}")
        raise InputError(
            f"git cannot say the version ({said}): run this in a checkout with a commit, or give the version"
        )
    return done.stdout.rstrip("\n")
