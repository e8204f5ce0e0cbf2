"""Stores for the tests of claim files: known defects, alone and together. Used by name, as `claim_stores:Name`."""

from __future__ import annotations

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t


class Repaired(MemoryStore):
    """Right."""


class Steals(MemoryStore):
    """claimRun takes a lease from its holder: claimRun.leased."""

    async def claim_run(self, *, run_id: str, lease_owner: str, now: int, **given: Any) -> t.ClaimRunResult:
        run = self._runs.get(run_id, {})
        lease = run.get("lease")
        if lease and lease["owner"] != lease_owner and lease["expiresAt"] > now and run["status"] not in rows.TERMINAL:
            del run["lease"]
        return await super().claim_run(run_id=run_id, lease_owner=lease_owner, now=now, **given)


class Revives(MemoryStore):
    """claimRun takes runs that have ended: claimRun.terminal."""

    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        run = self._runs.get(run_id)
        if run and run["status"] in rows.TERMINAL:
            run["status"] = "running"
        return await super().claim_run(run_id=run_id, **given)


class StealsAndRevives(Revives, Steals):
    """Both."""


class ListsNothing(MemoryStore):
    """listRuns forgets all runs: listRuns.listed. Every program that reads its state in the end fails there."""

    async def list_runs(self, **given: Any) -> list[t.RunSummary]:
        await super().list_runs(**given)
        return []


class ListsNothingAndForgetsTimers(ListsNothing):
    """And claimDueTimers, which is read after listRuns, leaves out what falls due in this very millisecond."""

    async def claim_due_timers(self, *, now: int, **given: Any) -> list[t.TimerWakeup]:
        return await super().claim_due_timers(now=max(0, now - 1), **given)
