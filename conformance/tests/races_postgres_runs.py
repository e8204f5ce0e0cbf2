"""Postgres stores that create, save, mark, delete or read runs wrongly beside other clients."""

from typing import Any

from pydantic import MISSING
from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Row
from storeproof.adapters.postgres.fragments import JSON_COLUMNS, STATE_COLUMNS
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_postgres_statements import NO_LEASE, NO_WAITS, HandwrittenStore, Steps

_SEEN_HALF = ("reads.snapshot", "loadExecution.found", "loadRun.found", "retry.converges")


def _created(kind: str, row: Row) -> t.CreateRunResult:
    return t.CreateRunResult.model_validate({"kind": kind, "run": codec.run(row)})


class CreateSelectThenInsert(HandwrittenStore):
    """createRun selects, then inserts. Two clients see no run: the second insert ends in the driver's error."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        row = await self.bare.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        [row] = await self.bare.insert_run(codec.parameters(args, "workflowVersion", json=("input",)))
        return _created("created", row)


class CreateOverwrites(HandwrittenStore):
    """createRun selects, then upserts. Two clients see no run: the second replaces the first one's run."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        replaced = "workflow_id = excluded.workflow_id, workflow_version = excluded.workflow_version"
        [row] = await self.steps.insert_run(
            codec.parameters(args, "workflowVersion", json=("input",)),
            f"""on conflict (run_id) do update set {replaced}, input = excluded.input,
                created_at = excluded.created_at, updated_at = excluded.updated_at""",
        )
        return _created("created", row)


