"""Settings: what the command line, the environment and a file say, and where each value comes from.

The file is `tagger.toml`, or `pyproject.toml` with a table `[tool.tagger]`; in each folder from the working directory
up to the one that holds `.git` they are looked for in this order, and the first one found is the only one read. Outside
a checkout only the working directory counts. A file that another user owns is refused, so that nobody else steers a
release.

A table `[images.NAME]` is for a repository that builds several images: its keys replace those of the file's top for the
image of that name, whole values at a time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NoReturn

from tagger.errors import InputError, InvalidReference
from tagger.names import Reference
from tagger.rules.scheme import Scheme, lines
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.rules.version import parse_version
from tagger.text import in_lines, neutral_json, printable

FILE = "tagger.toml"
_PYPROJECT = "pyproject.toml"
_LARGEST = 1 << 20
_DEFAULT = "default"
_COMMAND_LINE = "command line"
_Source = Callable[[str], str]
_FLOATS_VIA = ("engine", "registry")


@dataclass(frozen=True, slots=True)
class Given:
    """What one place says; None where it says nothing."""

    registries: tuple[str, ...] | None = None
    repository: str | None = None
    variants: tuple[str, ...] | None = None
    prefix: str | None = None
    floats: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, str], ...] | None = None
    channels: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    zero_major: bool | None = None
    floats_via: str | None = None
    auth_hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force: each field is a key of the file."""

    registries: tuple[str, ...] = ()
    repository: str | None = None
    variants: tuple[str, ...] = (DEFAULT_VARIANT,)
    prefix: str = ""
    floats: tuple[str, ...] = Scheme().floats
    aliases: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    zero_major: bool = False
    floats_via: str = _FLOATS_VIA[0]
    auth_hosts: tuple[str, ...] = ()


