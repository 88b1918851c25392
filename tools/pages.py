"""Write the command pages (docs/commands/*.md) and the man page (docs/tagger.1) from the help.

Usage: python tools/pages.py [FOLDER]      Default: docs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tagger import __version__
from tagger.cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
EXITS = [
    ("0", "done, or nothing to do"),
    ("1", "failed; the registry is as it was. For doctor: it found a problem"),
    ("2", "bad input or wrong usage"),
    ("3", "refused by a rule or by the registry's access rights; nothing was written"),
    ("4", "failed; some tags are not where they should be, and the error names them"),
    ("5", "check found drifted floating tags, or an image index with missing parts"),
    ("129, 130, 143", "interrupted; the floating tags are back"),
]


def commands() -> dict[str, Any]:
    """Return every command by its name, in the order of the help."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def paragraphs(command: Any) -> list[str]:
    """Return the paragraphs of a command's help."""
    return [" ".join(part.split()) for part in str(command.help).strip().split("\n\n")]


def usage(name: str, command: Any) -> str:
    """Return the usage line of a command."""
    words = [_word(parameter) for parameter in command.params if _is_argument(parameter)]
    return " ".join(["tagger", name, *words, "[OPTIONS]"])


def options(command: Any) -> Iterator[tuple[str, str]]:
    """Yield each argument and option with its help."""
    for parameter in command.params:
        if _is_argument(parameter):
            yield _word(parameter).strip("[]"), parameter.help or ""
    for parameter in command.params:
        if not _is_argument(parameter):
            value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
            spelt = ", ".join([*parameter.opts, *parameter.secondary_opts])
            required = " Required." if parameter.required else ""
            yield f"{spelt}{value}", (parameter.help or "") + required
    yield "-h, --help", "Show what the command does, and exit."


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _word(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return str(name if parameter.required else f"[{name}]")


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
