"""A repository in a registry, through the HTTP API (OCI distribution spec)."""

from __future__ import annotations

from collections.abc import Iterator

from tagger.credentials.credential import Credential
from tagger.names import Digest, Repository, Tag
from tagger.oci.index import Entry
from tagger.registry.blobs import Blobs
from tagger.registry.connection import Connection
from tagger.registry.delete import Deleting
from tagger.registry.manifests import Manifests
from tagger.registry.referrers import referrers


class RemoteRepository(Manifests):
    """A repository in its registry: its tags, manifests and blobs."""

    def __init__(self, name: Repository, connection: Connection) -> None:
        super().__init__(name, connection)
        self.blobs = Blobs(name, connection)
        self.deleting = Deleting(self, self.blobs)

    def credential(self) -> Credential | None:
        """The credential for this repository, if it may go to its registry; see `Auth.credential`."""
        return self.connection.auth.credential()

    def tags(self) -> list[Tag]:
        """List every tag, in the registry's order; a repository that does not exist has none.

        Raises BadAnswer for an incomplete list, Denied, RegistryUnreachable.
        """
        return self.listed() or []

    def listed(self) -> list[Tag] | None:
        """List every tag like `tags`; None when there is no such repository."""
        return self.list.read()

    def referrers(self, digest: Digest) -> Iterator[Entry]:
        """Yield the referrers of a manifest; see `referrers`."""
        return referrers(self, digest)

    def check_push(self) -> None:
        """Raise the known obstacle to a push with these credentials, if there is one; see `Blobs.check_push`."""
        self.blobs.check_push()

    def check_removal(self) -> None:
        """Raise Refused when the registry deletes nothing, Denied, RegistryUnreachable."""
        self.deleting.takes_single_tags()

    def remove(self, tag: Tag) -> None:
        """Remove one tag; see `Deleting.remove`."""
        self.deleting.remove(tag)

    def empty(self, tag: Tag) -> None:
        """Point a tag at its placeholder, so that it counts as absent; see `Deleting.empty`."""
        self.deleting.empty(tag)
