"""SQLite stores that deliver signals or approvals wrongly beside other clients, or half when they die."""

from typing import Any

from storeproof.adapters.d1.binding import Row
from storeproof.adapters.d1.codec import built, run_fields
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_decisions import takes_approval, takes_signal
from tests.races_sqlite_statements import HandwrittenStore, run_of, stored_signal_id

_NOT_FOUND = t.NotFound(kind="not-found")
_SIGNAL = ("deliverSignal.delivered", "deliverSignal.duplicate", "deliverSignal.not-waiting", "deliverSignal.not-found")
_APPROVAL = (
    "deliverApproval.delivered",
    "deliverApproval.duplicate",
    "deliverApproval.not-waiting",
    "deliverApproval.not-found",
)


def _answer(kind: str, row: Row) -> t.DeliveryAnswer:
    return built(t.DeliveryAnswer, {"kind": kind, "run": run_fields(row)})


def _woken(row: Row, now: int) -> Row:
    gone: Row = dict.fromkeys(("awaiting", "waiting_for", "pending_approval", "wake_at"))
    return {**row, **gone, "status": "queued", "updated_at": now}


class _LooksFirst(HandwrittenStore):
    """One batch to look, in which all is right; what comes after it is each store's own."""

    async def look(self, args: shapes.DeliverSignalArguments) -> tuple[Row, t.DeliverResult | None]:
        """The run's row, and the answer unless the signal is to be delivered."""
        key = stored_signal_id(args.delivery.signal_id)
        rows, seen = await self.do(self.load(args.run_id), self.seen(args.run_id, key))
        if not rows:
            return {}, _NOT_FOUND
        if seen:
            return rows[0], _answer("duplicate", rows[0])
        waits = takes_signal(run_of(rows[0]), args.delivery)
        return rows[0], None if waits else _answer("not-waiting", rows[0])


class SignalCheckThenAct(_LooksFirst):
    """deliverSignal looks in one batch and acts in a second. Two clients deliver one signal: both look, both are told
    "delivered".
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        _, refused = await self.look(args)
        if refused is not None:
            return refused
        *_, rows = await self.do(
            self.remember(args.run_id, stored_signal_id(args.delivery.signal_id), args.now),
            self.drop_timer(args.run_id, args.delivery.signal_id),
            self.wake(args.run_id, args.now),
            self.load(args.run_id),
        )
        return _answer("delivered", rows[0]) if rows else _NOT_FOUND


class ApprovalCheckThenAct(HandwrittenStore):
    """deliverApproval looks in one batch and acts in a second. Two clients deliver one approval: both look, both are
    told "delivered".
    """

    async def deliver_approval(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, **given)
        key = f"approval:{args.approval.approval_id}"
        rows, seen = await self.do(self.load(args.run_id), self.seen(args.run_id, key))
        if not rows:
            return _NOT_FOUND
        if seen:
            return _answer("duplicate", rows[0])
        if not takes_approval(run_of(rows[0]), args.approval):
            return _answer("not-waiting", rows[0])
        *_, rows = await self.do(
            self.remember(args.run_id, key, args.now), self.wake(args.run_id, args.now), self.load(args.run_id)
        )
        return _answer("delivered", rows[0]) if rows else _NOT_FOUND


class DeliverWritesBack(_LooksFirst):
    """deliverSignal reads the run, then writes all of it back. A markRunFinished, markRunPaused or deleteRun in between
    is undone.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row, refused = await self.look(args)
        if refused is not None:
            return refused
        woken = _woken(row, args.now)
        await self.do(
            self.remember(args.run_id, stored_signal_id(args.delivery.signal_id), args.now),
            self.drop_timer(args.run_id, args.delivery.signal_id),
            self.write_back(woken, insert=True),
        )
        return _answer("delivered", woken)