KEYS = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a key comes from."""

    key: str
    source: str


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force, where each comes from, the file and its image (None: none), and all variants it names.

    Unless the command line or the environment names the variants, `tables` are those that the image selects, and
    `sharing` all tables of its repository.
    """

    settings: Settings
    origins: tuple[Origin, ...]
    file: Path | None
    image: str | None
    known: tuple[str, ...]
    tables: tuple[str, ...] = ()
    sharing: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Name the places that values come from, each once; the defaults are none."""
        return tuple(dict.fromkeys(o.source for o in self.origins if o.source != _DEFAULT))

    def schemes(self) -> tuple[Scheme, ...]:
        """Give the scheme of every line to release or to read, in the order of `variants`.

        Raises InputError, naming where the values come from.
        """
        found = self.settings
        try:
            scheme = Scheme(
                floats=found.floats,
                prefix=found.prefix,
                aliases=found.aliases,
                channels=found.channels,
                zero_major=found.zero_major,
            )
            return lines(_ignoring(scheme, found.ignore), found.variants, self.known)
        except InputError as error:
            sources = [source for source in self.sources if source != _COMMAND_LINE]
            raise type(error)(f"{error} (settings of {', '.join(sources)})" if sources else str(error)) from None


def _ignoring(scheme: Scheme, texts: Iterable[str]) -> Scheme:
    """Ignore versions, and tags that are nearly versions. Raises InvalidVersion for what is neither."""
    tags = frozenset(text for text in texts if scheme.nearly(text))
    versions = frozenset(parse_version(text, build_metadata="drop") for text in texts if text not in tags)
    return replace(scheme, ignore=versions, ignored_tags=tags)


def read(given: Given, environment: Mapping[str, str], folder: Path, image: str | None = None) -> Config:
    """Find the settings in force: the command line's (`given`) before `TAGGER_*` before the file before the defaults.

    `image` is the image or repository as the user names it. It selects the table whose name it is, perhaps without tag
    and registry, or those whose `repository` it is: then the variants of all of them are in force, and whatever else
    they say has to agree. Without such a table the file's top is in force.

    An environment variable that is empty says nothing; other `TAGGER_*` names are somebody else's.

    Raises InputError for an unknown key or a wrong type, naming the file, the key and what is allowed; for a file that
    cannot be read, and for one that belongs to another user.
    """
    file = _file(environment, folder)
    return _in_force(given, environment, file, _chosen(file, image) if image and file else ())


def read_all(given: Given, environment: Mapping[str, str], folder: Path) -> tuple[Config, ...]:
    """Find the settings in force for every image that the file has a table for.

    Raises what `read` raises, and InputError when there is no such table.
    """
    file = _file(environment, folder)
    if file is None or not file.images:
        where = (
            file.label
            if file
            else f"{FILE} or {_PYPROJECT} in {folder.absolute()}, or above it up to the folder with .git"
        )
        raise InputError(f"there is no table [images.NAME] in {where}", "add one for each image, or name the image")
    return tuple(_in_force(given, environment, file, (name,)) for name in file.images)


def read_any(given: Given, environment: Mapping[str, str], folder: Path) -> tuple[Config, ...]:
    """Find the settings in force for every image that the file has a table for, and without one those of its top.

    Raises what `read` raises.
    """
    file = _file(environment, folder)
    tables: list[tuple[str, ...]] = [(name,) for name in file.images] if file else []
    return tuple(_in_force(given, environment, file, names) for names in tables or [()])


def _in_force(given: Given, environment: Mapping[str, str], file: _File | None, names: Sequence[str]) -> Config:
    layers: list[tuple[Given, _Source]] = [
        (given, lambda _: _COMMAND_LINE),
        (_from_environment(environment), _variable),
    ]
    sharing: list[str] = []
    if file:
        tables = ", ".join(f"[images.{_key(name)}]" for name in names)
        if names:
            layers.append((_joined(file, names), lambda _: f"{file.label} {tables}"))
            path = file.repository(names[0])
            sharing = [name for name in file.images if file.repository(name) == path]
        layers.append((file.top, lambda _: file.label))
    values: dict[str, object] = {}
    origins = []
    for key in KEYS:
        said = next(((v, source) for layer, source in layers if (v := getattr(layer, key)) is not None), None)
        if said:
            values[key] = said[0]
        origins.append(Origin(key, said[1](key) if said else _DEFAULT))
    given_anywhere = (*(layer for layer, _ in layers), *(file.images[name] for name in sharing if file))
    known = dict.fromkeys(variant for layer in given_anywhere for variant in layer.variants or ())
    settings = Settings(**values)  # type: ignore[arg-type]  # each layer has the same fields, None left out
    found = Config(settings, tuple(origins), file.path if file else None, ", ".join(names) or None, tuple(known))
    named = any(layer.variants for layer, _ in layers[:2])
    return found if named else replace(found, tables=tuple(names), sharing=tuple(sharing))


def check_one(tables: Sequence[str]) -> None:
    """Refuse to write one image where each of several tables has its own. Raises InputError."""
    if len(tables) > 1:
        names = " and ".join(f"[images.{_key(name)}]" for name in tables)
        raise InputError(
            f"{names} go to one repository, each with an image of its own", "say with --variant which one this is"
        )


def as_text(config: Config) -> str:
    """Show what is in force as TOML, with the place that each value comes from behind it."""
    values = [(o.key, _plain(o.key, config.settings), printable(o.source)) for o in config.origins]
    shown = [(f"{key} = {_toml(value)}", source) for key, value, source in values if value is not None]
    width = max(len(text) for text, _ in shown)
    return in_lines(f"{text:<{width}}  # {source}" for text, source in shown)


def as_json(config: Config) -> str:
    """Show what is in force as one JSON object: {"file", "image", "settings": {key: {"value", "source"}}}."""
    settings = {o.key: {"value": _plain(o.key, config.settings), "source": o.source} for o in config.origins}
    content = {"file": str(config.file) if config.file else None, "image": config.image, "settings": settings}
    return neutral_json(json.dumps(content))


def _plain(key: str, settings: Settings) -> object:
    value = getattr(settings, key)
    return dict(value) if key == "aliases" else value


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(line)}" for name, line in value.items()) + " }"
    return neutral_json(json.dumps(value))


# -- the environment -------------------------------------------------------------------------------------------------

_VARIABLES = {"registries": "TAGGER_REGISTRY", "variants": "TAGGER_VARIANT", "auth_hosts": "TAGGER_AUTH_HOST"}


def _variable(key: str) -> str:
    return _VARIABLES.get(key, f"TAGGER_{key.upper()}")


def _from_environment(environment: Mapping[str, str]) -> Given:
    """Read lists with commas between, aliases as `name=line`, and true or false."""
    said = {key: text for key in KEYS if (text := environment.get(_variable(key), "").strip())}
    values: dict[str, object] = {}
    for key, text in said.items():
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        values[key] = _KINDS[key].worded(text, items, _variable(key))
    return Given(**values)  # type: ignore[arg-type]  # each kind gives what its field takes


# -- the file --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    """What a file says: at its top, and of each image."""

    path: Path
    label: str
    top: Given
    images: Mapping[str, Given]

    def repository(self, name: str) -> str | None:
        """Give the path of the repository that an image goes to, None where its name is no name."""
        return self.images[name].repository or self.top.repository or _path(name)


def _file(environment: Mapping[str, str], folder: Path) -> _File | None:
    try:
        found = _find(folder.absolute())
    except OSError as error:
        raise InputError(
            f"no settings can be looked for in {printable(folder)} and above ({printable(error.strerror)})",
            "run tagger in a folder that you may read",
        ) from None
    if found is None:
        return None
    if strangers := found.owners - _trusted(environment):
        raise InputError(
            f"{found.label} belongs to another user ({min(strangers)}), who could steer your release by it",
            "make it yours with chown, or run tagger as that user",
        )
    return _from_table(found)


def _trusted(environment: Mapping[str, str]) -> set[int]:
    """Give the users whose files may say what is released: root, whoever runs this, and who calls it through sudo."""
    user, caller = os.geteuid(), environment.get("SUDO_UID", "")
    return {0, user, int(caller) if user == 0 and caller.isdecimal() else user}


@dataclass(frozen=True, slots=True)
class _Found:
    """A file's table for us, and who owns the file and the link to it."""

    path: Path
    label: str
    table: Mapping[str, object]
    owners: frozenset[int]


