"""Stores that schedule timers, deliver signals and approvals, or fire schedules wrongly."""

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument

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


class DuplicateIfNotWaitingOnly(MemoryStore):
    """A second delivery is let through when the run waits again."""

    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        if waiting:
            self._delivered.discard(key)
        return super()._delivery_kind(key, waiting=waiting)


class SeenBeforeWaiting(MemoryStore):
    """What nobody waited for is remembered too."""

    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        kind = super()._delivery_kind(key, waiting=waiting)
        self._delivered.add(key)
        return kind


class WaitingBeforeSeen(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        return super()._delivery_kind(key, waiting=waiting) if waiting else "not-waiting"


class OneTableOfDeliveries(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        return super()._delivery_kind((key[0], "", key[2]), waiting=waiting)


class ApprovalPrefixInSignals(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        stored = f"approval:{key[2]}" if key[1] == "approval" else key[2]
        return super()._delivery_kind((key[0], "", stored), waiting=waiting)


class DeliveryOfAnyRun(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        return super()._delivery_kind(("", key[1], key[2]), waiting=waiting)


class DeliveredDropsLease(MemoryStore):
    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        MemoryStore._queue_again(run, now)
        run.pop("lease", None)


class DeliveredKeepsRunning(MemoryStore):
    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        status = run["status"]
        MemoryStore._queue_again(run, now)
        if status == "running":
            run["status"] = status


class DeliveredKeepsOtherWaits(MemoryStore):
    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        awaiting = run.get("awaiting")
        MemoryStore._queue_again(run, now)
        if awaiting:
            run["awaiting"] = awaiting


class SignalKeepsTimer(MemoryStore):
    async def deliver_signal(self, *, run_id: str, delivery: Any, now: int) -> t.DeliverResult:
        timers = dict(self._timers)
        answer = await super().deliver_signal(run_id=run_id, delivery=delivery, now=now)
        self._timers = timers
        return answer


class SignalDropsAllTimers(MemoryStore):
    async def deliver_signal(self, *, run_id: str, delivery: Any, now: int) -> t.DeliverResult:
        answer = await super().deliver_signal(run_id=run_id, delivery=delivery, now=now)
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered":
            self._timers = {key: timer for key, timer in self._timers.items() if key[0] != run_id}
        return answer


class SignalIgnoresAwaiting(MemoryStore):
    @staticmethod
    def _waits_for_signal(run: Row, signal: Row) -> bool:
        return MemoryStore._waits_for_signal(rows.without(run, "awaiting"), signal)


class SignalIgnoresStep(MemoryStore):
    @staticmethod
    def _waits_for_signal(run: Row, signal: Row) -> bool:
        return any(wait["signalName"] == signal["name"] for wait in rows.signal_waits(run))


class SignalNeedsBothSteps(MemoryStore):
    @staticmethod
    def _waits_for_signal(run: Row, signal: Row) -> bool:
        waits = rows.signal_waits(run)
        return any(
            wait["signalName"] == signal["name"] and wait.get("stepId") == signal.get("stepId") for wait in waits
        )


class SignalToUnknownIsNotWaiting(MemoryStore):
    async def deliver_signal(self, *, run_id: str, delivery: Any, now: int) -> t.DeliverResult:
        if isinstance(run_id, str) and run_id and run_id not in self._runs:
            raise InvalidArgument("runId", "no such run")
        return await super().deliver_signal(run_id=run_id, delivery=delivery, now=now)


class ApprovalDropsTimer(MemoryStore):
    async def deliver_approval(self, *, run_id: str, approval: Any, now: int) -> t.DeliverResult:
        answer = await super().deliver_approval(run_id=run_id, approval=approval, now=now)
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered":
            approval_id = approval["approvalId"] if isinstance(approval, dict) else approval.approval_id
            self._timers.pop((run_id, approval_id), None)
        return answer


class ApprovalOnlyPending(MemoryStore):
    @staticmethod
    def _waits_for_approval(run: Row, approval_id: str) -> bool:
        return MemoryStore._waits_for_approval(rows.without(run, "awaiting"), approval_id)


class ApprovalOfAnyId(MemoryStore):
    @staticmethod
    def _waits_for_approval(run: Row, approval_id: str) -> bool:
        return bool(rows.approval_waits(run))


class ApprovalWithStepNeverMatches(MemoryStore):
    @staticmethod
    def _waits_for_approval(run: Row, approval_id: str) -> bool:
        waits = rows.approval_waits(run)
        return any(wait["approvalId"] == approval_id for wait in waits if "stepId" not in wait)


class ApprovalRefusalStaysPending(MemoryStore):
    async def deliver_approval(self, *, run_id: str, approval: Any, now: int) -> t.DeliverResult:
        before = self._runs.get(run_id, {}).get("pendingApproval")
        answer = await super().deliver_approval(run_id=run_id, approval=approval, now=now)
        approved = approval["approved"] if isinstance(approval, dict) else approval.approved
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered" and before and not approved:
            self._runs[run_id]["pendingApproval"] = before
        return answer


class ApprovalToUnknownRaises(MemoryStore):
    async def deliver_approval(self, *, run_id: str, approval: Any, now: int) -> t.DeliverResult:
        answer = await super().deliver_approval(run_id=run_id, approval=approval, now=now)
        if isinstance(answer, t.NotFound):
            raise LookupError("no such run")
        return answer


WAKEUPS: tuple[Broken, ...] = (
    broken(RescheduleKeepsLease, "scheduling a timer again keeps its lease", "scheduleTimer.rescheduled", "scheduleTimer.without-run"),
    broken(RescheduleIsIgnored, "scheduling a timer again changes nothing", "scheduleTimer.rescheduled", "scheduleTimer.without-run"),
    broken(TimerNeedsRun, "scheduleTimer needs a run row", "scheduleTimer.without-run"),
    broken(TimerLeavesRun, "scheduleTimer leaves the run as it was", "scheduleTimer.scheduled", "scheduleTimer.rescheduled"),
    broken(TimerKeepsEarlierWakeAt, "scheduleTimer keeps an earlier wakeAt", "scheduleTimer.scheduled", "scheduleTimer.rescheduled"),
    broken(OneTimerARun, "a run has one timer", "scheduleTimer.scheduled", "scheduleTimer.without-run"),
    broken(TimerDueTooLate, "a timer is not due at wakeAt itself", "claimDueTimers.claimed"),
    broken(TimerIsRemoved, "a claimed timer is removed", "claimDueTimers.claimed"),
    broken(TimerIgnoresLease, "claimDueTimers ignores leases", "claimDueTimers.leased"),
    broken(TimerPicksByArrival, "claimDueTimers picks and lists by arrival", "claimDueTimers.order", "claimDueTimers.ties"),
    broken(TimerSortsAfterPicking, "claimDueTimers picks by arrival and then sorts", "claimDueTimers.order"),
    broken(TimerTiesBySignal, "timers of equal time come by signal first", "claimDueTimers.ties", "ids.order"),
    broken(TimerLimitBeforeFilter, "claimDueTimers cuts before it filters", "claimDueTimers.limit", "claimDueTimers.claimed"),
    broken(ZeroIsNoLimit, "a limit of 0 is no limit", "claimDueTimers.limit"),
    broken(TimerLosesVersion, "a wake-up has no workflowVersion", "claimDueTimers.claimed"),
    broken(TimerOfEndedRunSkipped, "timers of ended runs are skipped", "claimDueTimers.claimed"),
    broken(DuplicateIfNotWaitingOnly, "a second delivery counts when the run waits again", "deliverSignal.duplicate", "deliverApproval.duplicate"),
    broken(SeenBeforeWaiting, "a delivery nobody waited for is remembered", "deliverSignal.not-waiting", "deliverApproval.not-waiting"),
    broken(WaitingBeforeSeen, "a duplicate nobody waits for is not-waiting", "deliverSignal.duplicate", "deliverApproval.duplicate"),
    broken(OneTableOfDeliveries, "signal and approval ids are one space", "ids.kinds", "deliverSignal.delivered", "deliverApproval.delivered"),
    broken(ApprovalPrefixInSignals, "approval a is stored as signal approval:a", "ids.kinds"),
    broken(DeliveryOfAnyRun, "a delivery to one run is a duplicate for another", "ids.opaque", "deliverSignal.delivered", "deliverApproval.delivered", "deliverSignal.not-waiting", "deliverApproval.not-waiting"),
    broken(DeliveredDropsLease, "a delivery drops the lease", "deliverSignal.delivered", "deliverApproval.delivered"),
    broken(DeliveredKeepsRunning, "a delivery to a running run leaves it running", "deliverSignal.delivered", "deliverApproval.delivered"),
    broken(DeliveredKeepsOtherWaits, "a delivery leaves awaiting", "deliverSignal.delivered", "deliverApproval.delivered"),
    broken(SignalKeepsTimer, "deliverSignal leaves the timer", "deliverSignal.delivered"),
    broken(SignalDropsAllTimers, "deliverSignal drops every timer of the run", "deliverSignal.delivered"),
    broken(SignalIgnoresAwaiting, "deliverSignal does not look at awaiting", "deliverSignal.delivered"),
    broken(SignalIgnoresStep, "deliverSignal ignores step ids", "deliverSignal.not-waiting"),
    broken(SignalNeedsBothSteps, "deliverSignal wants equal step ids even where one side gives none", "deliverSignal.delivered"),
    broken(SignalToUnknownIsNotWaiting, "deliverSignal refuses an unknown run", "deliverSignal.not-found"),
    broken(ApprovalDropsTimer, "deliverApproval drops the timer of its id (ruling 13)", "deliverApproval.delivered"),
    broken(ApprovalOnlyPending, "deliverApproval does not look at awaiting", "deliverApproval.delivered"),
    broken(ApprovalOfAnyId, "deliverApproval takes any id while one is pending", "deliverApproval.not-waiting"),
    broken(ApprovalWithStepNeverMatches, "an approval with a step is never delivered (ruling 13)", "deliverApproval.delivered"),
    broken(ApprovalRefusalStaysPending, "a refused approval stays pending", "deliverApproval.delivered"),
    broken(ApprovalToUnknownRaises, "deliverApproval raises LookupError for an unknown run", "deliverApproval.not-found"),
)
