"""The manifests of one repository: read and write them, by tag or by digest (OCI distribution spec).

Only a 404 to a request with the full Accept list means that a tag is absent. A 5xx means that nothing is known.
"""

from __future__ import annotations

import contextlib
import functools
import urllib.parse
from collections.abc import Sequence
from http import HTTPStatus

from tagger.errors import BadAnswer, InvalidReference, Unreadable
from tagger.names import Digest, Repository, Tag, parse_digest
from tagger.oci.manifest import MEDIA_TYPES, Descriptor, Manifest
from tagger.oci.placeholder import is_placeholder
from tagger.registry.answer import Answer
from tagger.registry.blobs import scopes_of
from tagger.registry.connection import Connection
from tagger.registry.tag_list import NoList, TagList
from tagger.text import printable
from tagger.work import AT_ONCE, Deadline

# Without the full list, some registries answer with another digest (schema 1), and others with 404.
_ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}
MANIFEST_BYTES = 4 * 1024 * 1024
WRITTEN = (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED)
# The most tags in one request.
_TOGETHER = 10
# After such an answer, HEAD may be useless there, and a GET may still find the manifest.
_HEAD_SAYS_NOTHING = frozenset(range(400, 500)) - {401, 408, 429} | {501}
_NO_HEADS = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# A scan under way, a vulnerable image, a legal hold: statuses that are about one manifest.
_POLICIES = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.LOCKED, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS)


