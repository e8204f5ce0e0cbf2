"""Stores that schedule timers or claim due ones wrongly."""

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from tests.broken import Broken, broken


class RescheduleKeepsLease(MemoryStore):
    async def schedule_timer(self, *, run_id: str, signal_id: str, **given: Any) -> None:
        before = self._timers.get((run_id, signal_id), {})
        await super().schedule_timer(run_id=run_id, signal_id=signal_id, **given)
        if "lease" in before:
            self._timers[run_id, signal_id]["lease"] = before["lease"]


class RescheduleIsIgnored(MemoryStore):
    async def schedule_timer(self, *, run_id: str, signal_id: str, **given: Any) -> None:
        before = self._timers.get((run_id, signal_id))
        await super().schedule_timer(run_id=run_id, signal_id=signal_id, **given)
        if before is not None:
            self._timers[run_id, signal_id] = before


class TimerNeedsRun(MemoryStore):
    async def schedule_timer(self, *, run_id: str, **given: Any) -> None:
        await super().schedule_timer(run_id=run_id, **given)
        if run_id not in self._runs:
            self._timers.pop((run_id, given["signal_id"]), None)


class TimerLeavesRun(MemoryStore):
    async def schedule_timer(self, *, run_id: str, **given: Any) -> None:
        before = dict(self._runs.get(run_id, {}))
        await super().schedule_timer(run_id=run_id, **given)
        if before:
            self._runs[run_id] = before


class TimerKeepsEarlierWakeAt(MemoryStore):
    async def schedule_timer(self, *, run_id: str, **given: Any) -> None:
        before = self._runs.get(run_id, {}).get("wakeAt")
        await super().schedule_timer(run_id=run_id, **given)
        if before is not None:
            self._runs[run_id]["wakeAt"] = min(before, self._runs[run_id]["wakeAt"])


class OneTimerARun(MemoryStore):
    async def schedule_timer(self, *, run_id: str, signal_id: str, **given: Any) -> None:
        await super().schedule_timer(run_id=run_id, signal_id=signal_id, **given)
        self._timers = {key: timer for key, timer in self._timers.items() if key[0] != run_id or key[1] == signal_id}


class TimerDueTooLate(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        return [timer for timer in super()._due_timers(owner, now) if timer["wakeAt"] < now]


class TimerIsRemoved(MemoryStore):
    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        claimed = await super().claim_due_timers(**given)
        for timer in claimed:
            del self._timers[timer.run_id, timer.signal_id]
        return claimed


class TimerIgnoresLease(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = [timer for timer in self._timers.values() if timer["wakeAt"] <= now]
        return sorted(due, key=lambda timer: (timer["wakeAt"], timer["runId"], timer["signalId"]))


class TimerPicksByArrival(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = {(timer["runId"], timer["signalId"]) for timer in super()._due_timers(owner, now)}
        return [timer for key, timer in self._timers.items() if key in due]


class TimerSortsAfterPicking(MemoryStore):
    async def claim_due_timers(self, *, limit: int, **given: Any) -> list[t.TimerWakeup]:
        self._limit = limit
        claimed = await super().claim_due_timers(limit=limit, **given)
        return sorted(claimed, key=lambda timer: (timer.wake_at, timer.run_id, timer.signal_id))

    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = {(timer["runId"], timer["signalId"]) for timer in super()._due_timers(owner, now)}
        return [timer for key, timer in self._timers.items() if key in due][: self._limit]


class TimerTiesBySignal(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = super()._due_timers(owner, now)
        return sorted(due, key=lambda timer: (timer["wakeAt"], timer["signalId"], timer["runId"]))


class TimerLimitBeforeFilter(MemoryStore):
    async def claim_due_timers(self, *, limit: int, **given: Any) -> list[t.TimerWakeup]:
        self._limit = limit
        return await super().claim_due_timers(limit=limit, **given)

    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = sorted(self._timers.values(), key=lambda timer: (timer["wakeAt"], timer["runId"], timer["signalId"]))
        free = super()._due_timers(owner, now)
        return [timer for timer in due[: self._limit] if timer in free]


class ZeroIsNoLimit(MemoryStore):
    async def claim_due_timers(self, *, limit: int, **given: Any) -> list[t.TimerWakeup]:
        return await super().claim_due_timers(limit=limit or 1_000 if limit.__class__ is int else limit, **given)


class TimerLosesVersion(MemoryStore):
    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        claimed = await super().claim_due_timers(**given)
        return [t.TimerWakeup.model_validate(rows.without(timer.to_wire(), "workflowVersion")) for timer in claimed]


class TimerOfEndedRunSkipped(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = super()._due_timers(owner, now)
        return [row for row in due if self._runs.get(row["runId"], {}).get("status") not in rows.TERMINAL]


TIMERS: tuple[Broken, ...] = (
    broken(
        RescheduleKeepsLease,
        "scheduling a timer again keeps its lease",
        "scheduleTimer.rescheduled",
        "scheduleTimer.without-run",
    ),
    broken(
        RescheduleIsIgnored,
        "scheduling a timer again changes nothing",
        "scheduleTimer.rescheduled",
        "scheduleTimer.without-run",
    ),
    broken(TimerNeedsRun, "scheduleTimer needs a run row", "scheduleTimer.without-run"),
    broken(
        TimerLeavesRun, "scheduleTimer leaves the run as it was", "scheduleTimer.scheduled", "scheduleTimer.rescheduled"
    ),
    broken(
        TimerKeepsEarlierWakeAt,
        "scheduleTimer keeps an earlier wakeAt",
        "scheduleTimer.scheduled",
        "scheduleTimer.rescheduled",
    ),
    broken(OneTimerARun, "a run has one timer", "scheduleTimer.scheduled", "scheduleTimer.without-run"),
    broken(TimerDueTooLate, "a timer is not due at wakeAt itself", "claimDueTimers.claimed"),
    broken(TimerIsRemoved, "a claimed timer is removed", "claimDueTimers.claimed"),
    broken(TimerIgnoresLease, "claimDueTimers ignores leases", "claimDueTimers.leased"),
    broken(
        TimerPicksByArrival, "claimDueTimers picks and lists by arrival", "claimDueTimers.order", "claimDueTimers.ties"
    ),
    broken(TimerSortsAfterPicking, "claimDueTimers picks by arrival and then sorts", "claimDueTimers.order"),
    broken(TimerTiesBySignal, "timers of equal time come by signal first", "claimDueTimers.ties", "ids.order"),
    broken(
        TimerLimitBeforeFilter,
        "claimDueTimers cuts before it filters",
        "claimDueTimers.limit",
        "claimDueTimers.claimed",
    ),
    broken(ZeroIsNoLimit, "a limit of 0 is no limit", "claimDueTimers.limit"),
    broken(TimerLosesVersion, "a wake-up has no workflowVersion", "claimDueTimers.claimed"),
    broken(TimerOfEndedRunSkipped, "timers of ended runs are skipped", "claimDueTimers.claimed"),
)
