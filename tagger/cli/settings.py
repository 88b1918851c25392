"""The settings of command line, environment and file together, as the values that `tagger.api` takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tagger.cli.options import Access, Where, words
from tagger.cli.render.console import say
from tagger.errors import InputError, InvalidReference, Refused
from tagger.text import printable
from tagger.values import dataclass

if TYPE_CHECKING:
    from tagger.config.settings import Config, Given, Settings
    from tagger.rules.scheme import Scheme
    from tagger.wiring.access import Access as Reaching
    from tagger.wiring.promote import Promotion
    from tagger.wiring.release import Wanted

T = TypeVar("T")

_KEYS = {"registry": "registries", "variant": "variants", "gate": "gates"}
"""The settings with another name than their options, which take one value at a time."""
_OF_PROMOTED = {"gates": "--gate", "require": "--require", "after": "--after"}
_OF_ALL = {"floats_via": "--floats-via", **_OF_PROMOTED}
"""The settings that must be the same for all of one release, with the option that sets them for all.

Without an Engine, floating tags move only in one way.
"""


def given(*groups: Any, **further: str | None) -> Given:
    """Return the settings on the command line, by their keys."""
    said = {name: value for group in groups for name, value in words(group).items()} | further
    return {
        _KEYS.get(name, name): tuple(v) if isinstance(v, list) else v for name, v in said.items() if v not in (None, [])
    }


def in_force(said: Given, image: str | None) -> Config:
    """Return the settings for an image or repository; None: those of the file's top."""
    from tagger.config.read import read

    return read(said, os.environ, Path(), image)


def one_repository(name: str | None) -> str:
    """Return the repository of a name, which may be that of a table; without a name, the only one of the settings.

    Raises InputError if there is not exactly one.
    """
    from tagger.config.places import all_places, places

    groups = [places({}, os.environ, Path(), name)] if name else all_places({}, os.environ, Path())
    found = [*dict.fromkeys(place.repository for group in groups for place in group)]
    if len(found) > 1:
        raise InputError(f"the settings name {', '.join(map(printable, found))}", "choose one of them")
    return found[0]


def token_hosts(access: Access, repository: str) -> Sequence[str]:
    """Return the token servers on other hosts: those of the command line, or else those of the settings."""
    return access.auth_host or in_force({}, repository).settings.auth_hosts


def reaching(access: Access, repository: str) -> Reaching:
    """Return how to reach the registry of a repository."""
    return _reaching(access, token_hosts(access, repository))


