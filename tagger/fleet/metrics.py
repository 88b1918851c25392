"""The results of a run in Prometheus' text format; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tagger.fleet.tally import Tally

_COMPLETE = "tagger_last_complete_run_timestamp_seconds"


def metrics(
    labels: Mapping[str, str], tally: Tally, requests: Mapping[tuple[str, str], int], complete: float | None
) -> str:
    """Return the metrics of a run with these labels.

    `complete` is the time when the last complete run ended (None: never).
    """
    lines: list[str] = []

    def add(name: str, kind: str, about: str, values: Iterator[tuple[str, float]]) -> None:
        lines.extend((f"# HELP {name} {about}", f"# TYPE {name} {kind}"))
        lines.extend(f"{name}{{{labelled}}} {value:.15g}" for labelled, value in values)

    mine = _written(labels)
    outcomes = ((f'{mine},outcome="{outcome}"', float(count)) for outcome, count in sorted(tally.outcomes.items()))
    add("tagger_repositories", "gauge", "Repositories of the last run, by how it ended there.", outcomes)
    add("tagger_drifted_tags", "gauge", "Floating tags out of place.", iter([(mine, float(tally.drifted))]))
    sent = (
        (f'{mine},host="{_escaped(host)}",status="{status}"', float(count))
        for (host, status), count in sorted(requests.items())
    )
    add("tagger_requests", "gauge", "Requests of the last run, by host and HTTP status.", sent)
    if complete is not None:
        about = "When a run last ended that left nothing unfinished."
        add(_COMPLETE, "gauge", about, iter([(mine, complete)]))
    return "\n".join([*lines, ""])


def last_complete(text: str, labels: Mapping[str, str]) -> float | None:
    """Return when the last complete run with these labels ended, from earlier metrics; None if they do not say."""
    found = re.search(rf"^{_COMPLETE}\{{{re.escape(_written(labels))}\}} ([0-9.]+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def _written(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