class CreateTwoWinners(HandwrittenStore):
    """createRun selects, inserts unless there is one, and takes it for its own. Two clients are told "created"."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        parameters = codec.parameters(args, "workflowVersion", json=("input",))
        row = await self.steps.row(args.run_id)
        if row is not None:
            return _created("existing", row)
        await self.steps.insert_run(parameters, "on conflict (run_id) do nothing")
        run = {
            "run_id": args.run_id,
            "workflow_id": args.workflow_id,
            "workflow_version": args.workflow_version,
            "status": "queued",
            "input": args.input,
            "created_at": args.now,
            "updated_at": args.now,
        }
        return t.CreateRunResult.model_validate({"kind": "created", "run": run})


class CreateAnswersLater(HandwrittenStore):
    """createRun inserts, then reads the run for its answer: one that was claimed in between is "created", running."""

    async def create_run(self, **given: Any) -> t.CreateRunResult:
        args = checked(shapes.CreateRunArguments, **given)
        parameters = codec.parameters(args, "workflowVersion", json=("input",))
        while True:
            inserted = await self.steps.insert_run(parameters, "on conflict (run_id) do nothing")
            row = await self.steps.row(args.run_id)
            if row is not None:
                return _created("created" if inserted else "existing", row)
            if inserted:  # deleted meanwhile; what was inserted is known
                return _created("created", inserted[0])


class SaveStateInTwo(HandwrittenStore):
    """saveRunState commits the state, then the run. A death between them leaves a state its run does not have."""

    async def save_run_state(self, **given: Any) -> None:
        args = checked(shapes.SaveRunStateArguments, **given)
        state, wait = args.state, args.state.waiting_for
        json = ("input", "output", "error", "awaiting", "waitingFor", "pendingApproval")
        parameters = codec.parameters(state, "workflowVersion", json=json)
        parameters["wake_at"] = None
        if wait is not MISSING and wait.signal_name == "__timer" and wait.deadline is not MISSING:
            parameters["wake_at"] = wait.deadline
        names = ", ".join(STATE_COLUMNS)
        values = ", ".join(f"%({name})s{'::jsonb' if name in JSON_COLUMNS else ''}" for name in STATE_COLUMNS)
        replaced = ", ".join(f"{name} = excluded.{name}" for name in STATE_COLUMNS[1:])
        again = f"on conflict (run_id) do update set {replaced}"
        await self.steps.do(f"insert into {self.t.run_states} ({names}) values ({values}) {again}", parameters)
        await self.steps.do(
            f"insert into {self.t.runs} ({names}, wake_at) values ({values}, %(wake_at)s) "
            f"{again}, wake_at = excluded.wake_at",
            parameters,
        )


class DeleteInSteps(HandwrittenStore):
    """deleteRun commits one table after the other, the run first. A death leaves its log, and a new run finds it."""

    async def delete_run(self, **given: Any) -> None:
        args = checked(shapes.DeleteRunArguments, **given)
        tables = (self.t.runs, self.t.run_states, self.t.events, self.t.timers, self.t.signal_deliveries)
        for table in (*tables, self.t.event_locks):
            await self.steps.do(f"delete from {table} where run_id = %(id)s", id=args.run_id)


class DeleteUnlocked(HandwrittenStore):
    """deleteRun is one statement, which sees one snapshot: it waits for a saveRunState, deletes the run this saved,
    and leaves the state, which the snapshot does not show.
    """

    async def delete_run(self, **given: Any) -> None:
        args = checked(shapes.DeleteRunArguments, **given)
        await self.steps.do(self.of_runs.delete, codec.parameters(args))


class DeleteInOneTransaction(HandwrittenStore):
    """deleteRun deletes table by table in a READ COMMITTED transaction, without the log's lock: an append that commits
    after the events were deleted leaves a log without its beginning.
    """

    async def delete_run(self, **given: Any) -> None:
        args = checked(shapes.DeleteRunArguments, **given)

        async def work(steps: Steps) -> None:
            t = self.t
            for table in (t.run_states, t.events, t.event_locks, t.signal_deliveries, t.timers, t.runs):
                await steps.do(f"delete from {table} where run_id = %(id)s", id=args.run_id)

        await self.transacted(work)


class FinishWritesBack(HandwrittenStore):
    """markRunFinished reads the run and writes all of it back: an error that a markRunErrored stores in between, or a
    state saved in between, is lost.
    """

    async def mark_run_finished(self, **given: Any) -> None:
        args = checked(shapes.MarkRunFinishedArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is None:
            return
        gone = ("awaiting", "waiting_for", "pending_approval", "wake_at", "lease_owner", "lease_expires_at")
        changed = {"status": "finished", "output": codec.encoded(args.output), "updated_at": args.now}
        await self.steps.write_back({**row, **dict.fromkeys(gone), **changed})


class PauseWritesBack(HandwrittenStore):
    """markRunPaused reads and writes the whole run in one READ COMMITTED transaction, without a row lock: an output
    that a markRunFinished stores in between is lost.
    """

    async def mark_run_paused(self, **given: Any) -> None:
        args = checked(shapes.MarkRunPausedArguments, **given)
        waits = codec.parameters(args, "wakeAt", json=("awaiting", "waitingFor", "pendingApproval"))
        names = ("awaiting", "waiting_for", "pending_approval", "wake_at")

        async def work(steps: Steps) -> None:
            row = await steps.row(args.run_id)
            if row is not None:
                lease = {"lease_owner": None, "lease_expires_at": None}
                changed = {"status": "paused", "updated_at": args.now, **lease}
                await steps.write_back({**row, **{name: waits[name] for name in names}, **changed})

        await self.transacted(work)


class ErrorThenRelease(HandwrittenStore):
    """markRunErrored commits the error, then takes waits and lease away. A death between them leaves an errored run
    with a lease.
    """

    async def mark_run_errored(self, **given: Any) -> None:
        args = checked(shapes.MarkRunErroredArguments, **given)
        known = "where run_id = %(run_id)s::text"
        failed = "status = 'errored', error = %(error)s::jsonb, updated_at = %(now)s"
        parameters = codec.parameters(args, json=("error",))
        await self.steps.do(f"update {self.t.runs} set {failed} {known}", parameters)
        await self.steps.do(f"update {self.t.runs} set {NO_WAITS}, {NO_LEASE} {known}", parameters)


class LoadExecutionTorn(HandwrittenStore):
    """loadExecution reads the run, then the events, in a transaction, but at READ COMMITTED: they are of two moments.
    A run without its events, appended and deleted around the reads, or events of a later moment than its status.
    """

    async def load_execution(self, **given: Any) -> t.LoadedExecution | None:
        args = checked(shapes.RunIdArguments, **given)

        async def work(steps: Steps) -> tuple[Row | None, list[Row]]:
            row = await steps.row(args.run_id)
            return row, await steps.do(self.of_log.read, run_id=args.run_id, from_index=0, limit=None)

        row, events = await self.transacted(work)
        if row is None:
            return None
        return t.LoadedExecution.model_validate(
            {"run": codec.run(row), "events": [codec.stored_event(event) for event in events]}
        )


class TimelineEventsFirst(HandwrittenStore):
    """getRunTimeline reads the events, then the run: one finished after its last event is shown without that event."""

    async def get_run_timeline(self, **given: Any) -> t.RunTimeline | None:
        args = checked(shapes.RunIdArguments, **given)
        events = await self.steps.do(self.of_log.read, run_id=args.run_id, from_index=0, limit=None)
        row = await self.steps.row(args.run_id)
        if row is None:
            return None
        return t.LoadedExecution.model_validate(
            {"run": codec.run(row), "events": [codec.stored_event(event) for event in events]}
        )


class ListThenLoad(HandwrittenStore):
    """listRuns reads the ids in order, then each run: a run updated in between stands in its old place, or under a
    status that was not asked for.
    """

    async def list_runs(self, **given: Any) -> list[t.RunSummary]:
        args = checked(shapes.ListRunsArguments, **given)
        listed = await super().list_runs(
            workflow_id=args.workflow_id, status=args.status, limit=args.limit, cursor=args.cursor
        )
        shown: list[t.RunSummary] = []
        for summary in listed:
            row = await self.steps.row(summary.run_id)
            if row is not None:
                hidden = ("input", "output", "error", "lease_owner", "lease_expires_at")
                shown.append(codec.run_summary({name: value for name, value in row.items() if name not in hidden}))
        return shown


RUNS: tuple[Racy, ...] = (
    racy(CreateSelectThenInsert, "answers.taxonomy", "createRun.existing", "createRun.created"),
    racy(CreateOverwrites, "createRun.existing", "createRun.created"),
    racy(CreateTwoWinners, "createRun.existing", "createRun.created"),
    racy(CreateAnswersLater, "createRun.created", "createRun.existing"),
    racy(SaveStateInTwo, "saveRunState.new", "saveRunState.replaced", *_SEEN_HALF, kind="cut"),
    racy(DeleteInSteps, "deleteRun.deleted", *_SEEN_HALF, kind="cut"),
    racy(DeleteUnlocked, "deleteRun.deleted", "saveRunState.replaced"),
    racy(DeleteInOneTransaction, "deleteRun.deleted", "appendEvents.appended", "appendEvents.conflict"),
    racy(FinishWritesBack, "markRunFinished.finished"),
    racy(PauseWritesBack, "markRunPaused.paused"),
    racy(ErrorThenRelease, "markRunErrored.errored", "retry.converges", kind="cut"),
    racy(LoadExecutionTorn, "reads.snapshot", "loadExecution.found"),
    racy(TimelineEventsFirst, "reads.snapshot", "getRunTimeline.found"),
    racy(ListThenLoad, "reads.snapshot", "listRuns.order", "listRuns.listed", "listRuns.other-status"),
)
