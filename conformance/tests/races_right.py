"""Right stores that go about it in other ways than the adapters: the checks must find nothing in them."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from storeproof.adapters.d1.binding import Row as SqliteRow
from storeproof.adapters.d1.codec import built, encoded, run_fields
from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Connections, Row, Run
from storeproof.adapters.postgres.fragments import unchanged
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, right
from tests.races_decisions import claimable, takes_approval, takes_signal
from tests.races_postgres_statements import FREE, LEASED, HandwrittenStore, Steps
from tests.races_sqlite_statements import RUN_NAMES, run_of, stored_signal_id
from tests.races_sqlite_statements import HandwrittenStore as HandwrittenSqlite

_NOT_FOUND = t.NotFound(kind="not-found")


class ClaimsInTwoStatements(HandwrittenStore):
    """claimDueTimers and claimStaleRuns lock exactly what they return, with SKIP LOCKED, and update it in a second
    statement. A row that changed since the snapshot had a writer in flight and is left out, for its place in the order
    is no longer known.
    """

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[Row]:
            timers = await steps.do(
                f"""select run_id, workflow_id, workflow_version, wake_at, signal_id from {self.t.timers} w
                    where wake_at <= %(now)s and {FREE} and {unchanged(self.t.timers, "w", "run_id", "signal_id")}
                    order by wake_at, run_id collate "C", signal_id collate "C" limit %(limit)s
                    for update skip locked""",
                codec.leasing(args),
            )
            for timer in timers:
                leased = f"update {self.t.timers} set {LEASED} where run_id = %(run_id)s and signal_id = %(signal_id)s"
                await steps.do(leased, {**codec.leasing(args), **timer})
            return timers

        return [codec.timer_wakeup(row) for row in await self.transacted(work)]

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[Row]:
            stale = await steps.do(
                f"""select run_id from {self.t.runs} r where status = 'running' and lease_expires_at <= %(now)s
                      and {unchanged(self.t.runs, "r", "run_id")}
                    order by updated_at, run_id collate "C" limit %(limit)s for update skip locked""",
                codec.leasing(args),
            )
            return [row for run in stale for row in await steps.lease({**codec.leasing(args), **run})]

        return [codec.run_claim(row) for row in await self.transacted(work)]


class RowLockThenSteps(HandwrittenStore):
    """claimRun and the deliveries lock the run's row, then look, decide and write in several statements."""

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)

        async def work(steps: Steps) -> t.ClaimRunResult:
            return await _claim(steps, args, "for update")

        return await self.transacted(work)

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)

        async def work(steps: Steps) -> t.DeliverResult:
            return await _deliver(steps, args, "for update")

        return await self.transacted(work)

    async def deliver_approval(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, **given)

        async def work(steps: Steps) -> t.DeliverResult:
            return await _deliver(steps, args, "for update")

        return await self.transacted(work)


class _First:
    """Connections on which every operation is a transaction that begins with one statement."""

    def __init__(self, connections: Connections, statement: str) -> None:
        self._connections = connections
        self._statement = statement

    async def open(self) -> None:
        await self._connections.open()

    async def close(self) -> None:
        await self._connections.close()

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        async with self.transaction() as run:
            return await run(statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Run]:
        async with self._connections.transaction() as run:
            await run(self._statement, {})
            yield run


class _LooksThenWrites(HandwrittenStore):
    """Operations that look, decide and write without a lock of their own: right only where transactions are serial."""

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)

        async def work(steps: Steps) -> t.ClaimRunResult:
            return await _claim(steps, args)

        return await self.transacted(work)

    async def release_run_lease(self, **given: Any) -> None:
        args = checked(shapes.ReleaseRunLeaseArguments, **given)

        async def work(steps: Steps) -> None:
            row = await steps.row(args.run_id)
            if row is not None and row["lease_owner"] == args.lease_owner:
                await steps.write_back({**row, "lease_owner": None, "lease_expires_at": None})

        await self.transacted(work)

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)

        async def work(steps: Steps) -> t.DeliverResult:
            return await _deliver(steps, args)

        return await self.transacted(work)

    async def load_execution(self, **given: Any) -> t.LoadedExecution | None:
        args = checked(shapes.RunIdArguments, **given)

        async def work(steps: Steps) -> tuple[Row | None, list[Row]]:
            row = await steps.row(args.run_id)
            return row, await steps.do(self.of_log.read, run_id=args.run_id, from_index=0, limit=None)

        row, events = await self.transacted(work)
        if row is None:
            return None
        return t.LoadedExecution(run=codec.run(row), events=[codec.stored_event(event) for event in events])

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[Row]:
            timers = await steps.do(
                f"""select run_id, workflow_id, workflow_version, wake_at, signal_id from {self.t.timers}
                    where wake_at <= %(now)s and {FREE}
                    order by wake_at, run_id collate "C", signal_id collate "C" limit %(limit)s""",
                codec.leasing(args),
            )
            for timer in timers:
                leased = f"update {self.t.timers} set {LEASED} where run_id = %(run_id)s and signal_id = %(signal_id)s"
                await steps.do(leased, {**codec.leasing(args), **timer})
            return timers

        return [codec.timer_wakeup(row) for row in await self.transacted(work)]


class Serializable(_LooksThenWrites):
    """Every operation is a SERIALIZABLE transaction, begun again when Postgres reports a serialization failure."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.use(_First(self._connections, "set transaction isolation level serializable"))


class OneAtATime(_LooksThenWrites):
    """Every operation holds the schema's advisory lock from its first statement to its commit."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        lock = "select pg_advisory_xact_lock(hashtextextended(current_schema() || $name$%s$name$, 0))"
        self.use(_First(self._connections, lock % self.t.runs))


