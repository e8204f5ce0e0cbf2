"""Stores that alter values, confuse ids, look at their own clock, or take and answer what they must not."""

import json
import math
import time
import unicodedata
from contextlib import asynccontextmanager
from typing import Any

from pydantic import MISSING
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.conformance.targets import Reopenable
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument

from tests.broken import Broken, broken


def _altering(name: str, alter: Any) -> type[MemoryStore]:
    """A store that changes every output it is given."""

    class Altering(MemoryStore):
        async def mark_run_finished(self, *, output: Any, **given: Any) -> None:
            await super().mark_run_finished(output=_changed(output, alter), **given)

        async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
            return await super().create_run(input=_changed(input, alter), **given)

    Altering.__name__ = name
    return Altering


def _changed(value: Any, alter: Any) -> Any:
    if isinstance(value, dict):
        return alter({key: _changed(item, alter) for key, item in value.items()})
    if isinstance(value, list):
        return alter([_changed(item, alter) for item in value])
    return alter(value)


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _without_nulls(value: Any) -> Any:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _digits(value: Any) -> Any:
    return float(f"{value:.15g}") if isinstance(value, float) and _number(value) else value


def _no_tiny(value: Any) -> Any:
    return 0 if _number(value) and 0 < abs(value) < 1e-300 else value


def _single(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, int) and _number(value) and abs(value) > 2**32 else value


def _boolean_is_number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _composed(value: Any) -> Any:
    return unicodedata.normalize("NFC", value) if isinstance(value, str) and value.isprintable() else value


def _emptied(value: Any) -> Any:
    return None if value in ({}, []) else value


class TextTrimmed(MemoryStore):
    async def mark_run_errored(self, *, error: Any, **given: Any) -> None:
        wire = error if isinstance(error, dict) else error.to_wire()
        plain = {key: item.strip() if isinstance(item, str) and item.isprintable() else item for key, item in wire.items()}
        await super().mark_run_errored(error=plain, **given)


class TextNotEmpty(MemoryStore):
    async def create_run(self, *, workflow_version: Any = MISSING, **given: Any) -> t.CreateRunResult:
        if workflow_version == "":
            raise InvalidArgument("workflowVersion", "must not be empty")
        return await super().create_run(workflow_version=workflow_version, **given)


class TitleEscaped(MemoryStore):
    async def mark_run_paused(self, *, run_id: str, **given: Any) -> None:
        await super().mark_run_paused(run_id=run_id, **given)
        wait = self._runs.get(run_id, {}).get("pendingApproval")
        if wait:
            wait["title"] = wait["title"].replace("%", "%%")


class VersionComposed(MemoryStore):
    async def create_run(self, *, workflow_version: Any = MISSING, **given: Any) -> t.CreateRunResult:
        return await super().create_run(workflow_version=_composed(workflow_version), **given)


