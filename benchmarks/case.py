"""What is compared: commands, their peers, and the state that both start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.stage import Stage


@dataclass(frozen=True, slots=True)
class Commands:
    """Shell commands: tagger's, its peer's, and the one that runs before each run of either ("": none)."""

    tagger: str
    peer: str
    prepare: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A comparison; `goal` is the greatest ratio of tagger's time to its peer's, `memory` the greatest peak in MB.

    `make` brings the stage into the state that the case needs and gives its commands. The peer runs at most
    `peer_runs` times, where one run takes minutes. `needs` names the programs that the peer consists of.
    """

    name: str
    goal: float
    make: Callable[[Stage], Commands]
    needs: tuple[str, ...] = ()
    memory: float | None = None
    peer_runs: int | None = None
    cold: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of a case in seconds, with the number of runs; `state` is "warm" or "cold", `peak` in MB."""

    case: Case
    state: str
    commands: Commands
    tagger: float
    peer: float
    runs: tuple[int, int]
    peak: float | None = None

    @property
    def ratio(self) -> float:
        """Tagger's time over its peer's."""
        return self.tagger / self.peer

    @property
    def met(self) -> bool:
        """Whether the goals are met, including that of memory."""
        small = self.case.memory is None or self.peak is None or self.peak <= self.case.memory
        return small and self.ratio <= self.case.goal
