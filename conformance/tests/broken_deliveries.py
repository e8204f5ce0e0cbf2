"""Stores that deliver signals and approvals wrongly."""

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument
from tests.broken import Broken, broken, wire


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
        if run_id not in self._runs:
            raise InvalidArgument("runId", "no such run")
        return await super().deliver_signal(run_id=run_id, delivery=delivery, now=now)


class ApprovalDropsTimer(MemoryStore):
    async def deliver_approval(self, *, run_id: str, approval: Any, now: int) -> t.DeliverResult:
        answer = await super().deliver_approval(run_id=run_id, approval=approval, now=now)
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered":
            self._timers.pop((run_id, wire(approval)["approvalId"]), None)
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
        approved = wire(approval)["approved"]
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered" and before and not approved:
            self._runs[run_id]["pendingApproval"] = before
        return answer


class ApprovalToUnknownRaises(MemoryStore):
    async def deliver_approval(self, *, run_id: str, approval: Any, now: int) -> t.DeliverResult:
        answer = await super().deliver_approval(run_id=run_id, approval=approval, now=now)
        if isinstance(answer, t.NotFound):
            raise LookupError("no such run")
        return answer


DELIVERIES: tuple[Broken, ...] = (
    broken(
        DuplicateIfNotWaitingOnly,
        "a second delivery counts when the run waits again",
        "deliverSignal.duplicate",
        "deliverApproval.duplicate",
    ),
    broken(
        SeenBeforeWaiting,
        "a delivery nobody waited for is remembered",
        "deliverSignal.not-waiting",
        "deliverApproval.not-waiting",
    ),
    broken(
        WaitingBeforeSeen,
        "a duplicate nobody waits for is not-waiting",
        "deliverSignal.duplicate",
        "deliverApproval.duplicate",
    ),
    broken(
        OneTableOfDeliveries,
        "signal and approval ids are one space",
        "ids.kinds",
        "deliverApproval.not-waiting",
        "deliverSignal.not-waiting",
        "deliverSignal.delivered",
        "deliverApproval.delivered",
    ),
    broken(ApprovalPrefixInSignals, "approval a is stored as signal approval:a", "ids.kinds"),
    broken(
        DeliveryOfAnyRun,
        "a delivery to one run is a duplicate for another",
        "ids.opaque",
        "deliverSignal.delivered",
        "deliverApproval.delivered",
        "deliverSignal.not-waiting",
        "deliverApproval.not-waiting",
    ),
    broken(DeliveredDropsLease, "a delivery drops the lease", "deliverSignal.delivered", "deliverApproval.delivered"),
    broken(
        DeliveredKeepsRunning,
        "a delivery to a running run leaves it running",
        "deliverSignal.delivered",
        "deliverApproval.delivered",
    ),
    broken(
        DeliveredKeepsOtherWaits, "a delivery leaves awaiting", "deliverSignal.delivered", "deliverApproval.delivered"
    ),
    broken(SignalKeepsTimer, "deliverSignal leaves the timer", "deliverSignal.delivered"),
    broken(SignalDropsAllTimers, "deliverSignal drops every timer of the run", "deliverSignal.delivered"),
    broken(SignalIgnoresAwaiting, "deliverSignal does not look at awaiting", "deliverSignal.delivered"),
    broken(SignalIgnoresStep, "deliverSignal ignores step ids", "deliverSignal.not-waiting"),
    broken(
        SignalNeedsBothSteps,
        "deliverSignal wants equal step ids even where one side gives none",
        "deliverSignal.delivered",
    ),
    broken(SignalToUnknownIsNotWaiting, "deliverSignal refuses an unknown run", "deliverSignal.not-found"),
    broken(ApprovalDropsTimer, "deliverApproval drops the timer of its id (ruling 13)", "deliverApproval.delivered"),
    broken(ApprovalOnlyPending, "deliverApproval does not look at awaiting", "deliverApproval.delivered"),
    broken(ApprovalOfAnyId, "deliverApproval takes any id while one is pending", "deliverApproval.not-waiting"),
    broken(
        ApprovalWithStepNeverMatches,
        "an approval with a step is never delivered (ruling 13)",
        "deliverApproval.delivered",
    ),
    broken(ApprovalRefusalStaysPending, "a refused approval stays pending", "deliverApproval.delivered"),
    broken(
        ApprovalToUnknownRaises, "deliverApproval raises LookupError for an unknown run", "deliverApproval.not-found"
    ),
)
