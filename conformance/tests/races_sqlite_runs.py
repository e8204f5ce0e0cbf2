"""SQLite stores that create, save, mark, delete or read runs wrongly beside other clients, or half when they die."""

from typing import Any

from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import Row
from storeproof.adapters.d1.codec import (
    built,
    encoded,
    event_fields,
    integer_or_null,
    json_or_null,
    run_fields,
    summary_fields,
)
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.errors import StoreUnavailable
from tests.races import Racy, racy
from tests.races_sqlite_statements import NO_LEASE, NO_WAITS, HandwrittenStore

_SEEN_HALF = ("reads.snapshot", "loadExecution.found", "loadRun.found", "retry.converges")


def _created(kind: str, row: Row) -> t.CreateRunResult:
    return built(t.CreateRunResult, {"kind": kind, "run": run_fields(row)})


class CreateSelectThenInsert(HandwrittenStore):
    """createRun selects, then inserts. Two clients see no run: the second insert ends in the driver's error."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        row = await self.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        try:
            [[row]] = await self.do(self.insert_run(args))
        except StoreUnavailable as error:
            raise error.__cause__ or error from None
        return _created("created", row)


class CreateOverwrites(HandwrittenStore):
    """createRun selects, then upserts. Two clients see no run: the second replaces the first one's run."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        row = await self.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        insert, parameters = self.insert_run(args)
        [[row]] = await self.do((insert.replace("insert into", "insert or replace into"), parameters))
        return _created("created", row)


class CreateTwoWinners(HandwrittenStore):
    """createRun selects, inserts unless there is one, and takes it for its own. Two clients are told "created"."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        row = await self.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        await self.do(self.insert_run(args, "on conflict (run_id) do nothing"))
        run: dict[str, object] = {"run_id": args.run_id, "workflow_id": args.workflow_id, "input": args.input}
        run |= {"workflow_version": args.workflow_version, "created_at": args.now, "updated_at": args.now}
        return built(t.CreateRunResult, {"kind": "created", "run": {**run, "status": "queued"}})


class CreateAnswersLater(HandwrittenStore):
    """createRun inserts, then reads the run for its answer: one that was claimed in between is "created", running."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        while True:
            [inserted] = await self.do(self.insert_run(args, "on conflict (run_id) do nothing"))
            row = await self.row(args.run_id)
            if row is not None:
                return _created("created" if inserted else "existing", row)
            if inserted:  # deleted meanwhile; what was inserted is known
                return _created("created", inserted[0])


class _BatchesOfOne:
    """A binding that runs every statement as a batch of its own."""

    def __init__(self, database: Any) -> None:
        self._database = database

    async def batch(self, statements: Any) -> list[list[Row]]:
        return [rows for statement in statements for rows in await self._database.batch([statement])]


class SaveStateInTwo(HandwrittenStore):
    """saveRunState commits the state, then the run. A death between them leaves a state its run does not have."""

    async def save_run_state(self, **given: Any) -> None:
        # Another store on the same database, one batch for each statement.
        await D1Store(_BatchesOfOne(self._database), tables=self._tables).save_run_state(**given)


class DeleteInSteps(HandwrittenStore):
    """deleteRun commits one table after the other, the run first. A death leaves its log, and a new run finds it."""

    async def delete_run(self, **given: Any) -> None:
        args = checked(shapes.DeleteRunArguments, **given)
        tables = (self.t.runs, self.t.run_states, self.t.events, self.t.timers, self.t.signal_deliveries)
        for table in (*tables, self.t.event_locks):
            await self.do(self.delete(table, args.run_id))


class FinishWritesBack(HandwrittenStore):
    """markRunFinished reads the run and writes all of it back: an error that a markRunErrored stores in between, or a
    state saved in between, is lost.
    """

    async def mark_run_finished(self, **given: Any) -> None:
        args = checked(shapes.MarkRunFinishedArguments, **given)
        row = await self.row(args.run_id)
        if row is None:
            return
        for name in ("awaiting", "waiting_for", "pending_approval", "wake_at", "lease_owner", "lease_expires_at"):
            row[name] = None
        await self.do(
            self.write_back({**row, "status": "finished", "output": encoded(args.output), "updated_at": args.now})
        )


