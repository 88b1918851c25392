"""What the command line, the environment and the settings file say together, as the values that `tagger.api` takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tagger.cli.options import Access, Gates, Rules, Target, words
from tagger.cli.render.console import say
from tagger.errors import InputError, Refused
from tagger.text import printable

if TYPE_CHECKING:
    from tagger.config.places import Place as Found
    from tagger.config.settings import Config, Given, Settings
    from tagger.rules.scheme import Scheme
    from tagger.wiring.access import Access as Reaching
    from tagger.wiring.options import Judged
    from tagger.wiring.promote import Promotion
    from tagger.wiring.release import Wanted

_OF_ALL = {"floats_via": "--floats-via", "gates": "--gate", "require": "--require", "after": "--after"}
"""The settings that images have to agree on that are released as one, with the option that sets them for all."""


def given(
    rules: Rules, target: Target | None = None, *, floats_via: str | None = None, gates: Gates | None = None
) -> Given:
    """What the command line says."""
    return {
        "registries": tuple(target.registry) if target and target.registry else None,
        "repository": target.repository if target else None,
        "variants": tuple(rules.variant) if rules.variant else None,
        "prefix": rules.prefix,
        "line": rules.line,
        "floats_via": floats_via,
        "gates": tuple(gates.gate) if gates and gates.gate else None,
        "require": tuple(gates.require) if gates and gates.require else None,
        "after": tuple(gates.after) if gates and gates.after else None,
    }


def in_force(said: Given, image: str | None) -> Config:
    """The settings for an image or repository; None: those of the file's top."""
    from tagger.config.read import read

    return read(said, os.environ, Path(), image)


def schemes_to_write(rules: Rules, repositories: Sequence[str]) -> tuple[Scheme, ...]:
    """The schemes that these repositories have in common.

    Raises InputError where several tables share one of the repositories, since each has an image of its own, and where
    the repositories differ in how their tags are spelled or move.
    """
    from tagger.config.read import check_one

    found = [in_force(given(rules), repository) for repository in repositories]
    for each in found:
        check_one(each.sharing)
    # Which other variants a repository has decides nothing about the tags of these.
    rules_of = {
        name: [replace(scheme, variants=frozenset()) for scheme in each.schemes()]
        for name, each in zip(repositories, found, strict=True)
    }
    if other := next((name for name in repositories if rules_of[name] != rules_of[repositories[0]]), None):
        raise InputError(
            f"the settings give {printable(repositories[0])} and {printable(other)} different rules for tags",
            "promote to one of them at a time",
        )
    return found[0].schemes()


def one_repository(name: str | None) -> str:
    """The repository of a name, which may be that of a table; without one, the only repository of the settings.

    Raises InputError where that is not one.
    """
    from tagger.config.places import all_places, places

    said = given(Rules())
    groups = [places(said, os.environ, Path(), name)] if name else all_places(said, os.environ, Path())
    found = [*dict.fromkeys(place.repository for group in groups for place in group)]
    if len(found) > 1:
        raise InputError(f"the settings name {', '.join(map(printable, found))}", "choose one of them")
    return found[0]


def git_tag_of(rules: Rules, repositories: Sequence[str]) -> str | None:
    """The form of the git tags that count for these repositories. Raises InputError where they differ in it."""
    forms = {in_force(given(rules), repository).settings.git_tag: repository for repository in repositories}
    if len(forms) > 1:
        raise InputError(
            f"the settings give {' and '.join(map(printable, forms.values()))} different forms of git tags",
            "promote to one of them at a time, or give the version itself",
        )
    return next(iter(forms))


def token_hosts(access: Access, repository: str) -> Sequence[str]:
    """The token servers on other hosts: those of the command line, else those of the settings."""
    return access.auth_host or in_force(given(Rules()), repository).settings.auth_hosts


def judged(gates: Gates, settings: Settings) -> Judged:
    """The commands around a release, by the settings in force."""
    return {
        "gates": settings.gates,
        "require": settings.require,
        "gate_timeout": gates.gate_timeout,
        "after": settings.after,
    }


def reaching(access: Access, repository: str) -> Reaching:
    """How the registry of a repository is reached."""
    return _reaching(access, token_hosts(access, repository))


