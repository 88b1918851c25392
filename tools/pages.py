"""Write the command pages (docs/commands/*.md) and the man page (docs/tagger.1), and the schema of the settings.

Usage: python tools/pages.py [FOLDER]      Default: docs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tagger import __version__
from tagger.cli.command import arguments, panels, paragraphs, sections
from tagger.cli.run import program
from tagger.config.show import schema_as_json

DOCS = Path(__file__).parent.parent / "docs"
EXITS = [
    ("0", "done, or nothing to do"),
    ("1", "failed; the registry is as it was. For doctor: there is a problem"),
    ("2", "bad input or wrong usage"),
    ("3", "refused by a rule or by the registry's access rights; nothing was written"),
    ("4", "failed; some tags are not where they should be, and the error names them"),
    ("5", "check found drifted floating tags, an image index with missing parts, or repositories that disagree"),
    ("6", "a gate failed, or required evidence is missing; no tag moved, and the image waits as a candidate"),
    ("7", "released, but an --after command failed"),
    ("8", "unfinished: --timeout ended the run, and some repositories are left"),
    ("129, 130, 143", "interrupted; the floating tags are back"),
]


def commands() -> dict[str, Any]:
    """Every command by its name, in the order of the help."""
    return {name: each for _, named in panels(typer.main.get_command(program())) for name, each in named}


def usage(name: str, command: Any) -> str:
    """The line that shows how a command is called."""
    return f"tagger {name} {arguments(command)}".strip() + " [OPTIONS]"


def options(command: Any) -> Iterator[tuple[str, str]]:
    """Each argument and option as it is written, and its help."""
    for _, rows in sections(command):
        yield from rows
    yield "-h, --help", "Show what the command does, and exit."


def page(name: str, command: Any) -> str:
    """Return the page of a command, in Markdown."""
    first, *rest = paragraphs(command)
    lines = [f"# tagger {name}", "", first, "", "```text", usage(name, command), "```", ""]
    for each in rest:
        example = each.startswith("Example: ")
        lines += ["```sh", each.removeprefix("Example: "), "```", ""] if example else [each, ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| `{spelt.replace('|', chr(92) + '|')}` | {text} |" for spelt, text in options(command)]
    return "\n".join([*lines, ""])


def index(found: dict[str, Any]) -> str:
    """Return the page that lists all commands."""
    lines = ["# Commands", "", "Generated from the help of each command.", "", "| command | |", "| --- | --- |"]
    lines += [f"| [tagger {name}]({name}.md) | {paragraphs(command)[0]} |" for name, command in found.items()]
    lines += ["", "| exit | meaning |", "| --- | --- |", *(f"| {code} | {text} |" for code, text in EXITS)]
    return "\n".join([*lines, ""])


def manual(found: dict[str, Any]) -> str:
    """Return the man page (man 7 man)."""
    lines = [
        f'.TH TAGGER 1 "" "tagger {__version__}"',
        ".SH NAME",
        "tagger \\- push a container image under its version and every tag that should follow it",
        ".SH SYNOPSIS",
        *(f".B {_roff(usage(name, command))}\n.br" for name, command in found.items()),
        ".SH COMMANDS",
    ]
    for name, command in found.items():
        lines += [f".SS {_roff(f'tagger {name}')}", *("\n.PP\n".join(map(_roff, paragraphs(command))).split("\n"))]
        for spelt, text in options(command):
            lines += [".TP", f".B {_roff(spelt)}", _roff(text)]
    lines += [".SH EXIT STATUS"]
    for code, text in EXITS:
        lines += [".TP", f".B {code}", _roff(text)]
    return "\n".join([*lines, ""])


def _roff(text: str) -> str:
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + safe if safe.startswith(".") else safe


def pages() -> dict[str, str]:
    """Return the content of every page by its path below docs."""
    found = commands()
    return {
        "tagger.1": manual(found),
        "tagger-toml.schema.json": schema_as_json() + "\n",
        "commands/README.md": index(found),
        **{f"commands/{name}.md": page(name, command) for name, command in found.items()},
    }


def main(folder: Path) -> None:
    """Write every page, and delete those of commands that no longer exist."""
    (folder / "commands").mkdir(parents=True, exist_ok=True)
    for old in (folder / "commands").glob("*.md"):
        old.unlink()
    for path, content in pages().items():
        (folder / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
