"""The functions that release, as the commands `tags`, `release` and `promote` do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Unpack

from tagger.git import parse_asked
from tagger.releasing.order import FloatsVia
from tagger.releasing.outcome import Release
from tagger.rules.lines import PLAIN, numbering_of
from tagger.rules.scheme import Scheme
from tagger.wiring.options import ReleaseOptions
from tagger.wiring.release import Wanted
from tagger.wiring.release import release as released

if TYPE_CHECKING:
    from tagger.wiring.promote import Promotion


def tags(
    version: str,
    *,
    schemes: Sequence[Scheme] = PLAIN,
    build_metadata: str = "refuse",
    git_tag: str | None = None,
) -> tuple[str, ...]:
    """Return the tags that a version competes for, the most specific first, without asking a registry.

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

    Raises InputError for bad input, Refused when a rule says no, Unsettled when tags could not be put back,
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
    """Release several images together: no floating tag moves before every version tag is verified.

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

    `source` is its reference, by tag or digest, or `oci:PATH` of a layout; several sources are images of one
    platform each, and are joined into one index. It is released in its own repository, or in those of `to`, and missing
    content is copied there, signatures and attestations too. Layers that are under `latest` in a repository of
    `layers_from`, in the same registry, are mounted from there. The other parameters are those of `release`.
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
    """Promote several images together.

    All are copied before any version tag is written, and no floating tag moves before every version tag is verified.
    Takes and raises what `promote` does.
    """
    from tagger.wiring.promote import promote as promoted

    return promoted(wanted, version, options, layers_from)
