"""A run's life: created, loaded, saved, paused, finished, errored, listed, deleted. Knows no lease and no event."""

from __future__ import annotations

from pydantic import MISSING
from storeproof.adapters.d1.binding import D1Binding, Row, SqlValue, Statement
from storeproof.adapters.d1.codec import (
    built,
    encoded,
    integer_or_null,
    json_or_null,
    run_fields,
    state_fields,
    summary_fields,
    text_or_null,
)
from storeproof.adapters.d1.failures import blaming
from storeproof.adapters.d1.statements import RunStatements
from storeproof.adapters.names import TableNames
from storeproof.spec.arguments import (
    CreateRunArguments,
    DeleteRunArguments,
    ListRunsArguments,
    MarkRunErroredArguments,
    MarkRunFinishedArguments,
    MarkRunPausedArguments,
    RunIdArguments,
    SaveRunStateArguments,
)
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.types import CreateRunResult, Run, RunState, RunSummary
from storeproof.spec.values import MAX_INTEGER

_TIMER_SIGNAL = "__timer"
"""The signal name a sleeping run waits for; its deadline is when the run wakes (saveRunState)."""


class Runs:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = RunStatements(tables)

    async def create(self, args: CreateRunArguments) -> CreateRunResult:
        version = text_or_null(args.workflow_version)
        row = (args.run_id, args.workflow_id, version, encoded(args.input), args.now)
        created, standing = await self._binding.batch(
            [(self._sql.create, row), (self._sql.load, (args.run_id,))],
        )
        if not standing:
            raise StoreUnavailable(f"run {args.run_id!r} is neither inserted nor there: the database broke a batch")
        kind = "created" if created else "existing"
        return built(CreateRunResult, {"kind": kind, "run": run_fields(standing[0])})

    async def load(self, args: RunIdArguments) -> Run | None:
        row = await self._one((self._sql.load, (args.run_id,)))
        return None if row is None else built(Run, run_fields(row))

    async def load_state(self, args: RunIdArguments) -> RunState | None:
        row = await self._one((self._sql.load_state, (args.run_id,)))
        return None if row is None else built(RunState, state_fields(row))

    async def save_state(self, args: SaveRunStateArguments) -> None:
        state = args.state
        wait = state.waiting_for
        sleeping = wait is not MISSING and wait.signal_name == _TIMER_SIGNAL
        wake_at = integer_or_null(wait.deadline) if wait is not MISSING and sleeping else None
        row: list[SqlValue] = [
            state.run_id,
            state.workflow_id,
            text_or_null(state.workflow_version),
            state.status,
            encoded(state.input),
            json_or_null(state.output),
            json_or_null(state.error),
            json_or_null(state.awaiting),
            json_or_null(state.waiting_for),
            json_or_null(state.pending_approval),
            state.created_at,
            state.updated_at,
        ]
        with blaming("state"):
            await self._binding.batch([(self._sql.save_state, row), (self._sql.save_run, [*row, wake_at])])

    async def delete(self, args: DeleteRunArguments) -> None:
        await self._binding.batch([(delete, (args.run_id,)) for delete in self._sql.delete])

    async def pause(self, args: MarkRunPausedArguments) -> None:
        row = (
            args.run_id,
            json_or_null(args.awaiting),
            json_or_null(args.waiting_for),
            json_or_null(args.pending_approval),
            integer_or_null(args.wake_at),
            args.now,
        )
        with blaming("awaiting"):
            await self._binding.batch([(self._sql.pause, row)])

    async def finish(self, args: MarkRunFinishedArguments) -> None:
        with blaming("output"):
            await self._binding.batch([(self._sql.finish, (args.run_id, encoded(args.output), args.now))])

    async def fail(self, args: MarkRunErroredArguments) -> None:
        """`code` is not stored (contract, section 2)."""
        with blaming("error"):
            await self._binding.batch([(self._sql.fail, (args.run_id, encoded(args.error), args.now))])

    async def list(self, args: ListRunsArguments) -> list[RunSummary]:
        # 16 digits reach beyond 2^53, where a REAL is no longer exact; no list is that long.
        offset = min(int(args.cursor), MAX_INTEGER) if args.cursor is not MISSING else 0
        workflow_id, status = text_or_null(args.workflow_id), text_or_null(args.status)
        statements = {
            (False, False): self._sql.list_all,
            (True, False): self._sql.list_by_workflow,
            (False, True): self._sql.list_by_status,
            (True, True): self._sql.list_by_both,
        }
        sql = statements[workflow_id is not None, status is not None]
        filters = [value for value in (workflow_id, status) if value is not None]
        [rows] = await self._binding.batch([(sql, (args.limit, offset, *filters))])
        return [built(RunSummary, summary_fields(row)) for row in rows]

    async def _one(self, statement: Statement) -> Row | None:
        [rows] = await self._binding.batch([statement])
        return rows[0] if rows else None
