"""The event log: compare-and-swap append, reads, and a run together with its log. Knows no subscription."""

from __future__ import annotations

from typing import cast

from pydantic import MISSING, JsonValue
from storeproof.adapters.d1.binding import D1Binding, Statement
from storeproof.adapters.d1.codec import built, decoded, encoded, event_fields, run_fields
from storeproof.adapters.d1.failures import blaming
from storeproof.adapters.d1.statements import LogStatements, RunStatements
from storeproof.adapters.names import TableNames
from storeproof.spec.arguments import AppendEventsArguments, ReadEventsArguments, RunIdArguments
from storeproof.spec.errors import LogConflict
from storeproof.spec.types import AppendEventsResult, LoadedExecution, StoredEvent


class Log:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = LogStatements(tables)
        self._load = RunStatements(tables).load

    async def append(self, args: AppendEventsArguments) -> AppendEventsResult:
        """Raises LogConflict if the log's length is not the expected one."""
        expected = args.expected_next_index
        standing: Statement = (self._sql.standing, (args.run_id, expected))
        if args.events:
            # One parameter for all events: a statement takes a hundred, and one statement is one guard.
            append: Statement = (self._sql.append, (args.run_id, expected, encoded(args.events)))
            with blaming("events"):
                appended, [found] = await self._binding.batch([append, standing])
            matches = len(appended) == len(args.events)
        else:
            [[found]] = await self._binding.batch([standing])
            matches = found["next_index"] == expected
        if matches:
            return AppendEventsResult(next_index=expected + len(args.events))
        event = found["event"]
        existing = None if event is None else cast("dict[str, JsonValue]", decoded(event))
        raise LogConflict(args.run_id, expected, existing)

    async def read(self, args: ReadEventsArguments) -> list[StoredEvent]:
        from_index = args.from_index if args.from_index is not MISSING else 0
        [rows] = await self._binding.batch([(self._sql.read, (args.run_id, from_index))])
        return [built(StoredEvent, event_fields(row)) for row in rows]

    async def read_some(self, run_id: str, from_index: int, limit: int) -> list[StoredEvent]:
        """At most `limit` events, for subscriptions."""
        [rows] = await self._binding.batch([(self._sql.read_some, (run_id, from_index, limit))])
        return [built(StoredEvent, event_fields(row)) for row in rows]

    async def load_execution(self, args: RunIdArguments) -> LoadedExecution | None:
        """Run and events of one moment (ruling 10): one batch is one snapshot."""
        runs, events = await self._binding.batch([(self._load, (args.run_id,)), (self._sql.read, (args.run_id, 0))])
        if not runs:
            return None
        fields = {"run": run_fields(runs[0]), "events": [event_fields(row) for row in events]}
        return built(LoadedExecution, fields)