class Manifests:
    """The manifests of one repository.

    `is_dockers` is set after the first answer if the registry is derived from Docker's own.
    """

    def __init__(self, name: Repository, connection: Connection) -> None:
        self.name = name
        self.connection = connection
        self.scopes = scopes_of(name)
        self.list: TagList | NoList = TagList(name, connection, self.scopes.pull)
        self.is_dockers = False
        self._manifests: dict[Digest, Manifest] = {}
        self._seen: dict[Digest, Descriptor] = {}
        # Some registries answer every HEAD with 405, and some with 404 whatever is there.
        self._heads = True

    @property
    def deadline(self) -> Deadline:
        """The time for requests and waits."""
        return self.connection.deadline

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Return where a tag points, or the digest itself if it exists; None when absent.

        Raises Unreadable, Denied, RegistryUnreachable.
        """
        found = self.descriptor(tag)
        return found.digest if found else None

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Return where a tag points, and the kind of that manifest; None when absent.

        HEAD is cheap and unreliable: a listed tag that it denies is requested again by GET. A tag with an
        unfinished removal is absent; see `is_half_removed`.

        Raises Unreadable, Denied, RegistryUnreachable.
        """
        found = self.held(tag)
        return None if found and is_placeholder(tag, found.digest) else found

    def is_half_removed(self, tag: Tag) -> bool:
        """Return whether a tag holds a placeholder: its removal is unfinished. Raises what `descriptor` raises."""
        found = self.held(tag)
        return found is not None and is_placeholder(tag, found.digest)

    def is_index(self, digest: Digest) -> bool:
        """Return whether an existing digest is that of an index; a digest that was seen before needs no request.

        Raises what `descriptor` raises.
        """
        if digest not in self._seen:
            self.descriptor(digest)
        return digest in self._seen and self._seen[digest].is_index

    def held(self, tag: Tag | Digest) -> Descriptor | None:
        """Return where a tag points, even at a placeholder; None when absent. Raises what `descriptor` raises."""
        found = self._looked_up(tag)
        if found:
            self._seen[found.digest] = found
        return found

    def _looked_up(self, tag: Tag | Digest) -> Descriptor | None:
        if not self._heads:
            manifest = self._fetched(tag)
            return Descriptor(manifest.media_type, manifest.digest) if manifest else None
        head = self.request("HEAD", f"/manifests/{tag}", headers=_ACCEPT)
        if head.status == HTTPStatus.NOT_FOUND and not self.list.named(tag):
            return None
        if head.status not in _HEAD_SAYS_NOTHING:
            head.check(self.name, f"read {tag}", HTTPStatus.OK)
            with contextlib.suppress(InvalidReference):
                return Descriptor(media_type_of(head), parse_digest(head.headers.get("docker-content-digest", "")))
        manifest = self._fetched(tag)
        if head.status in _NO_HEADS or (manifest and head.status != HTTPStatus.OK):
            self._heads = False
        return Descriptor(manifest.media_type, manifest.digest) if manifest else None

    def head_agrees(self, tag: Tag) -> bool | None:
        """Return whether HEAD agrees with GET about a tag; None if GET finds nothing. Raises what `manifest` raises."""
        head = self.request("HEAD", f"/manifests/{tag}", headers=_ACCEPT)
        manifest = self._fetched(tag)
        named = head.headers.get("docker-content-digest") if head.status == HTTPStatus.OK else None
        return named == manifest.digest if manifest else None

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Return a manifest, checked against its digest; None when it is absent. By digest it is fetched once.

        Raises Unreadable, BadAnswer for content that does not match its digest, Denied, RegistryUnreachable.
        """
        found = self._fetched(reference)
        return None if found and is_placeholder(reference, found.digest) else found

    def _fetched(self, reference: Tag | Digest) -> Manifest | None:
        if known := self._manifests.get(Digest(reference)):
            return known
        answer = self.request("GET", f"/manifests/{reference}", headers=_ACCEPT, limit=MANIFEST_BYTES)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if self._is_withheld(answer, reference):
            raise Unreadable(
                f"{self.name.registry} lists the tags of {self.name.path} but does not serve {reference}"
                f" ({answer.complaint()})",
                "check whether a policy or a running scan of the registry blocks it",
            )
        answer.check(self.name, f"read {reference}", HTTPStatus.OK)
        manifest = self._read_manifest(answer, reference)
        self._manifests[manifest.digest] = manifest
        return manifest

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest that this repository has, byte for byte.

        Raises BadAnswer, also for a tag that the registry holds immutable, Denied, RegistryUnreachable.
        """
        self._write(tag, manifest)

    def upload(self, manifest: Manifest) -> bool:
        """Send a manifest without a tag, and return whether the registry now lists it as a referrer.

        Raises what `put` raises.
        """
        return "oci-subject" in self._write(manifest.digest, manifest).headers

    def _write(self, reference: Tag | Digest, manifest: Manifest) -> Answer:
        answer = self.send(reference, manifest)
        answer.check(self.name, f"write {reference}", *WRITTEN)
        self._manifests[manifest.digest] = manifest
        return answer

    def send(self, reference: Tag | Digest, manifest: Manifest) -> Answer:
        """Return the answer to a manifest PUT, with any status."""
        headers = {"Content-Type": manifest.media_type}
        return self.request("PUT", f"/manifests/{reference}", headers=headers, body=manifest.body)

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> set[Tag]:
        """Point tags at a manifest that this repository has, many in one request, and return the written tags.

        A registry that supports this names each written tag (distribution-spec after 1.1.1, "Pushing Manifests",
        OCI-Tag). Others ignore them all, which costs a round trip. So tagger does not try it with few tags, which it
        can put concurrently, if a header shows that the registry is derived from Docker's own, which ignores them.

        Raises Denied, RegistryUnreachable.
        """
        if self.is_dockers and len(tags) <= AT_ONCE:
            return set()
        groups = [tags[start : start + _TOGETHER] for start in range(0, len(tags), _TOGETHER)]
        taken = self.deadline.at_once([functools.partial(self._put_group, group, manifest) for group in groups])
        return {tag for tag in tags if any(tag in group for group in taken)}

    def _put_group(self, tags: Sequence[Tag], manifest: Manifest) -> set[str]:
        query = urllib.parse.urlencode([("tag", tag) for tag in tags])
        path = f"/manifests/{manifest.digest}?{query}"
        try:
            answer = self.request("PUT", path, headers={"Content-Type": manifest.media_type}, body=manifest.body)
        except BadAnswer:
            return set()  # it may still take the tags one by one
        named = answer.headers.get("oci-tag", "") if answer.status == HTTPStatus.CREATED else ""
        return {tag.strip() for tag in named.split(",")}

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        limit: int = 1024 * 1024,
        scope: str = "",
    ) -> Answer:
        """Return the answer to a request below the repository's URL, with any status; see `Connection.request`."""
        scope = scope or (self.scopes.pull if method in ("GET", "HEAD") else self.scopes.push)
        answer = self.connection.request(
            method, f"/v2/{self.name.path}{path}", scope=scope, headers=headers, body=body, limit=limit
        )
        self.is_dockers = self.is_dockers or "docker-distribution-api-version" in answer.headers
        return answer

    def _is_withheld(self, answer: Answer, reference: Tag | Digest) -> bool:
        """Return whether an answer is only about this manifest, and not about the repository."""
        if answer.status == HTTPStatus.FORBIDDEN:
            return self.list.names(reference)
        return answer.status in _POLICIES and self.list.is_shown()

    def _read_manifest(self, answer: Answer, reference: Tag | Digest) -> Manifest:
        media_type = media_type_of(answer)
        if media_type not in MEDIA_TYPES:
            raise BadAnswer(
                f"{self.name} serves {reference} as '{printable(media_type)}', which is not a current image manifest",
                "push the image again",
            )
        expected = reference if ":" in reference else answer.headers.get("docker-content-digest")
        algorithm = (expected or "").partition(":")[0]
        manifest = Manifest.of(media_type, answer.body, algorithm if algorithm in ("sha384", "sha512") else "sha256")
        if expected and manifest.digest != expected:
            raise BadAnswer(
                f"{self.name} serves {reference} with the digest {manifest.digest}, not {printable(expected)}",
                "push the image again, or ask the registry's administrator",
            )
        return manifest


def media_type_of(answer: Answer) -> str:
    """Return the media type of an answer, without parameters."""
    return answer.headers.get("content-type", "").partition(";")[0].strip()
