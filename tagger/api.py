"""The Python API: what the commands do, with words in and values out.

Each function is a command, or a part of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from tagger.credentials.docker import DockerConfig
from tagger.errors import InputError
from tagger.events import silent
from tagger.git import parse_asked
from tagger.names import Registry, Repository
from tagger.registry.repository import RemoteRepository
from tagger.releasing.order import FloatsVia
from tagger.releasing.outcome import Release
from tagger.rules.lines import numbering_of
from tagger.rules.scheme import Scheme
from tagger.text import printable
from tagger.wiring.access import Access, Registries, Shared
from tagger.wiring.options import ReleaseOptions, deadline_of
from tagger.wiring.release import PLAIN, Wanted
from tagger.wiring.release import release as released

# What only some commands need is imported there.
if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis
    from tagger.repository.check import Check
    from tagger.repository.compare import Difference
    from tagger.repository.listing import Listing
    from tagger.repository.propose import Proposed
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal
    from tagger.repository.repair import Repair
    from tagger.repository.sharing import Sharing
    from tagger.repository.unyank import Unyank
    from tagger.repository.yank import Yank
    from tagger.rules.next import Part
    from tagger.wiring.promote import Promotion


def tags(
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    build_metadata: str = "refuse",
    git_tag: str | None = None,
) -> tuple[str, ...]:
    """The tags that a version competes for, the most specific first, without asking a registry.

    >>> tags("2.2.0-rc.1")
    ('2.2.0-rc.1',)

    Raises InputError, and Refused for build metadata.
    """
    numbering = numbering_of(schemes)
    wanted = parse_asked(version, numbering, build_metadata=build_metadata, git_tag=git_tag).version
    return tuple(tag for scheme in schemes for tag in scheme.tags(wanted))


def release(
    image: str,
    version: str,
    *,
    registry: str | Sequence[str] = (),
    repository: str | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    git_tag: str | None = None,
    floats_via: FloatsVia | str = FloatsVia.ENGINE,
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Release an image of the Engine under its semver tags, verified, or move nothing.

    `image` is anything that the Engine resolves. It goes to `registry` and `repository`, by default those of its own
    name, for each variant in `schemes`. `version` may be "git": the semver tag at HEAD, or with
    `git_tag`, such as "gallery/v{version}", the tag of that form. Floating tags move by a push,
    or with `floats_via` "registry" by manifest PUT. The other options are those of `ReleaseOptions`.

    Returns what happened to every tag (outcome "planned", "released" or "unchanged").

    Raises InputError for what cannot be used, Refused when a rule says no, Unsettled when tags could not be put back,
    Interrupted on Ctrl-C, and TaggerError for every other failure; each has the same report in its `release`.
    """
    registries = [registry] if isinstance(registry, str) else registry
    return release_all(
        [Wanted(image, registries, repository, schemes, git_tag)],
        version,
        floats_via=floats_via,
        **options,
    )


