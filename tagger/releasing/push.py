"""The step of a release that pushes the version tag and verifies it in the registry."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial

from tagger.errors import (
    AGAIN,
    BadAnswer,
    ConnectionLost,
    RegistryError,
    TaggerError,
    Transient,
    Unproven,
    Unreadable,
    WrongImage,
)
from tagger.events import Line
from tagger.names import Digest, Registry, Tag
from tagger.oci.manifest import Manifest
from tagger.releasing.observe import check_still_true, observed, overwritten
from tagger.releasing.order import Target
from tagger.releasing.rebuild import keep_plain
from tagger.releasing.state import Foreign, Ours, Run, Share, Unknown
from tagger.repository.platforms import lost
from tagger.rules.plan import WRITES
from tagger.work import Attempt, Pauses

_SECONDS_TO_GO_ON = 5.0


def push_version_tags(run: Run) -> None:
    """Push and verify every version tag: to all registries concurrently, but to each one after the other."""
    check_still_true(run)
    for share in run.shares:
        keep_plain(run, share)
    pushing = [share for share in run.shares if share.plan.version_change.action in WRITES]
    registries: dict[Registry, list[Share]] = {}
    for share in pushing:
        registries.setdefault(share.repository.name.registry, []).append(share)
    run.at_once([partial(_push_to_one_registry, run, shares) for shares in registries.values()])
    if len(pushing) > 1:
        for share in pushing:
            share.seen = None  # another push may have taken minutes


def _push_to_one_registry(run: Run, shares: Sequence[Share]) -> None:
    for share in shares:
        share.state = _confirmed(run, share, _pushed(run, share))
        _check_whole(share)
        share.now[share.version_tag] = share.digest
        run.progress(Line.about("pushed", share.reference, f" at {share.digest}"))


def _pushed(run: Run, share: Share) -> Digest:
    """Push the version tag; after a temporary failure, push it again if it did not arrive in the registry."""
    for attempt in run.deadline.attempts(Pauses.PUSH):
        try:
            return _push_once(run, share)
        except (Transient, ConnectionLost, Unproven) as error:
            if landed := _landed(share):
                share.state = Unknown(may_land=False)
                return landed
            if attempt.pause is None or isinstance(error, Unproven):
                raise
            again = f" again in {attempt.pause:g} s, because {error.what}"
            run.progress(Line.about("pushing", share.reference, again))
    raise AssertionError("the last attempt returns or raises")


def _push_once(run: Run, share: Share) -> Digest:
    run.local.tag(share.image.id, share.reference)
    run.progress(Line.about("pushing", share.reference))
    share.state = Unknown(may_land=True)
    try:
        digest = run.engine.push(share.reference)
    except ConnectionLost:
        raise
    except TaggerError as error:
        other = error.digest if isinstance(error, WrongImage) else None
        share.state = Foreign(Digest(other)) if other else Unknown(may_land=False)
        raise
    share.state = Unknown(may_land=False)
    return digest


def _landed(share: Share) -> Digest | None:
    """Return the digest of our image if the version tag holds it although the push failed."""
    with contextlib.suppress(RegistryError):
        manifest = share.repository.manifest(share.version_tag)
        if manifest and manifest.digest != share.before and manifest.is_image(share.image.id):
            return manifest.digest
    return None


# -- verify --------------------------------------------------------------------------------------------------------


def _confirmed(run: Run, share: Share, pushed: Digest) -> Ours:
    """Wait until the version tag holds the pushed image, and check that it is ours.

    A registry may serve the old answer for some seconds; a third digest is somebody else's. The next step observes
    the repository again, so this does it already, and one answer serves both.
    """
    tag = share.version_tag
    since = f"{share.repository.name.registry} does not show {tag} yet"
    for attempt in run.deadline.attempts(Pauses.SHOWN, Pauses.SCANNED, since=since):
        fetched: dict[Tag, Manifest | None] = {}
        fetching = partial(_fetched, share.repository, tag, fetched)
        share.seen = observed(share.repository, run.order.version, share.scheme, fetching)
        held = share.seen.digests[tag]
        if held == pushed:
            break
        if held not in (None, share.plan.version_change.before, pushed):
            raise overwritten(share, held)
        if _is_last(share, attempt):
            _check_held_back(share, pushed)
            break
    manifest = fetched.get(tag)
    if manifest is None:
        return Ours(pushed, served=False)
    if not manifest.is_image(share.image.id):
        share.state = Foreign(pushed)
        raise WrongImage(
            f"{share.reference} was pushed as {pushed}, which is not image {share.image.id}",
            pushed,
            hint=f"another program moved the local tag meanwhile, so stop that program and {AGAIN}",
        )
    return Ours(pushed)


def _is_held_back(share: Share) -> bool:
    """Return whether the registry lists the version tag but does not serve it: a scan may be running."""
    seen = share.seen
    return seen is not None and share.version_tag in seen.unreadable and share.version_tag in seen.listed


def _check_held_back(share: Share, pushed: Digest) -> None:
    """Raise the reason why the version tag is not served, unless only the new image is blocked."""
    if not _is_held_back(share) or share.version_tag in share.first.listed:
        share.repository.manifest(share.version_tag)  # raises the reason if it is not served
        raise BadAnswer(
            f"the Engine pushed {share.version_tag} as {pushed}, but {share.repository.name} does not show it", AGAIN
        )


def _is_last(share: Share, attempt: Attempt) -> bool:
    """Return whether to stop reading: the long pauses are for a blocked image, while there is time."""
    if attempt.pause is None or not _is_held_back(share):
        return attempt.pause is None or attempt.pause in Pauses.SCANNED.value
    left = share.repository.deadline.left()
    return left is not None and left < attempt.pause + _SECONDS_TO_GO_ON


def _fetched(repository: Target, pushed: Tag, kept: dict[Tag, Manifest | None], tag: Tag) -> Digest | None:
    """Return where a tag points; fetch and keep the manifest of the pushed tag."""
    if tag == pushed:
        with contextlib.suppress(Unreadable):  # some registries limit pulls of an image, but not this request
            manifest = kept[tag] = repository.manifest(tag)
            return manifest.digest if manifest else None
    return repository.digest(tag)


def _check_whole(share: Share) -> None:
    """Check that the second push of a published image has restored the lost parts."""
    if share.digest is None or share.digest != share.before:
        return
    if gone := lost(share.repository, share.digest):
        raise BadAnswer(
            f"{share.repository.name} still lacks {', '.join(gone)}, which {share.version_tag} lists",
            "promote the image from a registry that has all of it",
        )
