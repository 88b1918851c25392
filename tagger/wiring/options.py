"""The options of a release, from the Python API and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from tagger.errors import InputError, TaggerError
from tagger.events import Meter
from tagger.gating.command import GATE_SECONDS, parsed
from tagger.gating.process import check_there
from tagger.git import Asked, parse_asked_for_all
from tagger.oci.evidence import KINDS
from tagger.releasing.order import FloatsVia, Order
from tagger.releasing.outcome import Release
from tagger.rules.lines import numbering_of
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version
from tagger.text import printable
from tagger.wiring.access import Access, seconds


class Judged(TypedDict, total=False):
    """The commands before and after a release, and the required evidence."""

    gates: Sequence[str]
    """Commands that judge the image before any tag moves, such as "cosign sign {reference}". Default: none."""
    require: Sequence[str]
    """Required evidence, by kind: "signature", "provenance", "sbom". It is not verified. Default: none."""
    gate_timeout: float | None
    """Seconds for each of these commands. Default: half an hour."""
    after: Sequence[str]
    """Commands to run after the release; one that fails is a warning. Default: none."""


class ReleaseOptions(Access, Judged, total=False):
    """The options of `release`, `release_all` and `promote`."""

    dry_run: bool
    """Plan, and write nothing."""
    force: bool
    """Overwrite a version that holds another image."""
    assume_newest: bool
    """Move every tag of the cascade without listing the other versions."""
    revision: bool
    """Publish the image as the next revision of the version, a rebuild, by the `revisions` of the scheme."""
    strict: bool
    """Refuse an image whose labels say another version or, with the version "git", another commit.

    Required provenance has to name the source repository and the commit.
    """
    build_metadata: str
    """How to handle build metadata, which no tag can contain: "refuse" (default) or "drop"."""
    timeout: float | None
    """Seconds for the whole release, putting tags back included. Default: no limit."""
    meter: Meter | None
    """Called with the progress of each upload. Default: none."""


def not_begun(images: Iterable[str], version: str, options: ReleaseOptions, error: TaggerError) -> Release:
    """Return a release that failed before it read any repository."""
    return Release.not_begun(", ".join(images), version, error, dry_run=options.get("dry_run", False))


def parse_asked(
    version: str, schemes: Iterable[Scheme], git_tags: Mapping[str, str | None], options: ReleaseOptions
) -> Asked:
    """Return the version of a release; `git_tags` are the forms of git tags for each image.

    Raises what `parse_asked_for_all` raises.
    """
    build_metadata = options.get("build_metadata", "refuse")
    return parse_asked_for_all(version, numbering_of([*schemes]), git_tags, build_metadata=build_metadata)


def order(version: Version, via: FloatsVia, options: ReleaseOptions) -> Order:
    """Return the order for the steps of a release. Raises InputError."""
    gate_seconds = seconds("--gate-timeout", options.get("gate_timeout"))
    if options.get("revision") and options.get("assume_newest"):
        raise InputError("--revision must list the published revisions", "leave out --assume-newest")
    require = tuple(dict.fromkeys(options.get("require", ())))
    if unknown := {*require} - {*KINDS}:
        raise InputError(f"--require takes {', '.join(KINDS)}, not '{printable(min(unknown))}'", "choose one of these")
    gates, after = parsed(options.get("gates", ())), parsed(options.get("after", ()))
    check_there((*gates, *after))
    return Order(
        version,
        via,
        overwrite=options.get("force", False),
        dry_run=options.get("dry_run", False),
        assume_newest=options.get("assume_newest", False),
        as_revision=options.get("revision", False),
        gates=gates,
        after=after,
        require=require,
        gate_seconds=GATE_SECONDS if gate_seconds is None else gate_seconds,
    )
