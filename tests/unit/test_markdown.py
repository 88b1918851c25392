"""A summary shows text as it is: nothing in it becomes Markdown, a link, a mention or HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tagger.cli.render.markdown import release_markdown
from tagger.errors import TaggerError
from tagger.names import Digest, Repository, Tag
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.releasing.placement import Placement
from tagger.rules.plan import Action, Change
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version
from tagger.text import printable

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
DIGEST = Digest("sha256:" + "0123456789abcdef" * 4)
LINKED = re.compile(r"[@#$~*_`<>\[\]|\\&!%^{}]|://|www\.|\S:\S", re.IGNORECASE)
"""What GitHub and GitLab make something of even where Markdown does not: names, numbers, addresses, formulas."""

PIECES = re.findall(
    r"\S+",
    r"""
    ` `` ``` | \ \| * ** _ ~~ [x](http://evil.example) ![x](http://evil.example) http://evil.example www.evil.example
    $x$ $`x`$ a@evil.example @name #1 GH-1 <img <!-- --> &lt; :smile: > # - 1. --- === it's 2.1.106 (see x).
    """,
)
words = st.lists(st.sampled_from([*PIECES, " ", "\n", "\n\n"]) | st.text(max_size=3), max_size=8).map("".join)


def release(text: str) -> Release:
    """A release that contains a text wherever it can."""
    repository = Repository.parse("registry.local:5000/gallery/ui")
    change = Change(Tag("latest"), Action.KEEP, Version.parse("2.1.106"), None, DIGEST, text)
    released = Released(Placement(text, repository, Scheme()), DIGEST, (change,))
    return Release(text, text, False, Outcome.FAILED, (released,), TaggerError(f"{text} failed"), (text,))


def inline(markdown: str) -> Iterator[list[Token]]:
    """Return what the lines of a document hold; it must have the blocks of a summary and no others."""
    blocks = MARKDOWN.parse(markdown)
    allowed = {"heading", "paragraph", "blockquote", "table", "thead", "tbody", "tr", "th", "td"}
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in blocks} <= {*allowed, "inline"}
    assert [token.type for token in blocks if token.level == 0 and token.nesting == 1] == [
        "heading_open", "blockquote_open", "blockquote_open", "table_open"
    ]  # fmt: skip
    return (token.children or [] for token in blocks if token.type == "inline")


def shown(text: str) -> str:
    """The text as it must be shown."""
    return " ".join(printable(text, 20_000).split())


@given(text=words | st.text())
@example(text="a `b` | c \\| d")
@example(text="** x ** ~~y~~ @name http://evil www.evil.example $x$ <b> &amp; #1 :smile:")
@example(text="1. x")
@example(text="`")
def test_text_in_a_summary_stays_text(text: str) -> None:
    lines = [*inline(release_markdown(release(text)))]
    assert {token.type for line in lines for token in line} <= {"text", "code_inline", "strong_open", "strong_close"}
    assert not [t.content for line in lines for t in line if t.type == "text" and LINKED.search(t.content)]
    heading, error, warning, *cells = ["".join(token.content for token in line) for line in lines]
    assert heading == f"Failed: {shown(f'{text} {text}')}".rstrip()
    assert error == shown(f"{text} failed")
    assert warning == f"note: {shown(text)}".rstrip()
    assert cells[:4] == ["what", "tag", "digest", "why"]
    assert cells[4:] == [
        "keep",
        "registry.local:5000/gallery/ui:latest",
        DIGEST[:19],
        shown(text).replace("|", r"\x7c"),
    ]


def test_plain_words_and_versions_are_not_escaped() -> None:
    text = "keep 2.1 (it holds v1.2.4 now: see tagger check), since 2.1.107 is the image-gallery's newest."
    assert f"> note: {text}\n" in release_markdown(release(text))
