"""Stores that keep or fire schedules wrongly."""

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from tests.broken import Broken, broken


class UpsertMerges(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, **given: Any) -> None:
        before = self._schedules.get(schedule_id, {})
        await super().upsert_schedule(schedule_id=schedule_id, **given)
        self._schedules[schedule_id] = {**before, **self._schedules[schedule_id]}


class UpsertInsertsOnly(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, **given: Any) -> None:
        before = self._schedules.get(schedule_id)
        await super().upsert_schedule(schedule_id=schedule_id, **given)
        if before is not None:
            self._schedules[schedule_id] = before


class UpsertEnables(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, **given: Any) -> None:
        known = schedule_id in self._schedules
        await super().upsert_schedule(schedule_id=schedule_id, **given)
        if not known:
            self._schedules[schedule_id]["enabled"] = True


class UpsertDropsBuckets(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, **given: Any) -> None:
        await super().upsert_schedule(schedule_id=schedule_id, **given)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] != schedule_id}


class UpsertTakesLongIds(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, workflow_id: str, **given: Any) -> None:
        cut = workflow_id[:900] if workflow_id == "w" * 1_006 else workflow_id
        await super().upsert_schedule(schedule_id=schedule_id, workflow_id=cut, **given)


class DisabledFires(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        due = [row for row in self._schedules.values() if row.get("nextFireAt", now + 1) <= now]
        return sorted(due, key=lambda row: (row["nextFireAt"], row["scheduleId"]))


class UnscheduledFires(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        unscheduled = [row for row in self._schedules.values() if "nextFireAt" not in row and row["enabled"]]
        return super()._due_schedules(now) + [{**row, "nextFireAt": 0} for row in unscheduled]


class FiresTooLate(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        return [row for row in super()._due_schedules(now) if row["nextFireAt"] < now]


class FiresTooEarly(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        return super()._due_schedules(now + 1)


class FiresById(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        return sorted(super()._due_schedules(now), key=lambda row: row["scheduleId"])


class FiresByArrival(MemoryStore):
    def _due_schedules(self, now: int) -> list[Row]:
        due = {row["scheduleId"] for row in super()._due_schedules(now)}
        return sorted((row for key, row in self._schedules.items() if key in due), key=lambda row: row["nextFireAt"])


class BucketFollowsSchedule(MemoryStore):
    """Ruling 8: a bucket is fixed at its first claim."""

    def _due_schedules(self, now: int) -> list[Row]:
        due = super()._due_schedules(now)
        for schedule in due:
            fresh = rows.bucket_of_schedule(schedule)
            stored = self._buckets.get((fresh["scheduleId"], fresh["bucketId"]))
            if stored and not stored.get("started"):
                lease = {"lease": stored["lease"]} if "lease" in stored else {}
                self._buckets[fresh["scheduleId"], fresh["bucketId"]] = fresh | lease
        return due


class StartedIsHandedOut(MemoryStore):
    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        for bucket in self._buckets.values():
            bucket.pop("started", None)
        return await super().claim_due_schedule_buckets(**given)


class StartedIsForgottenByUpsert(MemoryStore):
    async def upsert_schedule(self, *, schedule_id: str, **given: Any) -> None:
        await super().upsert_schedule(schedule_id=schedule_id, **given)
        for key, bucket in self._buckets.items():
            if key[0] == schedule_id:
                bucket.pop("started", None)


class StartedByAnySchedule(MemoryStore):
    async def mark_schedule_bucket_started(self, *, bucket_id: str, **given: Any) -> None:
        await super().mark_schedule_bucket_started(bucket_id=bucket_id, **given)
        for bucket in self._buckets.values():
            if bucket["bucketId"] == bucket_id:
                bucket["started"] = True


class StartedBeforeClaim(MemoryStore):
    async def mark_schedule_bucket_started(self, *, schedule_id: str, bucket_id: str, **given: Any) -> None:
        await super().mark_schedule_bucket_started(schedule_id=schedule_id, bucket_id=bucket_id, **given)
        schedule = self._schedules.get(schedule_id)
        if schedule and str(schedule.get("nextFireAt")) == bucket_id and (schedule_id, bucket_id) not in self._buckets:
            self._buckets[schedule_id, bucket_id] = {**rows.bucket_of_schedule(schedule), "started": True}


class StartRaisesForUnknown(MemoryStore):
    async def mark_schedule_bucket_started(self, *, schedule_id: str, bucket_id: str, **given: Any) -> None:
        await super().mark_schedule_bucket_started(schedule_id=schedule_id, bucket_id=bucket_id, **given)
        self._buckets[schedule_id, bucket_id]


class BucketOfRunOnly(MemoryStore):
    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        claimed = await super().claim_due_schedule_buckets(**given)
        return [bucket.model_copy(update={"run_id": f"{bucket.schedule_id}:{bucket.bucket_id}"}) for bucket in claimed]


class BucketIsAdvanced(MemoryStore):
    """Claiming moves the schedule on, which is the engine's business."""

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        claimed = await super().claim_due_schedule_buckets(**given)
        for bucket in claimed:
            self._schedules[bucket.schedule_id]["nextFireAt"] = bucket.fire_at + 60_000
        return claimed


class BucketsUseUpTheLimit(MemoryStore):
    async def claim_due_schedule_buckets(self, *, limit: int, **given: Any) -> list[t.ScheduleBucket]:
        self._limit = limit
        return await super().claim_due_schedule_buckets(limit=limit, **given)

    def _due_schedules(self, now: int) -> list[Row]:
        return super()._due_schedules(now)[: self._limit]


class BucketLimitAtLeastOne(MemoryStore):
    async def claim_due_schedule_buckets(self, *, limit: int, **given: Any) -> list[t.ScheduleBucket]:
        return await super().claim_due_schedule_buckets(
            limit=1 if limit.__class__ is int and limit == 0 else limit, **given
        )


class BucketLosesInput(MemoryStore):
    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        claimed = await super().claim_due_schedule_buckets(**given)
        return [t.ScheduleBucket.model_validate(rows.without(bucket.to_wire(), "input")) for bucket in claimed]


class BucketIgnoresLease(MemoryStore):
    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        for bucket in self._buckets.values():
            bucket.pop("lease", None)
        return await super().claim_due_schedule_buckets(**given)


_LIMIT = "claimDueScheduleBuckets.limit"
_CLAIMED = "claimDueScheduleBuckets.claimed"
_RECLAIMED = "claimDueScheduleBuckets.reclaimed"

SCHEDULES: tuple[Broken, ...] = (
    broken(UpsertMerges, "upsertSchedule keeps fields that are not given", "upsertSchedule.replaced"),
    broken(UpsertInsertsOnly, "upsertSchedule does not replace", "upsertSchedule.replaced"),
    broken(UpsertEnables, "a new schedule is always enabled", "upsertSchedule.created"),
    broken(UpsertDropsBuckets, "upsertSchedule drops the schedule's buckets", "upsertSchedule.replaced"),
    broken(UpsertTakesLongIds, "upsertSchedule cuts long ids", "upsertSchedule.run-id-too-long", careful=False),
    broken(DisabledFires, "a disabled schedule fires", "claimDueScheduleBuckets.disabled"),
    broken(UnscheduledFires, "a schedule without a time fires", "claimDueScheduleBuckets.unscheduled"),
    broken(FiresTooLate, "a schedule is not due at nextFireAt itself", _CLAIMED),
    broken(FiresTooEarly, "a schedule is due one millisecond early", "claimDueScheduleBuckets.not-due"),
    broken(FiresById, "schedules fire by id", "claimDueScheduleBuckets.order"),
    broken(FiresByArrival, "schedules of equal time fire by arrival", "claimDueScheduleBuckets.ties", "ids.order"),
    broken(BucketFollowsSchedule, "a bucket is rewritten from its schedule (ruling 8)", _RECLAIMED),
    broken(
        StartedIsHandedOut,
        "a started bucket is handed out",
        "claimDueScheduleBuckets.started",
        "markScheduleBucketStarted.started",
    ),
    broken(StartedIsForgottenByUpsert, "upsertSchedule forgets that buckets started", "upsertSchedule.replaced"),
    broken(
        StartedByAnySchedule,
        "buckets of other schedules are started too",
        "markScheduleBucketStarted.started",
        "markScheduleBucketStarted.unknown",
    ),
    broken(StartedBeforeClaim, "a bucket that was never claimed can be started", "markScheduleBucketStarted.unknown"),
    broken(StartRaisesForUnknown, "starting an unknown bucket raises KeyError", "markScheduleBucketStarted.unknown"),
    broken(BucketOfRunOnly, "the bucket's run id lacks the workflow", _CLAIMED, _RECLAIMED),
    broken(BucketIsAdvanced, "claiming moves nextFireAt on", _CLAIMED),
    broken(BucketsUseUpTheLimit, "buckets passed over use up the limit", _LIMIT, _CLAIMED),
    broken(BucketLimitAtLeastOne, "a limit of 0 gives one bucket", _LIMIT),
    broken(BucketLosesInput, "a bucket has no input", _CLAIMED, _RECLAIMED),
    broken(BucketIgnoresLease, "claimDueScheduleBuckets ignores leases", "claimDueScheduleBuckets.leased"),
)
