"""Stores that append, read or hand out events wrongly."""

from copy import deepcopy
from typing import Any

from pydantic import MISSING
from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument, LogConflict, StoreUnavailable
from tests.broken import Broken, broken


class AppendAnyway(MemoryStore):
    async def append_events(self, *, run_id: str, expected_next_index: int, events: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(run_id=run_id, expected_next_index=expected_next_index, events=events)
        except LogConflict:
            at = len(self._logs.get(run_id, []))
            return await super().append_events(run_id=run_id, expected_next_index=at, events=events)


class AppendOverwrites(MemoryStore):
    async def append_events(self, *, run_id: str, expected_next_index: int, events: Any) -> t.AppendEventsResult:
        log = self._logs.get(run_id, [])
        if expected_next_index < len(log):
            self._logs[run_id] = log[:expected_next_index]
        return await super().append_events(run_id=run_id, expected_next_index=expected_next_index, events=events)


class ConflictWithoutExisting(MemoryStore):
    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except LogConflict as error:
            raise LogConflict(error.run_id, error.attempted_index, None) from None


class ConflictShowsStoredEvent(MemoryStore):
    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except LogConflict as error:
            stored: Any = error.existing and deepcopy(self._logs[error.run_id][error.attempted_index])
            raise LogConflict(error.run_id, error.attempted_index, stored) from None


class ConflictShowsLast(MemoryStore):
    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except LogConflict as error:
            log = self._logs.get(error.run_id, [])
            raise LogConflict(error.run_id, error.attempted_index, log[-1]["event"] if log else None) from None


class ConflictNamesLength(MemoryStore):
    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except LogConflict as error:
            raise LogConflict(error.run_id, len(self._logs.get(error.run_id, [])), error.existing) from None


class GapIsUnavailable(MemoryStore):
    async def append_events(self, **given: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(**given)
        except LogConflict as error:
            if error.existing is None:
                raise StoreUnavailable("the log is not that long") from None
            raise


class GapIsFilled(MemoryStore):
    async def append_events(self, *, run_id: str, expected_next_index: int, events: Any) -> t.AppendEventsResult:
        if expected_next_index == len(self._logs.get(run_id, [])) + 1:
            expected_next_index -= 1
        return await super().append_events(run_id=run_id, expected_next_index=expected_next_index, events=events)


class AppendHalf(MemoryStore):
    """The events go in one by one, so that a bad one leaves those before it."""

    async def append_events(self, *, run_id: str, expected_next_index: int, events: Any) -> t.AppendEventsResult:
        answer = await super().append_events(run_id=run_id, expected_next_index=expected_next_index, events=[])
        for event in events:
            at = answer.next_index
            answer = await super().append_events(run_id=run_id, expected_next_index=at, events=[event])
        return answer


class AppendReversed(MemoryStore):
    async def append_events(self, *, events: Any, **given: Any) -> t.AppendEventsResult:
        return await super().append_events(events=events[::-1], **given)


class AppendNeedsRun(MemoryStore):
    async def append_events(self, *, run_id: str, **given: Any) -> t.AppendEventsResult:
        if run_id not in self._runs:
            raise InvalidArgument("runId", "no such run")
        return await super().append_events(run_id=run_id, **given)


class EmptyAppendNeverChecks(MemoryStore):
    async def append_events(self, *, run_id: str, expected_next_index: int, events: Any) -> t.AppendEventsResult:
        try:
            return await super().append_events(run_id=run_id, expected_next_index=expected_next_index, events=events)
        except LogConflict:
            if events:
                raise
            return t.AppendEventsResult(next_index=expected_next_index)


class EmptyAppendRefused(MemoryStore):
    async def append_events(self, *, events: Any, **given: Any) -> t.AppendEventsResult:
        if events == []:
            raise InvalidArgument("events", "at least one event")
        return await super().append_events(events=events, **given)


class AppendAnswersCount(MemoryStore):
    async def append_events(self, *, events: Any, **given: Any) -> t.AppendEventsResult:
        await super().append_events(events=events, **given)
        return t.AppendEventsResult(next_index=len(events))


class ReadPastIndex(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        found = await super().read_events(run_id=run_id, from_index=from_index)
        return found if from_index is MISSING or from_index == 0 else found[1:]


class ReadIgnoresIndex(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        await super().read_events(run_id=run_id, from_index=from_index)
        return await super().read_events(run_id=run_id)


class ReadByTime(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        found = await super().read_events(run_id=run_id, from_index=from_index)
        return sorted(found, key=lambda event: event.created_at)


class ReadAtMostTwo(MemoryStore):
    async def read_events(self, *, run_id: str, from_index: Any = MISSING) -> list[t.StoredEvent]:
        return (await super().read_events(run_id=run_id, from_index=from_index))[:2]


class EventWithoutStep(MemoryStore):
    async def append_events(self, *, run_id: str, **given: Any) -> t.AppendEventsResult:
        answer = await super().append_events(run_id=run_id, **given)
        self._logs[run_id] = [rows.without(event, "stepId") for event in self._logs.get(run_id, [])]
        return answer


class EventStampedWithFirst(MemoryStore):
    async def append_events(self, *, run_id: str, **given: Any) -> t.AppendEventsResult:
        answer = await super().append_events(run_id=run_id, **given)
        log = self._logs.get(run_id, [])
        self._logs[run_id] = [{**event, "createdAt": log[0]["createdAt"]} for event in log]
        return answer


class KnownEventsOnly(MemoryStore):
    async def append_events(self, *, events: Any, **given: Any) -> t.AppendEventsResult:
        for event in events:
            if "unknown" in event["type"]:
                raise InvalidArgument("events[0].type", "an event of no known type")
        return await super().append_events(events=events, **given)


class EventIsTrimmed(MemoryStore):
    async def append_events(self, *, run_id: str, **given: Any) -> t.AppendEventsResult:
        answer = await super().append_events(run_id=run_id, **given)
        for stored in self._logs.get(run_id, []):
            stored["event"] = rows.without(stored["event"], "audience", "any", "meta")
        return answer


class EventRunIdIsTheLogs(MemoryStore):
    async def append_events(self, *, run_id: str, events: Any, **given: Any) -> t.AppendEventsResult:
        for event in events:
            if event.get("runId", run_id) != run_id:
                raise InvalidArgument("events[0].runId", "another run's event")
        return await super().append_events(run_id=run_id, events=events, **given)


LOG: tuple[Broken, ...] = (
    broken(
        AppendAnyway, "appendEvents appends whatever index is expected", "appendEvents.conflict", "appendEvents.gap"
    ),
    broken(AppendOverwrites, "appendEvents overwrites from the expected index on", "appendEvents.conflict"),
    broken(ConflictWithoutExisting, "LogConflict never shows the event", "appendEvents.conflict"),
    broken(ConflictShowsStoredEvent, "LogConflict shows the stored event (ruling 14)", "appendEvents.conflict"),
    broken(ConflictShowsLast, "LogConflict shows the log's last event", "appendEvents.conflict", "appendEvents.gap"),
    broken(ConflictNamesLength, "LogConflict names the log's length", "appendEvents.conflict", "appendEvents.gap"),
    broken(GapIsUnavailable, "a gap is StoreUnavailable (ruling 12)", "appendEvents.gap"),
    broken(GapIsFilled, "a gap of one is closed up", "appendEvents.gap"),
    broken(
        AppendHalf,
        "a bad event leaves those before it stored",
        "appendEvents.arguments",
        "arguments.unkeepable",
        careful=False,
    ),
    broken(AppendReversed, "appendEvents stores the events backwards", "appendEvents.appended"),
    broken(AppendNeedsRun, "appendEvents needs a run row", "appendEvents.appended", "appendEvents.empty"),
    broken(
        EmptyAppendNeverChecks, "an empty append does not check the length", "appendEvents.gap", "appendEvents.conflict"
    ),
    broken(
        EmptyAppendRefused,
        "an empty append is refused",
        "appendEvents.empty",
        "appendEvents.conflict",
        "appendEvents.gap",
    ),
    broken(
        AppendAnswersCount, "nextIndex is the number of events given", "appendEvents.appended", "appendEvents.empty"
    ),
    broken(ReadPastIndex, "readEvents begins one past fromIndex", "readEvents.read"),
    broken(ReadIgnoresIndex, "readEvents ignores fromIndex", "readEvents.before"),
    broken(ReadByTime, "readEvents orders by time", "readEvents.order"),
    broken(ReadAtMostTwo, "readEvents pages silently", "readEvents.read"),
    broken(EventWithoutStep, "the stored event has no stepId", "appendEvents.appended"),
    broken(EventStampedWithFirst, "every event has the first one's createdAt", "appendEvents.appended"),
    broken(KnownEventsOnly, "events of unknown types are refused (ruling 20)", "appendEvents.appended"),
    broken(
        EventIsTrimmed,
        "fields of an event that the store does not know are lost",
        "appendEvents.appended",
        "values.json",
    ),
    broken(
        EventRunIdIsTheLogs,
        "an event's runId must be the log's (ruling 20)",
        "appendEvents.appended",
        "appendEvents.gap",
    ),
)
