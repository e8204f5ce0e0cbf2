"""Operations on runs, their states, leases, waits and deliveries. Arguments come checked; knows no driver."""

from __future__ import annotations

from pydantic import MISSING
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Connections, Row
from storeproof.adapters.postgres.execution import decide, read, write
from storeproof.adapters.postgres.failures import Changed, attempted
from storeproof.adapters.postgres.run_statements import RunStatements
from storeproof.spec.arguments import (
    ClaimDueArguments,
    ClaimRunArguments,
    CreateRunArguments,
    DeleteRunArguments,
    DeliverApprovalArguments,
    DeliverSignalArguments,
    HeartbeatRunLeaseArguments,
    ListRunsArguments,
    MarkRunErroredArguments,
    MarkRunFinishedArguments,
    MarkRunPausedArguments,
    ReleaseRunLeaseArguments,
    RunIdArguments,
    SaveRunStateArguments,
)
from storeproof.spec.types import (
    ClaimAnswer,
    ClaimRunResult,
    CreateRunResult,
    DeliverResult,
    DeliveryAnswer,
    LoadedExecution,
    NotFound,
    Run,
    RunClaim,
    RunState,
    RunSummary,
)

_NOT_FOUND = NotFound(kind="not-found")


class Runs:
    """What each statement's rows mean; the statements are in `run_statements`."""

    def __init__(self, connections: Connections, tables: TableNames) -> None:
        self._connections = connections
        self._sql = RunStatements(tables)

    async def create(self, args: CreateRunArguments) -> CreateRunResult:
        parameters = codec.parameters(args, "workflowVersion", json=("input",))

        async def work() -> Row:
            rows = await self._connections.run(self._sql.create, parameters)
            if not rows:
                raise Changed
            return rows[0]

        row = await attempted("createRun", work, reads=False)
        return CreateRunResult(kind=row["kind"], run=codec.run(row))

    async def load(self, args: RunIdArguments) -> Run | None:
        rows = await read(self._connections, "loadRun", self._sql.load, codec.parameters(args))
        return codec.run(rows[0]) if rows else None

    async def load_execution(self, name: str, args: RunIdArguments) -> LoadedExecution | None:
        """`name`: loadExecution and getRunTimeline are one read."""
        rows = await read(self._connections, name, self._sql.load_with_events, codec.parameters(args))
        return codec.loaded_execution(rows[0]) if rows else None

    async def load_state(self, args: RunIdArguments) -> RunState | None:
        rows = await read(self._connections, "loadRunState", self._sql.load_state, codec.parameters(args))
        return codec.run_state(rows[0]) if rows else None

    async def save_state(self, args: SaveRunStateArguments) -> None:
        state, wait = args.state, args.state.waiting_for
        json = ("input", "output", "error", "awaiting", "waitingFor", "pendingApproval")
        parameters = codec.parameters(state, "workflowVersion", json=json)
        parameters["wake_at"] = None
        if wait is not MISSING and wait.signal_name == "__timer" and wait.deadline is not MISSING:
            parameters["wake_at"] = wait.deadline
        await write(self._connections, "saveRunState", self._sql.save_state, parameters)

    async def delete(self, args: DeleteRunArguments) -> None:
        parameters = codec.parameters(args)

        async def work() -> None:
            async with self._connections.transaction() as run:
                await run(self._sql.lock_for_delete, parameters)
                await run(self._sql.delete, parameters)

        await attempted("deleteRun", work, reads=False)

    async def claim(self, args: ClaimRunArguments) -> ClaimRunResult:
        row = await decide(self._connections, "claimRun", self._sql.claim, codec.leasing(args))
        return _NOT_FOUND if row is None else ClaimAnswer(kind=row["kind"], run=codec.run(row))

    async def heartbeat(self, args: HeartbeatRunLeaseArguments) -> None:
        await write(self._connections, "heartbeatRunLease", self._sql.heartbeat, codec.leasing(args))

    async def release(self, args: ReleaseRunLeaseArguments) -> None:
        await write(self._connections, "releaseRunLease", self._sql.release, codec.parameters(args))

    async def claim_stale(self, args: ClaimDueArguments) -> list[RunClaim]:
        rows = await write(self._connections, "claimStaleRuns", self._sql.claim_stale, codec.leasing(args))
        return [codec.run_claim(row) for row in rows]

    async def mark_paused(self, args: MarkRunPausedArguments) -> None:
        parameters = codec.parameters(args, "wakeAt", json=("awaiting", "waitingFor", "pendingApproval"))
        await write(self._connections, "markRunPaused", self._sql.mark_paused, parameters)

    async def mark_finished(self, args: MarkRunFinishedArguments) -> None:
        parameters = codec.parameters(args, json=("output",))
        await write(self._connections, "markRunFinished", self._sql.mark_finished, parameters)

    async def mark_errored(self, args: MarkRunErroredArguments) -> None:
        parameters = codec.parameters(args, json=("error",))
        await write(self._connections, "markRunErrored", self._sql.mark_errored, parameters)

    async def deliver_signal(self, args: DeliverSignalArguments) -> DeliverResult:
        delivery = args.delivery
        parameters = codec.parameters(args) | codec.parameters(delivery, "stepId")
        parameters["key"] = codec.stored_signal_id(delivery.signal_id)
        row = await decide(self._connections, "deliverSignal", self._sql.deliver_signal, parameters)
        return _NOT_FOUND if row is None else DeliveryAnswer(kind=row["kind"], run=codec.run(row))

    async def deliver_approval(self, args: DeliverApprovalArguments) -> DeliverResult:
        parameters = codec.parameters(args) | codec.parameters(args.approval)
        parameters["key"] = codec.stored_approval_id(args.approval.approval_id)
        row = await decide(self._connections, "deliverApproval", self._sql.deliver_approval, parameters)
        return _NOT_FOUND if row is None else DeliveryAnswer(kind=row["kind"], run=codec.run(row))

    async def list(self, args: ListRunsArguments) -> list[RunSummary]:
        parameters = codec.parameters(args, "workflowId", "status")
        parameters["offset"] = 0 if args.cursor is MISSING else int(args.cursor)
        rows = await read(self._connections, "listRuns", self._sql.list, parameters)
        return [codec.run_summary(row) for row in rows]
