"""Copy an image to its target repositories with unchanged digests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import TypeGuard

from tagger.errors import BadAnswer, Refused, RegistryUnreachable, TaggerError, Unreadable
from tagger.events import Line, Meter, Progress, Upload
from tagger.names import Digest, Repository, Tag
from tagger.oci import index
from tagger.oci.manifest import Blob, Manifest
from tagger.oci.referrers import referrers_tag
from tagger.promoting.belongings import FAILURES, Belongings, belongings
from tagger.promoting.neighbours import WORTH_ASKING_BYTES, Neighbours
from tagger.promoting.source import Home, Original, Piece
from tagger.registry.referrers import referrers
from tagger.registry.repository import RemoteRepository
from tagger.values import dataclass
from tagger.work import Pauses


@dataclass(slots=True)
class Courier:
    """Copies an image to repositories, with its signatures and attestations: by reference and by tag.

    `note` gets a line for each sent part, `meter` the progress. `neighbours` know which other repositories of the same
    registry have a blob. `warnings` names the parts that were not sent, and why.
    """

    original: Original
    targets: Mapping[Repository, RemoteRepository]
    note: Progress = lambda _: None
    meter: Meter | None = None
    neighbours: Neighbours = field(default_factory=Neighbours)
    warnings: list[str] = field(default_factory=list)
    _pieces: Sequence[Piece] = ()
    _belongings: Belongings | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: set[Repository] = field(default_factory=set)

    def bring(self, target: RemoteRepository) -> None:
        """Copy everything except the tag, once, and skip what the target already has.

        Raises BadAnswer, Denied, RegistryUnreachable, and InputError for a broken OCI layout.
        """
        if target.name in self._done:
            return
        pieces = [piece for piece in self._image() if piece.home.name != target.name]
        if pieces:
            # Neither needs the other, and looking for signatures takes several round trips.
            absent, _ = target.deadline.both(partial(self._send_blobs, target, pieces), self._what_belongs_to_it)
            try:
                self._send_manifests(target, pieces)
            except BadAnswer as error:
                raise _incomplete(target, absent, error) if absent else error from None
            self._send_belongings(target)
        self._done.add(target.name)

    def _image(self) -> Sequence[Piece]:
        with self._lock:
            self._pieces = self._pieces or self.original.pieces()
            return self._pieces

    def _what_belongs_to_it(self) -> Belongings:
        with self._lock:
            if self._belongings is None:
                self._belongings = belongings(self._pieces)
                self.warnings += self._belongings.lost
            return self._belongings

    # -- blobs -----------------------------------------------------------------------------------------------------

    def _send_blobs(self, target: RemoteRepository, pieces: Iterable[Piece]) -> list[Digest]:
        """Send the blobs of manifests, and return the foreign ones that no registry has."""
        wanted = {blob.digest: (piece.home, blob) for piece in pieces for blob in piece.manifest.blobs()}
        failed = threading.Event()
        sending = [partial(self._send_unless, failed, target, *which) for which in wanted.values()]
        there = target.deadline.at_once(sending)
        return [digest for digest, sent in zip(wanted, there, strict=True) if not sent]

    def _send_unless(self, failed: threading.Event, target: RemoteRepository, home: Home, blob: Blob) -> bool:
        """Send a blob like `_send_blob`, unless another blob has failed."""
        if failed.is_set():
            return False
        try:
            return self._send_blob(target, home, blob)
        except BaseException:
            failed.set()
            raise

    def _send_blob(self, target: RemoteRepository, home: Home, blob: Blob) -> bool:
        """Send a missing blob, and return whether it is there now: perhaps no registry has a foreign blob."""
        if _worth_asking(target, blob) and target.blobs.has(blob.digest):
            self.neighbours.note(target.name, blob.digest)
            return True
        if blob.foreign and not _kept(home, blob):
            return False
        if self._mounted(target, home, blob):
            return True
        for attempt in target.deadline.attempts(Pauses.BLOB):
            try:
                with home.blobs.opened(blob) as pieces:
                    target.blobs.write(blob, self._metered(blob, pieces))
            except (Unreadable, RegistryUnreachable) as error:
                if attempt.pause is None:
                    raise
                attempt.pause = max(attempt.pause, error.again_in)
                again = f" again in {attempt.pause:g} s, because {error.what}"
                self.note(Line.about("sending", blob.digest, again))
            else:
                self.note(Line.about("copied", blob.digest, f", {blob.size} bytes, to {target.name}"))
                self.neighbours.note(target.name, blob.digest)
                return True
        raise AssertionError("the last attempt returns or raises")

    def _mounted(self, target: RemoteRepository, home: Home, blob: Blob) -> bool:
        """Mount a blob from its home, or from a neighbour, and return whether that worked."""
        where = home.name if _is_beside(home.name, target.name) else self.neighbours.having(blob, target.name)
        if where is None or not target.blobs.mount(blob, where):
            return False
        self.note(Line.about("mounted", blob.digest, f" in {target.name}"))
        self.neighbours.note(target.name, blob.digest)
        return True

    def _metered(self, blob: Blob, pieces: Iterable[bytes]) -> Iterator[bytes]:
        name, done = blob.digest.partition(":")[2][:12], 0
        for piece in pieces:
            yield piece
            done += len(piece)
            if self.meter:
                self.meter(Upload(name, done, blob.size))

    # -- manifests -------------------------------------------------------------------------------------------------

    def _send_manifests(self, target: RemoteRepository, pieces: Sequence[Piece]) -> None:
        """Send manifests: images concurrently, then indexes in order, because a registry wants their entries first."""
        manifests = {piece.manifest.digest: piece.manifest for piece in pieces}.values()
        target.deadline.at_once([partial(_send_manifest, target, each) for each in manifests if not each.is_index])
        for each in manifests:
            if each.is_index:
                _send_manifest(target, each)

    # -- what belongs to the image ---------------------------------------------------------------------------------

    def _send_belongings(self, target: RemoteRepository) -> None:
        """Send the signatures and attestations; a warning names each part that does not arrive."""
        there = self._what_belongs_to_it()
        referring = [piece for piece in there.referring if piece.home.name != target.name]
        hanging = {tag: piece for tag, piece in there.hanging.items() if piece.home.name != target.name}
        lost = self._try_blobs(target, [*referring, *hanging.values()])
        sent = [piece for piece in referring if piece.manifest.digest not in lost]
        images = [piece for piece in sent if not piece.manifest.is_index]
        answers = target.deadline.at_once([partial(self._try_manifest, target, piece) for piece in images])
        known = {piece.manifest.digest: answer for piece, answer in zip(images, answers, strict=True)}
        for piece in sent:  # a registry wants the entries of an index first
            if piece.manifest.is_index:
                known[piece.manifest.digest] = self._try_manifest(target, piece)
        self._list_referrers(target, [piece for piece in sent if known[piece.manifest.digest] is False])
        for tag, piece in hanging.items():
            if piece.manifest.digest not in lost:
                self._try_to_hang(target, tag, piece.manifest)

    def _try_blobs(self, target: RemoteRepository, pieces: Iterable[Piece]) -> set[Digest]:
        """Send the blobs of manifests, and return the manifests that still lack a blob."""
        wanted: dict[Digest, tuple[Home, Blob]] = {}
        blobs: dict[Digest, Sequence[Blob]] = {}
        lost: set[Digest] = set()
        for piece in pieces:
            try:
                blobs[piece.manifest.digest] = piece.manifest.blobs()
            except BadAnswer as error:
                self._warn(target, piece.manifest, error)
                lost.add(piece.manifest.digest)
            else:
                wanted |= {blob.digest: (piece.home, blob) for blob in piece.manifest.blobs()}
        sending = [partial(self._try_blob, target, *which) for which in wanted.values()]
        failed = {d: error for d, error in zip(wanted, target.deadline.at_once(sending), strict=True) if error}
        for piece in pieces:
            broken = [failed[b.digest] for b in blobs.get(piece.manifest.digest, ()) if b.digest in failed]
            if broken:
                self._warn(target, piece.manifest, broken[0])
                lost.add(piece.manifest.digest)
        return lost

    def _try_blob(self, target: RemoteRepository, home: Home, blob: Blob) -> TaggerError | None:
        try:
            self._send_blob(target, home, blob)
        except FAILURES as error:
            return error
        return None

    def _try_manifest(self, target: RemoteRepository, piece: Piece) -> bool | None:
        """Send a referrer, and return whether the registry lists it now; None if the registry refuses it.

        Only the answer to a write shows this, so tagger writes it even if the registry already has it.
        """
        manifest = piece.manifest
        try:
            return target.upload(manifest)
        except FAILURES as error:
            self._warn(target, manifest, error)
            return None

    def _list_referrers(self, target: RemoteRepository, pieces: Iterable[Piece]) -> None:
        """Make the repository list what refers to the image, by its API or by the tag for that."""
        by_subject: dict[Digest, list[Piece]] = {}
        for piece in pieces:
            if piece.manifest.subject:
                by_subject.setdefault(piece.manifest.subject, []).append(piece)
        target.deadline.at_once([partial(self._try_to_list, target, *which) for which in by_subject.items()])

    def _try_to_list(self, target: RemoteRepository, subject: Digest, pieces: Sequence[Piece]) -> None:
        try:
            listed = {str(entry["digest"]) for entry in referrers(target, subject)}
            if unlisted := [piece.referrer() for piece in pieces if piece.manifest.digest not in listed]:
                _list_by_tag(target, subject, unlisted)
        except FAILURES as error:
            names = ", ".join(piece.manifest.digest for piece in pieces)
            self.warnings.append(f"{target.name} does not list {names} as referring to {subject}: {error}")
        else:
            self.note(f"copied what refers to {subject} to {target.name}: {len(pieces)}")

    def _try_to_hang(self, target: RemoteRepository, tag: Tag, manifest: Manifest) -> None:
        try:
            held = target.digest(tag)
            if held is None:
                target.put(tag, manifest)
                self.note(f"copied {target.name}:{tag}")
            elif held != manifest.digest:
                self.warnings.append(f"{target.name}:{tag} holds other signatures or attestations, and is left alone")
        except FAILURES as error:
            self.warnings.append(f"{target.name}:{tag} is not written: {error}")

    def _warn(self, target: RemoteRepository, manifest: Manifest, error: TaggerError) -> None:
        what = f"{manifest.digest}, which refers to {manifest.subject}," if manifest.subject else manifest.digest
        self.warnings.append(f"{what} is not copied to {target.name}: {error}")


def _worth_asking(target: RemoteRepository, blob: Blob) -> bool:
    """Return whether to ask for a blob before sending it: a repository without tags hardly ever has it."""
    return blob.size >= WORTH_ASKING_BYTES or not target.list.is_empty()


def _is_beside(home: Repository | Path, target: Repository) -> TypeGuard[Repository]:
    """Return whether blobs can be mounted from there: only from a repository of the same registry."""
    return isinstance(home, Repository) and home.registry == target.registry


def _kept(home: Home, foreign: Blob) -> bool:
    """Return whether a repository has a foreign layer; some refuse requests for layers that they lack."""
    try:
        return home.blobs.has(foreign.digest)
    except Unreadable:
        raise
    except (BadAnswer, Refused):
        return False


def _incomplete(target: RemoteRepository, absent: Sequence[Digest], error: BadAnswer) -> BadAnswer:
    return BadAnswer(
        f"{target.name} may refuse an image without its foreign layers, and {', '.join(absent)} cannot"
        f" be copied from its source ({error})",
        "push the image to its source with all of its layers, or promote it to a registry that accepts it without them",
    )


def _list_by_tag(target: RemoteRepository, subject: Digest, entries: Sequence[index.Entry]) -> None:
    """Add entries to the list of referrers under a tag, and check that no other promotion has overwritten them.

    Raises BadAnswer where the tag holds something else or does not keep the entries, and what the registry raises.
    """
    tag = referrers_tag(subject)
    for _ in target.deadline.attempts(Pauses.STALE):  # two promotions may write one list at once
        held = target.manifest(tag)
        before = held if index.tagged_referrers(held, subject) is not None else None
        if held and not before and held.digest != subject:
            raise BadAnswer(f"{target.name}:{tag} holds something other than a list, so tagger leaves it alone")
        added = index.with_referrers(before, entries)
        if added is None:
            return
        target.put(tag, added)
    raise BadAnswer(f"{target.name}:{tag} does not keep what tagger writes", "promote the image again")


def _send_manifest(target: RemoteRepository, manifest: Manifest) -> None:
    if target.descriptor(manifest.digest) is None:
        target.upload(manifest)
