"""A release as a table, for a terminal that is wide enough."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tagger.cli.render.console import console, is_rich, lost, styled, symbols
from tagger.cli.render.phrases import commands, evidence_line, heading, movement, ran_line, verdict
from tagger.text import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tagger.releasing.outcome import Release, Released

_NARROWEST_TABLE = 60
_COLOURS = {"create": "green", "move": "cyan", "keep": "dim", "unchanged": "dim", "refuse": "red"}


def show_release(release: Release) -> bool:
    """Show a release as a table if stdout can show one; return whether it did."""
    if not is_rich(sys.stdout):
        return False
    screen = console(sys.stdout)
    if screen.width < _NARROWEST_TABLE:
        return False
    try:
        for each in _tables(release):
            screen.print(each)
    except OSError as error:
        lost(error)
    return True


def _tables(release: Release) -> Iterator[RenderableType]:
    for released in release.repositories:
        yield styled(heading(release, released), "bold")
        yield _table(released)
    for what, ran in commands(release):
        yield styled(ran_line(what, ran), "red" if ran.failed else "green")
        yield from (styled(f"  {line}") for line in (ran.lines if ran.failed else ()))
    for found in release.evidence:
        yield styled(evidence_line(found), "red" if found.lacks else "green")
    for warning in release.warnings:
        yield styled(f"note: {warning}", "yellow")
    if said := verdict(release):
        yield styled(said, "bold green" if release.outcome in ("released", "unchanged") else "bold")


def _table(released: Released) -> RenderableType:
    from rich.table import Table

    signs = symbols(sys.stdout)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for change in released.changes:
        style = _COLOURS[change.action]
        detail = styled(movement(change), style)
        if change.reason:
            reason = one_line(change.reason)
            detail.append(("; " if detail else "") + reason, style="red" if change.action == "refuse" else "dim")
        action = styled(f"  {signs[change.action]} {change.action}", style)
        table.add_row(action, styled(change.tag, "bold"), detail)
    return table
