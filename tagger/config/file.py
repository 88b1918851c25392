"""The settings file: which one counts, who owns it, and what it contains."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tagger.config.kinds import wrong
from tagger.config.nearest import unknown
from tagger.config.settings import KEYS, KINDS, POLICY, POLICY_KEYS, TABLES, Given
from tagger.errors import InputError, InvalidReference
from tagger.names import Reference
from tagger.text import printable
from tagger.values import dataclass

FILE, PYPROJECT = "tagger.toml", "pyproject.toml"
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings for repositories whose names match a pattern; `number` counts the file's policies from 1."""

    number: int
    match: str
    values: Given

    @property
    def name(self) -> str:
        """Its name as the source of a value."""
        return f'[[policy]] {self.number} "{printable(self.match)}"'

    def is_for(self, repositories: Iterable[str]) -> bool:
        """Return whether one of these repositories matches, by its full name with the registry."""
        return any(fnmatchcase(each, self.match) for each in repositories)


@dataclass(frozen=True, slots=True)
class File:
    """The content of a file: its top, each image, each pattern; and its problems, in the order of the file."""

    path: Path
    label: str
    top: Given
    images: Mapping[str, Given]
    problems: tuple[InputError, ...] = ()
    policies: tuple[Policy, ...] = ()

    def repository(self, name: str) -> str | None:
        """Return the path of an image's target repository; None if its name is not an image name."""
        return self.images[name].get("repository") or self.top.get("repository") or path_of(name)

    def sharing(self, path: str | None) -> tuple[str, ...]:
        """Return the images whose target is the repository at a path."""
        return tuple(name for name in self.images if path is not None and self.repository(name) == path)


def opened(environment: Mapping[str, str], folder: Path) -> File | None:
    """Return the settings file for a folder; None if there is none. Raises InputError."""
    file = examined(environment, folder)
    if file and file.problems:
        raise file.problems[0]
    return file


def examined(environment: Mapping[str, str], folder: Path) -> File | None:
    """Return the settings file for a folder, with all its problems; None if there is none.

    Raises InputError for a file that cannot be read, and for one that another user wrote.
    """
    try:
        found = _find(folder.absolute())
    except OSError as error:
        raise InputError(
            f"tagger cannot look for settings in {printable(folder)} and above ({printable(error.strerror)})",
            "run tagger in a folder that you may read",
        ) from None
    if found is None:
        return None
    if strangers := found.owners - _trusted(environment):
        raise InputError(
            f"{found.label} belongs to another user ({min(strangers)}), who could control your release with it",
            "take ownership with chown, or run tagger as that user",
        )
    return _from_table(found)


def _trusted(environment: Mapping[str, str]) -> set[int]:
    """Return the trusted owners of files: root, the user who runs tagger, and the one who calls it through sudo."""
    user, caller = os.geteuid(), environment.get("SUDO_UID", "")
    return {0, user, int(caller) if user == 0 and caller.isdecimal() else user}


@dataclass(frozen=True, slots=True)
class _Found:
    """Return tagger's table of a file, and the owners of the file and of the link to it."""

    path: Path
    label: str
    table: Mapping[str, object]
    owners: frozenset[int]


def _find(start: Path) -> _Found | None:
    for place in _searched(start):
        there = [found for find in (_own, _of_pyproject) if (found := find(place))]
        if len(there) > 1:
            both = " and ".join(found.label for found in there)
            raise InputError(f"{both} both have settings for tagger", "keep them in one of the two files")
        if there:
            return there[0]
    return None


def _own(place: Path) -> _Found | None:
    path = place / FILE
    if path.is_fifo() or (path.is_symlink() and not path.exists()):
        raise InputError(
            f"{path} is a pipe or a broken link", "replace it with a file, because tagger reads settings there"
        )
    return _Found(path, str(path), *_parsed(path)) if path.is_file() else None