def _find(start: Path) -> _Found | None:
    for place in _searched(start):
        if (path := place / FILE).is_file():
            return _Found(path, str(path), *_parsed(path))
        if (path := place / _PYPROJECT).is_file():
            content, owners = _parsed(path)
            tool = content.get("tool")
            table = tool.get("tagger") if isinstance(tool, dict) else None
            label = f"{path} [tool.tagger]"
            if isinstance(table, dict):
                return _Found(path, label, table, owners)
            if table is not None:
                raise InputError(f"{label} is no table", "write its keys below that heading")
    return None


def _searched(start: Path) -> Sequence[Path]:
    """Give the folders from one up to that with `.git`, and without a checkout that one alone."""
    upward = (start, *start.parents)
    return upward[: next((count for count, place in enumerate(upward, 1) if (place / ".git").exists()), 1)]


def _parsed(path: Path) -> tuple[Mapping[str, object], frozenset[int]]:
    """Parse a file of at most 1 MiB, and say who owns it. Raises InputError, naming the file and the line."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
            owners = frozenset({os.fstat(file.fileno()).st_uid, path.lstat().st_uid})
    except OSError as error:
        raise InputError(f"{path} cannot be read: {printable(error.strerror or error)}") from None
    if len(content) > _LARGEST:
        raise InputError(f"{path} is larger than {_LARGEST} bytes, so that it cannot be a file of settings")
    import tomllib  # most repositories have no such file

    try:
        return tomllib.loads(content.decode()), owners
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path} is not UTF-8 (at line {line})", "save it as that") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {printable(error)}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply to be a file of settings") from None


def _from_table(found: _Found) -> _File:
    table = dict(found.table)
    images = table.pop("images", {})
    if not isinstance(images, dict) or not all(isinstance(image, dict) for image in images.values()):
        _wrong(found.label, "images", "a table for each image, such as [images.gallery]")
    top = _given(found.label, "", table, ("images",))
    tables = {name: _given(found.label, f"images.{printable(name)}.", image) for name, image in images.items()}
    return _File(found.path, found.label, top, tables)


def _given(label: str, where: str, table: Mapping[str, object], further: tuple[str, ...] = ()) -> Given:
    for key in table:
        if key not in KEYS:
            allowed = ", ".join((*KEYS, *further))
            raise InputError(f"{label} has an unknown key {where}{printable(key)}", f"the keys are {allowed}")
    values = {key: _KINDS[key].typed(value, label, where + key) for key, value in table.items()}
    return Given(**values)  # type: ignore[arg-type]  # each kind gives what its field takes


def _chosen(file: _File, image: str) -> tuple[str, ...]:
    """Find the tables of an image or a repository: by its whole name, by the path in it, by the repository."""
    path = _path(image)
    if name := next((name for name in (image, path) if name in file.images), None):
        return (name,)
    return tuple(name for name in file.images if path is not None and file.repository(name) == path)


def _path(name: str) -> str | None:
    try:
        return Reference.parse(name).repository.path.removeprefix("library/")
    except InvalidReference:
        return None


def _joined(file: _File, names: Sequence[str]) -> Given:
    """Join the tables of one repository: the variants of all, and what else they say alike. Raises InputError."""
    first = file.images[names[0]]
    for name in names[1:]:
        other = file.images[name]
        differing = [key for key in KEYS if key != "variants" and getattr(first, key) != getattr(other, key)]
        if differing and differing != ["repository"]:
            raise InputError(
                f"{file.label}: images.{names[0]} and images.{name} go to one repository and differ in"
                f" {', '.join(differing)}",
                "say it at the file's top, or alike in both",
            )
    variants = dict.fromkeys(v for name in names for v in file.images[name].variants or (DEFAULT_VARIANT,))
    return replace(first, variants=tuple(variants)) if len(names) > 1 else first


# -- kinds of values -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a key takes: `typed` reads it from TOML, `worded` from the environment."""

    typed: Callable[[object, str, str], object]
    worded: Callable[[str, tuple[str, ...], str], object]


