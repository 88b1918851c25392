"""A release of an image that a registry has."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from tagger.credentials.docker import DockerConfig
from tagger.errors import AGAIN, InputError, Interrupted, TaggerError
from tagger.events import silent
from tagger.git import parse_asked
from tagger.names import Digest, ImageName, Repository, writable
from tagger.oci.evidence import Evidence
from tagger.promoting import layout
from tagger.promoting.copy import Courier
from tagger.promoting.source import Place, find, join
from tagger.registry.evidence import evidence
from tagger.releasing.observe import look
from tagger.releasing.order import FloatsVia, Opened
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.releasing.steps import release as run
from tagger.rules.scheme import Scheme, numbering_of
from tagger.wiring.access import Registries
from tagger.wiring.checks import check_apart, check_labels, origin_of
from tagger.wiring.options import ReleaseOptions, deadline_of, not_begun, order
from tagger.work import Deadline


def promote(
    source: str | Sequence[str],
    version: str,
    to: str | Sequence[str],
    schemes: Sequence[Scheme],
    options: ReleaseOptions,
    *,
    git_tag: str | None = None,
) -> Release:
    """Release an image, or the join of several, under a version. Raises what `tagger.promote` raises."""
    sources = [source] if isinstance(source, str) else source
    try:
        deadline = deadline_of(options)
        build_metadata = options.get("build_metadata", "refuse")
        asked = parse_asked(version, numbering_of(schemes), build_metadata=build_metadata, git_tag=git_tag)
        parsed = asked.version
        ordered = order(parsed, FloatsVia.REGISTRY, options)
        registries = Registries(DockerConfig.load(), options, deadline)
        places = [_place(text, registries, deadline) for text in sources]
        named = ", ".join(sources)
        placements = [
            Placement(named, target, scheme)
            for target in _promoted_to(places, [to] if isinstance(to, str) else to)
            for scheme in schemes
        ]
        check_apart(placements, parsed)
        listed = not options.get("assume_newest")
        targets = {each.repository: registries.pushed_to(each.repository, listed=listed) for each in placements}
        finding = functools.partial(find, places[0]) if isinstance(source, str) else functools.partial(join, places)
        seen, original = deadline.both(functools.partial(look, placements, targets, parsed), finding)
        labels = original.labels()
        odd = check_labels(labels, asked, placements, options)
        progress = options.get("progress", silent)
        opened = {target: registries.open(target) for target in targets}
        courier = Courier(original, opened, progress, options.get("meter"))
        origin = origin_of(next(iter(labels.values()), {}), asked, options)

        def there(target: Repository, digest: Digest) -> Evidence:
            courier.bring(opened[target])  # it may have been signed since the version was copied
            return evidence(opened[target], digest)

        ready = Opened(placements, {named: original}, targets, there, {named: origin} if origin else {})
        done = run(courier, ready, ordered, progress, seen)
    except TaggerError as error:
        return not_begun(", ".join(sources), version, options, error).or_raise()
    if not done.problem and not ordered.dry_run:
        try:
            _bring_signatures(courier)
        except KeyboardInterrupt as signal:
            what = f"interrupted; {parsed} is released, but signatures and attestations may be missing"
            done = replace(done, problem=Interrupted(what, signal, AGAIN))
    return replace(done.or_raise(), warnings=(*done.warnings, *odd, *courier.warnings))


def _place(text: str, registries: Registries, deadline: Deadline) -> Place:
    """Where a source is: a reference in a registry, or behind `oci:` an OCI layout."""
    if text.startswith(layout.PREFIX):
        home, digest = layout.opened(text.removeprefix(layout.PREFIX), deadline)
        return Place(text, home, digest)
    reference = ImageName.parse(text).reference
    if reference is None:
        raise InputError(f"{text} is an image ID, and no registry knows those", "give REGISTRY/REPOSITORY@DIGEST")
    return Place(str(reference), registries.open(reference.repository), reference.digest or reference.tag)


def _promoted_to(places: Sequence[Place], to: Sequence[str]) -> list[Repository]:
    """Where to promote to: the named repositories; by default, that of the images."""
    if not places:
        raise InputError("say which image to promote: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST")
    own = list(dict.fromkeys(place.home.name for place in places))
    if not to and len(own) > 1:
        raise InputError(f"the images are in {' and '.join(map(str, own))}", "say with --to where they are joined")
    here = [name for name in own if isinstance(name, Repository)]
    if not to and not here:
        raise InputError(f"{own[0]} is not in a registry", "say with --to where to release the image")
    named = [Repository.parse(text) for text in to] or here
    return list(dict.fromkeys(map(writable, named)))


def _bring_signatures(courier: Courier) -> None:
    """Bring what was signed since to where the version was released before."""
    for target in courier.targets.values():
        try:
            courier.bring(target)
        except TaggerError as error:
            courier.warnings.append(f"signatures and attestations are not copied to {target.name}, since {error}")
