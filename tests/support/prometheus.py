"""Read Prometheus text format strictly by its specification."""

from __future__ import annotations

import re

_HELP = re.compile(r"# HELP ([a-z_:][a-z0-9_:]*) \S.*")
_TYPE = re.compile(r"# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge)")
_SAMPLE = re.compile(r"([a-z_:][a-z0-9_:]*)\{(.*)\} ([0-9.e+-]+)")
_LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Each sample by its name and labels; fails for what Prometheus would refuse."""
    assert text.endswith("\n")
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    described: list[str] = []
    for line in text.splitlines():
        if match := _HELP.fullmatch(line):
            assert match[1] not in described, f"{match[1]} is described twice"
            described.append(match[1])
        elif match := _TYPE.fullmatch(line):
            assert match[1] == described[-1]
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            name, labels, value = sample.groups()
            assert name == described[-1], f"{name} is not with its kind"
            assert "".join(match[0] for match in _LABEL.finditer(labels)) == labels, labels
            pairs = tuple((key, re.sub(r"\\(.)", r"\1", text)) for key, text in _LABEL.findall(labels))
            assert (name, pairs) not in found, f"{line} comes twice"
            found[name, pairs] = float(value)
    return found
