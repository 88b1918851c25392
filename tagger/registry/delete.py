"""Deletes: what a registry can delete, and how to remove one tag without the others."""

from __future__ import annotations

import contextlib
import threading
import uuid
from enum import Enum
from http import HTTPStatus

from tagger.errors import (
    AGAIN,
    Abandoned,
    BadAnswer,
    CalledOff,
    Denied,
    Immutable,
    Refused,
    RegistryError,
    TaggerError,
    TimedOut,
    Unreadable,
    Unsettled,
)
from tagger.names import Digest, Tag
from tagger.oci.manifest import Manifest
from tagger.oci.placeholder import EMPTY, EMPTY_BLOB, is_placeholder, placeholders
from tagger.registry import hosts
from tagger.registry.answer import Answer
from tagger.registry.blobs import Blobs
from tagger.registry.manifests import WRITTEN, Manifests
from tagger.registry.refusal import Why
from tagger.work import Pauses

_GONE = (HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NO_CONTENT)
# The error codes for a missing manifest. A 404 without them means that the registry does not know the request.
_NOT_THERE = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_UNKNOWN", "NOT_FOUND"})


class Deletes(Enum):
    """What a registry can delete: single tags, manifests with all of their tags, or nothing."""

    BY_TAG = "by tag"
    BY_DIGEST = "by digest"
    OFF = "off"


