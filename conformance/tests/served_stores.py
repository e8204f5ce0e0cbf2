"""Stores that do what a store should not, or take their time, to be offered by `storeproof serve`."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from storeproof.adapters.memory import MemoryStore
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.types import Run


class Odd(MemoryStore):
    """The memory store, but for the runs with these ids."""

    def __init__(self) -> None:
        super().__init__()
        self._go = asyncio.Event()

    async def load_run(self, *, run_id: str) -> Run | None:
        """`slow` waits for `go`, `nap` for a moment, `for ever` for nothing; `noise` prints in two ways."""
        match run_id:
            case "slow":
                await self._go.wait()
            case "go":
                self._go.set()
            case "nap":
                await asyncio.sleep(0.3)
            case "for ever":
                await asyncio.Event().wait()
            case "noise":
                print("printed by Python")
                subprocess.run(["echo", "printed by a child"], check=True)
            case "away":
                raise StoreUnavailable("no connection", retryable=True)
            case "broken":
                raise RuntimeError("a defect of the store")
            case "wrong":
                return cast(Run, {"runId": "wrong"})
            case _:
                return await super().load_run(run_id=run_id)
        return None


@asynccontextmanager
async def odd() -> AsyncGenerator[Odd]:
    """Writes `left` when it was left."""
    try:
        yield Odd()
    finally:
        Path("left").write_text("yes")


@asynccontextmanager
async def once() -> AsyncGenerator[MemoryStore]:
    """Can be made only once, so that no reset succeeds."""
    if Path("made").exists():
        raise OSError("the disk is full")
    Path("made").touch()
    yield MemoryStore()
