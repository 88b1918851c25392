"""A proposal as a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tagger.config.file import FILE, opened
from tagger.config.show import toml
from tagger.errors import InputError
from tagger.names import Repository
from tagger.rules.propose import Line, Proposal
from tagger.rules.scheme import Scheme
from tagger.text import in_lines, printable


def settings_of(line: Line) -> dict[str, object]:
    """Return the settings of a line that are not the defaults."""
    scheme, usual = line.schemes[0], Scheme()
    found: dict[str, object] = {}
    if line.variants != ("default",):
        found["variants"] = [*line.variants]
    for key in ("prefix", "floats", "aliases", "channels", "zero_major"):
        if (value := getattr(scheme, key)) != getattr(usual, key):
            found[key] = dict(value) if key == "aliases" else value
    if line.mistaken:
        found["ignore"] = sorted(map(str, scheme.ignore))
    return found


def as_toml(repository: Repository, proposal: Proposal) -> str:
    """Write the settings file of a repository."""
    return in_lines(_file(repository, proposal))


def _file(repository: Repository, proposal: Proposal) -> Iterator[str]:
    yield f"registries = {toml([str(repository.registry)])}"
    yield f"repository = {toml(repository.path)}"
    for line in proposal.lines[:1]:
        yield from (f"{key} = {toml(value)}" for key, value in settings_of(line).items())


def check_place(environment: Mapping[str, str], folder: Path) -> None:
    """Raise InputError where a folder has settings already, by its own file or one above it."""
    if found := opened(environment, folder):
        raise InputError(
            f"{printable(found.label)} has the settings here already, and tagger init overwrites no file",
            "leave out --write and change the file by hand, or move it away",
        )


def write(text: str, folder: Path) -> Path:
    """Write a new settings file into a folder. Raises InputError if it cannot, such as when there is one."""
    path = folder / FILE
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise InputError(
            f"{printable(path)} cannot be written ({printable(error.strerror)})", "leave out --write to print it"
        ) from None
    return path
