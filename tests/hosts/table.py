"""What is tried on every imitated host: each row stands above the test that proves it.

Run this file to write docs/hosts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hosts import Imitation

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

    def on(self, host: type[Imitation]) -> str:
        """Say in a word what the command does on a host."""
        if self.needs not in host.refuses:
            return "yes"
        return "late" if self.dry and host.denies_late else self.without


trials: list[Trial] = []

_HEAD = """# What works on which registry

**The tests behind this page run against imitations, not against the registries themselves.** An imitation is a proxy
before a real registry, distribution 2.8. It answers as its host does where that differs, and lets the real registry
answer the rest. What is known of a host comes from its documentation, from its source, or from reports by people who
use it. Nothing here is a recording, and a host may change at any time.

The imitations are in [tests/hosts](../tests/hosts), and [test_hosts.py](../tests/hosts/test_hosts.py) runs every
command of the table against every host. This page is made from both.

## Commands

"No" means that the host does not offer it: tagger writes nothing, exits with 3, and names the host's own page or tool.
"Mark" means that the version no longer counts and that nothing floats to it, but its own tag is still there.
"Late" means that only a real delete shows that the host refuses it, so that a dry run cannot know.
"""


def tried(
    command: str, does: str, *, needs: str = "", without: str = "no", dry: bool = False
) -> Callable[[Test], Test]:
    """Enter a test into the table."""

    def enter(test: Test) -> Test:
        trials.append(Trial(command, does, needs, without, dry, test))
        return test

    return enter


def table(hosts: Sequence[type[Imitation]]) -> str:
    """Write the page in Markdown."""
    commands = list(dict.fromkeys(trial.command for trial in trials))
    lines = [_HEAD, f"| host | {' | '.join(commands)} |", f"|{' --- |' * (len(commands) + 1)}"]
    for host in hosts:
        words = {trial.command: trial.on(host) for trial in trials}
        lines.append(f"| {host.name} | {' | '.join(words[command] for command in commands)} |")
    lines += ["", "What each of them means:", ""]
    lines += [f"- **{trial.command}**: {trial.does}" for trial in trials]
    lines += ["", "## What the hosts do in their own way"]
    for host in hosts:
        if host.differences:
            lines += ["", f"### {host.name}", ""]
            lines += [f"- {each.does} (Known from {each.source}.)" for each in host.differences]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from hosts import table as imported  # noqa: PLW0406 - as the tests see it, not as this program
    from hosts import test_hosts

    FILE.write_text(imported.table(test_hosts.EVERY))
