"""The blobs of one repository, its layers and configurations: find, mount, read and write them.

OCI distribution spec, "Pulling blobs" and "Pushing blobs".
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from tagger.errors import BadAnswer, Refused, TaggerError, Unreadable
from tagger.names import Digest, Repository
from tagger.oci.manifest import Blob
from tagger.registry.connection import Connection
from tagger.values import dataclass

# A registry without HEAD gets the blob again, which changes nothing there.
_NOT_KNOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of tokens for a repository: a read never asks for more than it needs.

    Quay creates a repository when it issues a token to push to it.
    """

    pull: str
    push: str
    delete: str


def scopes_of(name: Repository) -> Scopes:
    """Return the scopes of a repository (distribution, "Token Scope Documentation").

    >>> scopes_of(Repository.parse("registry.local:5000/gallery/ui")).push
    'repository:gallery/ui:pull,push'
    """
    return Scopes(*(f"repository:{name.path}:{actions}" for actions in ("pull", "pull,push", "delete")))


class Blobs:
    """The blobs of one repository."""

    def __init__(self, name: Repository, connection: Connection) -> None:
        self.name = name
        self._connection = connection
        self._base = f"/v2/{name.path}/blobs"
        self._scopes = scopes_of(name)

    def has(self, digest: Digest) -> bool:
        """Return whether a blob exists. Raises Unreadable, Denied, RegistryUnreachable."""
        answer = self._connection.request("HEAD", f"{self._base}/{digest}", scope=self._scopes.pull)
        if answer.status in _NOT_KNOWN:
            return False
        answer.check(self.name, f"look at {digest}", HTTPStatus.OK)
        return True

    @contextlib.contextmanager
    def opened(self, blob: Blob) -> Iterator[Iterator[bytes]]:
        """Read a blob piece by piece; the last piece comes when all of them together match the digest.

        Raises BadAnswer for other content, at the piece that shows it; Unreadable when the connection breaks;
        and Denied, RegistryUnreachable.
        """
        with self._connection.opened(f"{self._base}/{blob.digest}", scope=self._scopes.pull) as (answer, pieces):
            if answer.status == HTTPStatus.NOT_FOUND:
                raise BadAnswer(f"{self.name} lacks {blob.digest}", "push the image again")
            answer.check(self.name, f"read {blob.digest}", HTTPStatus.OK)
            yield verified(blob, pieces, lambda seen: self._short(blob, seen), self._other)

    def mount(self, blob: Blob, source: Repository) -> bool:
        """Mount a blob from another repository of this registry, and return whether that worked.

        One token has to allow the read there and the write here. A registry that grants no such token, or mounts
        nothing, needs an upload.
        """
        scope = f"{self._scopes.push} {scopes_of(source).pull}"
        query = urllib.parse.urlencode({"mount": blob.digest, "from": source.path})
        try:
            answer = self._connection.request("POST", f"{self._base}/uploads/?{query}", scope=scope)
            if answer.status == HTTPStatus.ACCEPTED and (place := answer.headers.get("location")):
                self.give_up(answer.resolve(place))
        except (BadAnswer, Refused):
            return False
        return answer.status == HTTPStatus.CREATED

    def write(self, blob: Blob, pieces: Iterable[bytes]) -> None:
        """Send a blob in one upload; an error while the pieces are read ends it.

        Raises Unreadable when the upload is interrupted, BadAnswer, Denied, RegistryUnreachable.
        """
        begun = self._connection.request("POST", f"{self._base}/uploads/", scope=self._scopes.push)
        begun.check(self.name, f"upload {blob.digest}", HTTPStatus.ACCEPTED)
        place = begun.resolve(begun.headers.get("location", ""))
        joint = "&" if urllib.parse.urlsplit(place).query else "?"
        url = f"{place}{joint}{urllib.parse.urlencode({'digest': blob.digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        try:
            answer = self._connection.request("PUT", url, scope=self._scopes.push, headers=headers, body=iter(pieces))
            answer.check(self.name, f"upload {blob.digest}", HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
        except BaseException:
            self.give_up(place)
            raise

    def _short(self, blob: Blob, seen: int) -> Unreadable:
        return Unreadable(f"{self.name.registry} stopped sending {blob.digest} after {seen} of {blob.size} bytes")

    def _other(self, digest: Digest) -> BadAnswer:
        return BadAnswer(
            f"{self.name} serves content that does not match {digest}",
            "push the image again, or ask the registry's administrator",
        )

    def begin(self) -> str | None:
        """Begin an upload, and return its URL; None when the registry begins none.

        Raises a kind of Refused when nothing can be pushed, BadAnswer, RegistryUnreachable.
        """
        answer = self._connection.request("POST", f"{self._base}/uploads/", scope=self._scopes.push)
        if answer.why(self.name.path):
            answer.check(self.name, "push")
        place = answer.headers.get("location")
        return answer.resolve(place) if answer.status == HTTPStatus.ACCEPTED and place else None

    def give_up(self, upload: str) -> None:
        """Cancel an upload, so that the registry can delete the received part."""
        with contextlib.suppress(TaggerError):
            self._connection.request("DELETE", upload, scope=self._scopes.push)

    def check_push(self) -> None:
        """Check that these credentials may push, by starting and cancelling an upload.

        Raises Denied when they may not, NoRepository, OverQuota or Immutable when nobody may, and RegistryUnreachable;
        any other answer is left to the push.
        """
        with contextlib.suppress(BadAnswer):
            if upload := self.begin():
                # Nothing has to wait for that.
                threading.Thread(target=self.give_up, args=(upload,)).start()

    def lets_push(self) -> bool:
        """Return whether these credentials may push; False if the answer does not say. The upload is cancelled.

        Raises what `check_push` raises.
        """
        try:
            upload = self.begin()
        except BadAnswer:
            return False
        if upload:
            self.give_up(upload)
        return upload is not None


def verified(
    blob: Blob, pieces: Iterator[bytes], short: Callable[[int], TaggerError], other: Callable[[Digest], TaggerError]
) -> Iterator[bytes]:
    """Pass on the pieces of a blob; the last piece comes when all of them together match the digest.

    Raises the error that `short` makes of the size of incomplete content, and that of `other` for other content.
    """
    algorithm, _, expected = blob.digest.partition(":")
    hashed, seen, held = hashlib.new(algorithm), 0, b""
    for piece in pieces:
        hashed.update(piece)
        seen += len(piece)
        if seen > blob.size:
            break
        if held:
            yield held
        held = piece
    if seen < blob.size:
        raise short(seen)
    if seen > blob.size or hashed.hexdigest() != expected:
        raise other(blob.digest)
    yield held