def _wrong(label: str, key: str, allowed: str) -> NoReturn:
    raise InputError(label, f"{key} takes {allowed}")


def _text(value: object, label: str, key: str) -> str:
    if not isinstance(value, str):
        _wrong(label, key, "a string")
    return value


def _texts(value: object, label: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        _wrong(label, key, "a list of strings")
    return tuple(value)


def _choice(value: object, label: str, key: str) -> str:
    if not isinstance(value, str) or value not in _FLOATS_VIA:
        _wrong(label, key, f"one of {', '.join(_FLOATS_VIA)}")
    return value


def _flag(value: object, label: str, key: str) -> bool:
    if not isinstance(value, bool):
        _wrong(label, key, "true or false")
    return value


def _pairs(value: object, label: str, key: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(line, str) for line in value.values()):
        _wrong(label, key, 'a table of strings, such as { lts = "24" }')
    return tuple(value.items())


def _worded_flag(text: str, _: tuple[str, ...], name: str) -> bool:
    if text not in {"true", "false"}:
        _wrong("the environment", name, "true or false")
    return text == "true"


def _worded_pairs(_: str, items: tuple[str, ...], name: str) -> tuple[tuple[str, str], ...]:
    pairs = [(key.strip(), line.strip()) for key, _, line in (item.partition("=") for item in items)]
    if not all(key and line for key, line in pairs):
        _wrong("the environment", name, "name=line with commas between, such as lts=24,stable=1.30")
    return tuple(pairs)


_TEXT = _Kind(_text, lambda text, _, __: text)
_TEXTS = _Kind(_texts, lambda _, items, __: items)
_KINDS: Mapping[str, _Kind] = {
    "registries": _TEXTS,
    "repository": _TEXT,
    "variants": _TEXTS,
    "prefix": _TEXT,
    "floats": _TEXTS,
    "aliases": _Kind(_pairs, _worded_pairs),
    "channels": _TEXTS,
    "ignore": _TEXTS,
    "zero_major": _Kind(_flag, _worded_flag),
    "auth_hosts": _TEXTS,
    "floats_via": _Kind(_choice, lambda text, _, name: _choice(text, "the environment", name)),
}
