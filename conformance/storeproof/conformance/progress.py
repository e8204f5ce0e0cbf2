"""How far a run is: a bar at a terminal, one line per finished check elsewhere. Knows no report."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from storeproof.conformance.terminal import say


class RunProgress(AbstractContextManager["RunProgress"]):
    """Shows the checks of one target; satisfies session.Progress."""

    def __init__(self, console: Console, target: str) -> None:
        self._console = console
        self._target = target
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, check: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a check."""
        if self._console.is_terminal:
            if check not in self._tasks:
                self._tasks[check] = self._bar.add_task(f"{self._target} {check}", total=total)
            self._bar.update(self._tasks[check], completed=done, total=total)
        elif done == total:
            say(self._console, f"{self._target} {check}: {done} of {total}")
