"""The functions that only read, as the commands `ls`, `check`, `next`, `repos`, `init` and `doctor` do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from tagger.errors import InputError, Unreadable
from tagger.names import Registry, parse_digest, parse_tag
from tagger.rules.lines import PLAIN
from tagger.rules.scheme import Scheme
from tagger.text import printable
from tagger.wiring.access import Access, Shared, alone, deadline_of

# Each function imports what only it needs.
if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis
    from tagger.repository.check import Check
    from tagger.repository.compare import Difference
    from tagger.repository.listing import Listing
    from tagger.repository.propose import Proposed
    from tagger.repository.sharing import Sharing
    from tagger.rules.next import Part


def ls(
    repository: str, *, limit: int | None = None, schemes: Sequence[Scheme] = PLAIN, **access: Unpack[Access]
) -> Listing:
    """List a repository's versions, the newest first, with the floating tags at each; `limit` shows that many.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import listing

    return listing.ls(alone(repository, access), schemes, limit)


def sharing(repository: str, digest: str, **access: Unpack[Access]) -> Sharing:
    """Find every tag of a repository that holds the image with a digest, by asking where each tag points.

    Raises InputError when there is no such repository or image, and TaggerError for every other failure.
    """
    from tagger.repository import sharing as shared

    return shared.sharing(alone(repository, access), parse_digest(digest))


def listed(repository: str, **access: Unpack[Access]) -> list[str]:
    """List every tag of a repository, in the registry's order; a new repository has none.

    It takes about one request for a thousand tags.

    Raises TaggerError.
    """
    return [*alone(repository, access).tags()]


def repositories(registry: str, **access: Unpack[Access]) -> Iterator[str]:
    """Yield each repository that a registry lists in `/v2/_catalog`.

    Raises Refused where the registry does not serve that list, and TaggerError for every other failure.
    """
    shared = access.get("shared") or Shared(deadline_of(access))
    return map(str, shared.catalog(Registry.parse(registry), access))


def digests(repository: str, tags: Collection[str], **access: Unpack[Access]) -> dict[str, str | None]:
    """Return the digest that each tag points at; None for a tag that does not exist.

    Raises BadAnswer for a tag that the registry cannot read, and TaggerError for every other failure.
    """
    from tagger.repository.observe import ask

    held = ask(alone(repository, access), [parse_tag(tag) for tag in tags])
    for answer in held.values():
        if isinstance(answer, Unreadable):
            raise answer
    return {str(tag): None if isinstance(answer, Unreadable) else answer for tag, answer in held.items()}


def compare(listings: Sequence[Listing]) -> tuple[Difference, ...]:
    """Find differences between repositories that should hold the same: `compare([ls(one), ls(other)])`.

    Raises InputError for a listing that a limit has cut short.
    """
    from tagger.repository import compare as comparison

    return comparison.compare(listings)


def check(repository: str, *, schemes: Sequence[Scheme] = PLAIN, **access: Unpack[Access]) -> Check:
    """Find the floating tags that do not point at the version that they belong to.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import check as drift

    return drift.check(alone(repository, access), schemes)


def next_version(
    repository: str,
    part: Part | str | None = None,
    *,
    pre: str | None = None,
    first: bool = False,
    schemes: Sequence[Scheme] = PLAIN,
    **access: Unpack[Access],
) -> str:
    """The version after the greatest published one: the next "patch", "minor" or "major", or pre-release `pre`.

    With `first` the repository may not exist yet.

    Raises InputError, and TaggerError for every other failure.
    """
    from tagger.repository import next as following
    from tagger.rules.next import Part

    try:
        raised = Part(part) if part else None
    except ValueError:
        raise InputError(f"a version has no part '{printable(part)}'", "give patch, minor or major") from None
    target = alone(repository, access)
    return str(following.next_version(target, schemes, raised, pre, first=first))


def propose(repository: str, **access: Unpack[Access]) -> Proposed:
    """Propose settings that fit a repository: its lines of versions, and the floating tags that follow rules.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import propose as proposing

    return proposing.propose(alone(repository, access))


def diagnose(repository: str | None = None, **access: Unpack[Access]) -> Diagnosis:
    """Find out what works and what does not, on this machine and with a repository and its registry.

    `repository` may be the name of an image in the settings of the working directory; then it is checked on all of its
    registries. Without it, every image of the settings is checked. No tag and no image changes: to test the right to
    push, doctor starts an upload and cancels it, and to test deletes, it names something that does not exist.

    Raises InvalidReference for a name that is neither. Every other problem is a finding.
    """
    from tagger.doctor.diagnose import diagnose as diagnosed

    return diagnosed(repository, access)
