"""The referrers of a manifest: signatures, attestations and the like, listed by the registry or under a tag."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from http import HTTPStatus

from tagger.errors import BadAnswer, Refused, RegistryError, Unreadable
from tagger.names import Digest
from tagger.oci.index import Entry, referrers_in, tagged_referrers
from tagger.oci.referrers import referrers_tag
from tagger.registry.manifests import MANIFEST_BYTES, Manifests, media_type_of
from tagger.registry.tag_list import following

_MOST_PAGES = 100


def referrers(manifests: Manifests, digest: Digest) -> Iterator[Entry]:
    """Yield the referrers of a manifest, such as signatures (OCI distribution spec, "Listing Referrers").

    A registry without that API has a tag for them ("Referrers Tag Schema").

    Raises, after everything that it could find, Unreadable, BadAnswer, Refused, RegistryUnreachable.
    """
    try:
        complete = yield from _listed(manifests, digest)
    except (RegistryError, Refused):
        yield from _tagged(manifests, digest) or ()
        raise
    if not complete:
        yield from _tagged(manifests, digest) or ()


def _tagged(manifests: Manifests, digest: Digest) -> tuple[Entry, ...] | None:
    return tagged_referrers(manifests.manifest(referrers_tag(digest)), digest)


def _listed(manifests: Manifests, digest: Digest) -> Generator[Entry, None, bool]:
    """Yield what the registry itself lists; return whether that was a complete list."""
    url = path = f"/v2/{manifests.name.path}/referrers/{digest}"
    visited: set[str] = set()
    while url not in visited and len(visited) < _MOST_PAGES:
        try:
            answer = manifests.connection.request(
                "GET", url, scope=manifests.scopes.pull, limit=MANIFEST_BYTES, elsewhere=False
            )
        except BadAnswer as error:
            if visited or isinstance(error, Unreadable):
                raise
            return False  # that server has no such API
        page = referrers_in(answer.body, media_type_of(answer)) if answer.status == HTTPStatus.OK else None
        if page is None:
            busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            if visited or (busy and answer.status != HTTPStatus.NOT_IMPLEMENTED):
                answer.check(manifests.name, f"list what refers to {digest}")
            return False
        yield from page
        visited.add(url)
        next_page = following(answer, path)
        if next_page is None:
            return True
        url = next_page
    raise BadAnswer(
        f"{manifests.name} sends an endless list of what refers to {digest}", "ask the registry's administrator"
    )


def lists_referrers(manifests: Manifests, digest: Digest) -> bool:
    """Return whether the registry itself lists the referrers of a manifest. Raises what `referrers` raises."""
    listing = _listed(manifests, digest)
    while True:
        try:
            next(listing)
        except StopIteration as end:
            return bool(end.value)
