"""Writes and removes single tags, and reads them back before the next step."""

from __future__ import annotations

from collections.abc import Sequence

from tagger.errors import AGAIN, BadAnswer, Refused, TaggerError, Unreadable
from tagger.names import Digest, Tag
from tagger.oci.manifest import Manifest
from tagger.repository.observe import Tags, ask
from tagger.work import Pauses


def fetch(repository: Tags, digest: Digest, hint: str = "push that image again") -> Manifest:
    """Fetch an existing manifest. Raises BadAnswer if it is gone."""
    manifest = repository.manifest(digest)
    if manifest is None:
        raise BadAnswer(f"{repository.name} no longer has {digest}", hint)
    return manifest


def put_seen(repository: Tags, tag: Tag, manifest: Manifest, pauses: Pauses = Pauses.STALE) -> None:
    """Point a tag at a manifest, and read it back. Raises BadAnswer if the registry does not show it."""
    repository.put(tag, manifest)
    since = f"{repository.name.registry} does not show {tag} yet"
    for _ in repository.deadline.attempts(pauses, since=since):
        if repository.digest(tag) == manifest.digest:
            return
    raise BadAnswer(f"{repository.name} does not show {tag}, which was just written", AGAIN)


def take(repository: Tags, tag: Tag, expected: Digest | None) -> None:
    """Remove a tag that holds the expected digest (None: any); one that somebody has moved stays."""
    (held,) = ask(repository, [tag]).values()
    if expected is None or held is None or isinstance(held, Unreadable) or held == expected:
        repository.remove(tag)


def take_alone(repository: Tags, tag: Tag, expected: Digest | None, tags: Sequence[Tag]) -> None:
    """Remove a tag, and check that it is gone and none of the others in `tags`.

    Some old registries delete the manifest of a tag, and with it every tag that points there. Then this puts the tags
    back and raises Refused.
    """
    image = repository.manifest(expected) if expected else None
    take(repository, tag, expected)
    since = f"{repository.name.registry} still shows {tag}, which was deleted"
    for _ in repository.deadline.attempts(Pauses.STALE, since=since):
        (held,) = ask(repository, [tag]).values()
        if held is None or held != expected:
            break
    else:
        raise TaggerError(f"{repository.name.registry} accepted the deletion of {tag}, but the tag is still there")
    lost = set(tags) - {*repository.tags(), tag} if image else set()
    if image and lost and repository.digest(image.digest) is None:
        for other in (*lost, tag):
            repository.put(other, image)
        raise Refused(
            f"{repository.name.registry} deletes an image with every tag on it ({', '.join(sorted(lost))} went with"
            f" {tag}), so tagger put the tags back and removed nothing",
            "move the others to another image first",
        )
