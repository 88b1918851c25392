"""An OCI layout: images in a folder, or in a tar of it, as buildx, `docker save` and Podman write them.

OCI image spec, "Image Layout". Every file has its stated size and is within the limits, and a digest is checked
before the last piece of its content is passed on.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tagger.errors import InputError, InvalidReference
from tagger.names import Digest, Tag, parse_digest, parse_tag
from tagger.oci import index
from tagger.oci.manifest import INDEXES, MEDIA_TYPES, OCI_INDEX, OCI_MANIFEST, Blob, Descriptor, Manifest, beneath
from tagger.oci.manifest import content_of as json_of
from tagger.promoting.files import MARKER, WRITE_AGAIN, File, in_folder, in_tar, opened_file, readable
from tagger.promoting.source import LAYOUT
from tagger.registry.blobs import verified
from tagger.registry.manifests import MANIFEST_BYTES
from tagger.text import printable
from tagger.work import Deadline

_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_PIECE_BYTES = 256 * 1024
_MARKER_BYTES = 4096
_MOST_NAMED = 10


class Layout:
    """A layout, which a promotion reads like a repository.

    Raises InputError, like everything else here, for a missing or broken layout.
    """

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self.name = path
        self.deadline = deadline
        self._find = in_folder(path) if path.is_dir() else in_tar(path)
        marker = json_of(self._read(MARKER, _MARKER_BYTES) or b"")
        if not str(marker.get("imageLayoutVersion", "")).startswith("1."):
            raise InputError(
                f"{path} is not an OCI layout, because it has no file {MARKER} of version 1",
                "write one, for example with docker buildx build --output type=oci,dest=FILE",
            )
        content = json_of(self._read("index.json", MANIFEST_BYTES) or b"")
        self._entries = tuple(index.described(content.get("manifests")))
        self._types = {Digest(each["digest"]): str(each.get("mediaType")) for each in self._entries}

    @property
    def blobs(self) -> Layout:
        """Its blobs: itself."""
        return self

    # -- what is in it -------------------------------------------------------------------------------------------------

    def choose(self, name: str | None) -> Digest:
        """Return the image of a name, or the only one. Raises InputError, which names the choices."""
        named = [each for each in self._entries if name in _names(each)] if name is not None else self._images()
        found = list(dict.fromkeys(Digest(each["digest"]) for each in named))
        if len(found) == 1:
            return found[0]
        there = ", ".join(map(_shown, self._images()[:_MOST_NAMED])) or "no image"
        shown = printable(name) if name is not None else ""
        if not found:
            missing = f"has no image named {shown}, but {there}" if shown else "has no image"
            raise InputError(f"{self.name} {missing}", "check the name, or write the layout again")
        several = f"several images named {shown}" if shown else "several images"
        raise InputError(
            f"{self.name} has {several}: {there}",
            f"choose one by its name or its digest, as {LAYOUT}{self.name}:NAME or {LAYOUT}{self.name}@DIGEST",
        )

    def check(self, root: Manifest) -> None:
        """Check that all manifests and blobs of an image exist and have the right size.

        A foreign layer may be missing, because registries need not have it either. Raises InputError, which names each.
        """
        missing: list[str] = []

        def read(listed: Sequence[Descriptor]) -> list[Manifest | None]:
            found = [self.manifest(each.digest) for each in listed]
            missing.extend(each.digest for each, there in zip(listed, found, strict=True) if there is None)
            return found

        manifests = [root, *filter(None, beneath(root, read).values())]
        wanted = {blob.digest: blob for manifest in manifests for blob in manifest.blobs() if not blob.foreign}
        files = {digest: self._find(_path(digest)) for digest in wanted}
        missing += [digest for digest, file in files.items() if file is None]
        if missing:
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            raise InputError(f"{self.name} lacks {', '.join(missing[:_MOST_NAMED])}{more}", WRITE_AGAIN)
        for digest, file in files.items():
            if file and file.size != wanted[digest].size:
                raise self._other(digest)

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Return a manifest, checked against its digest; None when it is absent."""
        digest = self._tagged.get(Tag(reference)) if ":" not in reference else Digest(reference)
        body = self._read(_path(digest), MANIFEST_BYTES) if digest else None
        if digest is None or body is None:
            return None
        algorithm, _, expected = digest.partition(":")
        if hashlib.new(algorithm, body).hexdigest() != expected:
            raise self._other(digest)
        content = json_of(body)
        guess = OCI_INDEX if "manifests" in content else OCI_MANIFEST
        kinds = [content.get("mediaType"), self._types.get(digest), guess]
        kind = next(each for each in kinds if isinstance(each, str) and (each in MEDIA_TYPES or each is kinds[0]))
        if kind not in MEDIA_TYPES:
            raise InputError(
                f"{self.name} has {digest} as '{printable(kind)}', which is not a manifest", "choose another image"
            )
        found = Manifest.of(kind, body, algorithm)
        if kind in INDEXES:
            self._types |= {each.digest: each.media_type for each in found.listed()}
        return found

    def tags(self) -> list[Tag]:
        """List the names of images that could be tags; they may be those of signatures."""
        return [*self._tagged]

    def referrers(self, digest: Digest) -> Iterator[index.Entry]:
        """Yield the referrers of a manifest, which the layout lists beside the image."""
        yield from (each.referrer() for each in self._top.values() if each and each.subject == digest)

    @cached_property
    def _tagged(self) -> Mapping[Tag, Digest]:
        found = {}
        for entry in self._entries:
            for name in _names(entry):
                with contextlib.suppress(InvalidReference):
                    found[parse_tag(name)] = Digest(entry["digest"])
        return found

    @cached_property
    def _top(self) -> Mapping[Digest, Manifest | None]:
        """Return the entries of the layout itself, by digest."""
        return {digest: self.manifest(digest) for digest in (Digest(each["digest"]) for each in self._entries)}

    def _images(self) -> list[index.Entry]:
        """Return the entries of images, without referrers of another one."""
        hanging = tuple(f"{digest.replace(':', '-')}" for digest in self._top)
        return [
            each
            for each in self._entries
            if not ((manifest := self._top[Digest(each["digest"])]) and manifest.subject)
            and not any(name.startswith(hanging) for name in _names(each))
        ]

    # -- blobs ---------------------------------------------------------------------------------------------------------

    def has(self, digest: Digest) -> bool:
        """Return whether a blob is there."""
        return self._find(_path(digest)) is not None

    @contextlib.contextmanager
    def opened(self, blob: Blob) -> Iterator[Iterator[bytes]]:
        """Read a blob piece by piece; the last piece comes when all of them together match the digest."""
        file = self._find(_path(blob.digest))
        if file is None:
            raise InputError(f"{self.name} lacks {blob.digest}", WRITE_AGAIN)
        with opened_file(file) as content:
            yield verified(blob, self._pieces(file, content), lambda _: self._other(blob.digest), self._other)

    def _pieces(self, file: File, content: BinaryIO) -> Iterator[bytes]:
        left = file.size
        while left > 0:
            self.deadline.check()
            with readable(file.path):
                piece = content.read(min(left, _PIECE_BYTES))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def _read(self, name: str, limit: int) -> bytes | None:
        file = self._find(name)
        if file is None:
            return None
        if file.size > limit:
            raise InputError(
                f"{name} in {self.name} has {file.size} bytes, and tagger reads at most {limit}", WRITE_AGAIN
            )
        with opened_file(file) as content, readable(file.path):
            return content.read(file.size)

    def _other(self, digest: Digest) -> InputError:
        return InputError(f"{self.name} has content that does not match {digest}", WRITE_AGAIN)


