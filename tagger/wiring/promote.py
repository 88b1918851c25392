"""Releases of images in registries or OCI layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tagger.credentials.docker import DockerConfig
from tagger.errors import AGAIN, InputError, Interrupted, Refused, TaggerError
from tagger.events import silent
from tagger.git import Asked, revision
from tagger.image_name import ImageName, is_official
from tagger.names import Digest, Repository
from tagger.oci.evidence import Evidence
from tagger.promoting.convoy import Convoy
from tagger.promoting.copy import Courier
from tagger.promoting.neighbours import Neighbours
from tagger.promoting.source import LAYOUT, Original, Place, find, join
from tagger.registry.evidence import evidence
from tagger.releasing.observe import look
from tagger.releasing.order import FloatsVia, Opened
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.releasing.steps import release as run
from tagger.rules.lines import PLAIN
from tagger.rules.scheme import Scheme
from tagger.values import dataclass
from tagger.wiring.access import Registries, deadline_of
from tagger.wiring.checks import check_apart, check_labels, origins_of
from tagger.wiring.options import ReleaseOptions, not_begun, order, parse_asked
from tagger.work import Deadline


@dataclass(frozen=True, slots=True)
class Promotion:
    """An image to promote, and its targets: each of the repositories, in each of the variants.

    `source` is what `tagger.promote` takes. In its text, `{version}` stands for the version, and `{revision}` for the
    commit at HEAD. Without repositories the image is released in its own. `git_tag` is the form of the git tags of
    this image.
    """

    source: str | Sequence[str]
    to: Sequence[str] = ()
    schemes: Sequence[Scheme] = PLAIN
    git_tag: str | None = None

    @property
    def image(self) -> str:
        """The name of the image in the report: its sources."""
        return ", ".join(self.sources)

    @property
    def sources(self) -> Sequence[str]:
        """The source, or several to join."""
        return [self.source] if isinstance(self.source, str) else self.source


def promote(
    wanted: Sequence[Promotion], version: str, options: ReleaseOptions, layers_from: Collection[str] = ()
) -> Release:
    """Release images, or several joined into one, together. Raises what `tagger.promote` raises."""
    try:
        if not any(each.image for each in wanted):
            raise InputError("name the image to promote: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST")
        deadline = deadline_of(options)
        schemes = (scheme for each in wanted for scheme in each.schemes)
        asked = parse_asked(version, schemes, {each.image: each.git_tag for each in wanted}, options)
        ordered = order(asked.version, FloatsVia.REGISTRY, options)
        wanted = _filled(wanted, asked)
        registries = Registries(DockerConfig.load(), options, deadline)
        finding, placements = _read(wanted, registries, deadline)
        check_apart(placements, asked.version)
        listed = not options.get("assume_newest")
        targets = {each.repository: registries.pushed_to(each.repository, listed=listed) for each in placements}
        looking = partial(look, placements, targets, asked.version)
        seen, found = deadline.both(looking, partial(deadline.at_once, finding.values()))
        originals = dict(zip(finding, found, strict=True))
        labels = deadline.at_once([each.labels for each in found])
        odd = check_labels({n: said for each in labels for n, said in each.items()}, asked, placements, options)
        neighbours = Neighbours([registries.open(Repository.parse(name)) for name in layers_from])
        couriers = _couriers(originals, placements, registries, neighbours, options)
        firsts = {name: next(iter(said.values()), {}) for name, said in zip(originals, labels, strict=True)}
        origins = origins_of(firsts, asked, options)
        ready = Opened(placements, originals, targets, _evidence(couriers, registries), origins)
        done = run(Convoy(couriers), ready, ordered, options.get("progress", silent), seen)
    except TaggerError as error:
        return not_begun([each.image for each in wanted], version, options, error).or_raise()
    if not done.problem and not ordered.dry_run:
        done = _signed(done, couriers)
    late = [warning for courier in couriers for warning in courier.warnings]
    return replace(done.or_raise(), warnings=(*done.warnings, *odd, *late))


def _filled(wanted: Sequence[Promotion], asked: Asked) -> list[Promotion]:
    """Fill the version and the commit into the sources. Raises InputError if git names no commit."""
    commit = asked.revision
    if commit is None and any("{revision}" in source for each in wanted for source in each.sources):
        commit = revision()
    values = {"{version}": str(asked.version), "{revision}": commit or ""}

    def fill(text: str) -> str:
        return re.sub(r"\{(?:version|revision)\}", lambda field: values[field[0]], text)

    return [
        replace(each, source=fill(each.source) if isinstance(each.source, str) else [*map(fill, each.source)])
        for each in wanted
    ]


def _read(
    wanted: Sequence[Promotion], registries: Registries, deadline: Deadline
) -> tuple[dict[str, Callable[[], Original]], list[Placement]]:
    """Return a function that finds each image, by its name, and the placements of the images."""
    finding: dict[str, Callable[[], Original]] = {}
    placements = []
    for each in wanted:
        places = [_place(text, registries, deadline) for text in each.sources]
        targets = _promoted_to(places, each.to)
        placements += [Placement(each.image, target, scheme) for target in targets for scheme in each.schemes]
        finding[each.image] = partial(find, places[0]) if isinstance(each.source, str) else partial(join, places)
    return finding, placements


def _couriers(
    originals: Mapping[str, Original],
    placements: Sequence[Placement],
    registries: Registries,
    neighbours: Neighbours,
    options: ReleaseOptions,
) -> list[Courier]:
    """Return what copies each image to its target repositories."""
    found = []
    for name, original in originals.items():
        targets = {each.repository: registries.open(each.repository) for each in placements if each.image == name}
        found.append(Courier(original, targets, options.get("progress", silent), options.get("meter"), neighbours))
    return found


def _evidence(couriers: Sequence[Courier], registries: Registries) -> Callable[[Repository, Digest], Evidence]:
    """Return a function that finds the evidence for an image, which may have been signed after its copy."""

    def there(target: Repository, digest: Digest) -> Evidence:
        for courier in couriers:
            if courier.original.digest == digest and target in courier.targets:
                courier.bring(courier.targets[target])
        return evidence(registries.open(target), digest)

    return there


def _place(text: str, registries: Registries, deadline: Deadline) -> Place:
    """Return the place of a source: a reference in a registry, or after `oci:` an OCI layout."""
    if text.startswith(LAYOUT):
        from tagger.promoting.layout import opened  # most sources are in a registry

        home, digest = opened(text.removeprefix(LAYOUT), deadline)
        return Place(text, home, digest)
    reference = ImageName.parse(text).reference
    if reference is None:
        raise InputError(f"{text} is an image ID, and no registry knows those", "give REGISTRY/REPOSITORY@DIGEST")
    return Place(str(reference), registries.open(reference.repository), reference.digest or reference.tag)


def _promoted_to(places: Sequence[Place], to: Sequence[str]) -> list[Repository]:
    """Return the targets: the named repositories; by default, that of the images."""
    own = list(dict.fromkeys(place.home.name for place in places))
    if not to and len(own) > 1:
        raise InputError(f"the images are in {' and '.join(map(str, own))}", "choose with --to where to join them")
    here = [name for name in own if isinstance(name, Repository)]
    if not to and not here:
        raise InputError(f"{own[0]} is not in a registry", "choose with --to where to release the image")
    named = [Repository.parse(text) for text in to] or here
    if official := next(filter(is_official, named), None):
        raise Refused(
            f"{official} belongs to Docker's official images, so you cannot push there",
            f"choose your own with --to, such as USER/{official.path.rpartition('/')[2]}",
        )
    return list(dict.fromkeys(named))


def _signed(done: Release, couriers: Sequence[Courier]) -> Release:
    """Copy signatures added since an earlier release of the version, and return the release with their result."""
    try:
        for courier in couriers:
            _bring_signatures(courier)
    except KeyboardInterrupt as signal:
        what = f"interrupted; {done.version} is released, but signatures and attestations may be missing"
        return replace(done, problem=Interrupted(what, signal, AGAIN))
    return done


def _bring_signatures(courier: Courier) -> None:
    for target in courier.targets.values():
        try:
            courier.bring(target)
        except TaggerError as error:
            courier.warnings.append(f"signatures and attestations are not copied to {target.name}, because {error}")
