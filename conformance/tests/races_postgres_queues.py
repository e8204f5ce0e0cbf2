"""Postgres stores that schedule or claim timers and schedule buckets wrongly beside other clients."""

from collections.abc import Sequence
from typing import Any

from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Row
from storeproof.adapters.postgres.fragments import BUCKET_COLUMNS, columns
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_postgres_statements import FREE, LEASED, HandwrittenStore, Steps

_TIMER = "run_id, workflow_id, workflow_version, wake_at, signal_id"
_TIMER_ORDER = 'order by wake_at, run_id collate "C", signal_id collate "C"'

_STILL_DUE = f"""{FREE} and wake_at = %(wake_at)s and workflow_id = %(workflow_id)s
                 and workflow_version is not distinct from %(workflow_version)s"""


async def _due_timers(steps: Steps, args: shapes.ClaimDueArguments, rest: str) -> list[Row]:
    return await steps.do(
        f"select {_TIMER} from {steps.t.timers} where wake_at <= %(now)s and {FREE} {_TIMER_ORDER} {rest}",
        codec.leasing(args),
    )


async def _lease_timer(steps: Steps, args: shapes.ClaimDueArguments, timer: Row, condition: str = "true") -> bool:
    leased = f"""update {steps.t.timers} set {LEASED}
                 where run_id = %(run_id)s and signal_id = %(signal_id)s and {condition} returning 1"""
    return bool(await steps.do(leased, {**codec.leasing(args), **timer}))


def _wakeups(timers: Sequence[Row]) -> list[t.TimerWakeup]:
    return [codec.timer_wakeup(timer) for timer in timers]


class TimersTwoOwners(HandwrittenStore):
    """claimDueTimers selects the due timers, then leases each, in a READ COMMITTED transaction. Two clients select the
    same ones: both get them.
    """

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[t.TimerWakeup]:
            timers = await _due_timers(steps, args, "limit %(limit)s")
            for timer in timers:
                await _lease_timer(steps, args, timer)
            return _wakeups(timers)

        return await self.transacted(work)


class TimersLost(HandwrittenStore):
    """claimDueTimers selects up to limit due timers, then leases those still free and looks for no others: two clients
    want one of two timers, and the second gets none.
    """

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)
        timers = await _due_timers(self.steps, args, "limit %(limit)s")

        async def work(steps: Steps) -> list[t.TimerWakeup]:
            return _wakeups([timer for timer in timers if await _lease_timer(steps, args, timer, _STILL_DUE)])

        return await self.transacted(work)


class TimersLockedInExcess(HandwrittenStore):
    """claimDueTimers locks all due timers with SKIP LOCKED and leases the first `limit`. Another client passes over
    those that it merely looked at: one timer is leased, one free, and the second client gets none.
    """

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[t.TimerWakeup]:
            timers = (await _due_timers(steps, args, "for update skip locked"))[: args.limit]
            for timer in timers:
                await _lease_timer(steps, args, timer)
            return _wakeups(timers)

        return await self.transacted(work)


class TimersOneByOne(HandwrittenStore):
    """claimDueTimers commits a lease at a time. A death leaves some of the timers leased, and nobody has them."""

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)
        claimed: list[Row] = []
        for timer in await _due_timers(self.steps, args, ""):
            if len(claimed) < args.limit and await _lease_timer(self.steps, args, timer, _STILL_DUE):
                claimed.append(timer)
        return _wakeups(claimed)


class TimerThenRun(HandwrittenStore):
    """scheduleTimer commits the timer, then the run's wakeAt. A death between them leaves a run that does not know."""

    async def schedule_timer(self, **given: Any) -> None:
        args = checked(shapes.ScheduleTimerArguments, **given)
        parameters = codec.parameters(args, "workflowVersion")
        await self.steps.do(self.of_wakeups.put_timer, parameters)
        await self.steps.do(self.of_wakeups.move_run, parameters)


class ScheduleDeletedThenInserted(HandwrittenStore):
    """upsertSchedule deletes and inserts in a READ COMMITTED transaction. Two clients upsert one schedule: the second
    delete does not see the first one's new row, and the insert ends in the driver's error.
    """

    async def upsert_schedule(self, **given: Any) -> None:
        args = checked(shapes.UpsertScheduleArguments, **given)
        parameters = codec.parameters(args, "workflowVersion", "nextFireAt", json=("schedule", "input"))
        async with self._connections.transaction() as run:
            await run(f"delete from {self.t.schedules} where schedule_id = %(schedule_id)s", parameters)
            await run(self.of_wakeups.upsert_schedule.partition("on conflict")[0], parameters)


class ScheduleGoneForAMoment(HandwrittenStore):
    """upsertSchedule commits a delete, then an insert. A death between them leaves no schedule."""

    async def upsert_schedule(self, **given: Any) -> None:
        args = checked(shapes.UpsertScheduleArguments, **given)
        parameters = codec.parameters(args, "workflowVersion", "nextFireAt", json=("schedule", "input"))
        await self.steps.do(f"delete from {self.t.schedules} where schedule_id = %(schedule_id)s", parameters)
        await self.steps.do(self.of_wakeups.upsert_schedule, parameters)


