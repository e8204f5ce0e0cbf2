"""Stores that mark runs as paused, finished or errored wrongly."""

# The defects reach into the memory store, whose parts are its own.
# pyright: reportPrivateUsage=false

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t
from tests.broken import Broken, broken


class PausedKeepsWaits(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        before = self._runs.get(run_id, {})
        super()._leave(run_id, now, status, fields)
        if status == "paused" and before:
            kept = {name: before[name] for name in rows.WAITS if name in before}
            self._runs[run_id] = {**kept, **self._runs[run_id]}


class PausedKeepsLease(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        _keep_lease(self, "paused", super()._leave, run_id, now, status, fields)


class PausedMakesRun(MemoryStore):
    async def mark_run_paused(self, *, run_id: str, now: int, **given: Any) -> None:
        await super().mark_run_paused(run_id=run_id, now=now, **given)
        if run_id not in self._runs:
            await self.create_run(run_id=run_id, workflow_id="unknown", input=None, now=now)


class FinishedKeepsLease(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        _keep_lease(self, "finished", super()._leave, run_id, now, status, fields)


class FinishedOnce(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        if self._runs.get(run_id, {}).get("status") != "finished":
            await super().mark_run_finished(run_id=run_id, **given)


class FinishedClearsError(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        self._runs.get(run_id, {}).pop("error", None)


class FinishedDropsTimers(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        self._timers = {key: timer for key, timer in self._timers.items() if key[0] != run_id}


class FinishedNullIsAbsent(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        if run_id in self._runs and self._runs[run_id]["output"] is None:
            del self._runs[run_id]["output"]


class ErroredClearsOutput(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_errored(run_id=run_id, **given)
        self._runs.get(run_id, {}).pop("output", None)


class ErroredStoresCode(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, code: str, **given: Any) -> None:
        await super().mark_run_errored(run_id=run_id, code=code, **given)
        if run_id in self._runs:
            self._runs[run_id]["error"]["stack"] = code


class ErroredKeepsWaits(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, **given: Any) -> None:
        before = self._runs.get(run_id, {})
        await super().mark_run_errored(run_id=run_id, **given)
        if "waitingFor" in before:
            self._runs[run_id]["waitingFor"] = before["waitingFor"]


def _keep_lease(
    store: MemoryStore, when: str, leave: Any, run_id: str, now: int, status: t.Status, fields: rows.Row
) -> None:
    before = store._runs.get(run_id, {})
    leave(run_id, now, status, fields)
    if status == when and "lease" in before:
        store._runs[run_id]["lease"] = before["lease"]


MARKS: tuple[Broken, ...] = (
    broken(PausedKeepsWaits, "markRunPaused keeps waits that are not given", "markRunPaused.paused"),
    broken(PausedKeepsLease, "markRunPaused keeps the lease", "markRunPaused.paused"),
    broken(PausedMakesRun, "markRunPaused makes an unknown run", "markRunPaused.unknown"),
    broken(FinishedKeepsLease, "markRunFinished keeps the lease", "markRunFinished.finished"),
    broken(FinishedOnce, "markRunFinished ignores a second output", "markRunFinished.finished"),
    broken(FinishedClearsError, "markRunFinished clears the error", "markRunFinished.finished"),
    broken(
        FinishedDropsTimers,
        "markRunFinished drops the run's timers",
        "markRunFinished.finished",
        "markRunFinished.unknown",
    ),
    broken(FinishedNullIsAbsent, "markRunFinished stores null as absent", "markRunFinished.finished", "values.json"),
    broken(ErroredClearsOutput, "markRunErrored clears the output", "markRunErrored.errored"),
    broken(ErroredStoresCode, "markRunErrored stores the code in the error", "markRunErrored.errored"),
    broken(ErroredKeepsWaits, "markRunErrored keeps waitingFor", "markRunErrored.errored"),
)
