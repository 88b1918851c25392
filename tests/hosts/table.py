"""The commands that are tried on every imitated host: each row is above the test that proves it.

Run this file to write docs/hosts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hosts import Kind
from hosts.engines import OfEngine

FILE = Path(__file__).parents[2] / "docs/hosts.md"
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Trial:
    """What a command does on every host; where a host refuses `needs`, it does what `without` says."""

    command: str
    does: str
    needs: str
    without: str
    dry: bool
    test: Callable[..., None]

    def on(self, host: type[Kind]) -> str:
        """One word for what the command does on a host or with an Engine."""
        if self.needs not in host.refuses:
            return "yes"
        return "late" if self.dry and host.denies_late else self.without


trials: list[Trial] = []
of_engines: list[Trial] = []

_HEAD = """# What works on which registry

**The tests behind this page run against imitations, not against the registries themselves.** An imitation is a proxy in
front of a real registry, distribution 2.8. It imitates its host where that differs, and lets the real registry answer
everything else. What we know about a host comes from its documentation, its source, or reports of its users. Nothing
here is a recording, and a host may change at any time.

The imitations are in [tests/hosts](../tests/hosts), and [test_hosts.py](../tests/hosts/test_hosts.py) runs every
command of the table against every host. This page is generated from both.

## Commands

"No" means that the host does not offer it: tagger writes nothing, exits with 3, and names the host's own page or tool.
"Mark" means that the version no longer counts and no floating tag points to it, but its own tag stays. "Late" means
that only a real delete shows that the host refuses it, so a dry run cannot know.
"""


_ENGINES = """## Engines

**These are imitations too.** Most are a proxy in front of a real Docker Engine 20.10. It imitates the named Engine
where that differs. [tests/hosts/engines](../tests/hosts/engines) has them, and
[tests/hosts/test_engines.py](../tests/hosts/test_engines.py) runs what the table names. `make test-engines` runs
releases on some of these Engines themselves: on Docker Engine with the containerd image store, and on Podman 4.3 and
5.8.

"No" means that the Engine does not offer it. tagger then says what is wrong, and no tag moves.
"""


def tried(
    command: str,
    does: str,
    *,
    needs: str = "",
    without: str = "no",
    dry: bool = False,
    table: list[Trial] = trials,
) -> Callable[[Test], Test]:
    """Enter a test into a table."""

    def enter(test: Test) -> Test:
        table.append(Trial(command, does, needs, without, dry, test))
        return test

    return enter


def page(hosts: Sequence[type[Kind]], engines: Sequence[type[OfEngine]]) -> str:
    """Write the page in Markdown."""
    lines = [_HEAD, *_table("host", hosts, trials), "", "## What the hosts do in their own way"]
    lines += [line for host in hosts for line in _own_way(host)]
    lines += ["", _ENGINES, *_table("Engine", engines, of_engines), "", "## What the Engines do in their own way"]
    lines += [line for engine in engines for line in _own_way(engine, engine.lacks)]
    return "\n".join(lines) + "\n"


def _table(head: str, kinds: Sequence[type[Kind]], tried: Sequence[Trial]) -> list[str]:
    commands = list(dict.fromkeys(trial.command for trial in tried))
    lines = [f"| {head} | {' | '.join(commands)} |", f"|{' --- |' * (len(commands) + 1)}"]
    for kind in kinds:
        words = {trial.command: trial.on(kind) for trial in tried}
        lines.append(f"| {kind.name} | {' | '.join(words[command] for command in commands)} |")
    lines += ["", "What each of them means:", ""]
    return lines + [f"- **{trial.command}**: {trial.does}" for trial in tried]


def _own_way(kind: type[Kind], lacks: str = "") -> list[str]:
    said = [f"- {each.does} (Known from {each.source}.)" for each in kind.differences]
    said += [f"- **Not offered:** {lacks}"] if lacks else []
    return ["", f"### {kind.name}", "", *said] if said else []


if __name__ == "__main__":
    from hosts import table as imported  # noqa: PLW0406 - as the tests see it, not as this program
    from hosts import test_engines, test_hosts

    FILE.write_text(imported.page(test_hosts.EVERY, test_engines.EVERY))
