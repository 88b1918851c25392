"""Bring an image from where it is to where it is released, digest for digest.

To a release this is what an Engine is: it "pushes" a tag by sending what the repository lacks, and then the manifest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tagger import index
from tagger.attached import referrers_tag
from tagger.errors import RegistryUnreachable, Unreadable
from tagger.manifest import Blob, Manifest
from tagger.original import Original, Piece, hanging, referring
from tagger.progress import Line, Meter, Progress, Upload
from tagger.reference import Digest, Reference, Repository, Tag
from tagger.registry import RemoteRepository

# Seconds before a blob is sent again whose way broke off.
_PAUSES = (1.0, 4.0)


@dataclass(slots=True)
class Courier:
    """Brings an image to repositories; `note` is told what was sent, `meter` how far it is.

    `warnings` says what was not sent, and why.

    Signatures and attestations go along: what refers to the image, and what hangs on it by a tag.
    """

    original: Original
    targets: Mapping[Repository, RemoteRepository]
    note: Progress = lambda _: None
    meter: Meter | None = None
    warnings: list[str] = field(default_factory=list)
    _read: tuple[Sequence[Piece], Mapping[Tag, Piece]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: set[Repository] = field(default_factory=set)

    def tagged(self, reference: Reference) -> None:  # noqa: ARG002 - an Engine's signature
        """Give no local tag, since there are none."""
        return

    def tag(self, image: Digest, reference: Reference) -> None:
        """Make no local tag."""

    def untag(self, reference: Reference) -> None:
        """Take no local tag away."""

    def push(self, reference: Reference) -> Digest:
        """Send what the repository lacks, signatures and attestations too, and then the manifest under the tag.

        Raises RegistryError, Denied, RegistryUnreachable.
        """
        assert reference.tag, "a release pushes tags"  # noqa: S101 - it does
        target = self.targets[reference.repository]
        self.bring(target)
        target.put(reference.tag, self.original.manifest)
        return self.original.digest

    def bring(self, target: RemoteRepository) -> None:
        """Send all but the tag, once; what is there already is not sent again. Raises what `push` raises."""
        if target.name in self._done:
            return
        if {home.name for home in self.original.homes.values()} != {target.name}:
            pieces, attached = self._what_there_is()
            foreign = [piece for piece in pieces if piece.home.name != target.name]
            hung = {tag: piece for tag, piece in attached.items() if piece.home.name != target.name}
            self._send_blobs(target, [*foreign, *hung.values()])
            self._send_manifests(target, foreign)
            self._list_referrers(target, [piece.manifest for piece in foreign])
            self._hang(target, hung)
        self._done.add(target.name)

    def _what_there_is(self) -> tuple[Sequence[Piece], Mapping[Tag, Piece]]:
        with self._lock:
            if self._read is None:
                image = self.original.pieces()
                pieces = [*image, *referring(image)]
                self._read = pieces, hanging(pieces)
            return self._read

    # -- blobs -----------------------------------------------------------------------------------------------------

    def _send_blobs(self, target: RemoteRepository, pieces: Iterable[Piece]) -> None:
        wanted = {blob.digest: (piece.home, blob) for piece in pieces for blob in piece.manifest.blobs()}
        failed = threading.Event()
        sending = [partial(self._send_unless, failed, target, *which) for which in wanted.values()]
        target.patience.at_once(sending)

    def _send_unless(
        self, failed: threading.Event, target: RemoteRepository, home: RemoteRepository, blob: Blob
    ) -> None:
        """Send a blob, unless another one has failed meanwhile."""
        if failed.is_set():
            return
        try:
            self._send_blob(target, home, blob)
        except BaseException:
            failed.set()
            raise

    def _send_blob(self, target: RemoteRepository, home: RemoteRepository, blob: Blob) -> None:
        if target.blobs.has(blob.digest) or (blob.foreign and not home.blobs.has(blob.digest)):
            return
        if home.name.registry == target.name.registry and target.blobs.mount(blob, home.name):
            self.note(Line.about("mounted", blob.digest, f" in {target.name}"))
            return
        for pause in (*_PAUSES, None):
            try:
                with home.blobs.opened(blob) as pieces:
                    target.blobs.write(blob, self._metered(blob, pieces))
            except (Unreadable, RegistryUnreachable) as error:
                if pause is None:
                    raise
                because = str(error).rpartition(": ")[0]
                self.note(Line.about("sending", blob.digest, f" again in {pause:g} s, since {because}"))
                target.patience.sleep(pause)
            else:
                self.note(Line.about("copied", blob.digest, f", {blob.size} bytes, to {target.name}"))
                return

    def _metered(self, blob: Blob, pieces: Iterable[bytes]) -> Iterator[bytes]:
        name, done = blob.digest.partition(":")[2][:12], 0
        for piece in pieces:
            yield piece
            done += len(piece)
            if self.meter:
                self.meter(Upload(name, done, blob.size))

    # -- manifests -------------------------------------------------------------------------------------------------

    def _send_manifests(self, target: RemoteRepository, pieces: Sequence[Piece]) -> None:
        """Send manifests: images at once, and indexes in their order, since a registry wants to have what they list."""
        manifests = {piece.manifest.digest: piece.manifest for piece in pieces}.values()
        target.patience.at_once([partial(_send_manifest, target, each) for each in manifests if not each.is_index])
        for each in manifests:
            if each.is_index:
                _send_manifest(target, each)

    def _list_referrers(self, target: RemoteRepository, manifests: Iterable[Manifest]) -> None:
        """See to it that the repository lists what refers to the image, by its own means or by the tag for that."""
        by_subject: dict[Digest, list[Manifest]] = {}
        for manifest in manifests:
            if manifest.subject:
                by_subject.setdefault(manifest.subject, []).append(manifest)
        for subject, referring_to_it in by_subject.items():
            listed = target.referrers(subject)
            unlisted = [m for m in referring_to_it if m.digest not in listed and not target.upload(m)]
            if unlisted:
                tag = referrers_tag(subject)
                target.put(tag, index.of_referrers(target.manifest(tag), unlisted))
            self.note(f"copied what refers to {subject} to {target.name}: {len(referring_to_it)}")

    def _hang(self, target: RemoteRepository, attached: Mapping[Tag, Piece]) -> None:
        for tag, piece in attached.items():
            held = target.digest(tag)
            if held is None:
                target.put(tag, piece.manifest)
                self.note(f"copied {target.name}:{tag}")
            elif held != piece.manifest.digest:
                self.warnings.append(f"{target.name}:{tag} holds other signatures or attestations, and is left alone")


def _send_manifest(target: RemoteRepository, manifest: Manifest) -> None:
    if target.descriptor(manifest.digest) is None:
        target.upload(manifest)
