"""Postgres stores that deliver signals or approvals wrongly beside other clients, or half when they die."""

from typing import Any

from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Row
from storeproof.adapters.postgres.execution import decide
from storeproof.adapters.postgres.fragments import unchanged
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_decisions import takes_approval, takes_signal
from tests.races_postgres_statements import RUN, HandwrittenStore, Steps

_NOT_FOUND = t.NotFound(kind="not-found")
_WAITS = ("awaiting", "waiting_for", "pending_approval", "wake_at")
_SIGNAL = ("deliverSignal.delivered", "deliverSignal.duplicate", "deliverSignal.not-waiting", "deliverSignal.not-found")
_APPROVAL = (
    "deliverApproval.delivered",
    "deliverApproval.duplicate",
    "deliverApproval.not-waiting",
    "deliverApproval.not-found",
)


def _answer(kind: str, row: Row) -> t.DeliveryAnswer:
    return t.DeliveryAnswer.model_validate({"kind": kind, "run": codec.run(row)})


async def _refused(steps: Steps, row: Row, args: shapes.DeliverSignalArguments) -> str | None:
    """duplicate, not-waiting, or None if the signal is to be delivered."""
    if await steps.seen(args.run_id, codec.stored_signal_id(args.delivery.signal_id)):
        return "duplicate"
    return None if takes_signal(codec.run(row), args.delivery) else "not-waiting"


class SignalCheckThenAct(HandwrittenStore):
    """deliverSignal looks and acts in one READ COMMITTED transaction, without a lock. Two clients deliver one signal:
    both look, both are told "delivered".
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)

        async def work(steps: Steps) -> t.DeliverResult:
            row = await steps.row(args.run_id)
            if row is None:
                return _NOT_FOUND
            refused = await _refused(steps, row, args)
            if refused:
                return _answer(refused, row)
            await steps.remember(args.run_id, codec.stored_signal_id(args.delivery.signal_id), args.now)
            await steps.drop_timer(args.run_id, args.delivery.signal_id)
            return _answer("delivered", await steps.wake(args.run_id, args.now) or row)

        return await self.transacted(work)


class ApprovalCheckThenAct(HandwrittenStore):
    """deliverApproval looks first, then acts in a transaction. Two clients deliver one approval: both look, both are
    told "delivered".
    """

    async def deliver_approval(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, **given)
        key = codec.stored_approval_id(args.approval.approval_id)
        row = await self.steps.row(args.run_id)
        if row is None:
            return _NOT_FOUND
        if await self.steps.seen(args.run_id, key):
            return _answer("duplicate", row)
        if not takes_approval(codec.run(row), args.approval):
            return _answer("not-waiting", row)

        async def work(steps: Steps) -> Row | None:
            await steps.remember(args.run_id, key, args.now)
            return await steps.wake(args.run_id, args.now)

        woken = await self.transacted(work)
        return _answer("delivered", woken or row)


class DeliverWritesBack(HandwrittenStore):
    """deliverSignal reads the run, then writes all of it back in a transaction. A markRunFinished, markRunPaused or
    deleteRun in between is undone.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is None:
            return _NOT_FOUND
        refused = await _refused(self.steps, row, args)
        if refused:
            return _answer(refused, row)
        woken = {**row, **dict.fromkeys(_WAITS), "status": "queued", "updated_at": args.now}

        async def work(steps: Steps) -> bool:
            if not await steps.remember(args.run_id, codec.stored_signal_id(args.delivery.signal_id), args.now):
                return False
            await steps.drop_timer(args.run_id, args.delivery.signal_id)
            await steps.write_back(woken, insert=True)
            return True

        if not await self.transacted(work):
            return await super().deliver_signal(**given)  # another delivery came first
        return _answer("delivered", woken)


