"""A release for CI systems: as Markdown, and as NAME=VALUE lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tagger.cli.render.phrases import commands, evidence_line, ran_line, short
from tagger.releasing.outcome import Outcome, Release
from tagger.rules.plan import Action
from tagger.text import printable

_LONGEST_VALUE = 20_000
_HARMLESS = re.compile(r"[A-Za-z0-9._:/@,+-]*")
_PROSE = re.compile(r"(?:v?\d+(?:\.\d+)*|[A-Za-z]+(?:['-][A-Za-z]+)*)?")
_BAR = r"\x7c"


def release_markdown(release: Release) -> str:
    """Write a release as Markdown: what happened to each tag, the digests, and how to pull the image."""
    return "\n".join(_markdown(release)) + "\n\n"


def release_variables(release: Release) -> str:
    """Write a release as NAME=VALUE lines, for the outputs of a CI step or a dotenv file.

    Commas separate several tags, digests or references; TAGGER_REFERENCE is only the first. No value holds characters
    that mean something to a shell or in a dotenv file. After a failure the values name the version tag if it was
    pushed, and are empty otherwise.
    """
    shown = () if release.outcome is Outcome.REFUSED else release.repositories
    held = [(r, change) for r in shown for change in r.changes if r.digest and change.after == r.digest]
    references = [f"{r.repository}@{r.digest}" for r, _ in held]
    values: dict[str, Sequence[object]] = {
        "TAGGER_OUTCOME": [release.outcome],
        "TAGGER_VERSION": [release.version],
        "TAGGER_DIGEST": [r.digest for r, _ in held],
        "TAGGER_TAGS": [change.tag for _, change in held],
        "TAGGER_REFERENCE": references[:1],
        "TAGGER_REFERENCES": references,
    }
    lines = {name: ",".join(dict.fromkeys(str(each) for each in found)) for name, found in values.items()}
    return "".join(f"{name}={value if _HARMLESS.fullmatch(value) else ''}\n" for name, value in lines.items())


def _markdown(release: Release) -> Iterator[str]:
    yield f"### {release.outcome.capitalize()}: {_plain(f'{release.image} {release.version}')}"
    yield ""
    if release.error:
        yield from (f"> **{_plain(release.error)}**", "")
    yield from (line for warning in release.warnings for line in (f"> note: {_plain(warning)}", ""))
    for what, ran in commands(release):
        yield from (f"- {_plain(ran_line(what, ran))}", *(f"  - {_plain(line)}" for line in ran.lines if ran.failed))
    yield from (f"- {_plain(evidence_line(found))}" for found in release.evidence)
    if release.gates or release.after or release.evidence:
        yield ""
    if not release.repositories:
        return
    yield "| what | tag | digest | why |"
    yield "| --- | --- | --- | --- |"
    for released in release.repositories:
        for change in released.changes:
            digest = _code(short(change.after)) if change.after else ""
            why = "see above" if change.action is Action.REFUSE else change.reason or ""
            yield _row(change.action, _code(f"{released.repository}:{change.tag}"), digest, _plain(why))
    where = dict.fromkeys(f"{r.repository}@{r.digest}" for r in release.repositories if r.digest)
    if where and release.outcome in (Outcome.RELEASED, Outcome.UNCHANGED):
        yield from ("", "```sh", *(f"docker pull {reference}" for reference in where), "```")


def _plain(text: str) -> str:
    r"""Write text so that Markdown shows it unchanged, on GitHub and GitLab too: everything except prose becomes code.

    >>> print(_plain("see https://registry.local or @gallery: 2.1 costs $5 (**not** 3)"))
    see `https://registry.local` or `@gallery`: 2.1 costs `$5` (`**not**` 3)
    """
    return " ".join(map(_word, printable(text, _LONGEST_VALUE).split()))


def _word(word: str) -> str:
    rest = word.lstrip("(")
    body = rest.rstrip(").,;:")
    shown = body if _PROSE.fullmatch(body) else _code(body)
    return word.removesuffix(rest) + shown + rest.removeprefix(body)


def _code(text: str) -> str:
    """Write a code span, in which nothing is markup, with more backticks than it contains in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def _row(*cells: str) -> str:
    """Write a row of a table. A separator in a cell is replaced, because its escapes differ between renderers."""
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"