def _of_pyproject(place: Path) -> _Found | None:
    path = place / PYPROJECT
    if not path.is_file():
        return None
    content, owners = _parsed(path)
    tool = content.get("tool")
    table = tool.get("tagger") if isinstance(tool, dict) else None
    label = f"{path} [tool.tagger]"
    if table is not None and not isinstance(table, dict):
        raise InputError(f"{label} is not a table", "write its keys below that heading")
    return _Found(path, label, table, owners) if isinstance(table, dict) else None


def _searched(start: Path) -> Sequence[Path]:
    """Return a folder and those above it up to the one with `.git`; outside a checkout, only the first."""
    upward = (start, *start.parents)
    return upward[: next((count for count, place in enumerate(upward, 1) if (place / ".git").exists()), 1)]


def _parsed(path: Path) -> tuple[Mapping[str, object], frozenset[int]]:
    """Parse a file of at most 1 MiB, and return its owner too. Raises InputError, naming the file and the line."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
            owners = frozenset({os.fstat(file.fileno()).st_uid, path.lstat().st_uid})
    except OSError as error:
        raise InputError(f"{path} cannot be read: {printable(error.strerror or error)}") from None
    if len(content) > _LARGEST:
        raise InputError(f"{path} is larger than {_LARGEST} bytes, too many for a settings file")
    import tomllib  # most repositories have no such file

    try:
        return tomllib.loads(content.decode("utf-8-sig")), owners  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path} is not UTF-8 (at line {line})", "save it as UTF-8") from None
    except ValueError as error:  # a number with too many digits is no TOMLDecodeError
        raise InputError(f"{path} is not TOML: {printable(error)}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply for a settings file") from None


def _from_table(found: _Found) -> File:
    problems: list[InputError] = []
    table = dict(found.table)
    images = table.pop("images", {})
    if not isinstance(images, dict) or not all(isinstance(image, dict) for image in images.values()):
        problems.append(wrong(found.label, "images", "a table for each image, such as [images.gallery]"))
        images = {}
    policies = _policies(found.label, table.pop(POLICY, []), problems)
    top = _given(found.label, "", table, problems, (*KEYS, *TABLES, POLICY))
    tables = {
        name: _given(found.label, f"images.{printable(name)}.", image, problems) for name, image in images.items()
    }
    return File(found.path, found.label, top, tables, tuple(problems), policies)


def _policies(label: str, said: object, problems: list[InputError]) -> tuple[Policy, ...]:
    """Return the policies of a file, the last of which wins; add what is wrong to the problems."""
    if not isinstance(said, list) or not all(isinstance(table, dict) for table in said):
        problems.append(wrong(label, POLICY, "tables, each below a heading [[policy]]"))
        return ()
    found = []
    for number, table in enumerate(said, 1):
        match = table.pop("match", None)
        if not isinstance(match, str) or not match:
            problems.append(wrong(label, f"{POLICY} {number}.match", 'a pattern, such as "*/platform/*"'))
            continue
        where = f"{POLICY} {number}."
        values = _given(label, where, table, problems, POLICY_KEYS)
        found.append(Policy(number, match, values))
    return tuple(found)


def _given(
    label: str, where: str, table: Mapping[str, object], problems: list[InputError], allowed: Sequence[str] = KEYS
) -> Given:
    """Return the settings of a table; add what is wrong to the problems."""
    values = Given()
    for key, value in table.items():
        try:
            if key not in KINDS or key not in allowed:
                raise unknown(f"{label} has an unknown key {where}{printable(key)}", key, allowed, KEYS)
            values[key] = KINDS[key].typed(value, label, where + key)
        except InputError as problem:
            problems.append(problem)
    return values


def path_of(name: str) -> str | None:
    """Return the path of the repository in an image's name; None if it is not an image name."""
    try:
        return Reference.parse(name).repository.path.removeprefix("library/")
    except InvalidReference:
        return None
