"""The Python API: what the commands do, with words in and values out.

This is the only place that builds a real Engine and real registries.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack

from tagger.access import Access, Registries, is_another
from tagger.credentials.contexts import endpoint
from tagger.credentials.docker import DockerConfig
from tagger.engine.client import Engine, Image
from tagger.errors import InputError, Refused, TaggerError
from tagger.events import Meter, silent
from tagger.git import Asked, parse_asked
from tagger.names import ImageName, Reference, Repository, writable
from tagger.registry.repository import RemoteRepository
from tagger.releasing.observe import look
from tagger.releasing.order import FloatsVia, Opened, Order
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.releasing.steps import release as run
from tagger.rules.labels import mismatches, missing
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version
from tagger.text import printable
from tagger.work import Deadline

# What only some commands need is imported there.
if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis
    from tagger.promoting.copy import Courier
    from tagger.repository.check import Check
    from tagger.repository.listing import Listing
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal
    from tagger.repository.repair import Repair
    from tagger.repository.yank import Yank
    from tagger.rules.next import Part

PLAIN = (Scheme(),)
"""The plain line, by the rules as they are without any setting."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image of the Engine, and where it is to be released: in each of the registries, in each of the lines.

    Without registries or a repository the image's own name says which.
    """

    image: str
    registries: Sequence[str] = ()
    repository: str | None = None
    schemes: Sequence[Scheme] = PLAIN


class ReleaseOptions(Access, total=False):
    """What a release may do, and for how long: what `release`, `release_all` and `promote` take."""

    dry_run: bool
    """Plan, and write nothing."""
    force: bool
    """Overwrite a version that holds another image."""
    assume_newest: bool
    """Move every tag of the cascade without listing the other versions."""
    strict: bool
    """Refuse an image whose labels say another version or, with the version "git", another commit."""
    build_metadata: str
    """What to do with build metadata, which no tag can hold: "refuse" (default) or "drop"."""
    timeout: float | None
    """Seconds for the whole release, which include putting tags back. Default: no limit."""
    meter: Meter | None
    """Takes how far each upload is. Default: nobody."""


def tags(version: str, *, schemes: Sequence[Scheme] = PLAIN, build_metadata: str = "refuse") -> tuple[str, ...]:
    """Give the tags that a version competes for, the most specific first, without asking anyone.

    >>> tags("2.2.0-rc.1")
    ('2.2.0-rc.1',)

    Raises InputError, and Refused for build metadata.
    """
    wanted = parse_asked(version, build_metadata=build_metadata).version
    return tuple(tag for scheme in schemes for tag in scheme.tags(wanted))


def release(
    image: str,
    version: str,
    *,
    registry: str | Sequence[str] = (),
    repository: str | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    floats_via: FloatsVia | str = FloatsVia.ENGINE,
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Release an image of the Engine under its semver tags, verified, or move nothing.

    `image` is anything that the Engine resolves. It goes to `registry` and `repository`, by default those of its own
    name, for each variant in `schemes`. `version` may be "git": the semver tag at HEAD. Floating tags move by a push,
    or with `floats_via` "registry" by manifest PUT. The other options are those of `ReleaseOptions`.

    Returns what happened to every tag (outcome "planned", "released" or "unchanged").

    Raises InputError for what cannot be used, Refused when a rule says no, Unsettled when tags could not be put back,
    Interrupted on Ctrl-C, and TaggerError for every other failure; each has the same report in its `release`.
    """
    registries = [registry] if isinstance(registry, str) else registry
    return release_all(
        [Wanted(image, registries, repository, schemes)],
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
    """Release several images as one: no floating tag moves unless every version tag stands.

    Takes and raises what `release` does.
    """
    try:
        deadline = _deadline(options)
        asked = parse_asked(version, build_metadata=options.get("build_metadata", "refuse"))
        parsed = asked.version
        via = _floats_via(floats_via)
        names = {each.image: ImageName.parse(each.image) for each in wanted}
        placements = [
            Placement(each.image, target, scheme)
            for each in wanted
            for target in _targets(names[each.image], each.registries, each.repository)
            for scheme in each.schemes
        ]
        _check_apart(placements, parsed)
        config = DockerConfig.load()
        _check_same_host(endpoint(config).host, [placement.repository for placement in placements])

        @functools.cache
        def engine() -> Engine:
            # Its push gets a credential on the same conditions as our own requests.
            return Engine(
                config,
                lambda target: registries.open(target).credential(),
                deadline=deadline,
                trace=options.get("trace"),
                meter=options.get("meter"),
            )

        registries = Registries(config, options, deadline, engine)
        # A broken credential helper is found before anything is pushed.
        listed = not options.get("assume_newest")
        targets = {each.repository: registries.pushed_to(each.repository, listed=listed) for each in placements}
        # The Engine's client takes as long to import as a registry to answer.
        seen, images = deadline.both(
            functools.partial(look, placements, targets, parsed),
            lambda: {each.image: _image(engine(), names[each.image], each.repository) for each in wanted},
        )
        labels = {each.image: images[each.image].labels for each in wanted}
        odd = _check_labels(labels, asked, placements, options)
        done = run(
            engine(),
            Opened(placements, images, targets),
            _order(parsed, via, options),
            options.get("progress", silent),
            seen,
        )
    except TaggerError as error:
        asked_for = ", ".join(each.image for each in wanted)
        return _not_begun(asked_for, version, options, error).or_raise()
    return replace(done.or_raise(), warnings=(*done.warnings, *odd))


def promote(
    source: str | Sequence[str],
    version: str,
    *,
    to: str | Sequence[str] = (),
    schemes: Sequence[Scheme] = PLAIN,
    **options: Unpack[ReleaseOptions],
) -> Release:
    """Release an image that is in a registry, digest unchanged, with all of its platforms, and without an Engine.

    `source` is its reference, by tag or digest; several are images of one platform each, which are joined into one
    index. It is released in its own repository, or in those of `to`: what they lack is copied there, signatures and
    attestations too. The rest is as for `release`.
    """
    from tagger.promoting.copy import Courier
    from tagger.promoting.source import find, join

    sources = [source] if isinstance(source, str) else source
    try:
        deadline = _deadline(options)
        asked = parse_asked(version, build_metadata=options.get("build_metadata", "refuse"))
        parsed = asked.version
        references = [_in_registry(text) for text in sources]
        named = ", ".join(sources)
        placements = [
            Placement(named, target, scheme)
            for target in _promoted_to(references, [to] if isinstance(to, str) else to)
            for scheme in schemes
        ]
        _check_apart(placements, parsed)
        registries = Registries(DockerConfig.load(), options, deadline)
        listed = not options.get("assume_newest")
        targets = {each.repository: registries.pushed_to(each.repository, listed=listed) for each in placements}
        finding = (
            functools.partial(find, references[0], registries.open(references[0].repository))
            if isinstance(source, str)
            else functools.partial(join, references, registries.open)
        )
        seen, original = deadline.both(functools.partial(look, placements, targets, parsed), finding)
        odd = _check_labels(original.labels(), asked, placements, options)
        progress = options.get("progress", silent)
        opened = {target: registries.open(target) for target in targets}
        courier = Courier(original, opened, progress, options.get("meter"))
        order = _order(parsed, FloatsVia.REGISTRY, options)
        done = run(courier, Opened(placements, {named: original}, targets), order, progress, seen)
    except TaggerError as error:
        return _not_begun(", ".join(sources), version, options, error).or_raise()
    if not done.problem and not order.dry_run:
        _bring_signatures(courier)
    return replace(done.or_raise(), warnings=(*done.warnings, *odd, *courier.warnings))


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


def listed(repository: str, **access: Unpack[Access]) -> list[str]:
    """List every tag of a repository as its registry does, by one request or so for a thousand; a new one has none.

    Raises TaggerError.
    """
    return [*_alone(repository, access).tags()]


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
    **access: Unpack[Access],
) -> Repair:
    """Put every floating tag that drifted where the version tags say it should be.

    Raises Unsettled when some are not there in the end, InputError when there is no such repository, and TaggerError
    for every other failure.
    """
    from tagger.repository import repair as drift

    return drift.repair(_alone(repository, access), schemes, dry_run=dry_run)


