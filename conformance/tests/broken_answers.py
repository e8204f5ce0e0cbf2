"""Stores that take or answer what they must not, and stores that forget when they are opened again."""

# The defects reach into the memory store, whose parts are its own.
# pyright: reportPrivateUsage=false

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import MISSING
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.targets import Reopenable
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.jsonvalues import is_object
from tests.broken import Broken, broken


class FieldMisnamed(MemoryStore):
    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        try:
            return await super().claim_run(**given)
        except InvalidArgument as error:
            raise InvalidArgument("arguments", error.problem) from None


class BooleanIsInteger(MemoryStore):
    async def claim_due_timers(self, *, limit: Any, **given: Any) -> list[t.TimerWakeup]:
        return await super().claim_due_timers(limit=int(limit) if isinstance(limit, bool) else limit, **given)


class UnknownFieldIgnored(MemoryStore):
    async def deliver_signal(self, *, run_id: str, delivery: Any, now: int) -> t.DeliverResult:
        if is_object(delivery):
            known = {"signalId", "stepId", "name", "payload", "meta"}
            delivery = {key: value for key, value in delivery.items() if key in known}
        return await super().deliver_signal(run_id=run_id, delivery=delivery, now=now)


class NullIsAbsent(MemoryStore):
    async def list_runs(self, *, workflow_id: Any = MISSING, **given: Any) -> list[t.RunSummary]:
        return await super().list_runs(workflow_id=MISSING if workflow_id is None else workflow_id, **given)


class CursorIsAnyNumber(MemoryStore):
    async def list_runs(self, *, cursor: Any = MISSING, **given: Any) -> list[t.RunSummary]:
        if isinstance(cursor, str) and cursor.strip().lstrip("+").isdecimal() and len(cursor) < 17:
            cursor = str(int(cursor))
        return await super().list_runs(cursor=cursor, **given)


class NulIsCut(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        return await super().create_run(input=input.replace("\x00", "") if isinstance(input, str) else input, **given)


class LeaseOverflows(MemoryStore):
    async def claim_run(self, *, lease_ms: Any, now: Any, **given: Any) -> t.ClaimRunResult:
        if lease_ms.__class__ is int and now.__class__ is int and 0 < lease_ms < 2**53 and 0 <= now < 2**53 - 1:
            lease_ms = min(lease_ms, 2**53 - 1 - now)
        return await super().claim_run(lease_ms=lease_ms, now=now, **given)


class RefusedAfterTheFact(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, enabled: Any, **given: Any) -> None:
        if not isinstance(enabled, bool) and schedule_id in self._schedules:
            self._schedules[schedule_id]["enabled"] = bool(enabled)
        await super().upsert_schedule(schedule_id=schedule_id, enabled=enabled, **given)


class AnswersDict(MemoryStore):
    async def load_run(self, *, run_id: str) -> Any:
        run = await super().load_run(run_id=run_id)
        return None if run is None else run.to_wire()


class AnswersNull(MemoryStore):
    async def load_run(self, *, run_id: str) -> t.Run | None:
        run = await super().load_run(run_id=run_id)
        if run is None:
            return None
        fields: dict[str, Any] = {**run.model_dump(), "lease": run.to_wire().get("lease")}
        return t.Run.model_construct(None, **fields)


class AnswersExtraField(MemoryStore):
    async def load_run(self, *, run_id: str) -> Any:
        run = await super().load_run(run_id=run_id)
        return None if run is None else _RunWithTenant.model_validate({**run.to_wire(), "tenant": "t"})


class _RunWithTenant(t.Run):
    tenant: str


class AnswersText(MemoryStore):
    async def release_run_lease(self, **given: Any) -> Any:
        await super().release_run_lease(**given)
        return "OK"


class RetryCountsTwice(MemoryStore):
    """A second identical deletion fails, as a second one after a lost answer would."""

    async def delete_run(self, *, run_id: str, reason: Any) -> None:
        gone = run_id not in self._runs and run_id not in self._logs
        await super().delete_run(run_id=run_id, reason=reason)
        if gone and run_id not in self._states:
            raise LookupError("no such run")


class Hangs(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, **given: Any) -> None:
        await super().heartbeat_run_lease(run_id=run_id, **given)
        if run_id not in self._runs:
            raise TimeoutError("the lock was not free")


@asynccontextmanager
async def forgetful() -> AsyncGenerator[Reopenable, None]:
    """Nothing is there after the store was opened again."""
    yield Reopenable(Opened)


@asynccontextmanager
async def forgets_leases() -> AsyncGenerator[Reopenable, None]:
    """Leases of runs are kept in memory only."""
    kept = MemoryStore()

    def opened() -> Any:
        for run in kept._runs.values():
            run.pop("lease", None)
        return Opened(kept)

    yield Reopenable(opened)


@asynccontextmanager
async def forgets_deliveries() -> AsyncGenerator[Reopenable, None]:
    """What was delivered is remembered by the process only."""
    kept = MemoryStore()

    def opened() -> Any:
        kept._delivered.clear()
        return Opened(kept)

    yield Reopenable(opened)


class Opened:
    def __init__(self, store: Any = None) -> None:
        self._store = store or MemoryStore()

    async def __aenter__(self) -> Any:
        return self._store

    async def __aexit__(self, *_: object) -> None:
        return None


ANSWERS: tuple[Broken, ...] = (
    broken(
        FieldMisnamed,
        "InvalidArgument names no field (ruling 21)",
        "claimRun.arguments",
        "claimRun.lease-overflow",
        careful=False,
    ),
    broken(BooleanIsInteger, "true is taken as 1", "claimDueTimers.arguments", careful=False),
    broken(UnknownFieldIgnored, "unknown fields are ignored (ruling 20)", "deliverSignal.arguments", careful=False),
    broken(NullIsAbsent, "null is taken as absent", "listRuns.arguments", careful=False),
    broken(CursorIsAnyNumber, "a cursor may have a sign or spaces (ruling 22)", "listRuns.arguments", careful=False),
    broken(NulIsCut, "U+0000 is cut out instead of refused", "arguments.unkeepable", careful=False),
    broken(LeaseOverflows, "a lease beyond 2^53-1 is cut (ruling 19)", "claimRun.lease-overflow", careful=False),
    broken(RefusedAfterTheFact, "a refused call has changed something", "upsertSchedule.arguments", careful=False),
    broken(AnswersDict, "loadRun answers a dict", "answers.schema", "loadRun.found"),
    broken(AnswersNull, "loadRun answers null for absent", "answers.schema"),
    broken(AnswersExtraField, "loadRun answers a field more (ruling 26)", "answers.extra-fields"),
    broken(AnswersText, "releaseRunLease answers OK", "answers.schema"),
    broken(RetryCountsTwice, "deleting again fails", "answers.taxonomy", "retry.converges", "deleteRun.deleted"),
    broken(Hangs, "heartbeat raises TimeoutError", "answers.taxonomy", "heartbeatRunLease.unknown"),
    broken(forgetful, "nothing survives reopening", "durability.reopened"),
    broken(forgets_leases, "leases do not survive reopening", "durability.reopened"),
    broken(forgets_deliveries, "deliveries do not survive reopening", "durability.reopened"),
)
