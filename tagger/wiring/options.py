"""What a release may do, as the Python API and the command line hand it on."""

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
    """Commands around a release: what has to let an image through before its tags move, and what runs after it."""

    gates: Sequence[str]
    """Commands that judge the image before any tag moves, such as "cosign sign {reference}". Default: none."""
    require: Sequence[str]
    """Evidence that has to be there, by kind: "signature", "provenance", "sbom". It is not verified. Default: none."""
    gate_timeout: float | None
    """Seconds for each of these commands. Default: half an hour."""
    after: Sequence[str]
    """Commands to run after the release; one that fails is a warning. Default: none."""


class ReleaseOptions(Access, Judged, total=False):
    """What a release may do, and for how long: what `release`, `release_all` and `promote` take."""

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

    Provenance that is required has to name the source repository and the commit.
    """
    build_metadata: str
    """What to do with build metadata, which no tag can hold: "refuse" (default) or "drop"."""
    timeout: float | None
    """Seconds for the whole release, which include putting tags back. Default: no limit."""
    meter: Meter | None
    """Takes how far each upload is. Default: nobody."""


def not_begun(images: Iterable[str], version: str, options: ReleaseOptions, error: TaggerError) -> Release:
    """A release that failed before it looked at any repository."""
    return Release.not_begun(", ".join(images), version, error, dry_run=options.get("dry_run", False))


def parse_asked(
    version: str, schemes: Iterable[Scheme], git_tags: Mapping[str, str | None], options: ReleaseOptions
) -> Asked:
    """The version that images are released as; `git_tags` are the forms of the git tags that count for each.

    Raises what `parse_asked_for_all` raises.
    """
    build_metadata = options.get("build_metadata", "refuse")
    return parse_asked_for_all(version, numbering_of([*schemes]), git_tags, build_metadata=build_metadata)


def order(version: Version, via: FloatsVia, options: ReleaseOptions) -> Order:
    """What the steps of a release are asked to do. Raises InputError."""
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
