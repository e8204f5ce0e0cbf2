"""Enumerates the schedules of a scenario by running it again and again, depth first, within a preemption bound.

The bound counts how often a client that could go on is made to wait (Musuvathi and Qadeer 2007): 0 is every order of
whole calls, 2 shows nearly every race there is, None is all schedules. Knows no store; `scheduling` runs a schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Explorer:
    """Chooses for one run after the other until every schedule within the bound was run.

    explorer = Explorer(bound=None)
    while explorer.more:
        await run(explorer.choose)
        explorer.advance()
    """

    bound: int | None
    more: bool = True
    runs: int = 0
    _options: list[list[int]] = field(default_factory=list[list[int]])
    """Of each decision of this run, the clients still to be tried; the first is the one this run chooses."""
    _depth: int = 0
    _preempted: int = 0

    def choose(self, able: Sequence[int], last: int | None) -> int:
        """The client that goes on, for `scheduling.Scheduler`."""
        goes_on = last in able
        if self._depth == len(self._options):
            others = [client for client in able if client != last]
            options = [last, *others] if goes_on and last is not None else others
            if goes_on and self.bound is not None and self._preempted >= self.bound:
                options = options[:1]
            self._options.append(options)
        chosen = self._options[self._depth][0]
        if chosen not in able:
            # The run did not repeat itself: whatever made it differ, go on with what there is.
            chosen = able[0]
        self._preempted += goes_on and chosen != last
        self._depth += 1
        return chosen

    def advance(self) -> None:
        """On to the next schedule; `more` says whether there is one."""
        self.runs += 1
        del self._options[self._depth :]
        while self._options and len(self._options[-1]) == 1:
            self._options.pop()
        if self._options:
            self._options[-1].pop(0)
        self.more = bool(self._options)
        self._depth = self._preempted = 0


@dataclass(slots=True)
class Replay:
    """Chooses as a saved run did; where that is impossible, or beyond its end, the first client that can move."""

    choices: Sequence[int]
    _depth: int = 0

    def choose(self, able: Sequence[int], last: int | None) -> int:
        """The client that goes on, for `scheduling.Scheduler`."""
        wanted = self.choices[self._depth] if self._depth < len(self.choices) else None
        self._depth += 1
        if wanted is not None and wanted in able:
            return wanted
        return last if last is not None and last in able else able[0]
