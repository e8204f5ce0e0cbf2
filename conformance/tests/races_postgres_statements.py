"""What hand-written operations on Postgres are put together from: one method per statement. Knows no defect."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import PostgresStore, codec
from storeproof.adapters.postgres.connections import Connections, Row, Run
from storeproof.adapters.postgres.failures import attempted
from storeproof.adapters.postgres.fragments import JSON_COLUMNS, RUN_COLUMNS, columns
from storeproof.adapters.postgres.identifiers import qualified_tables
from storeproof.adapters.postgres.queue_statements import LogStatements, WakeupStatements
from storeproof.adapters.postgres.queues import Log, Wakeups
from storeproof.adapters.postgres.run_statements import RunStatements
from storeproof.adapters.postgres.runs import Runs

T = TypeVar("T")
RUN = columns(RUN_COLUMNS, "r")
LEASED = "lease_owner = %(lease_owner)s::text, lease_expires_at = %(expires_at)s::bigint"
FREE = "(lease_owner is null or lease_owner = %(lease_owner)s::text or lease_expires_at <= %(now)s::bigint)"
NO_WAITS = "awaiting = null, waiting_for = null, pending_approval = null, wake_at = null"
NO_LEASE = "lease_owner = null, lease_expires_at = null"


class Steps:
    """Statements on one connection, or each on its own; `t` holds quoted names."""

    def __init__(self, run: Run, t: TableNames) -> None:
        self._run = run
        self.t = t

    async def do(self, statement: str, parameters: Mapping[str, object] | None = None, **more: object) -> list[Row]:
        """Any statement; its rows."""
        return await self._run(statement, {**(parameters or {}), **more})

    async def row(self, run_id: str, lock: str = "") -> Row | None:
        """The run's row, for `codec.run`."""
        rows = await self.do(f"select {RUN} from {self.t.runs} r where run_id = %(id)s {lock}", id=run_id)
        return rows[0] if rows else None

    async def insert_run(self, parameters: Mapping[str, object], on_conflict: str = "") -> list[Row]:
        """createRun's insert; the row, where one was inserted or updated."""
        return await self.do(
            f"""insert into {self.t.runs} as r (run_id, workflow_id, workflow_version, status, input, created_at,
                  updated_at)
                values (%(run_id)s, %(workflow_id)s, %(workflow_version)s, 'queued', %(input)s::jsonb, %(now)s,
                  %(now)s) {on_conflict} returning {RUN}""",
            parameters,
        )

    async def write_back(self, row: Row, *, insert: bool = False) -> None:
        """The whole row as it is in memory; `insert`: also where there is no run any more."""
        values = {name: f"%({name})s::jsonb" if name in JSON_COLUMNS else f"%({name})s" for name in RUN_COLUMNS}
        replaced = ", ".join(f"{name} = {value}" for name, value in values.items())
        if not insert:
            await self.do(f"update {self.t.runs} set {replaced} where run_id = %(run_id)s", row)
            return
        await self.do(
            f"insert into {self.t.runs} ({', '.join(values)}) values ({', '.join(values.values())}) "
            f"on conflict (run_id) do update set {replaced}",
            row,
        )

    async def lease(self, parameters: Mapping[str, object], condition: str = "true") -> list[Row]:
        """claimRun's update, of the row if `condition` holds."""
        return await self.do(
            f"""update {self.t.runs} r set status = 'running', {LEASED}, updated_at = %(now)s
                where run_id = %(run_id)s and {condition} returning {RUN}""",
            parameters,
        )

    async def seen(self, run_id: str, key: str) -> bool:
        """Whether the delivery is remembered."""
        known = f"select 1 from {self.t.signal_deliveries} where run_id = %(id)s and signal_id = %(key)s"
        return bool(await self.do(known, id=run_id, key=key))

    async def remember(self, run_id: str, key: str, now: int) -> bool:
        """Remembers the delivery; whether it was new."""
        return bool(
            await self.do(
                f"insert into {self.t.signal_deliveries} (run_id, signal_id, created_at) "
                "values (%(id)s, %(key)s, %(now)s) on conflict do nothing returning 1",
                id=run_id,
                key=key,
                now=now,
            )
        )

    async def drop_timer(self, run_id: str, signal_id: str) -> None:
        """What a delivered signal does to its timer."""
        await self.do(
            f"delete from {self.t.timers} where run_id = %(id)s and signal_id = %(s)s", id=run_id, s=signal_id
        )

    async def wake(self, run_id: str, now: int, condition: str = "true") -> Row | None:
        """What a delivery does to its run; the new row, if the run is there."""
        rows = await self.do(
            f"""update {self.t.runs} r set status = 'queued', {NO_WAITS}, updated_at = %(now)s
                where run_id = %(id)s and {condition} returning {RUN}""",
            id=run_id,
            now=now,
        )
        return rows[0] if rows else None

    async def length(self, run_id: str) -> int:
        """The log's length."""
        counted = f"select coalesce(max(event_index) + 1, 0) as n from {self.t.events} where run_id = %(id)s"
        return int((await self.do(counted, id=run_id))[0]["n"])

    async def standing(self, run_id: str, index: int) -> dict[str, Any] | None:
        """The event at an index, for LogConflict."""
        found = (
            f"select event::text as event from {self.t.events} where run_id = %(id)s and event_index = %(i)s::bigint"
        )
        rows = await self.do(found, id=run_id, i=index)
        event = codec.decoded(rows[0]["event"]) if rows else None
        return event if isinstance(event, dict) else None

    async def add_events(self, run_id: str, first: int, events: Sequence[object], rest: str = "") -> int:
        """Inserts the events from index `first` on, but for what `rest` says; how many."""
        rows = await self.do(
            f"""insert into {self.t.events} (run_id, event_index, event_type, step_id, event, created_at)
                select %(id)s, %(first)s::bigint + item.place - 1, item.event->>'type', item.event->>'stepId',
                       item.event, (item.event->>'ts')::numeric::bigint
                from jsonb_array_elements(%(events)s::jsonb) with ordinality as item (event, place)
                {rest} returning 1""",
            id=run_id,
            first=first,
            events=codec.encoded(list(events)),
        )
        return len(rows)


