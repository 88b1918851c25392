"""Releases of images in an Engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial

from tagger.credentials.contexts import endpoint
from tagger.credentials.docker import DockerConfig
from tagger.engine.client import Engine, Image
from tagger.errors import InputError, TaggerError
from tagger.events import silent
from tagger.image_name import ImageName
from tagger.names import Digest, Repository
from tagger.oci.evidence import Evidence
from tagger.registry.evidence import evidence
from tagger.releasing.observe import look
from tagger.releasing.order import FloatsVia, Opened
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.releasing.steps import release as run
from tagger.rules.lines import PLAIN
from tagger.rules.scheme import Scheme
from tagger.text import printable
from tagger.values import dataclass
from tagger.wiring.access import Registries, deadline_of, is_another
from tagger.wiring.checks import check_apart, check_labels, origins_of
from tagger.wiring.options import ReleaseOptions, not_begun, order, parse_asked
from tagger.work import Deadline


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image of the Engine, and its targets: each of the registries, in each of the lines.

    Without registries or a repository, the image's own name decides. `git_tag`, such as `gallery/v{version}`, is the
    form of the git tags of this image.
    """

    image: str
    registries: Sequence[str] = ()
    repository: str | None = None
    schemes: Sequence[Scheme] = PLAIN
    git_tag: str | None = None


def release(wanted: Sequence[Wanted], version: str, floats_via: str, options: ReleaseOptions) -> Release:
    """Release several images together. Raises what `tagger.release` raises."""
    try:
        deadline = deadline_of(options)
        schemes = (scheme for each in wanted for scheme in each.schemes)
        asked = parse_asked(version, schemes, {each.image: each.git_tag for each in wanted}, options)
        ordered = order(asked.version, _floats_via(floats_via), options)
        names = {each.image: ImageName.parse(each.image) for each in wanted}
        placements = [
            Placement(each.image, target, scheme)
            for each in wanted
            for target in _targets(names[each.image], each.registries, each.repository)
            for scheme in each.schemes
        ]
        check_apart(placements, asked.version)
        engine, registries = _connected(placements, deadline, options)
        # A broken credential helper is found before anything is pushed.
        listed = not options.get("assume_newest")
        targets = {each.repository: registries.pushed_to(each.repository, listed=listed) for each in placements}
        # Importing the Engine's client takes as long as an answer of a registry.
        seen, images = deadline.both(
            partial(look, placements, targets, asked.version),
            lambda: {each.image: _image(engine(), names[each.image], each.repository) for each in wanted},
        )
        labels = {each.image: images[each.image].labels for each in wanted}
        odd = check_labels(labels, asked, placements, options)
        found = partial(_evidence, registries)
        ready = Opened(placements, images, targets, found, origins_of(labels, asked, options))
        done = run(engine(), ready, ordered, options.get("progress", silent), seen)
    except TaggerError as error:
        return not_begun([each.image for each in wanted], version, options, error).or_raise()
    return replace(done.or_raise(), warnings=(*done.warnings, *odd))


def _connected(
    placements: Sequence[Placement], deadline: Deadline, options: ReleaseOptions
) -> tuple[Callable[[], Engine], Registries]:
    """Open the Engine on its first call, and the registries, which trust what it trusts."""
    config = DockerConfig.load()
    _check_same_host(endpoint(config).host, [placement.repository for placement in placements])

    @cache
    def engine() -> Engine:
        # Its push gets a credential under the same conditions as our own requests.
        return Engine(
            config,
            lambda target: registries.open(target).credential(),
            deadline=deadline,
            trace=options.get("trace"),
            meter=options.get("meter"),
        )

    registries = Registries(config, options, deadline, engine)
    return engine, registries


def _evidence(registries: Registries, target: Repository, digest: Digest) -> Evidence:
    return evidence(registries.open(target), digest)


def _image(engine: Engine, name: ImageName, repository: str | None) -> Image:
    found = engine.image(name)
    if repository is None and not found.is_named(name):
        raise InputError(f"{name} is an image ID and names no repository", "choose one with --repository")
    return found


def _check_same_host(engine_host: str, targets: Iterable[Repository]) -> None:
    """Refuse a registry on loopback for an Engine elsewhere: it would push to itself, and tagger would look here."""
    if there := [target.registry for target in targets if is_another(target, engine_host)]:
        raise InputError(
            f"the Engine at {printable(engine_host)} is on another machine, where {there[0]} is a different registry",
            "use a name that both machines can reach",
        )


def _targets(image: ImageName, registries: Iterable[str], repository: str | None) -> list[Repository]:
    found = [image.target(registry, repository) for registry in registries]
    return list(dict.fromkeys(found)) or [image.target(None, repository)]


def _floats_via(text: str) -> FloatsVia:
    try:
        return FloatsVia(text)
    except ValueError:
        raise InputError(
            f"floating tags go via 'engine' or 'registry', not '{printable(text)}'", "choose one of the two"
        ) from None