def _reaching(access: Access, auth_hosts: Sequence[str]) -> Reaching:
    return cast("Reaching", {**words(access), "auth_host": auth_hosts, "progress": say, "trace": access.trace})


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A repository that a command is about, its schemes, and how to reach it."""

    repository: str
    schemes: tuple[Scheme, ...]
    reaching: Reaching
    limits: Mapping[str, Any]
    """What the settings tell prune to keep there."""

    @property
    def words(self) -> dict[str, Any]:
        """The parameters of the API other than the repository."""
        return {"schemes": self.schemes, **self.reaching}


def places(where: Where, named: str) -> tuple[Place, ...]:
    """Return the repositories of these names, each once: the name of a table means one on each of its registries."""
    from tagger.config.places import places as found
    from tagger.names import Repository

    said = given(where.rules)
    every = [each for name in (named, *(where.also or ())) for each in found(said, os.environ, Path(), name)]
    once = {Repository.parse(each.repository): each for each in every}
    return tuple(_at(where.access, each.repository, each.config) for each in once.values())


def groups(where: Where, named: str | None) -> tuple[tuple[Place, ...], ...]:
    """Return one group of the named repositories, or without a name, a group for each image of the settings."""
    from tagger.config.places import all_places

    if named is not None:
        return (places(where, named),)
    if where.also:
        raise InputError("--also adds to REPOSITORY, which is missing", "give REPOSITORY too")
    every = all_places(given(where.rules), os.environ, Path())
    return tuple(tuple(_at(where.access, each.repository, each.config) for each in group) for group in every)


def reader(where: Where) -> Callable[[str], Place]:
    """Return a function that finds the schemes of a repository and how to reach it; it reads the settings once."""
    from tagger.config.read import reader as found

    read = found(given(where.rules), os.environ, Path())
    return lambda repository: _at(where.access, repository, read(repository))


def _at(access: Access, repository: str, config: Config) -> Place:
    auth_hosts = access.auth_host or config.settings.auth_hosts
    return Place(repository, config.all_schemes(), _reaching(access, auth_hosts), config.limits)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    """The images of one release, their common settings, and the token servers of all."""

    images: Sequence[T]
    settings: Settings
    auth_hosts: Sequence[str]


def wanted(image: str | None, said: Given) -> Chosen[Wanted]:
    """Return what to release: an image, or without one every image of the settings.

    An image without its own table follows the settings of its target repository.
    """
    from tagger.config.read import check_one, read_all, read_repository
    from tagger.wiring.release import Wanted

    if image is not None:
        found = in_force(said, image)
        if found.image is None and (repository := found.settings.repository):
            found = read_repository(said, os.environ, Path(), repository, image)
        check_one(found.tables)
        chosen = {image: found}
    elif "repository" in said:
        raise InputError("--all and --repository cannot be combined", "set the repository of each image in its table")
    else:
        chosen = {str(found.image): found for found in read_all(said, os.environ, Path())}
    agreed = _agreed([*chosen.values()], _OF_ALL)
    images = [
        Wanted(name, found.settings.registries, found.settings.repository, found.schemes(), found.settings.git_tag)
        for name, found in chosen.items()
    ]
    return Chosen(images, *agreed)


def promotion(said: Given, sources: Sequence[str], to: Sequence[str], version: str) -> Chosen[Promotion]:
    """Return what to promote: one image, or several joined into one, by the common rules of all its repositories.

    Raises InputError if several tables share one of the repositories, because each has its own image, and if the
    repositories differ in how their tags are spelled or move, in the form of their git tags, or in gates, required
    evidence and commands after the release.
    """
    from tagger.config.read import check_one, read_repository
    from tagger.wiring.promote import Promotion

    found = {each: read_repository(said, os.environ, Path(), each) for each in to or [_repository_of(sources[0])]}
    for each in found.values():
        check_one(each.sharing)
    first, *others = found
    # The other variants of a repository do not affect the tags of these.
    rules = {name: [replace(scheme, variants=frozenset()) for scheme in each.schemes()] for name, each in found.items()}
    if other := next((name for name in others if rules[name] != rules[first]), None):
        raise InputError(
            f"the settings give {printable(first)} and {printable(other)} different rules for tags",
            "promote to one of them at a time",
        )
    forms = {each.settings.git_tag: name for name, each in found.items()} if version == "git" else {None: first}
    if len(forms) > 1:
        raise InputError(
            f"the settings give {' and '.join(map(printable, forms.values()))} different forms of git tags",
            "promote to one of them at a time, or give the version itself",
        )
    source = sources if len(sources) > 1 else sources[0]
    image = Promotion(source, to, found[first].schemes(), next(iter(forms)))
    return Chosen([image], *_agreed([*found.values()], _OF_PROMOTED, "repositories"))


def _repository_of(source: str) -> str:
    """Return the repository of a source; anything else, such as an OCI layout, has no settings of its own."""
    from tagger.image_name import ImageName

    with contextlib.suppress(InvalidReference):
        if reference := ImageName.parse(source).reference:
            return str(reference.repository)
    return source


def promotions(said: Given, source_tag: str | None) -> Chosen[Promotion]:
    """Return what to promote: every image of the settings. `source_tag` is the tag of the sources without one."""
    from tagger.config.environment import variable
    from tagger.config.places import targets
    from tagger.config.read import read_all
    from tagger.image_name import ImageName
    from tagger.wiring.promote import Promotion

    chosen = read_all(said, os.environ, Path())
    if len(chosen) > 1 and any(o.key == "source" and o.source == variable("source") for o in chosen[0].origins):
        raise InputError(
            f"{variable('source')} would release one image as all of them", "set the source of each image in its table"
        )
    agreed = _agreed(chosen, _OF_PROMOTED)
    sources = {str(found.image): _source(found, source_tag) for found in chosen}
    if source_tag is not None and [*sources.values()] == [found.settings.source for found in chosen]:
        raise InputError("every source in the settings has a tag or a digest", "leave out --source-tag")
    images = []
    for found in chosen:
        name = str(found.image)
        to = targets(found, name) or [ImageName.parse(name).target(None, found.settings.repository)]
        images.append(Promotion(sources[name], [*map(str, to)], found.schemes(), found.settings.git_tag))
    return Chosen(images, *agreed)


def layers_from() -> list[str]:
    """Return the repositories of the settings, which may have base layers of an image; a broken table has none."""
    from tagger.config.places import targets
    from tagger.config.read import read_any

    found: dict[str, None] = {}
    with contextlib.suppress(InputError, Refused):
        for each in read_any({}, os.environ, Path()):
            found |= dict.fromkeys(map(str, targets(each, each.image)))
    return [*found]


def _source(found: Config, source_tag: str | None) -> str:
    """Return the source of an image, with its tag. Raises InputError if it has none."""
    source, table = found.settings.source, f"images.{printable(str(found.image))}"
    if source is None:
        raise InputError(
            f"{table} in the settings has no source for --all to promote",
            "add one, such as registry.local:5000/ci/api:{revision}, or promote the images one at a time",
        )
    if source.startswith("oci:") or "@" in source or ":" in source.rpartition("/")[2]:
        return source
    if source_tag is None:
        raise InputError(
            f"the source of {table}, {printable(source)}, has no tag",
            "add one, such as :{revision}, or give it with --source-tag",
        )
    return f"{source}:{source_tag}"


def _agreed(chosen: Sequence[Config], alike: Mapping[str, str], of: str = "images") -> tuple[Settings, Sequence[str]]:
    """Return the common settings of images in one release, and the token servers of all.

    `alike` are the keys that must have the same value, with the options that set them for all.

    Raises InputError where they differ.
    """
    settings = [found.settings for found in chosen]
    for key, option in alike.items():
        if any(getattr(each, key) != getattr(settings[0], key) for each in settings):
            raise InputError(f"the {of} differ in {key}", f"set it for all of them with {option}")
    return settings[0], [*dict.fromkeys(host for each in settings for host in each.auth_hosts)]
