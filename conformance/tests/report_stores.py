"""Stores for the tests of what a person sees: each wrong in one way. Used by name, as `report_stores:Name`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from storeproof.adapters.memory import MemoryStore


class Steals(MemoryStore):
    """Takes every lease from its holder."""

    @staticmethod
    def _lease_is_free(row: dict[str, Any], owner: str, now: int) -> bool:
        return True


class DeletesByPrefix(MemoryStore):
    """Deletes every run whose id begins alike."""

    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        for other in [other for other in self._runs if other.startswith(run_id)]:
            await super().delete_run(run_id=other, reason=reason)


class ListsTiesBackwards(MemoryStore):
    """Breaks a SHOULD only: runs that changed at the same time are listed from the last id to the first."""

    def _runs_by_update(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        return sorted(super()._runs_by_update(wanted), key=lambda run: (run["updatedAt"], run["runId"]), reverse=True)


class Hangs(MemoryStore):
    """Awaits what never comes."""

    async def claim_run(self, **_: Any) -> Any:
        await asyncio.sleep(3600)


class Blocks(MemoryStore):
    """Blocks the event loop."""

    async def claim_run(self, **_: Any) -> Any:
        time.sleep(3600)


class HangsInAThread(MemoryStore):
    """Leaves a thread behind that does not end when the call is cancelled."""

    async def claim_run(self, **_: Any) -> Any:
        await asyncio.to_thread(time.sleep, 20)


class WillNotBeCancelled(MemoryStore):
    """Goes on when it is cancelled, whatever happens."""

    async def claim_run(self, **_: Any) -> Any:
        while True:
            try:
                await asyncio.sleep(3600)
            except BaseException:
                continue


class Exits(MemoryStore):
    """Would end the process with the code for `conforms`."""

    async def load_run(self, **_: Any) -> Any:
        raise SystemExit(0)


class Nonsense(MemoryStore):
    """Answers what no operation answers, with characters that no terminal should get."""

    async def load_run(self, **_: Any) -> Any:
        return "\x1b[31m\ud800"


class Interrupted(MemoryStore):
    """As if somebody pressed Ctrl-C while a call is under way."""

    async def load_run(self, **_: Any) -> Any:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3600)


opened: list[str] = []


@asynccontextmanager
async def failing() -> AsyncGenerator[MemoryStore]:
    """A factory that fails at once."""
    raise RuntimeError("no container could be started")
    yield MemoryStore()


@asynccontextmanager
async def failing_later() -> AsyncGenerator[MemoryStore]:
    """A factory that fails in the middle of a run."""
    opened.append("x")
    if len(opened) > 20:
        raise RuntimeError("the container is gone")
    yield MemoryStore()


@asynccontextmanager
async def closing_told() -> AsyncGenerator[MemoryStore]:
    """Says that it was closed."""
    try:
        yield Interrupted()
    finally:
        print("closed by the factory")


NOT_CALLABLE = 5