class WinnerByDedupeAlone(_LooksFirst):
    """deliverSignal decides in its second batch whether it was the first with this id, and not whether the run still
    waits. Two signals for one wait, or a markRunFinished in between: both are told "delivered".
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        _, refused = await self.look(args)
        if refused is not None:
            return refused
        key = stored_signal_id(args.delivery.signal_id)
        known, marked = "signal_id = ?3 and run_id = ?1 and created_at < 0", self.t.signal_deliveries
        wake, parameters = self.wake(args.run_id, args.now)
        first, *_, rows = await self.do(
            self.remember(args.run_id, key, -1),
            self.drop_timer(args.run_id, args.delivery.signal_id),
            (f"{wake} and exists (select 1 from {marked} where {known})", (*parameters, key)),
            (f"update {marked} set created_at = ?2 where {known}", (args.run_id, args.now, key)),
            self.load(args.run_id),
        )
        return _answer("delivered" if first else "duplicate", rows[0]) if rows else _NOT_FOUND


class DedupeFirst(_LooksFirst):
    """deliverSignal commits that it saw the signal, then does what the signal does. After a death between them the
    retry is told "duplicate", and nobody wakes the run.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row, refused = await self.look(args)
        if refused is not None:
            return refused
        [first] = await self.do(self.remember(args.run_id, stored_signal_id(args.delivery.signal_id), args.now))
        if not first:
            return await super().deliver_signal(**given)
        *_, rows = await self.do(
            self.drop_timer(args.run_id, args.delivery.signal_id),
            self.wake(args.run_id, args.now),
            self.load(args.run_id),
        )
        return _answer("delivered", rows[0] if rows else _woken(row, args.now))


class TimerDroppedLater(HandwrittenStore):
    """deliverSignal commits, then drops the signal's timer. After a death between them the timer stays: the retry is a
    duplicate and leaves it.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        kept = "signal_id = ?3 and false and"
        self.of_deliveries.drop_timer = self.of_deliveries.drop_timer.replace("signal_id = ?3 and", kept)
        self._deliveries._sql = self.of_deliveries  # pyright: ignore[reportPrivateUsage]

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        answer = await super().deliver_signal(**given)
        if isinstance(answer, t.DeliveryAnswer) and answer.kind == "delivered":
            await self.do(self.drop_timer(args.run_id, args.delivery.signal_id))
        return answer


class DuplicateShowsOldRun(HandwrittenStore):
    """deliverSignal reads the run, then decides, and answers a duplicate with what it read: a run that waits for a
    signal it has got.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row = await self.row(args.run_id)
        answer = await super().deliver_signal(**given)
        if row is None or isinstance(answer, t.NotFound) or answer.kind != "duplicate":
            return answer
        return _answer("duplicate", row)


class NotWaitingShowsLaterRun(HandwrittenStore):
    """deliverSignal reads the run again for its answer. One paused in between is "not-waiting" and shown waiting for
    this very signal.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        answer = await super().deliver_signal(**given)
        if isinstance(answer, t.NotFound) or answer.kind != "not-waiting":
            return answer
        row = await self.row(answer.run.run_id)
        return answer if row is None else _answer("not-waiting", row)


class DeliveredAnswersLater(HandwrittenStore):
    """deliverSignal reads the run for its answer in a second batch: one claimed in between is "delivered", running."""

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        answer = await super().deliver_signal(**given)
        if isinstance(answer, t.NotFound) or answer.kind != "delivered":
            return answer
        row = await self.row(answer.run.run_id)
        return answer if row is None else _answer("delivered", row)


DELIVERIES: tuple[Racy, ...] = (
    racy(SignalCheckThenAct, *_SIGNAL),
    racy(ApprovalCheckThenAct, *_APPROVAL),
    racy(DeliverWritesBack, *_SIGNAL, "deleteRun.deleted"),
    racy(WinnerByDedupeAlone, *_SIGNAL),
    racy(DedupeFirst, "retry.converges", *_SIGNAL, kind="cut"),
    racy(TimerDroppedLater, "retry.converges", *_SIGNAL, kind="cut"),
    racy(DuplicateShowsOldRun, "deliverSignal.duplicate"),
    racy(NotWaitingShowsLaterRun, "deliverSignal.not-waiting", "deliverSignal.delivered"),
    racy(DeliveredAnswersLater, "deliverSignal.delivered"),
)