class OneStatementIsEnough(HandwrittenStore):
    """deliverSignal is one statement, taken for safe. It waits for a markRunPaused or another signal's delivery on the
    run's row, and then wakes a run whose waits its snapshot no longer shows right.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        statement = self.of_runs.deliver_signal.replace(unchanged(self.t.runs, "r", "run_id"), "true")
        parameters = codec.parameters(args) | codec.parameters(args.delivery, "stepId")
        parameters["key"] = codec.stored_signal_id(args.delivery.signal_id)
        row = await decide(self._connections, "deliverSignal", statement, parameters)
        return _NOT_FOUND if row is None else _answer(row["kind"], row)


class DedupeFirst(HandwrittenStore):
    """deliverSignal commits that it saw the signal, then does what the signal does. After a death between them the
    retry is told "duplicate", and nobody wakes the run.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is None:
            return _NOT_FOUND
        refused = await _refused(self.steps, row, args)
        if refused:
            return _answer(refused, row)
        if not await self.steps.remember(args.run_id, codec.stored_signal_id(args.delivery.signal_id), args.now):
            return await super().deliver_signal(**given)

        async def work(steps: Steps) -> Row | None:
            await steps.drop_timer(args.run_id, args.delivery.signal_id)
            return await steps.wake(args.run_id, args.now)

        woken = await self.transacted(work)
        return _answer("delivered", woken or row)


class TimerDroppedLater(HandwrittenStore):
    """deliverSignal commits, then drops the signal's timer. After a death between them the timer stays: the retry is a
    duplicate and leaves it.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        parameters = codec.parameters(args) | codec.parameters(args.delivery, "stepId")
        parameters["key"] = codec.stored_signal_id(args.delivery.signal_id)
        parameters["signal_id"] = ""  # no timer's id
        row = await decide(self._connections, "deliverSignal", self.of_runs.deliver_signal, parameters)
        if row is None:
            return _NOT_FOUND
        if row["kind"] == "delivered":
            await self.steps.drop_timer(args.run_id, args.delivery.signal_id)
        return _answer(row["kind"], row)


class DuplicateShowsOldRun(HandwrittenStore):
    """deliverSignal reads the run, then decides, and answers a duplicate with what it read: a run that waits for a
    signal it has got.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        row = await self.steps.row(args.run_id)
        answer = await super().deliver_signal(**given)
        if row is None or isinstance(answer, t.NotFound) or answer.kind != "duplicate":
            return answer
        return _answer("duplicate", row)


class DeliveredAnswersLater(HandwrittenStore):
    """deliverSignal reads the run for its answer after it has committed: one claimed in between is "delivered",
    running.
    """

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        answer = await super().deliver_signal(**given)
        if isinstance(answer, t.NotFound) or answer.kind != "delivered":
            return answer
        row = await self.steps.row(answer.run.run_id)
        return answer if row is None else _answer("delivered", row)


class LockAfterTheRead(HandwrittenStore):
    """deliverApproval reads the run, locks its row, and decides by what it read before the lock, as a session with an
    identity map does. Two clients deliver one approval: both are told "delivered".
    """

    async def deliver_approval(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, **given)
        key = codec.stored_approval_id(args.approval.approval_id)

        async def work(steps: Steps) -> t.DeliverResult:
            known = f"""select {RUN}, exists (select 1 from {self.t.signal_deliveries} d
                                              where d.run_id = r.run_id and d.signal_id = %(key)s) as seen
                        from {self.t.runs} r where r.run_id = %(id)s"""
            found = await steps.do(known, id=args.run_id, key=key)
            if not found:
                return _NOT_FOUND
            await steps.row(args.run_id, "for update")
            row = {name: value for name, value in found[0].items() if name != "seen"}
            if found[0]["seen"]:
                return _answer("duplicate", row)
            if not takes_approval(codec.run(row), args.approval):
                return _answer("not-waiting", row)
            await steps.remember(args.run_id, key, args.now)
            return _answer("delivered", await steps.wake(args.run_id, args.now) or row)

        return await self.transacted(work)


DELIVERIES: tuple[Racy, ...] = (
    racy(SignalCheckThenAct, *_SIGNAL),
    racy(ApprovalCheckThenAct, *_APPROVAL),
    racy(DeliverWritesBack, *_SIGNAL),
    racy(OneStatementIsEnough, *_SIGNAL),
    racy(DedupeFirst, "retry.converges", *_SIGNAL, kind="cut"),
    racy(TimerDroppedLater, "retry.converges", *_SIGNAL, kind="cut"),
    racy(DuplicateShowsOldRun, "deliverSignal.duplicate"),
    racy(DeliveredAnswersLater, "deliverSignal.delivered"),
    racy(LockAfterTheRead, *_APPROVAL),
)
