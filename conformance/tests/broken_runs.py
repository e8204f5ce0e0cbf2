"""Stores that create, load, save, mark or delete runs wrongly."""

from typing import Any

from pydantic import MISSING
from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t

from tests.broken import Broken, broken


class CreateOverwrites(MemoryStore):
    async def create_run(self, *, run_id: str, **given: Any) -> t.CreateRunResult:
        self._runs.pop(run_id, None)
        return await super().create_run(run_id=run_id, **given)


class CreateSaysCreatedAgain(MemoryStore):
    async def create_run(self, **given: Any) -> t.CreateRunResult:
        answer = await super().create_run(**given)
        return answer.model_copy(update={"kind": "created"})


class CreateForgetsVersion(MemoryStore):
    async def create_run(self, *, workflow_version: Any = MISSING, **given: Any) -> t.CreateRunResult:
        return await super().create_run(**given)


class CreateTouchesExisting(MemoryStore):
    async def create_run(self, *, run_id: str, now: int, **given: Any) -> t.CreateRunResult:
        answer = await super().create_run(run_id=run_id, now=now, **given)
        self._runs[run_id]["updatedAt"] = now
        return answer


class LoadHidesEnded(MemoryStore):
    async def load_run(self, *, run_id: str) -> t.Run | None:
        run = await super().load_run(run_id=run_id)
        return None if run is not None and run.status in rows.TERMINAL else run


class LoadRaisesForUnknown(MemoryStore):
    async def load_run(self, *, run_id: str) -> t.Run | None:
        await super().load_run(run_id=run_id)
        return t.Run.model_validate(self._runs[run_id])


class ExecutionNeedsEvents(MemoryStore):
    async def load_execution(self, *, run_id: str) -> t.LoadedExecution | None:
        found = await super().load_execution(run_id=run_id)
        return found if found and found.events else None

    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        return await super().load_execution(run_id=run_id)


class ExecutionOfAnyLog(MemoryStore):
    async def load_execution(self, *, run_id: str) -> t.LoadedExecution | None:
        found = await super().load_execution(run_id=run_id)
        return found.model_copy(update={"events": found.events[1:]}) if found else None

    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        return await super().load_execution(run_id=run_id)


class TimelineBackwards(MemoryStore):
    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        found = await super().load_execution(run_id=run_id)
        return found.model_copy(update={"events": found.events[::-1]}) if found else None


class TimelineOfNothing(MemoryStore):
    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        found = await super().load_execution(run_id=run_id)
        return found if found is None or found.run.status != "queued" else None


class StateFromRun(MemoryStore):
    async def load_run_state(self, *, run_id: str) -> t.RunState | None:
        state = await super().load_run_state(run_id=run_id)
        run = self._runs.get(run_id)
        if state is None or run is None:
            return state
        return state.model_copy(update={"updated_at": run["updatedAt"]})


class StateOfRunOnly(MemoryStore):
    async def load_run_state(self, *, run_id: str) -> t.RunState | None:
        state = await super().load_run_state(run_id=run_id)
        run = self._runs.get(run_id)
        if state is None and run is not None and run["status"] != "queued":
            return t.RunState.model_validate(rows.without(run, "lease", "wakeAt"))
        return state