class NoncharactersRefused(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        if isinstance(input, str) and ("\ufffe" in input or "\uffff" in input):
            raise InvalidArgument("input", "holds a noncharacter")
        return await super().create_run(input=input, **given)


class DepthLimit(MemoryStore):
    async def mark_run_finished(self, *, output: Any, **given: Any) -> None:
        if _depth(output) > 32:
            raise InvalidArgument("output", "nested more than 32 levels deep")
        await super().mark_run_finished(output=output, **given)


class SizeLimit(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        if isinstance(input, str) and len(input) > 65_536:
            raise InvalidArgument("input", "more than 64 KiB")
        return await super().create_run(input=input, **given)


class SizeCut(MemoryStore):
    async def create_run(self, *, input: Any, **given: Any) -> t.CreateRunResult:
        return await super().create_run(input=input[:65_536] if isinstance(input, str) else input, **given)


class IndexOf32Bits(MemoryStore):
    async def append_events(self, *, expected_next_index: int, **given: Any) -> t.AppendEventsResult:
        if expected_next_index.__class__ is int and 2**31 <= expected_next_index <= 2**53:
            raise OverflowError("integer out of range")
        return await super().append_events(expected_next_index=expected_next_index, **given)


class TimeOf32Bits(MemoryStore):
    async def schedule_timer(self, *, wake_at: int, **given: Any) -> None:
        small = wake_at & 0xFFFFFFFF if wake_at.__class__ is int and 0 <= wake_at < 2**53 else wake_at
        await super().schedule_timer(wake_at=small, **given)


class FromIndexOf32Bits(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        small = from_index & 0x7FFFFFFF if from_index.__class__ is int and 0 < from_index < 2**53 else from_index
        return await super().read_events(run_id=run_id, from_index=small)


class _Ids(MemoryStore):
    """Every run id goes through `key` before it is looked up."""

    def __init__(self, key: Any) -> None:
        super().__init__()
        self._runs = _Keyed(key)


class _Keyed(dict[Any, Any]):
    """A dict whose keys are confused in one way."""

    def __init__(self, key: Any, given: Any = ()) -> None:
        super().__init__({key(name): value for name, value in dict(given).items()})
        self._key = key

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(self._key(name))

    def __setitem__(self, name: Any, value: Any) -> None:
        super().__setitem__(self._key(name), value)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._key(name))

    def get(self, name: Any, default: Any = None) -> Any:
        return super().get(self._key(name), default)

    def pop(self, name: Any, *default: Any) -> Any:
        return super().pop(self._key(name), *default)


class JoinedTimerKeys(MemoryStore):
    async def schedule_timer(self, *, run_id: str, signal_id: str, **given: Any) -> None:
        await super().schedule_timer(run_id=run_id, signal_id=signal_id, **given)
        same = [key for key in self._timers if ":".join(key) == f"{run_id}:{signal_id}" and key != (run_id, signal_id)]
        for key in same:
            del self._timers[key]


class JoinedDeliveries(MemoryStore):
    def _delivery_kind(self, key: tuple[str, str, str], *, waiting: bool) -> Any:
        return super()._delivery_kind((f"{key[0]}:{key[2]}", key[1], ""), waiting=waiting)


class OrderIgnoresCase(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        runs = super()._runs_by_update(wanted)
        return sorted(runs, key=lambda run: (-run["updatedAt"], run["runId"].lower(), run["runId"]))


class OrderByUtf16(MemoryStore):
    def _runs_by_update(self, wanted: Row) -> list[Row]:
        runs = super()._runs_by_update(wanted)
        return sorted(runs, key=lambda run: (-run["updatedAt"], run["runId"].encode("utf-16-be")))


class OrderOfTimersIgnoresCase(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        due = super()._due_timers(owner, now)
        return sorted(due, key=lambda row: (row["wakeAt"], row["runId"].lower(), row["signalId"].lower()))


class OwnClockForLeases(MemoryStore):
    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        return MemoryStore._lease_is_free(row, owner, now if now < 10**11 else max(now, int(time.time() * 1000)))


class OwnClockForDue(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        return [row for row in super()._due_timers(owner, now) if row["wakeAt"] <= time.time() * 1000]


class OwnClockForUpdate(MemoryStore):
    """Takes the given time only while it is not ahead of the store's own."""

    @staticmethod
    def _queue_again(run: Row, now: int) -> None:
        MemoryStore._queue_again(run, min(now, int(time.time() * 1000)))


class OwnClockForOldRuns(MemoryStore):
    """Ended runs of a day ago are no longer listed."""

    def _runs_by_update(self, wanted: Row) -> list[Row]:
        day_ago = time.time() * 1000 - 86_400_000
        return [run for run in super()._runs_by_update(wanted) if not 10**11 < run["updatedAt"] < day_ago]


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
        if isinstance(delivery, dict):
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
        return None if run is None else t.Run.model_construct(**{**run.model_dump(), "output": run.to_wire().get("output")})


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
        gone = isinstance(run_id, str) and run_id and run_id not in self._runs and run_id not in self._logs
        await super().delete_run(run_id=run_id, reason=reason)
        if gone and run_id not in self._states:
            raise LookupError("no such run")


class Hangs(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, **given: Any) -> None:
        await super().heartbeat_run_lease(run_id=run_id, **given)
        if run_id not in self._runs:
            raise TimeoutError("the lock was not free")


@asynccontextmanager
async def forgetful() -> Any:
    """Nothing is there after the store was opened again."""
    yield Reopenable(_Opened)


@asynccontextmanager
async def forgets_leases() -> Any:
    """Leases of runs are kept in memory only."""
    kept = MemoryStore()

    def opened() -> Any:
        for run in kept._runs.values():
            run.pop("lease", None)
        return _Opened(kept)

    yield Reopenable(opened)


@asynccontextmanager
async def forgets_deliveries() -> Any:
    """What was delivered is remembered by the process only."""
    kept = MemoryStore()

    def opened() -> Any:
        kept._delivered.clear()
        return _Opened(kept)

    yield Reopenable(opened)


@asynccontextmanager
async def durable() -> Any:
    """A right one: what `forgetful` should be."""
    kept = MemoryStore()
    yield Reopenable(lambda: _Opened(kept))


class _Opened:
    def __init__(self, store: Any = None) -> None:
        self._store = store or MemoryStore()

    async def __aenter__(self) -> Any:
        return self._store

    async def __aexit__(self, *_: object) -> None:
        return None


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _text(key: Any) -> Any:
    return lambda name: key(name) if isinstance(name, str) else name


_JSON = ("values.json", "createRun.created", "markRunFinished.finished")
_NUMBERS = ("values.numbers",)

VALUES: tuple[Broken, ...] = (
    broken(_altering("StringsParsed", _parsed), "JSON inside strings is parsed", *_JSON),
    broken(_altering("NullsDropped", _without_nulls), "null fields of JSON are dropped", *_JSON),
    broken(_altering("EmptyIsNull", _emptied), "empty lists and objects become null", *_JSON),
    broken(_altering("BooleanIsNumber", _boolean_is_number), "true becomes 1", *_JSON),
    broken(_altering("FifteenDigits", _digits), "doubles keep 15 digits", *_NUMBERS),
    broken(_altering("NothingTiny", _no_tiny), "numbers below 1e-300 become 0", *_NUMBERS),
    broken(_altering("LargeRounded", _single), "large integers are rounded", *_NUMBERS, "values.json"),
    broken(_altering("Composed", _composed), "strings in JSON are normalised", "values.text"),
    broken(TextTrimmed, "texts are trimmed", "values.text"),
    broken(TextNotEmpty, "an empty text is refused", "values.text", "createRun.created", "createRun.existing"),
    broken(TitleEscaped, "percent signs are doubled", "values.text", "markRunPaused.paused"),
    broken(VersionComposed, "versions are normalised", "values.text"),
    broken(NoncharactersRefused, "noncharacters are refused (ruling 18)", "values.text"),
    broken(DepthLimit, "at most 32 levels", "values.size"),
    broken(SizeLimit, "at most 64 KiB", "values.size"),
    broken(SizeCut, "input is cut at 64 KiB", "values.size"),
    broken(IndexOf32Bits, "indexes have 32 bits", "values.times", "appendEvents.gap", "answers.taxonomy"),
    broken(TimeOf32Bits, "times have 32 bits", "values.times", "clock.given"),
    broken(FromIndexOf32Bits, "fromIndex is cut to 31 bits", "values.times", "readEvents.before"),
    broken(lambda: _Ids(_text(str.lower)), "run ids ignore case", "ids.opaque", name="IdsLowered"),
    broken(lambda: _Ids(_text(str.strip)), "run ids are trimmed", "ids.opaque", name="IdsTrimmed"),
    broken(
        lambda: _Ids(_text(lambda name: unicodedata.normalize("NFC", name))),
        "run ids are normalised",
        "ids.opaque",
        name="IdsComposed",
    ),
    broken(lambda: _Ids(_text(lambda name: name[:255])), "run ids are cut", "ids.length", name="IdsCut"),
    broken(
        lambda: _Ids(_text(lambda name: name.encode()[:255])), "run ids are cut", "ids.length", name="IdsCutByBytes"
    ),
    broken(JoinedTimerKeys, "timers are keyed by joined ids", "ids.opaque"),
    broken(JoinedDeliveries, "deliveries are keyed by joined ids", "ids.opaque", "deliverSignal.not-waiting"),
    broken(OrderIgnoresCase, "runs are ordered without regard to case", "ids.order", "listRuns.ties"),
    broken(OrderByUtf16, "runs are ordered by UTF-16", "ids.order", "listRuns.ties"),
    broken(OrderOfTimersIgnoresCase, "timers are ordered without regard to case", "ids.order", "claimDueTimers.ties"),
    broken(OwnClockForLeases, "leases end by the store's own clock", "clock.given"),
    broken(OwnClockForDue, "timers are due by the store's own clock", "clock.given", "values.times"),
    broken(OwnClockForUpdate, "updatedAt is at most the store's own time", "clock.given"),
    broken(OwnClockForOldRuns, "runs of yesterday are not listed", "clock.given"),
    broken(FieldMisnamed, "InvalidArgument names no field (ruling 21)", "claimRun.arguments", "claimRun.lease-overflow", careful=False),
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