def _reaching(access: Access, auth_hosts: Sequence[str]) -> Reaching:
    return cast("Reaching", {**words(access), "auth_host": auth_hosts, "progress": say, "trace": access.trace})


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A repository that a command is about, its schemes, and how it is reached."""

    repository: str
    schemes: tuple[Scheme, ...]
    reaching: Reaching
    limits: Mapping[str, Any]
    """What prune keeps there, by the settings."""

    @property
    def words(self) -> dict[str, Any]:
        """What the API takes beside the repository."""
        return {"schemes": self.schemes, **self.reaching}


def places(rules: Rules, access: Access, named: str, also: Sequence[str] | None = None) -> tuple[Place, ...]:
    """The repositories that names stand for, each once: a table of the settings stands for one on each registry."""
    from tagger.config.places import places as found
    from tagger.names import Repository

    every = [each for name in (named, *(also or ())) for each in found(given(rules), os.environ, Path(), name)]
    once = {Repository.parse(each.repository): each for each in every}
    return tuple(_place(access, each) for each in once.values())


def groups(
    rules: Rules, access: Access, named: str | None, also: Sequence[str] | None = None
) -> tuple[tuple[Place, ...], ...]:
    """One group of the repositories that are named; or without a name, a group for each image of the settings."""
    from tagger.config.places import all_places as found

    if named is not None:
        return (places(rules, access, named, also),)
    if also:
        raise InputError("--also needs another repository beside it", "give REPOSITORY too")
    return tuple(tuple(_place(access, each) for each in group) for group in found(given(rules), os.environ, Path()))


def reader(rules: Rules, access: Access) -> Callable[[str], Place]:
    """What finds the schemes of a repository and how it is reached, from settings that are read once."""
    from tagger.config.read import reader as found

    read = found(given(rules), os.environ, Path())
    return lambda repository: _at(access, repository, read(repository))


def _place(access: Access, found: Found) -> Place:
    return _at(access, found.repository, found.config)


def _at(access: Access, repository: str, config: Config) -> Place:
    auth_hosts = access.auth_host or config.settings.auth_hosts
    return Place(repository, config.all_schemes(), _reaching(access, auth_hosts), config.limits)


def wanted(image: str | None, said: Given) -> tuple[list[Wanted], Settings, Sequence[str]]:
    """What to release, what the images agree on, and the token servers; without an image, every one in the settings.

    An image without a table of its own follows the settings of the repository that it goes to.
    """
    from tagger.config.read import check_one, read_all, read_repository
    from tagger.wiring.release import Wanted

    if image is not None:
        found = in_force(said, image)
        if found.image is None and (repository := found.settings.repository):
            found = read_repository(said, os.environ, Path(), repository, image)
        check_one(found.tables)
        chosen = {image: found}
    elif said["repository"] is not None:
        raise InputError("--all and --repository cannot be combined", "set the repository of each image in its table")
    else:
        chosen = {str(found.image): found for found in read_all(said, os.environ, Path())}
    agreed, auth_hosts = _agreed([*chosen.values()], _OF_ALL)
    images = [
        Wanted(name, found.settings.registries, found.settings.repository, found.schemes(), found.settings.git_tag)
        for name, found in chosen.items()
    ]
    return images, agreed, auth_hosts


def promotions(said: Given, source_tag: str | None) -> tuple[list[Promotion], Settings, Sequence[str]]:
    """What to promote: every image of the settings; what they agree on, and the token servers.

    `source_tag` is the tag of the sources that have none.
    """
    from tagger.config.places import targets
    from tagger.config.read import read_all
    from tagger.names import ImageName
    from tagger.wiring.promote import Promotion

    chosen = read_all(said, os.environ, Path())
    # Without an Engine it makes no difference how floating tags would move.
    agreed, auth_hosts = _agreed(chosen, {key: option for key, option in _OF_ALL.items() if key != "floats_via"})
    sources = {str(found.image): _source(found, source_tag) for found in chosen}
    if source_tag is not None and [*sources.values()] == [found.settings.source for found in chosen]:
        raise InputError("every source in the settings has a tag or a digest", "leave out --source-tag")
    images = []
    for found in chosen:
        name = str(found.image)
        to = targets(found, name) or [ImageName.parse(name).target(None, found.settings.repository)]
        images.append(Promotion(sources[name], [*map(str, to)], found.schemes(), found.settings.git_tag))
    return images, agreed, auth_hosts


def layers_from() -> list[str]:
    """The repositories of the settings, which may share base layers with an image; a broken table names none."""
    from tagger.config.places import targets
    from tagger.config.read import read_any

    found: dict[str, None] = {}
    with contextlib.suppress(InputError, Refused):
        for each in read_any(given(Rules()), os.environ, Path()):
            found |= dict.fromkeys(map(str, targets(each, each.image)))
    return [*found]


def _source(found: Config, source_tag: str | None) -> str:
    """The source of an image, with its tag. Raises InputError where it has none."""
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


def _agreed(chosen: Sequence[Config], options: Mapping[str, str]) -> tuple[Settings, Sequence[str]]:
    """Settings of images that are released as one, and the token servers of all. Raises InputError where they differ.

    `options` are the keys that have to be alike, with the options that set them for all.
    """
    settings = [found.settings for found in chosen]
    for key, option in options.items():
        if any(getattr(each, key) != getattr(settings[0], key) for each in settings):
            raise InputError(f"the images differ in {key}", f"set it for all of them with {option}")
    return settings[0], [*dict.fromkeys(host for each in settings for host in each.auth_hosts)]
