"""The repositories of the settings: those of one table, or of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tagger.config.file import opened
from tagger.config.read import in_force, of_repository
from tagger.config.settings import Config, Given
from tagger.errors import InputError
from tagger.image_name import ImageName
from tagger.names import Repository
from tagger.text import printable
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A repository by its given name, and the settings in force for it."""

    repository: str
    config: Config


def places(given: Given, environment: Mapping[str, str], folder: Path, name: str) -> tuple[Place, ...]:
    """Find the repositories of a name: the targets of the table with that name, or else the named repository.

    Raises what `read` raises, and InvalidReference and Refused for what the table names.
    """
    file = opened(environment, folder)
    names = _of_table(in_force(given, environment, file, [name]), name) if file and name in file.images else [name]
    return tuple(Place(each, of_repository(given, environment, file, each)) for each in names)


def _of_table(config: Config, name: str) -> list[str]:
    """Return the repositories of a table; without registries, the one in its name, with the path of its settings."""
    if found := targets(config, name):
        return [*map(str, found)]
    path = config.settings.repository
    return [str(ImageName.parse(name).target(None, path)) if path else name]


def all_places(given: Given, environment: Mapping[str, str], folder: Path) -> tuple[tuple[Place, ...], ...]:
    """Find every repository of the settings, grouped by table; without tables, that of the file's top.

    Raises what `places` raises, and InputError where a repository or a registry is missing.
    """
    file = opened(environment, folder)
    groups: dict[tuple[Repository, ...], None] = {}
    for name in file.images if file and file.images else [None]:
        found = targets(in_force(given, environment, file, [name] if name else ()), name)
        if not found and name:
            raise InputError(f"the settings name no registry for images.{printable(name)}", "add registries to them")
        if not found:
            raise InputError("the settings name no repository", "give REPOSITORY, or add registries and repository")
        groups[found] = None
    return tuple(
        tuple(Place(str(each), of_repository(given, environment, file, str(each))) for each in found)
        for found in groups
    )


def targets(config: Config, image: str | None) -> tuple[Repository, ...]:
    """Return the repositories that settings name with registry and path. Raises InvalidReference, Refused."""
    settings = config.settings
    name = image or settings.repository
    if name is None:
        return ()
    own = ImageName.parse(name)
    return tuple(dict.fromkeys(own.target(registry, settings.repository) for registry in settings.registries))
