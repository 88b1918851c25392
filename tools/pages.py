"""Write what the help says as pages: docs/commands/*.md, and the man page docs/tagger.1.

Usage: python tools/pages.py [FOLDER]      FOLDER is docs unless told
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
    ("0", "done, or there was nothing to do"),
    ("1", "failed, and the registry is as it was; or doctor found a problem"),
    ("2", "usage or bad input"),
    ("3", "refused by a rule, or by the registry's access rights; nothing written"),
    ("4", "failed, and some tags are not where they should be: they are named"),
    ("5", "check found floating tags that are not where they should be"),
    ("129, 130, 143", "interrupted, after putting the floating tags back"),
]


def commands() -> dict[str, Any]:
    """Give every command by its name, in the order of the help."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def paragraphs(command: Any) -> list[str]:
    """Give the paragraphs of a command's help."""
    return [" ".join(part.split()) for part in str(command.help).strip().split("\n\n")]


def usage(name: str, command: Any) -> str:
    """Give the line that shows how a command is called."""
    words = [_word(parameter) for parameter in command.params if _is_argument(parameter)]
    return " ".join(["tagger", name, *words, "[OPTIONS]"])


def options(command: Any) -> Iterator[tuple[str, str]]:
    """Give each argument and option as it is written, and its help."""
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
    """Write a command as a page of Markdown."""
    first, *rest = paragraphs(command)
    lines = [f"# tagger {name}", "", first, "", "```text", usage(name, command), "```", ""]
    for each in rest:
        example = each.startswith("Example: ")
        lines += ["```sh", each.removeprefix("Example: "), "```", ""] if example else [each, ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| `{spelt.replace('|', chr(92) + '|')}` | {text} |" for spelt, text in options(command)]
    return "\n".join([*lines, ""])


def index(found: dict[str, Any]) -> str:
    """Write the list of all commands."""
    lines = ["# Commands", "", "Made from the help of each command.", "", "| command | |", "| --- | --- |"]
    lines += [f"| [tagger {name}]({name}.md) | {paragraphs(command)[0]} |" for name, command in found.items()]
    lines += ["", "| exit | meaning |", "| --- | --- |", *(f"| {code} | {text} |" for code, text in EXITS)]
    return "\n".join([*lines, ""])


def manual(found: dict[str, Any]) -> str:
    """Write the man page (man 7 man)."""
    lines = [
        f'.TH TAGGER 1 "" "tagger {__version__}"',
        ".SH NAME",
        "tagger \\- give a built container image its semantic\\-version tags",
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
    """Give the content of every page by its path below docs."""
    found = commands()
    return {
        "tagger.1": manual(found),
        "commands/README.md": index(found),
        **{f"commands/{name}.md": page(name, command) for name, command in found.items()},
    }


def main(folder: Path) -> None:
    """Write every page, and take away those of commands that are gone."""
    (folder / "commands").mkdir(parents=True, exist_ok=True)
    for old in (folder / "commands").glob("*.md"):
        old.unlink()
    for path, content in pages().items():
        (folder / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
