"""What a release may do, as the Python API and the command line hand it on."""

from __future__ import annotations

from tagger.errors import InputError, TaggerError
from tagger.events import Meter, silent
from tagger.releasing.order import FloatsVia, Order
from tagger.releasing.outcome import Release
from tagger.rules.version import Version
from tagger.wiring.access import Access
from tagger.work import Deadline


class ReleaseOptions(Access, total=False):
    """What a release may do, and for how long: what `release`, `release_all` and `promote` take."""

    dry_run: bool
    """Plan, and write nothing."""
    force: bool
    """Overwrite a version that holds another image."""
    assume_newest: bool
    """Move every tag of the cascade without listing the other versions."""
    strict: bool
    """Refuse an image whose labels say another version or, with the version "git", another commit."""
    build_metadata: str
    """What to do with build metadata, which no tag can hold: "refuse" (default) or "drop"."""
    timeout: float | None
    """Seconds for the whole release, which include putting tags back. Default: no limit."""
    meter: Meter | None
    """Takes how far each upload is. Default: nobody."""


def not_begun(images: str, version: str, options: ReleaseOptions, error: TaggerError) -> Release:
    """A release that failed before it looked at any repository."""
    return Release.not_begun(images, version, error, dry_run=options.get("dry_run", False))


def deadline_of(options: ReleaseOptions | Access) -> Deadline:
    """The time that a command has. Raises InputError."""
    seconds = options.get("timeout")
    if not (seconds is None or (isinstance(seconds, int | float) and seconds > 0)):
        raise InputError("--timeout takes a number of seconds greater than 0", "give one such as 600")
    return Deadline(seconds, options.get("progress", silent))


def order(version: Version, via: FloatsVia, options: ReleaseOptions) -> Order:
    """What the steps of a release are asked to do."""
    return Order(
        version,
        via,
        overwrite=options.get("force", False),
        dry_run=options.get("dry_run", False),
        assume_newest=options.get("assume_newest", False),
    )
