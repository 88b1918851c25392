"""Settings from the command line, the environment and the file, in this order of precedence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tagger.config import toml
from tagger.config.environment import from_environment, variable
from tagger.config.file import FILE, PYPROJECT, File, Policy, opened, path_of
from tagger.config.settings import COMMAND_LINE, DEFAULT, DEFAULT_LINE, KEYS, Config, Given, Origin, Settings
from tagger.errors import InputError, InvalidReference, Refused
from tagger.image_name import ImageName
from tagger.names import Repository
from tagger.rules.numbering import Numbering
from tagger.rules.spelling import DEFAULT_VARIANT

_Source = Callable[[str], str]
_Layer = tuple[Given, _Source]
"""The settings of one source, and a function that names the source of a key."""


def read(given: Given, environment: Mapping[str, str], folder: Path, image: str | None = None) -> Config:
    """Find the settings in force: the command line's (`given`) before `TAGGER_*` before the file before the defaults.

    `image` is the image or repository as the user names it. It selects the table with that name, perhaps without
    tag and registry, or the tables with that `repository`: then the variants of all of them are in force, and their
    other settings must agree. Without such a table the file's top is in force.

    An empty environment variable does not count. Other `TAGGER_*` names are ignored, unless they are spelled almost
    like one of ours.

    Raises InputError for an unknown key or a wrong type, naming the file, the key and what is allowed; for a file that
    cannot be read, and for one that belongs to another user.
    """
    file = opened(environment, folder)
    return in_force(given, environment, file, _chosen(file, image) if image and file else (), image=image)


def read_repository(
    given: Given, environment: Mapping[str, str], folder: Path, repository: str, image: str | None = None
) -> Config:
    """Find the settings in force for a repository: those of every table with that `repository`.

    Without one, those of the table with its name. Policies apply to the repository, or to the target of an `image`.
    Everything else is as for `read`.
    """
    return of_repository(given, environment, opened(environment, folder), repository, image)


def reader(given: Given, environment: Mapping[str, str], folder: Path) -> Callable[[str], Config]:
    """Return a function that finds settings like `read_repository`, but reads the file once.

    Raises what `read` raises.
    """
    file = opened(environment, folder)
    return lambda repository: of_repository(given, environment, file, repository)


def of_repository(
    given: Given, environment: Mapping[str, str], file: File | None, repository: str, image: str | None = None
) -> Config:
    """Find the settings in force for a repository like `read_repository`, in a file that is read already."""
    names = file and (file.sharing(path_of(repository)) or _chosen(file, repository))
    about = {"repository": repository} if image is None else {"image": image}
    return in_force(given, environment, file, names or (), **about)


def read_all(given: Given, environment: Mapping[str, str], folder: Path) -> tuple[Config, ...]:
    """Find the settings in force for every image with a table in the file.

    Raises what `read` raises, and InputError when there is no such table.
    """
    file = opened(environment, folder)
    if file is None or not file.images:
        where = file.label if file else looked_for(folder)
        raise InputError(f"there is no table [images.NAME] in {where}", "add one for each image, or name the image")
    return tuple(in_force(given, environment, file, (name,)) for name in file.images)


def read_any(given: Given, environment: Mapping[str, str], folder: Path) -> tuple[Config, ...]:
    """Find the settings in force for every image with a table in the file; without tables, those of its top.

    Raises what `read` raises.
    """
    file = opened(environment, folder)
    tables: list[tuple[str, ...]] = [(name,) for name in file.images] if file else []
    return tuple(in_force(given, environment, file, names) for names in tables or [()])


def looked_for(folder: Path) -> str:
    """Name the files where a folder's settings could be."""
    return f"{FILE} or {PYPROJECT} in {folder.absolute()}, or above it up to the folder with .git"


