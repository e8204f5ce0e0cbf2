"""Schedules and the buckets in which they fire. Knows no cron expression: nextFireAt is the caller's."""

from __future__ import annotations

from storeproof.adapters.d1.binding import D1Binding
from storeproof.adapters.d1.codec import bucket_fields, built, encoded, integer_or_null, json_or_null, text_or_null
from storeproof.adapters.d1.statements import ScheduleStatements
from storeproof.adapters.names import TableNames
from storeproof.spec.arguments import ClaimDueArguments, MarkScheduleBucketStartedArguments, UpsertScheduleArguments
from storeproof.spec.types import ScheduleBucket


class Schedules:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = ScheduleStatements(tables)

    async def upsert(self, args: UpsertScheduleArguments) -> None:
        row = (
            args.schedule_id,
            args.workflow_id,
            text_or_null(args.workflow_version),
            encoded(args.schedule),
            args.overlap_policy,
            json_or_null(args.input),
            integer_or_null(args.next_fire_at),
            int(args.enabled),
            args.now,
        )
        await self._binding.batch([(self._sql.upsert, row)])

    async def claim_due(self, args: ClaimDueArguments) -> list[ScheduleBucket]:
        lease = (args.lease_owner, args.expires_at, args.now, args.limit)
        [rows] = await self._binding.batch([(self._sql.claim_due, lease)])
        buckets = [built(ScheduleBucket, bucket_fields(row)) for row in rows]
        return sorted(buckets, key=lambda bucket: (bucket.fire_at, bucket.schedule_id))

    async def mark_started(self, args: MarkScheduleBucketStartedArguments) -> None:
        row = (args.schedule_id, args.bucket_id, args.run_id, args.now)
        await self._binding.batch([(self._sql.mark_started, row)])