def opened(text: str, deadline: Deadline) -> tuple[Layout, Digest]:
    """Open the layout of a source after `oci:`, and return it with the image of PATH, PATH:NAME or PATH@DIGEST.

    A path may contain a colon: the longest existing path counts. Raises InputError.
    """
    path, _, after = text.rpartition("@")
    with contextlib.suppress(InvalidReference):
        digest = parse_digest(after)
        if _exists(path):
            return _whole(Layout(Path(path), deadline), digest)
    parts = text.split(":")
    for end in range(len(parts), 0, -1):
        if _exists(path := ":".join(parts[:end])):
            layout = Layout(Path(path), deadline)
            return _whole(layout, layout.choose(":".join(parts[end:]) if end < len(parts) else None))
    raise InputError(
        f"there is no file or folder '{printable(parts[0])}'",
        f"give an OCI layout as {LAYOUT}PATH, {LAYOUT}PATH:NAME or {LAYOUT}PATH@DIGEST",
    )


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


def _whole(layout: Layout, digest: Digest) -> tuple[Layout, Digest]:
    """Return the arguments, if the image is complete."""
    root = layout.manifest(digest)
    if root is None:
        raise InputError(f"{layout.name} lacks {digest}", WRITE_AGAIN)
    layout.check(root)
    return layout, digest


def _names(entry: index.Entry) -> list[str]:
    """Return the name of an entry of the layout."""
    annotations = entry.get("annotations")
    said = [annotations.get(key) for key in _NAMES] if isinstance(annotations, Mapping) else []
    return [name for name in said if isinstance(name, str) and name]


def _shown(entry: index.Entry) -> str:
    names = _names(entry)
    return f"{printable(names[0])} ({entry['digest']})" if names else str(entry["digest"])


def _path(digest: Digest) -> str:
    return f"blobs/{digest.replace(':', '/')}"
