"""What wakes a paused run: timers, signals and approvals. Knows no schedule."""

from __future__ import annotations

from storeproof.adapters.d1.binding import D1Binding, Statement
from storeproof.adapters.d1.codec import built, run_fields, text_or_null, timer_fields
from storeproof.adapters.d1.statements import DeliveryStatements, TimerStatements
from storeproof.adapters.names import TableNames
from storeproof.spec.arguments import (
    ClaimDueArguments,
    DeliverApprovalArguments,
    DeliverSignalArguments,
    ScheduleTimerArguments,
)
from storeproof.spec.types import DeliverResult, DeliveryAnswer, NotFound, TimerWakeup

_RESERVED = ("approval:", "signal:")


class Timers:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = TimerStatements(tables)

    async def schedule(self, args: ScheduleTimerArguments) -> None:
        version = text_or_null(args.workflow_version)
        timer = (args.run_id, args.signal_id, args.workflow_id, version, args.wake_at)
        await self._binding.batch(
            [(self._sql.schedule, timer), (self._sql.wake_run, (args.run_id, args.wake_at, args.now))]
        )

    async def claim_due(self, args: ClaimDueArguments) -> list[TimerWakeup]:
        lease = (args.lease_owner, args.expires_at, args.now, args.limit)
        [rows] = await self._binding.batch([(self._sql.claim_due, lease)])
        timers = [built(TimerWakeup, timer_fields(row)) for row in rows]
        return sorted(timers, key=lambda timer: (timer.wake_at, timer.run_id, timer.signal_id))


class Deliveries:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = DeliveryStatements(tables)

    async def signal(self, args: DeliverSignalArguments) -> DeliverResult:
        delivery = args.delivery
        stored = stored_signal_id(delivery.signal_id)
        step_id = text_or_null(delivery.step_id)
        decide: Statement = (self._sql.decide_signal, (args.run_id, stored, delivery.name, step_id))
        drop_timer: Statement = (self._sql.drop_timer, (args.run_id, stored, delivery.signal_id))
        return await self._deliver(args.run_id, stored, args.now, decide, drop_timer)

    async def approval(self, args: DeliverApprovalArguments) -> DeliverResult:
        """Drops no timer, and looks at no step id (ruling 13)."""
        stored = f"approval:{args.approval.approval_id}"
        decide: Statement = (self._sql.decide_approval, (args.run_id, stored, args.approval.approval_id))
        return await self._deliver(args.run_id, stored, args.now, decide)

    async def _deliver(self, run_id: str, stored: str, now: int, *decisive: Statement) -> DeliverResult:
        *_, queued, _unmarked, standing = await self._binding.batch(
            [
                *decisive,
                (self._sql.queue_run, (run_id, stored, now)),
                (self._sql.take_mark, (run_id, stored, now)),
                (self._sql.look, (run_id, stored)),
            ]
        )
        if not standing:
            return NotFound(kind="not-found")
        [row] = standing
        kind = "delivered" if queued else "duplicate" if row["seen"] else "not-waiting"
        return built(DeliveryAnswer, {"kind": kind, "run": run_fields(row)})


def stored_signal_id(signal_id: str) -> str:
    """The id under which a signal is remembered.

    Approvals are stored as `approval:<id>` among the signals, as upstream has it; a signal whose own id looks like that
    is told apart by a prefix (ruling 4).
    """
    return f"signal:{signal_id}" if signal_id.startswith(_RESERVED) else signal_id
