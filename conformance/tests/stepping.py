"""Clients that use no store, and the scheduler that steps them: what the tests of schedules share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.points import Cut, point
from storeproof.conformance.scheduling import Choose, Probe, Scheduler

Work = Callable[[], Awaitable[None]]


def ran(*works: Work, choose: Choose | None = None, cut: Cut | None = None, probe: Probe | None = None) -> Scheduler:
    """One run on a loop of its own, which it leaves without tasks."""
    scheduler = Scheduler(choose or Replay(()).choose, probe, cut)
    asyncio.run(alone(scheduler.run(works)))
    return scheduler


async def alone(work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(20):
            await work
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


def explored(works: Callable[[], tuple[Work, ...]], probe: Callable[[], Probe] | None = None) -> Iterator[Scheduler]:
    """Every schedule; `works` makes the clients of each anew, `probe` what belongs to them, after them."""
    explorer = Explorer(None)
    while explorer.more:
        clients = works()
        yield ran(*clients, choose=explorer.choose, probe=probe() if probe else None)
        explorer.advance()


def steps(name: str, count: int, done: list[str]) -> Work:
    """A client that notes what it does after each of its points."""

    async def work() -> None:
        for number in range(count):
            await point(f"{name}{number}")
            done.append(f"{name}{number}")

    return work