_BUCKET = columns(BUCKET_COLUMNS, "b")


async def _due_buckets(steps: Steps, args: shapes.ClaimDueArguments) -> list[Row]:
    """The schedules whose bucket may be handed out."""
    free = FREE.replace("lease_", "b.lease_").replace("%(b.lease_owner)s", "%(lease_owner)s")
    return await steps.do(
        f"""select s.schedule_id, s.next_fire_at from {steps.t.schedules} s left join {steps.t.schedule_buckets} b
              on b.schedule_id = s.schedule_id and b.bucket_id = s.next_fire_at::text
            where s.enabled and s.next_fire_at <= %(now)s
              and (b.schedule_id is null or (b.status <> 'started' and {free}))
            order by s.next_fire_at, s.schedule_id collate "C" limit %(limit)s""",
        codec.leasing(args),
    )


async def _open_bucket(steps: Steps, args: shapes.ClaimDueArguments, due: Row, condition: str, also: str = "") -> Row:
    """Opens the bucket, or leases it again if `condition` holds; no fields if neither."""
    rows = await steps.do(
        f"""insert into {steps.t.schedule_buckets} as b ({", ".join(BUCKET_COLUMNS)}, status, lease_owner,
              lease_expires_at)
            select schedule_id, next_fire_at::text, workflow_id, workflow_version,
              workflow_id || ':' || schedule_id || ':' || next_fire_at::text, next_fire_at, input, overlap_policy,
              'claimed', %(lease_owner)s, %(expires_at)s
            from {steps.t.schedules} where schedule_id = %(schedule_id)s and next_fire_at = %(next_fire_at)s and enabled
            on conflict (schedule_id, bucket_id) do update
              set lease_owner = excluded.lease_owner, lease_expires_at = excluded.lease_expires_at {also}
              where {condition} returning {_BUCKET}""",
        {**codec.leasing(args), **due},
    )
    return rows[0] if rows else {}


_BUCKET_FREE = "(b.lease_owner is null or b.lease_owner = %(lease_owner)s or b.lease_expires_at <= %(now)s)"


class BucketsTwoOwners(HandwrittenStore):
    """claimDueScheduleBuckets selects, then opens or leases each bucket, in a READ COMMITTED transaction. Two clients
    select the same schedule: both get its bucket.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[t.ScheduleBucket]:
            due = await _due_buckets(steps, args)
            rows = [await _open_bucket(steps, args, schedule, "b.status <> 'started'") for schedule in due]
            return [codec.schedule_bucket(row) for row in rows if row]

        return await self.transacted(work)


class BucketsLost(HandwrittenStore):
    """claimDueScheduleBuckets selects up to limit buckets, then takes those still free and looks for no others: two
    clients want one of two, and the second gets none.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        args = checked(shapes.ClaimDueArguments, **given)
        still = f"b.status <> 'started' and {_BUCKET_FREE}"

        async def work(steps: Steps) -> list[t.ScheduleBucket]:
            due = await _due_buckets(steps, args)
            rows = [await _open_bucket(steps, args, schedule, still) for schedule in due]
            return [codec.schedule_bucket(row) for row in rows if row]

        return await self.transacted(work)


class StartForgotten(HandwrittenStore):
    """claimDueScheduleBuckets selects, then writes the status with the lease. A bucket marked as started in between is
    claimed again, and handed out once more when that lease has ended.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        args = checked(shapes.ClaimDueArguments, **given)

        async def work(steps: Steps) -> list[t.ScheduleBucket]:
            due = await _due_buckets(steps, args)
            also = ", status = excluded.status, started_at = null"
            rows = [await _open_bucket(steps, args, schedule, _BUCKET_FREE, also) for schedule in due]
            return [codec.schedule_bucket(row) for row in rows if row]

        return await self.transacted(work)


_BUCKETS = ("claimDueScheduleBuckets.leased", "claimDueScheduleBuckets.claimed", "claimDueScheduleBuckets.reclaimed")

QUEUES: tuple[Racy, ...] = (
    racy(TimersTwoOwners, "claims.exclusive", "claimDueTimers.leased", "claimDueTimers.claimed"),
    racy(TimersLost, "claimDueTimers.omission", "claimDueTimers.claimed"),
    racy(TimersLockedInExcess, "claimDueTimers.omission", "claimDueTimers.claimed"),
    racy(TimersOneByOne, "claimDueTimers.claimed", "retry.converges", kind="cut"),
    racy(TimerThenRun, "scheduleTimer.scheduled", "scheduleTimer.rescheduled", kind="cut"),
    racy(ScheduleDeletedThenInserted, "answers.taxonomy", "upsertSchedule.created", "upsertSchedule.replaced"),
    racy(ScheduleGoneForAMoment, "upsertSchedule.replaced", kind="cut"),
    racy(BucketsTwoOwners, "claims.exclusive", *_BUCKETS),
    racy(BucketsLost, "claimDueScheduleBuckets.omission", *_BUCKETS),
    racy(StartForgotten, "claims.exclusive", "markScheduleBucketStarted.started", "claimDueScheduleBuckets.started"),
)
