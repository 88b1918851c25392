"""A repository in a registry, by the registry's HTTP API (OCI distribution spec): list, head, get, put, delete.

Only a 404 to a request with the full Accept list means that a tag is absent. A 5xx means that nothing is known.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import urllib.parse
import uuid
from collections.abc import Generator, Iterator, Sequence
from enum import Enum
from http import HTTPStatus

from tagger.credentials.credential import Credential
from tagger.errors import (
    Abandoned,
    CalledOff,
    Denied,
    Immutable,
    InvalidReference,
    Refused,
    RegistryError,
    RegistryUnreachable,
    TaggerError,
    TimedOut,
    Unreadable,
    Unsettled,
)
from tagger.names import Digest, Repository, Tag, parse_digest
from tagger.oci.index import Entry, referrers_in, tagged_referrers
from tagger.oci.manifest import MEDIA_TYPES, Descriptor, Manifest
from tagger.oci.placeholder import EMPTY, EMPTY_BLOB, is_placeholder, placeholders
from tagger.oci.referrers import referrers_tag
from tagger.registry import hosts
from tagger.registry.answer import Answer
from tagger.registry.blobs import Blobs, scopes_of
from tagger.registry.connection import Connection
from tagger.registry.refusal import Why
from tagger.registry.tag_list import TagList, following
from tagger.text import printable
from tagger.work import AT_ONCE, Patience

# Without the full list some registries answer another digest (schema 1), others 404 for a manifest that is there.
_ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}

_MANIFEST_BYTES = 4 * 1024 * 1024
_UNDO_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
_TOGETHER = 10  # so many tags a registry should take by one request
_DENIALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# A HEAD that is answered so may be of no use there, whatever a GET would find.
_HEAD_SAYS_NOTHING = frozenset(range(400, 500)) - {401, 408, 429} | {501}
_NO_HEADS = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# A scan under way, a vulnerable image, a legal hold: statuses that are about one manifest.
_POLICIES = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.LOCKED, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS)
_MOST_PAGES_OF_REFERRERS = 100
_WRITTEN = (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED)
_GONE = (HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NO_CONTENT)
# What a registry says of a manifest that is not there. A 404 without this says that it does not know such a request.
_NOT_THERE = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_UNKNOWN", "NOT_FOUND"})


class Deletes(Enum):
    """What a registry deletes: single tags, manifests with all of their tags, or nothing."""

    BY_TAG = "by tag"
    BY_DIGEST = "by digest"
    OFF = "off"


class RemoteRepository:
    """The tags of one repository, as its registry has them."""

    def __init__(self, name: Repository, connection: Connection) -> None:
        self.name = name
        self._connection = connection
        self._base = f"/v2/{name.path}"
        self._scopes = scopes_of(name)
        self._deletes: Deletes | None = None
        self._switched_off = False
        self._docker = False
        self._manifests: dict[Digest, Manifest] = {}
        self._seen: dict[Digest, Descriptor] = {}
        self._list = TagList(name, connection, self._scopes.pull)
        # Some registries answer every HEAD by 405, and some by 404 whatever is there.
        self._heads = True
        # distribution looks for all tags of a manifest that it deletes, and trips over one that goes meanwhile.
        self._removing = threading.Lock()
        self.blobs = Blobs(name, connection)

    @property
    def connection(self) -> Connection:
        """Give the connection to its registry."""
        return self._connection

    @property
    def patience(self) -> Patience:
        """Give the time that there is for asking and waiting."""
        return self._connection.patience

    def credential(self) -> Credential | None:
        """Give the credential for this repository, if it may go to its registry; see `Auth.credential`."""
        return self._connection.auth.credential()

    def tags(self) -> list[Tag]:
        """List every tag, in the registry's order; a repository that does not exist has none.

        Raises RegistryError rather than give half a list, Denied, RegistryUnreachable.
        """
        return self.listed() or []

    def listed(self) -> list[Tag] | None:
        """List every tag as `tags` does; None when there is no such repository."""
        return self._list.read()

    @property
    def pages(self) -> tuple[int, ...]:
        """Say how many tags each page of the list had when it was read last."""
        return self._list.pages

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Ask where a tag points, or whether a digest is there; None when absent.

        Raises Unreadable, Denied, RegistryUnreachable.
        """
        found = self.descriptor(tag)
        return found.digest if found else None

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Ask where a tag points, or whether a digest is there, and what kind of manifest that is; None when absent.

        HEAD is cheap and not to be relied on: what it denies though the list names it is asked for by GET. A tag whose
        removal broke off is absent; see `is_half_removed`.

        Raises Unreadable, Denied, RegistryUnreachable.
        """
        found = self._held(tag)
        return None if found and is_placeholder(tag, found.digest) else found

    def is_half_removed(self, tag: Tag) -> bool:
        """Say whether a tag holds a placeholder, since its removal broke off. Raises what `descriptor` raises."""
        found = self._held(tag)
        return found is not None and is_placeholder(tag, found.digest)

    def is_index(self, digest: Digest) -> bool:
        """Say whether a digest that is there is that of an index; what was seen before is not asked again.

        Raises what `descriptor` raises.
        """
        if digest not in self._seen:
            self.descriptor(digest)
        return digest in self._seen and self._seen[digest].is_index

    def _held(self, tag: Tag | Digest) -> Descriptor | None:
        found = self._looked_up(tag)
        if found:
            self._seen[found.digest] = found
        return found

    def _looked_up(self, tag: Tag | Digest) -> Descriptor | None:
        if not self._heads:
            manifest = self._fetched(tag)
            return Descriptor(manifest.media_type, manifest.digest) if manifest else None
        head = self._request("HEAD", f"/manifests/{tag}", headers=_ACCEPT)
        if head.status == HTTPStatus.NOT_FOUND and not self._list.named(tag):
            return None
        if head.status not in _HEAD_SAYS_NOTHING:
            head.check(self.name, f"read {tag}", HTTPStatus.OK)
            with contextlib.suppress(InvalidReference):
                return Descriptor(_media_type(head), parse_digest(head.headers.get("docker-content-digest", "")))
        manifest = self._fetched(tag)
        if head.status in _NO_HEADS or (manifest and head.status != HTTPStatus.OK):
            self._heads = False
        return Descriptor(manifest.media_type, manifest.digest) if manifest else None

    def head_agrees(self, tag: Tag) -> bool | None:
        """Say whether HEAD tells of a tag what GET does, None where GET finds nothing; raise what `manifest` raises."""
        head = self._request("HEAD", f"/manifests/{tag}", headers=_ACCEPT)
        manifest = self._fetched(tag)
        told = head.headers.get("docker-content-digest") if head.status == HTTPStatus.OK else None
        return told == manifest.digest if manifest else None

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Fetch a manifest, checked against its digest; None when it is absent. By digest it is fetched once.

        Raises Unreadable, RegistryError for content that is not what its digest says, Denied, RegistryUnreachable.
        """
        found = self._fetched(reference)
        return None if found and is_placeholder(reference, found.digest) else found

    def _fetched(self, reference: Tag | Digest) -> Manifest | None:
        if known := self._manifests.get(Digest(reference)):
            return known
        answer = self._request("GET", f"/manifests/{reference}", headers=_ACCEPT, limit=_MANIFEST_BYTES)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if self._is_withheld(answer, reference):
            raise Unreadable(
                f"{self.name.registry} lists the tags of {self.name.path} and does not serve {reference}"
                f" ({answer.complaint()}): see whether a policy of the registry, or a scan under way, holds it back"
            )
        answer.check(self.name, f"read {reference}", HTTPStatus.OK)
        manifest = self._read_manifest(answer, reference)
        self._manifests[manifest.digest] = manifest
        return manifest

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest that this repository has, byte for byte.

        Raises RegistryError, also for a tag that the registry holds immutable, Denied, RegistryUnreachable.
        """
        self._write(tag, manifest)

    def upload(self, manifest: Manifest) -> bool:
        """Send a manifest without a tag; say whether the registry knows now that it refers to its subject, if it does.

        Raises what `put` raises.
        """
        return "oci-subject" in self._write(manifest.digest, manifest).headers

    def _write(self, reference: Tag | Digest, manifest: Manifest) -> Answer:
        answer = self._sent(reference, manifest)
        answer.check(self.name, f"write {reference}", *_WRITTEN)
        self._manifests[manifest.digest] = manifest
        return answer

    def _sent(self, reference: Tag | Digest, manifest: Manifest) -> Answer:
        headers = {"Content-Type": manifest.media_type}
        return self._request("PUT", f"/manifests/{reference}", headers=headers, body=manifest.body)

    def referrers(self, digest: Digest) -> Iterator[Entry]:
        """Give what refers to a manifest, as signatures do (OCI distribution spec, "Listing Referrers").

        A registry without that API has a tag for it ("Referrers Tag Schema").

        Raises, after all that it could find, Unreadable, RegistryError, Refused, RegistryUnreachable.
        """
        try:
            complete = yield from self._listed_referrers(digest)
        except (RegistryError, Refused, RegistryUnreachable):
            yield from self.tagged_referrers(digest) or ()
            raise
        if not complete:
            yield from self.tagged_referrers(digest) or ()

    def tagged_referrers(self, digest: Digest) -> tuple[Entry, ...] | None:
        """Give what a tag lists that refers to a manifest, None without such a list. Raises what `manifest` raises."""
        return tagged_referrers(self.manifest(referrers_tag(digest)), digest)

    def _listed_referrers(self, digest: Digest) -> Generator[Entry, None, bool]:
        """Give what the registry itself lists; return whether that is a list, and all of it."""
        url = path = f"{self._base}/referrers/{digest}"
        visited: set[str] = set()
        while url not in visited and len(visited) < _MOST_PAGES_OF_REFERRERS:
            try:
                answer = self._connection.request(
                    "GET", url, scope=self._scopes.pull, limit=_MANIFEST_BYTES, elsewhere=False
                )
            except RegistryError as error:
                if visited or isinstance(error, Unreadable):
                    raise
                return False  # whatever answers there speaks no such API
            page = referrers_in(answer.body, _media_type(answer)) if answer.status == HTTPStatus.OK else None
            if page is None:
                busy = (
                    answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                )
                if visited or (busy and answer.status != HTTPStatus.NOT_IMPLEMENTED):
                    answer.check(self.name, f"list what refers to {digest}")
                return False
            yield from page
            visited.add(url)
            next_page = following(answer, path)
            if next_page is None:
                return True
            url = next_page
        raise RegistryError(f"{self.name} lists what refers to {digest} without end: ask whoever runs the registry")

    def lists_referrers(self, digest: Digest) -> bool:
        """Say whether the registry itself lists what refers to a manifest there. Raises what `referrers` raises."""
        listing = self._listed_referrers(digest)
        while True:
            try:
                next(listing)
            except StopIteration as end:
                return bool(end.value)

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> set[Tag]:
        """Point tags at a manifest that this repository has, by one request for many, and give those that it took so.

        A registry that knows how names each tag that it took (distribution-spec after 1.1.1, "Pushing Manifests",
        OCI-Tag), another one ignores them all: to find that out costs a round trip. So few tags, which can be put one
        by one at once, are not tried where Docker's own header tells a registry of the lineage that ignores them.

        Raises Denied, RegistryUnreachable.
        """
        if self._docker and len(tags) <= AT_ONCE:
            return set()
        groups = [tags[start : start + _TOGETHER] for start in range(0, len(tags), _TOGETHER)]
        taken = self.patience.at_once([functools.partial(self._put_group, group, manifest) for group in groups])
        return {tag for tag in tags if any(tag in group for group in taken)}

    def _put_group(self, tags: Sequence[Tag], manifest: Manifest) -> set[str]:
        query = urllib.parse.urlencode([("tag", tag) for tag in tags])
        path = f"/manifests/{manifest.digest}?{query}"
        try:
            answer = self._request("PUT", path, headers={"Content-Type": manifest.media_type}, body=manifest.body)
        except RegistryError:
            return set()  # whatever it has against this request, it may take the tags one by one
        named = answer.headers.get("oci-tag", "") if answer.status == HTTPStatus.CREATED else ""
        return {tag.strip() for tag in named.split(",")}

    def check_push(self) -> None:
        """Find out whether these credentials may push, by an upload that is begun and given up.

        Raises Denied when they may not, NoRepository, OverQuota or Immutable when nobody may, and RegistryUnreachable;
        any other answer is left for the push to meet.
        """
        with contextlib.suppress(RegistryError):
            if upload := self.blobs.begin():
                # Nothing depends on when, so that nobody waits for it.
                threading.Thread(target=self.blobs.give_up, args=(upload,)).start()

    def lets_push(self) -> bool:
        """Say whether these credentials may push, as `check_push` does, but give the upload up before the answer.

        False means that the answer does not tell. Raises what `check_push` raises.
        """
        try:
            upload = self.blobs.begin()
        except RegistryError:
            return False
        if upload:
            self.blobs.give_up(upload)
        return upload is not None

    def check_removal(self) -> None:
        """Find out whether a tag can be taken away.

        Raises Refused when the registry deletes nothing, Denied, RegistryUnreachable.
        """
        self.deletes_single_tags()

    def remove(self, tag: Tag) -> None:
        """Take one tag away and leave every other tag of its digest alone.

        Where the registry cannot delete by tag, the tag is moved to a placeholder of its own, and that is deleted by
        its digest; but only after a probe has shown that deletes are on, since otherwise the tag would be lost to it.
        The image itself is never deleted: something else may come to hold it at any moment.

        Raises RegistryError when the registry deletes neither way.
        """
        if self.deletes_single_tags():
            self.delete(tag)
            return
        before = None
        with contextlib.suppress(RegistryError):  # what cannot be read goes all the same
            before = self.manifest(tag)
        with self._removing:
            self._remove_by_placeholder(tag, before)

    def _remove_by_placeholder(self, tag: Tag, before: Manifest | None) -> None:
        first, second = placeholders(tag)
        try:
            self._remove_by_way_of(first, tag, before)
        except (Unreadable, TimedOut, Unsettled):
            raise
        except RegistryError:
            # Some registries take no index of nothing, or do not delete it.
            if not self.blobs.has(EMPTY_BLOB.digest):
                self.blobs.write(EMPTY_BLOB, [EMPTY])
            self._remove_by_way_of(second, tag, before)

    def _remove_by_way_of(self, placeholder: Manifest, tag: Tag, before: Manifest | None) -> None:
        try:
            written = self._sent(tag, placeholder)
            self._check_mutable(written, tag)
            written.check(self.name, f"write {tag}", *_WRITTEN)
            self._check_deleted(self._delete(placeholder.digest), tag)
        except (TaggerError, KeyboardInterrupt) as problem:
            try:
                went = self._went(tag, before, problem)
            except KeyboardInterrupt:
                raise Abandoned from None
            if not went or isinstance(problem, KeyboardInterrupt):
                raise

    def _went(self, tag: Tag, before: Manifest | None, problem: TaggerError | KeyboardInterrupt) -> bool:
        """See what became of a tag whose removal broke off: gone (true), or as it was (false).

        A write without an answer may still land, so that a tag that reads as before is looked at until the pauses end.

        Raises Unsettled when it is neither, since the placeholder is not what anybody should pull.
        """
        self.patience.put_back()
        answered = isinstance(problem, RegistryError | Refused) and not isinstance(problem, Unreadable)
        as_before = False
        for pause in _UNDO_PAUSES:
            with contextlib.suppress(RegistryError, RegistryUnreachable, TimedOut, CalledOff):
                self.patience.sleep(pause)
                held = self._held(tag)
                if held is None:
                    return True
                as_before = not is_placeholder(tag, held.digest)
                if before and not as_before:
                    self.put(tag, before)
                    return False
                if as_before and answered:
                    return False
        if as_before:
            return False
        raise Unsettled(
            f"{self.name}:{tag} may hold a placeholder now, since its removal broke off ({problem}): run the same"
            f" command again, or point it at {before.digest if before else 'its image'} again",
            [tag],
        )

    def deletes_single_tags(self) -> bool:
        """Say whether the registry deletes single tags, rather than manifests with all of their tags.

        Raises Refused when it deletes neither, Denied, RegistryUnreachable.
        """
        if self.deletes() is Deletes.OFF:
            raise Refused(self._deletes_nothing())
        return self.deletes() is Deletes.BY_TAG

    def deletes(self) -> Deletes:
        """Find out what this registry deletes, by deleting what is not there.

        Raises Denied, RegistryUnreachable.
        """
        if self._deletes is None:
            nothing = uuid.uuid4().hex
            by_tag = self._probe(Tag(f"probe-{nothing}"))
            if by_tag.status in _GONE or _is_not_there(by_tag):
                self._deletes = Deletes.BY_TAG
            elif _is_not_there(self._probe(Digest(f"sha256:{nothing * 2}"))):
                self._deletes = Deletes.BY_DIGEST
            else:
                self._deletes = Deletes.OFF
            self._switched_off = self._docker and by_tag.status == HTTPStatus.METHOD_NOT_ALLOWED
        return self._deletes

    def _deletes_nothing(self) -> str:
        """Say that the registry deletes nothing, and where a person can do it."""
        registry, path = self.name.registry, self.name.path
        if self._switched_off and not hosts.known(registry).page:
            return (
                f"{registry} has deletes switched off, so nothing goes from {path}: switch them on"
                " (storage.delete.enabled: true in the configuration of a distribution registry) and start it again, or"
                f" use {self._own_tool}"
            )
        return f"{registry} deletes nothing by the registry API, so nothing goes from {path}: use {self._own_tool}"

    @property
    def _own_tool(self) -> str:
        """Name where a person does what the registry API does not."""
        return hosts.known(self.name.registry).page or "its own page or tool"

    def delete(self, reference: Tag | Digest) -> None:
        """Delete a tag, or a manifest with every tag that points at it; what is not there is deleted already.

        Raises RegistryError, Denied, RegistryUnreachable.
        """
        self._check_deleted(self._delete(reference), reference)

    def _check_deleted(self, answer: Answer, reference: str) -> None:
        if _is_not_there(answer):  # which is also what a delete gets whose first answer was lost
            return
        self._check_mutable(answer, reference)
        if answer.why(self.name.path) is Why.NO_RIGHT and answer.status == HTTPStatus.FORBIDDEN:
            raise Denied(
                f"{self.name.registry} does not let you delete {reference} in {self.name.path} ({answer.complaint()}):"
                f" ask for the right to delete, or use {self._own_tool}"
            )
        answer.check(self.name, f"delete {reference}", *_GONE)

    def _check_mutable(self, answer: Answer, reference: str) -> None:
        if answer.why(self.name.path) is Why.IMMUTABLE:
            raise Immutable(
                f"{self.name.registry} does not let you delete {reference} in {self.name.path} ({answer.complaint()}):"
                " keep it, or take it out of the rule or the lock that makes it immutable"
            )

    def _probe(self, absent: Tag | Digest) -> Answer:
        answer = self._delete(absent)
        fails = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status != HTTPStatus.NOT_IMPLEMENTED
        if fails or answer.why(self.name.path):
            self._check_deleted(answer, "tags")
        return answer

    def _delete(self, reference: Tag | Digest) -> Answer:
        return self._request("DELETE", f"/manifests/{reference}", scope=self._scopes.delete)

    # -- requests ----------------------------------------------------------------------------------------------

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        limit: int = 1024 * 1024,
        scope: str = "",
    ) -> Answer:
        scope = scope or (self._scopes.pull if method in ("GET", "HEAD") else self._scopes.push)
        answer = self._connection.request(
            method, self._base + path, scope=scope, headers=headers, body=body, limit=limit
        )
        self._docker = self._docker or "docker-distribution-api-version" in answer.headers
        return answer

    def _is_withheld(self, answer: Answer, reference: Tag | Digest) -> bool:
        """Say whether an answer is about this manifest alone, rather than about the repository."""
        if answer.status == HTTPStatus.FORBIDDEN:
            return self._list.names(reference)
        return answer.status in _POLICIES and self._list.is_shown()

    def _read_manifest(self, answer: Answer, reference: Tag | Digest) -> Manifest:
        media_type = _media_type(answer)
        if media_type not in MEDIA_TYPES:
            raise RegistryError(
                f"{self.name} serves {reference} as '{printable(media_type)}', which is no image manifest of today:"
                " push the image again"
            )
        expected = reference if ":" in reference else answer.headers.get("docker-content-digest")
        algorithm = (expected or "").partition(":")[0]
        manifest = Manifest.of(media_type, answer.body, algorithm if algorithm in ("sha384", "sha512") else "sha256")
        if expected and manifest.digest != expected:
            raise RegistryError(
                f"{self.name} serves {reference} with content whose digest is {manifest.digest}, not"
                f" {printable(expected)}: push the image again, or ask whoever runs the registry"
            )
        return manifest


def _is_not_there(answer: Answer) -> bool:
    return answer.status == HTTPStatus.NOT_FOUND and not _NOT_THERE.isdisjoint(answer.codes())


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip()
