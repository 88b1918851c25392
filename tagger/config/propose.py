"""A proposal as a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tagger.config.file import FILE, opened
from tagger.config.settings import Settings
from tagger.config.toml import key, toml
from tagger.errors import InputError
from tagger.names import Repository
from tagger.rules.propose import Line, Proposal
from tagger.rules.scheme import Scheme
from tagger.text import in_lines, printable


def as_toml(repository: Repository, proposal: Proposal) -> str:
    """Write the settings file of a repository."""
    return in_lines(_file(repository, proposal))


def _file(repository: Repository, proposal: Proposal) -> Iterator[str]:
    yield f"registries = {toml([str(repository.registry)])}"
    yield f"repository = {toml(repository.path)}"
    first = next(iter(proposal.lines), None)
    for line in proposal.lines:
        usual = Settings().variants
        if line is not first:
            usual = proposal.lines[0].variants
            yield ""
            yield f"[lines.{key(line.name)}]"
        if line.variants != usual:
            yield f"variants = {toml(line.variants)}"
        yield from _rules(line)


def _rules(line: Line) -> Iterator[str]:
    """Write the rules of a line that are not the defaults, each on one line of text."""
    scheme, usual = line.schemes[0], Scheme()
    given = {key: getattr(scheme, key) for key in ("versions", "revisions", "prefix", "floats", "aliases", "channels")}
    given["ignore"] = sorted(map(str, scheme.ignore))
    given["zero_major"] = scheme.zero_major
    for name, value in given.items():
        default = [] if name == "ignore" else getattr(usual, name)
        if value != default or (name == "floats" and scheme.versions):
            yield f"{name} = {toml(dict(value) if name == 'aliases' else value)}"


def check_place(environment: Mapping[str, str], folder: Path) -> None:
    """Raise InputError if a folder has settings already, in its own file or one above it."""
    if found := opened(environment, folder):
        raise InputError(
            f"{printable(found.label)} already has settings, and tagger init overwrites no file",
            "leave out --write and edit the file by hand, or move it away",
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