def release_all(
    wanted: Sequence[Wanted],
    version: str,
    *,
    floats_via: FloatsVia | str = FloatsVia.ENGINE,
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Release several images as one: no floating tag moves before every version tag is verified.

    Takes and raises what `release` does.
    """
    return released(wanted, version, floats_via, options)


def promote(
    source: str | Sequence[str],
    version: str,
    *,
    to: str | Sequence[str] = (),
    schemes: Sequence[Scheme] = PLAIN,
    git_tag: str | None = None,
    layers_from: Collection[str] = (),
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Release an image of a registry or an OCI layout, digest unchanged, with all of its platforms, without an Engine.

    `source` is its reference, by tag or digest, or `oci:PATH` of a layout; several are images of one platform each,
    which are joined into one index. It is released in its own repository, or in those of `to`: what they lack is copied
    there, signatures and attestations too. Layers that are under `latest` in a repository of `layers_from`, in the same
    registry, are mounted from there. The rest is as for `release`.
    """
    from tagger.wiring.promote import Promotion
    from tagger.wiring.promote import promote as promoted

    wanted = Promotion(source, [to] if isinstance(to, str) else to, schemes, git_tag)
    return promoted([wanted], version, options, layers_from)


def promote_all(
    wanted: Sequence[Promotion],
    version: str,
    *,
    layers_from: Collection[str] = (),
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Promote several images as one release.

    All are copied before a version tag is written, and no floating tag moves before every version tag is verified.
    Takes and raises what `promote` does.
    """
    from tagger.wiring.promote import promote as promoted

    return promoted(wanted, version, options, layers_from)


def ls(
    repository: str,
    *,
    limit: int | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    **access: Unpack[Access],
) -> Listing:
    """List a repository's versions, the newest first, with the floating tags at each; `limit` shows that many.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import listing

    return listing.ls(_alone(repository, access), schemes, limit)


def sharing(repository: str, digest: str, **access: Unpack[Access]) -> Sharing:
    """Find every tag of a repository that holds the image with a digest, by asking where each tag points.

    Raises InputError when there is no such repository or image, and TaggerError for every other failure.
    """
    from tagger.names import parse_digest
    from tagger.repository import sharing as shared

    return shared.sharing(_alone(repository, access), parse_digest(digest))


def listed(repository: str, **access: Unpack[Access]) -> list[str]:
    """List every tag of a repository as its registry does, by one request or so for a thousand; a new one has none.

    Raises TaggerError.
    """
    return [*_alone(repository, access).tags()]


def repositories(registry: str, **access: Unpack[Access]) -> Iterator[str]:
    """Each repository that a registry lists, as `/v2/_catalog` names it.

    Raises Refused where the registry does not serve that list, and TaggerError for every other failure.
    """
    shared = access.get("shared") or Shared(deadline_of(access))
    return map(str, shared.catalog(Registry.parse(registry), access))


def digests(repository: str, tags: Collection[str], **access: Unpack[Access]) -> dict[str, str | None]:
    """What tags hold; None for a tag that does not exist.

    Raises BadAnswer for a tag that the registry cannot say that of, and TaggerError for every other failure.
    """
    from tagger.errors import Unreadable
    from tagger.names import parse_tag
    from tagger.repository.observe import ask

    held = ask(_alone(repository, access), [parse_tag(tag) for tag in tags])
    for answer in held.values():
        if isinstance(answer, Unreadable):
            raise answer
    return {str(tag): None if isinstance(answer, Unreadable) else answer for tag, answer in held.items()}


def compare(listings: Sequence[Listing]) -> tuple[Difference, ...]:
    """Find where repositories that should hold the same disagree, from their listings: `compare([ls(one), ls(other)])`.

    Raises InputError for a listing that a limit has cut short.
    """
    from tagger.repository import compare as comparison

    return comparison.compare(listings)


def check(
    repository: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    **access: Unpack[Access],
) -> Check:
    """Find the floating tags that are not where the version tags say they should be.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import check as drift

    return drift.check(_alone(repository, access), schemes)


def repair(
    repository: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    among: Collection[str] | None = None,
    **access: Unpack[Access],
) -> Repair:
    """Put every floating tag that drifted where the version tags say it should be.

    Only tags of `among` change, if it is given.

    Raises Unsettled when some are not there in the end, InputError when there is no such repository, and TaggerError
    for every other failure.
    """
    from tagger.repository import repair as drift

    return drift.repair(_alone(repository, access), schemes, dry_run=dry_run, among=among)


def remove(
    repository: str,
    *names: str,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Removal:
    """Remove versions and tags, and no other tag; floating tags go back to the version before first.

    Raises InputError if none of the names exists, Refused if the registry cannot delete or another tag is in the
    way, Unsettled if something is left, and TaggerError for every other failure.
    """
    from tagger.repository import remove as removal

    found = removal.remove(
        _alone(repository, access), schemes, names, dry_run=dry_run, note=access.get("progress", silent)
    )
    return found.or_raise()


def remove_all(
    repository: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Removal:
    """Remove every tag of a repository. Raises what `remove` raises."""
    from tagger.repository import remove as removal

    return removal.remove_all(_alone(repository, access), schemes, dry_run=dry_run).or_raise()


def yank(
    repository: str,
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Yank:
    """Withdraw a version: floating tags go back to the one before, and the image stays as VERSION-yanked.

    Raises InputError if it is not published, Unsettled if some tags are not where they belong in the end, and
    TaggerError for every other failure.
    """
    from tagger.repository import yank as withdrawal

    return withdrawal.yank(_alone(repository, access), schemes, version, dry_run=dry_run)


def unyank(
    repository: str,
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Unyank:
    """Bring a yanked version back: its tag gets the image of the mark, floating tags follow, and the mark goes.

    Raises InputError if it is neither yanked nor published, Refused if its tag holds another image than its mark,
    Unsettled if some tags are not where they belong in the end, and TaggerError for every other failure.
    """
    from tagger.repository import unyank as back

    return back.unyank(_alone(repository, access), schemes, version, dry_run=dry_run)


def prune(
    repository: str,
    *,
    keep: int,
    keep_minors: int | None = None,
    keep_revisions: int | None = None,
    older_than: str | None = None,
    among: Collection[str] | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Pruning:
    """Remove old versions; the newest `keep` of each minor series stay, and so does an image that another tag holds.

    A pre-release stays if its first identifier is no known stage, such as rc, and no channel of its variant.
    `keep_minors` keeps that many series of each major version, `keep_revisions` that many rebuilds of each version that
    stays; `older_than`, such as "180d", keeps what is younger.
    Only tags of `among` are removed, if it is given.

    Raises what `remove` raises, InputError for numbers that would keep nothing among it.
    """
    from tagger.repository import prune as retention
    from tagger.rules.keep import Policy, parse_age

    policy = Policy(keep, keep_minors, keep_revisions, parse_age(older_than) if older_than is not None else None)
    found = retention.prune(_alone(repository, access), schemes, policy, dry_run=dry_run, among=among)
    return found.or_raise()


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
    target = _alone(repository, access)
    return str(following.next_version(target, schemes, raised, pre, first=first))


def propose(repository: str, **access: Unpack[Access]) -> Proposed:
    """Propose settings for a repository as it is: its lines of versions, and the floating tags that keep to rules.

    Raises InputError when there is no such repository, and TaggerError for every other failure.
    """
    from tagger.repository import propose as proposing

    return proposing.propose(_alone(repository, access))


def diagnose(
    repository: str | None = None,
    **access: Unpack[Access],
) -> Diagnosis:
    """Find out what works from here, and what does not: this machine, and a repository with its registry.

    `repository` may be the name of an image in the settings of the working directory: then it is checked on all of its
    registries. Without one, every image there is. No tag and no image changes:
    an upload that shows the right to push is begun and given up, and what it tries to delete is not there.

    Raises InvalidReference for a name that is neither; whatever else goes wrong is a finding.
    """
    from tagger.doctor.diagnose import diagnose as diagnosed

    return diagnosed(repository, access)


def _alone(repository: str, access: Access) -> RemoteRepository:
    """A repository, opened without an Engine, so that the Engine's list of insecure registries does not count."""
    if shared := access.get("shared"):
        return shared.open(Repository.parse(repository), access)
    return Registries(DockerConfig.load(), access, deadline_of(access)).open(Repository.parse(repository))
