"""The check of an image's labels against its release (OCI image spec, "Annotations")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tagger.rules.version import Version
from tagger.text import printable

VERSION = "org.opencontainers.image.version"
REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"


def missing(name: str, labels: Mapping[str, str], revision: str | None = None) -> Iterator[str]:
    """Yield a sentence for each missing label for an image's version, or for its commit if one is known.

    >>> list(missing("app", {VERSION: "2.1.106"}, "c0ffee"))
    ['app has no label org.opencontainers.image.revision: build it with that label, or release it without --strict']
    """
    for label in (VERSION, REVISION) if revision else (VERSION,):
        if not labels.get(label):
            yield f"{name} has no label {label}: build it with that label, or release it without --strict"


def mismatches(
    name: str, labels: Mapping[str, str], version: Version, spellings: Collection[str], revision: str | None = None
) -> Iterator[str]:
    """Yield a sentence for each label that contradicts the version, in any spelling, or the commit if one is known.

    >>> list(mismatches("app", {VERSION: "v2.1.106", REVISION: "c0ffee"}, Version.parse("2.1.106"), ["2.1.106-alpine"]))
    []
    >>> [text[:75] for text in mismatches("app", {VERSION: "2.1.105"}, Version.parse("2.1.106"), [])]
    ['app has the label org.opencontainers.image.version=2.1.105, but is released']
    """
    told = labels.get(VERSION, "")
    plain = told.removeprefix("v").partition("+")[0]  # no tag can hold build metadata
    if told and plain != str(version) and told not in spellings:
        yield (
            f"{name} has the label {VERSION}={printable(told, 100)}, but is released as {version}: check that it is the"
            " right image, or set the label in its build, because otherwise it comes from the base image"
        )
    commit = labels.get(REVISION, "")
    if commit and revision and commit != revision:
        yield (
            f"{name} has the label {REVISION}={printable(commit, 100)}, but HEAD is {revision}: build it from this"
            " commit, or check out that one"
        )