class Deleting:
    """Removes the tags of one repository."""

    def __init__(self, manifests: Manifests, blobs: Blobs) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._name = manifests.name
        self._deletes: Deletes | None = None
        self._switched_off = False
        # distribution searches all tags of a manifest that it deletes, and fails if one of them disappears.
        self._removing = threading.Lock()

    def remove(self, tag: Tag) -> None:
        """Remove one tag and keep every other tag of its digest.

        If the registry cannot delete by tag, tagger moves the tag to its own placeholder, and deletes that by its
        digest. First, a probe shows that deletes are on; otherwise the tag would stay at the placeholder. The image
        itself is never deleted, because another tag may point at it at any moment.

        Raises BadAnswer when the registry can delete neither.
        """
        if self.takes_single_tags():
            self.delete(tag)
            return
        before = None
        with contextlib.suppress(BadAnswer):  # an unreadable tag is removed too
            before = self._manifests.manifest(tag)
        with self._removing:
            self._remove_by_placeholder(tag, before)

    def _remove_by_placeholder(self, tag: Tag, before: Manifest | None) -> None:
        first, second = placeholders(tag)
        try:
            self._remove_by_way_of(first, tag, before)
        except (Unreadable, TimedOut, Unsettled):
            raise
        except BadAnswer:
            # Some registries do not accept an empty index, or do not delete it.
            self._write_empty_blob()
            self._remove_by_way_of(second, tag, before)

    def _write_empty_blob(self) -> None:
        if not self._blobs.has(EMPTY_BLOB.digest):
            self._blobs.write(EMPTY_BLOB, [EMPTY])

    def _remove_by_way_of(self, placeholder: Manifest, tag: Tag, before: Manifest | None) -> None:
        try:
            written = self._manifests.send(tag, placeholder)
            self._check_mutable(written, tag)
            written.check(self._name, f"write {tag}", *WRITTEN)
            self._check_deleted(self._delete(placeholder.digest), tag)
        except (TaggerError, KeyboardInterrupt) as problem:
            try:
                went = self._went(tag, before, problem)
            except KeyboardInterrupt:
                raise Abandoned from None
            if not went or isinstance(problem, KeyboardInterrupt):
                raise

    def _went(self, tag: Tag, before: Manifest | None, problem: TaggerError | KeyboardInterrupt) -> bool:
        """Return whether a tag is gone after its removal failed; otherwise it is unchanged.

        A write without an answer may still arrive, so an unchanged tag is read again for some seconds.

        Raises Unsettled when it is neither, because nobody should pull the placeholder.
        """
        self._manifests.deadline.put_back()
        answered = isinstance(problem, BadAnswer | Refused) and not isinstance(problem, Unreadable)
        as_before = False
        with contextlib.suppress(TimedOut, CalledOff):
            for _ in self._manifests.deadline.attempts(Pauses.STALE):
                with contextlib.suppress(RegistryError):
                    held = self._manifests.held(tag)
                    if held is None:
                        return True
                    as_before = not is_placeholder(tag, held.digest)
                    if before and not as_before:
                        self._manifests.put(tag, before)
                        return False
                    if as_before and answered:
                        return False
        if as_before:
            return False
        raise Unsettled(
            f"{self._name}:{tag} may hold a placeholder now, because its removal was interrupted ({problem})",
            [tag],
            hint=f"{AGAIN}, or point it at {before.digest if before else 'its image'} again",
        )

    def empty(self, tag: Tag) -> None:
        """Point a tag at its placeholder, so that it counts as absent in a registry without deletes.

        Raises Refused, BadAnswer, RegistryUnreachable.
        """
        first, second = placeholders(tag)
        try:
            self._manifests.put(tag, first)
        except Unreadable:
            raise
        except BadAnswer:
            self._write_empty_blob()
            self._manifests.put(tag, second)

    def takes_single_tags(self) -> bool:
        """Return whether the registry deletes single tags, and not only manifests with all of their tags.

        Raises Refused when it deletes neither, Denied, RegistryUnreachable.
        """
        if self._kind() is Deletes.OFF:
            raise self._deletes_nothing()
        return self._kind() is Deletes.BY_TAG

    def _kind(self) -> Deletes:
        """Find out what this registry can delete, by deleting something that does not exist."""
        if self._deletes is None:
            nothing = uuid.uuid4().hex
            by_tag = self._probe(Tag(f"probe-{nothing}"))
            if by_tag.status in _GONE or _is_not_there(by_tag):
                self._deletes = Deletes.BY_TAG
            elif _is_not_there(self._probe(Digest(f"sha256:{nothing * 2}"))):
                self._deletes = Deletes.BY_DIGEST
            else:
                self._deletes = Deletes.OFF
            self._switched_off = self._manifests.is_dockers and by_tag.status == HTTPStatus.METHOD_NOT_ALLOWED
        return self._deletes

    def _deletes_nothing(self) -> Refused:
        """Return the error for a registry without deletes; it names the place where a person can delete."""
        registry, left = self._name.registry, f"so nothing is removed from {self._name.path}"
        if self._switched_off and not hosts.known(registry).page:
            return Refused(
                f"{registry} has deletes switched off, {left}",
                "switch them on (storage.delete.enabled: true in the configuration of a distribution registry) and"
                f" restart it, or use {self._own_tool}",
            )
        return Refused(f"{registry} does not delete through the registry API, {left}", f"use {self._own_tool}")

    @property
    def _own_tool(self) -> str:
        """Return where a person can do what the registry API cannot."""
        return hosts.known(self._name.registry).page or "its own page or tool"

    def delete(self, reference: Tag | Digest) -> None:
        """Delete a tag, or a manifest with every tag that points at it; a missing one counts as deleted.

        Raises BadAnswer, Denied, RegistryUnreachable.
        """
        self._check_deleted(self._delete(reference), reference)

    def _check_deleted(self, answer: Answer, reference: str) -> None:
        if _is_not_there(answer):  # also after a delete whose first answer was lost
            return
        self._check_mutable(answer, reference)
        if answer.why(self._name.path) is Why.NO_RIGHT and answer.status == HTTPStatus.FORBIDDEN:
            raise Denied(
                self._refused(answer, reference),
                f"ask for the right to delete, or use {self._own_tool}",
            )
        answer.check(self._name, f"delete {reference}", *_GONE)

    def _check_mutable(self, answer: Answer, reference: str) -> None:
        if answer.why(self._name.path) is Why.IMMUTABLE:
            raise Immutable(
                self._refused(answer, reference),
                "keep it, or exempt it from the rule or lock that makes it immutable",
            )

    def _refused(self, answer: Answer, reference: str) -> str:
        return f"{self._name.registry} does not let you delete {reference} in {self._name.path} ({answer.complaint()})"

    def _probe(self, absent: Tag | Digest) -> Answer:
        answer = self._delete(absent)
        fails = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status != HTTPStatus.NOT_IMPLEMENTED
        if fails or answer.why(self._name.path):
            self._check_deleted(answer, "tags")
        return answer

    def _delete(self, reference: Tag | Digest) -> Answer:
        return self._manifests.request("DELETE", f"/manifests/{reference}", scope=self._manifests.scopes.delete)


def _is_not_there(answer: Answer) -> bool:
    return answer.status == HTTPStatus.NOT_FOUND and not _NOT_THERE.isdisjoint(answer.codes())
