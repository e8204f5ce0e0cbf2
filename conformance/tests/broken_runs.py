"""Stores that create, load, save or delete runs wrongly."""

from typing import Any

from pydantic import MISSING
from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t
from tests.broken import Broken, broken, wire


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
        if run_id in self._runs:
            await super().delete_run(run_id=run_id, reason=reason)


def _run_id(state: Any) -> str:
    found: str = wire(state)["runId"]
    return found


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
    broken(
        DeleteByPrefix, "deleteRun drops the timers of every run whose id begins so", "deleteRun.deleted", "ids.opaque"
    ),
    broken(DeleteKeepsState, "deleteRun leaves the state", "deleteRun.deleted"),
    broken(DeleteKeepsLog, "deleteRun leaves the events", "deleteRun.deleted"),
    broken(DeleteKeepsDeliveries, "deleteRun leaves what was delivered", "deleteRun.deleted"),
    broken(DeleteTakesBuckets, "deleteRun drops the schedule buckets of the run", "deleteRun.deleted"),
    broken(DeleteNeedsRun, "deleteRun does nothing where there is no run row", "deleteRun.deleted"),
)
