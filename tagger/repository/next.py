"""`tagger next`: the version after the published ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from tagger.errors import InputError
from tagger.names import Tag
from tagger.repository.observe import Listed
from tagger.rules.candidate import is_candidate
from tagger.rules.lines import numbering_of
from tagger.rules.next import Part, check_label, following, successor
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, newest_first, yanked_by


def next_version(
    repository: Listed, schemes: Sequence[Scheme], part: Part | None, label: str | None = None, *, first: bool = False
) -> Version:
    """Return the version after the greatest one of these variants; see `successor` for `part` and `label`.

    Versions by a template have no parts: their last number goes up, and fields of dates are those of today in UTC.

    A repository without a version counts as 0.0.0; for its `first` version, it need not exist. Ignored versions,
    candidates and other variants do not count, but a published version to ignore is never returned.

    Raises InputError for an invalid label and for a repository that does not exist, and what the registry raises.
    """
    if label is not None:
        check_label(label)
    tags = repository.listed()
    if tags is None and not first:
        raise InputError(
            f"there is no repository {repository.name.path} at {repository.name.registry}",
            "check the name, or give --first for the first version of a new one",
        )
    numbering = numbering_of(schemes)
    versions, ignored = _published(tags or (), schemes)
    stable = (version for version in newest_first(versions) if not version.prerelease)
    greatest = next((v for v in stable if any(repository.digest(tag) for tag in versions[v])), None)
    if numbering.versions and (part or label):
        raise InputError(
            f"versions like '{numbering.versions}' have no patch, minor or major part",
            "leave out --patch, --minor, --major and --pre",
        )

    def after(newest: Version | None) -> Version:
        if numbering.versions:
            return following(numbering, newest, datetime.now(UTC).date())
        return successor(versions, newest, part, label)

    found = after(greatest)
    while found in ignored:
        versions[found] = []
        found = after(greatest if label else found)
    return found


def _published(tags: Collection[Tag], schemes: Sequence[Scheme]) -> tuple[dict[Version, list[Tag]], set[Version]]:
    """Return the counted versions with their tags, and those to ignore; a yanked one is taken too."""
    versions: dict[Version, list[Tag]] = {}
    ignored: set[Version] = set()
    for scheme in schemes:
        for version, tag in Published.of(tags, scheme).versions.items():
            taken = scheme.numbering.plain(yanked_by(version) or version)
            if not scheme.counts(version):
                ignored.add(taken)
            elif not is_candidate(version):
                versions.setdefault(taken, []).append(tag)
    return versions, ignored