async def _claim(steps: Steps, args: shapes.ClaimRunArguments, lock: str = "") -> t.ClaimRunResult:
    row = await steps.row(args.run_id, lock)
    if row is None:
        return _NOT_FOUND
    kind = "not-claimable"
    if claimable(codec.run(row), args.lease_owner, args.now):
        [row] = await steps.lease(codec.leasing(args))
        kind = "claimed"
    return t.ClaimAnswer.model_validate({"kind": kind, "run": codec.run(row)})


async def _deliver(
    steps: Steps, args: shapes.DeliverSignalArguments | shapes.DeliverApprovalArguments, lock: str = ""
) -> t.DeliverResult:
    row = await steps.row(args.run_id, lock)
    if row is None:
        return _NOT_FOUND
    if isinstance(args, shapes.DeliverSignalArguments):
        key, takes = codec.stored_signal_id(args.delivery.signal_id), takes_signal(codec.run(row), args.delivery)
    else:
        key, takes = codec.stored_approval_id(args.approval.approval_id), takes_approval(codec.run(row), args.approval)
    kind = "not-waiting"
    if await steps.seen(args.run_id, key):
        kind = "duplicate"
    elif takes:
        kind = "delivered"
        await steps.remember(args.run_id, key, args.now)
        if isinstance(args, shapes.DeliverSignalArguments):
            await steps.drop_timer(args.run_id, args.delivery.signal_id)
        row = await steps.wake(args.run_id, args.now) or row
    return t.DeliveryAnswer.model_validate({"kind": kind, "run": codec.run(row)})


class CompareAndSet(HandwrittenSqlite):
    """claimRun, markRunFinished and deliverSignal read in one batch and write in a second, which does nothing unless
    the run's row is still the one that was read; then they begin again.
    """

    def same(self, first: int) -> str:
        """Whether the run is still the row whose columns are the parameters from ?`first` on."""
        columns = " and ".join(f"{name} is ?{number}" for number, name in enumerate(RUN_NAMES, first))
        return f"exists (select 1 from {self.t.runs} where {columns})"

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        while (row := await self.row(args.run_id)) is not None:
            if not claimable(run_of(row), args.lease_owner, args.now):
                return built(t.ClaimAnswer, {"kind": "not-claimable", "run": run_fields(row)})
            lease: SqliteRow = {"lease_owner": args.lease_owner, "lease_expires_at": args.expires_at}
            written: SqliteRow = {**row, **lease, "status": "running", "updated_at": args.now}
            if await self.replaced(row, written):
                return built(t.ClaimAnswer, {"kind": "claimed", "run": run_fields(written)})
        return _NOT_FOUND

    async def mark_run_finished(self, **given: Any) -> None:
        args = checked(shapes.MarkRunFinishedArguments, **given)
        gone = ("awaiting", "waiting_for", "pending_approval", "wake_at", "lease_owner", "lease_expires_at")
        finished: SqliteRow = {"status": "finished", "output": encoded(args.output), "updated_at": args.now}
        while (row := await self.row(args.run_id)) is not None:
            if await self.replaced(row, {**row, **dict.fromkeys(gone), **finished}):
                return

    async def replaced(self, old: SqliteRow, new: SqliteRow) -> bool:
        """Writes the whole new row, if the old one still stands."""
        write, values = self.write_back(new)
        known = [old[name] for name in RUN_NAMES]
        [done] = await self.do((f"{write} and {self.same(len(values) + 1)} returning run_id", [*values, *known]))
        return bool(done)

    async def deliver_signal(self, **given: Any) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, **given)
        key = stored_signal_id(args.delivery.signal_id)
        marked = f"""exists (select 1 from {self.t.signal_deliveries} d
                             where d.run_id = ?1 and d.signal_id = ?3 and d.created_at < 0)"""
        while True:
            rows, seen = await self.do(self.load(args.run_id), self.seen(args.run_id, key))
            if not rows:
                return _NOT_FOUND
            row = rows[0]
            if seen or not takes_signal(run_of(row), args.delivery):
                return built(t.DeliveryAnswer, {"kind": "duplicate" if seen else "not-waiting", "run": run_fields(row)})
            remember = f"""insert into {self.t.signal_deliveries} (run_id, signal_id, created_at)
                           select ?1, ?2, -1 where {self.same(3)} on conflict do nothing returning run_id"""
            wake, who = self.wake(args.run_id, args.now)
            drop, timer = self.drop_timer(args.run_id, args.delivery.signal_id)
            unmark = f"update {self.t.signal_deliveries} set created_at = ?2 where run_id = ?1 and signal_id = ?3"
            first, *_, rows = await self.do(
                (remember, [args.run_id, key, *(row[name] for name in RUN_NAMES)]),
                (f"{drop} and {marked}", [*timer, key]),
                (f"{wake} and {marked}", [*who, key]),
                (f"{unmark} and created_at < 0", (args.run_id, args.now, key)),
                self.load(args.run_id),
            )
            if first:
                return built(t.DeliveryAnswer, {"kind": "delivered", "run": run_fields(rows[0])})


RIGHT: tuple[Racy, ...] = (
    right(ClaimsInTwoStatements),
    right(RowLockThenSteps),
    right(Serializable),
    right(OneAtATime),
    right(CompareAndSet),
)