def in_force(
    given: Given,
    environment: Mapping[str, str],
    file: File | None,
    names: Sequence[str],
    *,
    image: str | None = None,
    repository: str | None = None,
) -> Config:
    """Find the settings in force for tables that share a repository; without a name, those of the file's top.

    Policies apply to the `repository`, or else to the target of the image.

    Raises InputError where the tables contradict each other, for a bad variable of the environment, and for a prefix on
    the command line that does not belong to the named line.
    """
    said: list[_Layer] = [(given, lambda _: COMMAND_LINE), (from_environment(environment), variable)]
    layers = [*said, *_layers(said, file, names, image, repository)] if file else said
    sharing = file.sharing(file.repository(names[0])) if file and names else ()
    found = {key: _first(layers, key) for key in KEYS}
    values = {key: value for key, (value, _) in found.items() if value is not None}
    origins = tuple(Origin(key, source(key)) for key, (_, source) in found.items())
    given_anywhere = (*(layer for layer, _ in layers), *(file.images[name] for name in sharing if file))
    known = dict.fromkeys(variant for layer in given_anywhere for variant in layer.get("variants") or ())
    if "floats" not in values and "versions" in values:
        with contextlib.suppress(InputError):  # raised again when the schemes are made
            values["floats"] = Numbering(values["versions"]).floats
    image_of = ", ".join(names) or None
    if given.get("prefix") is not None and (values.get("line") or DEFAULT_LINE) != DEFAULT_LINE:
        raise InputError("--prefix is for the line at the top", "set the prefix of another line in the settings")
    named, _ = _first(said, "variants")
    config = Config(Settings(**values), origins, file.path if file else None, image_of, tuple(known), named or ())
    return config if named else replace(config, tables=tuple(names), sharing=sharing)


def _layers(
    said: Sequence[_Layer], file: File, names: Sequence[str], image: str | None, repository: str | None
) -> list[_Layer]:
    """Return the layers of a file, which follow the command line and the environment: tables, policies, top."""
    tables = ", ".join(f"[images.{toml.key(name)}]" for name in names)
    found: list[_Layer] = [(_joined(file, names), lambda _: f"{file.label} {tables}")] if names else []
    top: _Layer = (file.top, lambda _: file.label)
    matching = _repositories([*said, *found, top], names[0] if names else image, repository)
    return [*found, *(_layer(file, each) for each in reversed(file.policies) if each.is_for(matching)), top]


def _layer(file: File, policy: Policy) -> _Layer:
    return policy.values, lambda _: f"{file.label} {policy.name}"


def _first(layers: Iterable[_Layer], key: str) -> tuple[Any, _Source]:
    """Return the value of a key in the first layer that has it, and its source; None for the default."""
    said = ((value, source) for layer, source in layers if (value := layer.get(key)) is not None)
    return next(said, (None, lambda _: DEFAULT))


def _repositories(layers: Sequence[_Layer], image: str | None, repository: str | None) -> set[str]:
    """Return the full names that select policies: those of an image's targets, and its own."""
    found: set[str] = set()
    with contextlib.suppress(InvalidReference):
        if repository is not None:
            return {str(Repository.parse(repository))}
        (path, _), (registries, _) = _first(layers, "repository"), _first(layers, "registries")
        name = image or path
        if name is None:
            return found
        own = ImageName.parse(name)
        if own.reference and name.startswith(f"{own.reference.repository.registry}/"):
            found.add(str(own.reference.repository))
        for registry in registries or [None]:
            with contextlib.suppress(Refused):
                found.add(str(own.target(registry, path)))
    return found


def with_policy(environment: Mapping[str, str], file: File, policy: Policy) -> Config:
    """Find the settings in force at a file's top together with a policy, whatever it matches."""
    return in_force(Given(), environment, replace(file, top={**file.top, **policy.values}, policies=()), ())


def check_one(tables: Sequence[str]) -> None:
    """Refuse to write one image to a repository with several tables, each for its own image. Raises InputError."""
    if len(tables) > 1:
        names = " and ".join(f"[images.{toml.key(name)}]" for name in tables)
        raise InputError(f"{names} go to the same repository, each with its own image", "choose one with --variant")


def _chosen(file: File, image: str) -> tuple[str, ...]:
    """Find the tables of an image or a repository: by its full name, by its path, or by the key `repository`."""
    path = path_of(image)
    if name := next((name for name in (image, path) if name in file.images), None):
        return (name,)
    return file.sharing(path)


def _joined(file: File, names: Sequence[str]) -> Given:
    """Join the tables of one repository: the variants of all, and their common settings. Raises InputError."""
    first = file.images[names[0]]
    for name in names[1:]:
        other = file.images[name]
        differing = [key for key in KEYS if key != "variants" and first.get(key) != other.get(key)]
        if differing and differing != ["repository"]:
            raise InputError(
                f"{file.label}: images.{names[0]} and images.{name} go to the same repository and differ in"
                f" {', '.join(differing)}",
                "set it at the top of the file, or alike in both",
            )
    variants = dict.fromkeys(v for name in names for v in file.images[name].get("variants") or (DEFAULT_VARIANT,))
    return {**first, "variants": tuple(variants)} if len(names) > 1 else first