class Noticed:
    """Connections that tell of every statement and transaction before it begins."""

    def __init__(self, connections: Connections, before: Callable[[], Awaitable[None]]) -> None:
        self._connections = connections
        self._before = before

    async def open(self) -> None:
        await self._connections.open()

    async def close(self) -> None:
        await self._connections.close()

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        await self._before()
        return await self._connections.run(statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Run]:
        await self._before()
        async with self._connections.transaction() as run:
            yield run


class HandwrittenStore(PostgresStore):
    """A PostgresStore with what an operation written by hand needs."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.t = qualified_tables(self._schema, self._tables)
        self.of_runs = RunStatements(self.t)
        self.of_log = LogStatements(self.t)
        self.of_wakeups = WakeupStatements(self.t)
        self.bare = Steps(self._bare, self.t)
        """Autocommitted statements whose errors come as the driver raises them."""
        self.steps = Steps(self._one, self.t)
        """Autocommitted statements whose errors are met as the adapter meets them."""

    def use(self, connections: Connections) -> None:
        """Every operation that is not written by hand uses these connections from now on."""
        self._connections = connections
        self._runs = Runs(connections, self.t)
        self._log = Log(connections, self.t)
        self._wakeups = Wakeups(connections, self.t)

    async def transacted(self, work: Callable[[Steps], Awaitable[T]]) -> T:
        """`work` in one READ COMMITTED transaction, its errors met as the adapter meets them."""

        async def whole() -> T:
            async with self._connections.transaction() as run:
                return await work(Steps(run, self.t))

        return await attempted("the operation", whole, reads=False)

    async def _bare(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        return await self._connections.run(statement, parameters)

    async def _one(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        return await attempted("the operation", lambda: self._bare(statement, parameters), reads=False)