class SaveDropsLease(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        await super().save_run_state(state=state)
        for run in self._runs.values():
            if run["runId"] == _run_id(state):
                run.pop("lease", None)


class SaveMerges(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        before = dict(self._runs.get(_run_id(state), {}))
        await super().save_run_state(state=state)
        self._runs[_run_id(state)] = {**before, **self._runs[_run_id(state)]}


class SaveForgetsWakeAt(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        await super().save_run_state(state=state)
        self._runs[_run_id(state)].pop("wakeAt", None)


class SaveWakesOnAnyDeadline(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        await super().save_run_state(state=state)
        run = self._runs[_run_id(state)]
        if "deadline" in run.get("waitingFor", {}):
            run["wakeAt"] = run["waitingFor"]["deadline"]


class SaveNeedsRun(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        known = set(self._runs)
        await super().save_run_state(state=state)
        for run_id in set(self._runs) - known:
            del self._runs[run_id]


class SaveKeepsCreatedAt(MemoryStore):
    async def save_run_state(self, *, state: Any) -> None:
        before = self._runs.get(_run_id(state))
        await super().save_run_state(state=state)
        if before:
            self._runs[_run_id(state)]["createdAt"] = before["createdAt"]


class DeleteByPrefix(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        await super().delete_run(run_id=run_id, reason=reason)
        for timer in [key for key in self._timers if key[0].startswith(run_id)]:
            del self._timers[timer]


class DeleteKeepsState(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        state = self._states.get(run_id)
        await super().delete_run(run_id=run_id, reason=reason)
        if state is not None:
            self._states[run_id] = state


class DeleteKeepsLog(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        log = self._logs.get(run_id, [])
        await super().delete_run(run_id=run_id, reason=reason)
        self._logs[run_id] = log


class DeleteKeepsDeliveries(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        delivered = set(self._delivered)
        await super().delete_run(run_id=run_id, reason=reason)
        self._delivered = delivered


class DeleteTakesBuckets(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        await super().delete_run(run_id=run_id, reason=reason)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if bucket["runId"] != run_id}


class DeleteNeedsRun(MemoryStore):
    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        if run_id in self._runs or not isinstance(run_id, str):
            await super().delete_run(run_id=run_id, reason=reason)


class PausedKeepsWaits(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        before = self._runs.get(run_id, {})
        super()._leave(run_id, now, status, fields)
        if status == "paused" and before:
            kept = {name: before[name] for name in rows.WAITS if name in before}
            self._runs[run_id] = {**kept, **self._runs[run_id]}


class PausedKeepsLease(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        _keep_lease(self, "paused", super()._leave, run_id, now, status, fields)


class PausedMakesRun(MemoryStore):
    async def mark_run_paused(self, *, run_id: str, now: int, **given: Any) -> None:
        await super().mark_run_paused(run_id=run_id, now=now, **given)
        if run_id not in self._runs:
            await self.create_run(run_id=run_id, workflow_id="unknown", input=None, now=now)


class FinishedKeepsLease(MemoryStore):
    def _leave(self, run_id: str, now: int, status: t.Status, fields: rows.Row) -> None:
        _keep_lease(self, "finished", super()._leave, run_id, now, status, fields)


class FinishedOnce(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        if self._runs.get(run_id, {}).get("status") != "finished":
            await super().mark_run_finished(run_id=run_id, **given)


class FinishedClearsError(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        self._runs.get(run_id, {}).pop("error", None)


class FinishedDropsTimers(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        self._timers = {key: timer for key, timer in self._timers.items() if key[0] != run_id}


class FinishedNullIsAbsent(MemoryStore):
    async def mark_run_finished(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_finished(run_id=run_id, **given)
        if run_id in self._runs and self._runs[run_id]["output"] is None:
            del self._runs[run_id]["output"]


class ErroredClearsOutput(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_errored(run_id=run_id, **given)
        self._runs.get(run_id, {}).pop("output", None)


class ErroredStoresCode(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, code: str, **given: Any) -> None:
        await super().mark_run_errored(run_id=run_id, code=code, **given)
        if run_id in self._runs:
            self._runs[run_id]["error"]["stack"] = code


class ErroredKeepsWaits(MemoryStore):
    async def mark_run_errored(self, *, run_id: str, **given: Any) -> None:
        before = self._runs.get(run_id, {})
        await super().mark_run_errored(run_id=run_id, **given)
        if "waitingFor" in before:
            self._runs[run_id]["waitingFor"] = before["waitingFor"]


def _run_id(state: Any) -> str:
    found: str = state["runId"] if isinstance(state, dict) else state.run_id
    return found


def _keep_lease(
    store: MemoryStore, when: str, leave: Any, run_id: str, now: int, status: t.Status, fields: rows.Row
) -> None:
    before = store._runs.get(run_id, {})
    leave(run_id, now, status, fields)
    if status == when and "lease" in before:
        store._runs[run_id]["lease"] = before["lease"]


RUNS: tuple[Broken, ...] = (
    broken(CreateOverwrites, "createRun replaces a run that exists", "createRun.existing"),
    broken(CreateSaysCreatedAgain, "createRun answers created for a run that existed", "createRun.existing"),
    broken(CreateForgetsVersion, "createRun drops workflowVersion", "createRun.created"),
    broken(CreateTouchesExisting, "createRun sets updatedAt of a run that exists", "createRun.existing"),
    broken(LoadHidesEnded, "loadRun does not find ended runs", "loadRun.found"),
    broken(LoadRaisesForUnknown, "loadRun raises KeyError for an unknown run", "loadRun.unknown", "answers.taxonomy"),
    broken(ExecutionNeedsEvents, "loadExecution finds no run without events", "loadExecution.found"),
    broken(ExecutionOfAnyLog, "loadExecution leaves out the first event", "loadExecution.found"),
    broken(TimelineBackwards, "getRunTimeline lists the events backwards", "getRunTimeline.found"),
    broken(TimelineOfNothing, "getRunTimeline does not find queued runs", "getRunTimeline.found"),
    broken(StateFromRun, "loadRunState shows the run's updatedAt", "loadRunState.found"),
    broken(StateOfRunOnly, "loadRunState makes a state of a run that has none", "loadRunState.unknown"),
    broken(SaveDropsLease, "saveRunState drops the lease", "saveRunState.replaced"),
    broken(SaveMerges, "saveRunState keeps fields the state does not have", "saveRunState.replaced"),
    broken(SaveForgetsWakeAt, "saveRunState sets no wakeAt for __timer", "saveRunState.replaced", "saveRunState.new"),
    broken(
        SaveWakesOnAnyDeadline,
        "saveRunState sets wakeAt for the deadline of any signal",
        "saveRunState.replaced",
        "saveRunState.new",
    ),
    broken(SaveNeedsRun, "saveRunState makes no run where there is none", "saveRunState.new"),
    broken(SaveKeepsCreatedAt, "saveRunState keeps the old createdAt", "saveRunState.replaced"),
    broken(DeleteByPrefix, "deleteRun drops the timers of every run whose id begins so", "deleteRun.deleted", "ids.opaque"),
    broken(DeleteKeepsState, "deleteRun leaves the state", "deleteRun.deleted"),
    broken(DeleteKeepsLog, "deleteRun leaves the events", "deleteRun.deleted"),
    broken(DeleteKeepsDeliveries, "deleteRun leaves what was delivered", "deleteRun.deleted"),
    broken(DeleteTakesBuckets, "deleteRun drops the schedule buckets of the run", "deleteRun.deleted"),
    broken(DeleteNeedsRun, "deleteRun does nothing where there is no run row", "deleteRun.deleted"),
    broken(PausedKeepsWaits, "markRunPaused keeps waits that are not given", "markRunPaused.paused"),
    broken(PausedKeepsLease, "markRunPaused keeps the lease", "markRunPaused.paused"),
    broken(PausedMakesRun, "markRunPaused makes an unknown run", "markRunPaused.unknown"),
    broken(FinishedKeepsLease, "markRunFinished keeps the lease", "markRunFinished.finished"),
    broken(FinishedOnce, "markRunFinished ignores a second output", "markRunFinished.finished"),
    broken(FinishedClearsError, "markRunFinished clears the error", "markRunFinished.finished"),
    broken(FinishedDropsTimers, "markRunFinished drops the run's timers", "markRunFinished.finished", "markRunFinished.unknown"),
    broken(FinishedNullIsAbsent, "markRunFinished stores null as absent", "markRunFinished.finished", "values.json"),
    broken(ErroredClearsOutput, "markRunErrored clears the output", "markRunErrored.errored"),
    broken(ErroredStoresCode, "markRunErrored stores the code in the error", "markRunErrored.errored"),
    broken(ErroredKeepsWaits, "markRunErrored keeps waitingFor", "markRunErrored.errored"),
)
