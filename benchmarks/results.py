"""The results as Markdown: every figure a ratio to a peer, with the commands to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.case import Figure
from benchmarks.growth import Curve, section
from benchmarks.startup import profile


def markdown(
    figures: Sequence[Figure],
    curves: Sequence[Curve],
    startup: Mapping[str, float],
    missing: Mapping[str, str],
    about: Sequence[str],
) -> str:
    """Write the results; `missing` says why a case was not measured, `about` what it was measured on."""
    rows = [_row(figure) for figure in figures]
    rows += [f"| {name} | | | | | | | not measured: {_cell(reason)} |" for name, reason in missing.items()]
    commands = {figure.case.name: figure.commands for figure in figures}
    return "\n".join(
        [
            "# Results",
            "",
            "Written by `make bench`. Times are medians of whole processes; a ratio is tagger's time over its peer's.",
            "",
            *(f"- {line}" for line in about),
            "",
            "| case | state | tagger | peer | runs | ratio | goal | |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
            *rows,
            *profile(startup, figures),
            *(["", "## How the cost grows"] if curves else []),
            *(line for curve in curves for line in section(curve)),
            "",
            "## Commands",
            "",
            "`make bench` prints their environment; `restore` and `empty` put back what each run starts from.",
            *(
                line
                for name, each in commands.items()
                for line in _commands(name, each.prepare, each.tagger, each.peer)
            ),
            "",
        ]
    )


def _row(figure: Figure) -> str:
    case, (runs, peer_runs) = figure.case, figure.runs
    verdict = "met" if figure.met else "**missed**"
    peak = "" if figure.peak is None else f", peak {figure.peak:.0f} MB of {case.memory:.0f}"
    return (
        f"| {case.name} | {figure.state} | {figure.tagger:.3f} s | {figure.peer:.3f} s | {runs}, {peer_runs}"
        f" | {figure.ratio:.2f} | {case.goal:.2f} | {verdict}{peak} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands(name: str, prepare: str, tagger: str, peer: str) -> list[str]:
    before = [f"{prepare}  # before each run"] if prepare else []
    return ["", f"### {name}", "", "```sh", *before, tagger, peer, "```"]