class PauseWritesBack(HandwrittenStore):
    """markRunPaused reads the run and writes all of it back, as an upsert: a run deleted in between is there again."""

    async def mark_run_paused(self, **given: Any) -> None:
        args = checked(shapes.MarkRunPausedArguments, **given)
        row = await self.row(args.run_id)
        if row is None:
            return
        row |= {"awaiting": json_or_null(args.awaiting), "waiting_for": json_or_null(args.waiting_for)}
        row |= {"pending_approval": json_or_null(args.pending_approval), "wake_at": integer_or_null(args.wake_at)}
        row |= {"status": "paused", "updated_at": args.now, "lease_owner": None, "lease_expires_at": None}
        await self.do(self.write_back(row, insert=True))


class ErrorThenRelease(HandwrittenStore):
    """markRunErrored commits the error, then takes waits and lease away. A death between them leaves an errored run
    with a lease.
    """

    async def mark_run_errored(self, **given: Any) -> None:
        args = checked(shapes.MarkRunErroredArguments, **given)
        failed = f"update {self.t.runs} set status = 'errored', error = ?2, updated_at = ?3 where run_id = ?1"
        await self.do((failed, (args.run_id, encoded(args.error), args.now)))
        await self.do((f"update {self.t.runs} set {NO_WAITS}, {NO_LEASE} where run_id = ?1", (args.run_id,)))


class LoadExecutionTorn(HandwrittenStore):
    """loadExecution reads the run, then the events: events of a later moment than the run's status."""

    async def load_execution(self, **given: Any) -> t.LoadedExecution | None:
        args = checked(shapes.RunIdArguments, **given)
        row = await self.row(args.run_id)
        if row is None:
            return None
        [events] = await self.do((self.of_log.read, (args.run_id, 0)))
        return built(t.LoadedExecution, {"run": run_fields(row), "events": [event_fields(event) for event in events]})


class TimelineEventsFirst(HandwrittenStore):
    """getRunTimeline reads the events, then the run: one finished after its last event is shown without that event."""

    async def get_run_timeline(self, **given: Any) -> t.RunTimeline | None:
        args = checked(shapes.RunIdArguments, **given)
        [events] = await self.do((self.of_log.read, (args.run_id, 0)))
        row = await self.row(args.run_id)
        if row is None:
            return None
        return built(t.LoadedExecution, {"run": run_fields(row), "events": [event_fields(event) for event in events]})


class ListThenLoad(HandwrittenStore):
    """listRuns reads the ids in order, then each run: a run updated in between stands in its old place, or under a
    status that was not asked for.
    """

    async def list_runs(self, **given: Any) -> list[t.RunSummary]:
        rows = [await self.row(summary.run_id) for summary in await super().list_runs(**given)]
        return [built(t.RunSummary, summary_fields(row)) for row in rows if row is not None]


RUNS: tuple[Racy, ...] = (
    racy(CreateSelectThenInsert, "answers.taxonomy", "createRun.existing", "createRun.created"),
    racy(CreateOverwrites, "createRun.existing", "createRun.created"),
    racy(CreateTwoWinners, "createRun.existing", "createRun.created"),
    racy(CreateAnswersLater, "createRun.created", "createRun.existing"),
    racy(SaveStateInTwo, "saveRunState.new", "saveRunState.replaced", *_SEEN_HALF, kind="cut"),
    racy(DeleteInSteps, "deleteRun.deleted", *_SEEN_HALF, kind="cut"),
    racy(FinishWritesBack, "markRunFinished.finished"),
    racy(PauseWritesBack, "markRunPaused.paused", "deleteRun.deleted"),
    racy(ErrorThenRelease, "markRunErrored.errored", "retry.converges", kind="cut"),
    racy(LoadExecutionTorn, "reads.snapshot", "loadExecution.found"),
    racy(TimelineEventsFirst, "reads.snapshot", "getRunTimeline.found"),
    racy(ListThenLoad, "reads.snapshot", "listRuns.order", "listRuns.listed", "listRuns.other-status"),
)
