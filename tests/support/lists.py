"""Tag lists that maintainers publish, and what `tagger init` makes of each.

Run this file to write the table into docs/lists.md, and the settings into tests/data/proposals.txt.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tagger.config.propose import as_toml
from tagger.names import Digest, Repository, Tag
from tagger.rules.propose import Proposal, propose

DATA = Path(__file__).parents[1] / "data"
FILE = Path(__file__).parents[2] / "docs/lists.md"
SETTINGS = DATA / "proposals.txt"
REPOSITORY = Repository.parse("registry.local:5000/gallery/ui")
OFFICIAL = "docker-library/official-images"

_HEAD = """# Real tag lists

This page is generated. It shows what [`tagger init`](existing.md) makes of {lists} tag lists that maintainers publish:
{official} of Docker Official Images (the lines `Tags:` and `SharedTags:` of one revision of their files), and {others}
of READMEs. Tags in one row of such a file name one image, which says where each floating tag is. The lists are in
[tests/data](../tests/data/lists.toml), with their sources.

`floating tags` are all tags that `init` does not read as versions. `agree` are those that are where the proposed
settings put them. `drift` counts floating tags that the settings put elsewhere, or that are missing. `asked` counts the
tags whose digest decided something. The settings themselves are in
[tests/data/proposals.txt](../tests/data/proposals.txt).

| image | tags | lines of versions | versions | agree / floating tags | drift | asked |
| --- | --- | --- | --- | --- | --- | --- |"""

YEARS = {
    "v1.2.3": "a",
    "1.2.4": "b",
    "1.2": "b",
    "latest": "b",
    "2024.1.0": "c",
    "20240101": "d",
    "sha-abc123": "e",
    "main": "f",
    "1.2.4-alpine": "g",
    "1.2.4-rc.1": "h",
    "1.2.5_build7": "i",
}
"""What a repository holds after years: tags, and the image of each."""


@dataclass(frozen=True, slots=True)
class TagList:
    """The tags of an image: which rows of its file, and so which image, each of them names."""

    name: str
    source: str
    rows: tuple[str, ...]

    @property
    def held(self) -> Mapping[Tag, Digest]:
        """The digest that each tag holds: one for each row."""
        found: dict[str, list[str]] = {}
        for number, row in enumerate(self.rows):
            for tag in row.split(", "):
                found.setdefault(tag, []).append(str(number))
        return {Tag(tag): Digest("+".join(rows)) for tag, rows in found.items()}


@dataclass(frozen=True, slots=True)
class Read:
    """What `init` makes of a list, and about which tags it asked."""

    of: TagList
    proposal: Proposal
    asked: frozenset[Tag]

    @property
    def right(self) -> int:
        """Count the floating tags that are where the proposal puts them."""
        return sum(len(line.right) for line in self.proposal.lines)

    @property
    def drift(self) -> int:
        """Count the floating tags that it puts elsewhere, and those that are missing."""
        return sum(len(line.drifted) + len(line.missing) for line in self.proposal.lines)

    @property
    def versions(self) -> int:
        """Count the version tags."""
        return sum(line.versions for line in self.proposal.lines)


def lists() -> Iterator[TagList]:
    """Every list; an image whose rows are in several parts of the data is one."""
    joined: dict[str, dict[str, None]] = {}
    for image in tomllib.loads((DATA / "official-images.toml").read_text())["image"]:
        joined.setdefault(image["file"], {}).update(dict.fromkeys(image["rows"]))
    for path, rows in joined.items():
        yield TagList(path.removeprefix("library/"), OFFICIAL, (*rows,))
    for each in tomllib.loads((DATA / "lists.toml").read_text())["list"]:
        repo = each.get("repo", OFFICIAL)
        name = each["path"].removeprefix("library/") if repo == OFFICIAL else repo
        yield TagList(name, repo, (*each["rows"],))


def read_all() -> tuple[Read, ...]:
    """Let `init` read every list."""
    return tuple(sorted(map(read, lists()), key=lambda each: each.of.name))


@cache
def read(tags: TagList) -> Read:
    """Let `init` read a list; it asks as it asks a registry."""
    held = tags.held
    known: dict[Tag, Digest | None] = {}
    while (found := propose(held, known)).wanted:
        known |= {tag: held[tag] for tag in found.wanted}
    return Read(tags, found, frozenset(known))


def page(reads: Iterable[Read]) -> str:
    """Write the page."""
    found = [*reads]
    official = sum(each.of.source == OFFICIAL for each in found)
    lines = [_HEAD.format(lists=len(found), official=official, others=len(found) - official)]
    lines += [_row(each.of.name, [each]) for each in found]
    lines.append(_row("**all**", found))
    return "\n".join([*lines, ""])


def _row(name: str, reads: Iterable[Read]) -> str:
    found = [*reads]
    tags, versions, right, drift, asked = (
        sum(numbers)
        for numbers in zip(
            *((len(each.of.held), each.versions, each.right, each.drift, len(each.asked)) for each in found),
            strict=True,
        )
    )
    shown = _lines(found[0]) if len(found) == 1 else str(sum(len(each.proposal.lines) for each in found))
    return f"| {name} | {tags} | {shown} | {versions} | {right} / {tags - versions} | {drift} | {asked} |"


def _lines(read: Read) -> str:
    """The lines of a proposal, each by its spelling of the newest version, and the variants beside the plain one."""
    shown = []
    for line in read.proposal.lines:
        others = [name for name in line.variants if name != "default"]
        variants = f" ({len(others)} {'variant' if len(others) == 1 else 'variants'})" if others else ""
        shown.append(f"{line.schemes[0].version_tag(line.newest)}{variants}")
    return ", ".join(shown) or "none"


def settings(reads: Iterable[Read]) -> str:
    """Write what is proposed for each list, beside the repository's name."""
    found = []
    for each in reads:
        file = as_toml(REPOSITORY, each.proposal).split("\n")[2:]
        found.append("\n".join([f"-- {each.of.name} --", *file, ""]))
    return "\n".join(found)


if __name__ == "__main__":
    FILE.write_text(page(read_all()))
    SETTINGS.write_text(settings(read_all()))
