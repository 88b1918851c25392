"""One file contains every message, so that a review sees every change of words. Run this file to write it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tagger import errors

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/data/messages.txt"
CALLS = {"say", "tell", "progress", "announce"} | {
    name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, errors.TaggerError)
}


def messages() -> Iterator[str]:
    """Yield what each error and each line of progress says: what is wrong, and what to do next behind an arrow."""
    for path in sorted((ROOT / "tagger").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name_of(node.func) in CALLS:
                texts = [text for each in node.args if (text := text_of(each))]
                if texts:
                    yield " → ".join(texts)


def name_of(function: ast.expr) -> str:
    """The last part of the name of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def text_of(node: ast.expr) -> str:
    """The text of a string, with what it holds in braces; empty for what holds no words."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(part_of, node.values))
    return f"<{node.id}>" if isinstance(node, ast.Name) and node.id.isupper() else ""


def part_of(node: ast.expr) -> str:
    """A part of an f-string: its text, or in braces where the text comes from."""
    return f"{{{ast.unparse(node.value)}}}" if isinstance(node, ast.FormattedValue) else str(ast.literal_eval(node))


def content() -> str:
    """The whole file: every message once, in the order of the alphabet."""
    return "\n".join(sorted(set(messages()))) + "\n"


def test_the_file_of_messages_shows_every_message() -> None:
    assert FILE.read_text() == content(), "python tests/project/test_messages.py writes it"


if __name__ == "__main__":
    FILE.write_text(content())