def remove(
    repository: str,
    *names: str,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Removal:
    """Remove versions and tags; floating tags fall back to the next version first, and no other tag is lost.

    Raises InputError when none of the names is there, Refused when the registry deletes nothing or siblings stand in
    the way, Unsettled when something is left, and TaggerError for every other failure.
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
    """Take a version out of the running without destroying it: it is kept under a mark, and floating tags fall back.

    Raises InputError when it is not there, Unsettled when some tags are not where they belong in the end, and
    TaggerError for every other failure.
    """
    from tagger.repository import yank as withdrawal

    return withdrawal.yank(_alone(repository, access), schemes, version, dry_run=dry_run)


def prune(
    repository: str,
    *,
    keep: int,
    keep_minors: int | None = None,
    older_than: str | None = None,
    among: Collection[str] | None = None,
    schemes: Sequence[Scheme] = PLAIN,
    dry_run: bool = False,
    **access: Unpack[Access],
) -> Pruning:
    """Remove old versions, but no image that another tag holds: the newest `keep` of every minor line stay.

    A pre-release stays if its first identifier is no known stage, such as rc, and no channel of its line.
    `keep_minors` keeps that many lines of every major, `older_than`, such as "180d", whatever is younger. Only tags of
    `among` go, if it is given.

    Raises what `remove` raises, InputError for numbers that would keep nothing among it.
    """
    from tagger.repository import prune as retention
    from tagger.rules.keep import Policy, parse_age

    policy = Policy(keep, keep_minors, parse_age(older_than) if older_than is not None else None)
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
    """Give the version after the greatest one released: the next "patch", "minor" or "major", or pre-release `pre`.

    With `first` the repository may not exist yet.

    Raises InputError, and TaggerError for every other failure.
    """
    from tagger.repository import next as following
    from tagger.rules.next import Part

    try:
        raised = Part(part) if part else None
    except ValueError:
        raise InputError(f"a version has no part '{printable(part)}': give patch, minor or major") from None
    target = _alone(repository, access)
    return str(following.next_version(target, schemes, raised, pre, first=first))


def diagnose(
    repository: str | None = None,
    **access: Unpack[Access],
) -> Diagnosis:
    """Find out what works from here, and what does not: this machine, and a repository with its registry.

    Without a repository those are asked that the settings of the working directory name. No tag and no image changes:
    an upload that shows the right to push is begun and given up, and what it tries to delete is not there.

    Raises InvalidReference for a name that is none; whatever else goes wrong is a finding.
    """
    from tagger.doctor.diagnose import diagnose as diagnosed

    return diagnosed(Repository.parse(repository) if repository else None, access)


def _not_begun(images: str, version: str, options: ReleaseOptions, error: TaggerError) -> Release:
    return Release.not_begun(images, version, error, dry_run=options.get("dry_run", False))


def _deadline(options: ReleaseOptions | Access) -> Deadline:
    seconds = options.get("timeout")
    if not (seconds is None or (isinstance(seconds, int | float) and seconds > 0)):
        raise InputError("--timeout takes a number of seconds greater than 0", "give one such as 600")
    return Deadline(seconds, options.get("progress", silent))


def _order(version: Version, via: FloatsVia, options: ReleaseOptions) -> Order:
    return Order(
        version,
        via,
        overwrite=options.get("force", False),
        dry_run=options.get("dry_run", False),
        assume_newest=options.get("assume_newest", False),
    )


def _in_registry(text: str) -> Reference:
    reference = ImageName.parse(text).reference
    if reference is None:
        raise InputError(f"{text} is an image ID, and no registry knows those: give REGISTRY/REPOSITORY@DIGEST")
    return reference


def _promoted_to(references: Sequence[Reference], to: Sequence[str]) -> list[Repository]:
    """Say where to promote: to what is named, else where the images are."""
    if not references:
        raise InputError("say which image to promote: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST")
    own = list(dict.fromkeys(reference.repository for reference in references))
    if not to and len(own) > 1:
        raise InputError(f"the images are in {' and '.join(map(str, own))}: say with --to where they are joined")
    named = [Repository.parse(text) for text in to] or own
    return list(dict.fromkeys(map(writable, named)))


def _bring_signatures(courier: Courier) -> None:
    """Bring what was signed since to where the version was released before."""
    for target in courier.targets.values():
        try:
            courier.bring(target)
        except TaggerError as error:
            courier.warnings.append(f"signatures and attestations are not copied to {target.name}, since {error}")


def _image(engine: Engine, name: ImageName, repository: str | None) -> Image:
    found = engine.image(name)
    if repository is None and not found.is_named(name):
        raise InputError(f"{name} is an image ID and names no repository: say which with --repository")
    return found


def _check_labels(
    images: Mapping[str, Mapping[str, str]],
    asked: Asked,
    placements: Iterable[Placement],
    options: ReleaseOptions,
) -> list[str]:
    """Say where an image's labels contradict what it is released as.

    With `strict` raises Refused for that, and for labels that are missing.
    """
    spellings = {str(each.scheme.version_tag(asked.version)) for each in placements}
    found = [
        text
        for name, labels in images.items()
        for text in mismatches(name, labels, asked.version, spellings, asked.revision)
    ]
    if options.get("strict"):
        lacking = (text for name, labels in images.items() for text in missing(name, labels, asked.revision))
        if told := [*found, *lacking]:
            raise Refused("; ".join(told))
    return found


def _check_apart(placements: Iterable[Placement], version: Version) -> None:
    """Refuse to write a tag for two images; a tag that gets too long is found too. Raises InputError."""
    taken: set[tuple[Repository, str]] = set()
    for placement in placements:
        for tag in placement.scheme.tags(version):
            if (place := (placement.repository, tag)) in taken:
                raise InputError(
                    f"{placement.repository}:{tag} would be written twice: give each image a place of its own"
                )
            taken.add(place)


def _check_same_host(engine_host: str, targets: Iterable[Repository]) -> None:
    """Refuse a registry on loopback for an Engine elsewhere: it would push to itself, and tagger would look here."""
    if there := [target.registry for target in targets if is_another(target, engine_host)]:
        raise InputError(
            f"the Engine at {printable(engine_host)} is on another machine, where {there[0]} is another registry than"
            " here: name the registry so that both reach it"
        )


def _alone(repository: str, access: Access) -> RemoteRepository:
    """A repository, opened without an Engine, so that the Engine's list of insecure registries does not count."""
    return Registries(DockerConfig.load(), access, _deadline(access)).open(Repository.parse(repository))


def _targets(image: ImageName, registries: Iterable[str], repository: str | None) -> list[Repository]:
    found = [image.target(registry, repository) for registry in registries]
    return list(dict.fromkeys(found)) or [image.target(None, repository)]


def _floats_via(text: str) -> FloatsVia:
    try:
        return FloatsVia(text)
    except ValueError:
        raise InputError(
            f"floating tags go via 'engine' or 'registry', not '{printable(text)}': give one of the two"
        ) from None
