"""SQLite stores that schedule or claim timers and schedule buckets wrongly beside other clients."""

from typing import Any

from storeproof.adapters.d1.binding import Row, Statement
from storeproof.adapters.d1.codec import (
    bucket_fields,
    built,
    encoded,
    integer_or_null,
    json_or_null,
    text_or_null,
    timer_fields,
)
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_sqlite_statements import FREE, HandwrittenStore

_BUCKET = (
    "schedule_id, bucket_id, workflow_id, workflow_version, run_id, fire_at, input, overlap_policy, status, "
    "lease_owner, lease_expires_at"
)
_BUCKET_FREE = FREE.replace("(lease_", "(b.lease_").replace("or lease_", "or b.lease_")


def _leasing(args: shapes.ClaimDueArguments) -> tuple[str, int, int]:
    return (args.lease_owner, args.expires_at, args.now)


class _PicksTimers(HandwrittenStore):
    """A look at the due timers in a batch of its own; what comes after it is each store's."""

    async def due_timers(self, args: shapes.ClaimDueArguments, limit: int) -> list[Row]:
        due = f"""select run_id, signal_id, workflow_id, workflow_version, wake_at from {self.t.timers}
                  where wake_at <= cast(?2 as integer)
                    and (lease_owner is null or lease_owner = ?1 or lease_expires_at <= cast(?2 as integer))
                  order by wake_at, run_id, signal_id limit cast(?3 as integer)"""
        [rows] = await self.do((due, (args.lease_owner, args.now, limit)))
        return rows

    def lease_timer(self, args: shapes.ClaimDueArguments, timer: Row, condition: str = "true") -> Statement:
        """Answers the timer if it was leased."""
        leased = f"""update {self.t.timers} set lease_owner = ?1, lease_expires_at = ?2
                     where run_id = ?4 and signal_id = ?5 and ?3 is not null and {condition}
                     returning run_id, signal_id, workflow_id, workflow_version, wake_at"""
        return (leased, (*_leasing(args), timer["run_id"], timer["signal_id"], timer["wake_at"]))


_STILL_DUE = f"{FREE} and wake_at = cast(?6 as integer)"


def _wakeup(timer: Row) -> t.TimerWakeup:
    return built(t.TimerWakeup, timer_fields(timer))


class TimersTwoOwners(_PicksTimers):
    """claimDueTimers picks the due timers, then leases them. Two clients pick the same ones: both get them."""

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)
        timers = await self.due_timers(args, args.limit)
        if timers:
            await self.do(*(self.lease_timer(args, timer, "?6 is not null") for timer in timers))
        return [_wakeup(timer) for timer in timers]


class TimersLost(_PicksTimers):
    """claimDueTimers picks up to limit due timers, then leases those still free and looks for no others: two clients
    want one of two timers, and the second gets none.
    """

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)
        timers = await self.due_timers(args, args.limit)
        if not timers:
            return []
        leased = await self.do(*(self.lease_timer(args, timer, _STILL_DUE) for timer in timers))
        return [_wakeup(rows[0]) for rows in leased if rows]


class TimersOneByOne(_PicksTimers):
    """claimDueTimers commits a lease at a time. A death leaves some of the timers leased, and nobody has them."""

    async def claim_due_timers(self, **given: Any) -> list[t.TimerWakeup]:
        args = checked(shapes.ClaimDueArguments, **given)
        claimed: list[t.TimerWakeup] = []
        for timer in await self.due_timers(args, 1_000_000):
            if len(claimed) < args.limit:
                [rows] = await self.do(self.lease_timer(args, timer, _STILL_DUE))
                claimed += [_wakeup(row) for row in rows]
        return claimed


class TimerThenRun(HandwrittenStore):
    """scheduleTimer commits the timer, then the run's wakeAt. A death between them leaves a run that does not know."""

    async def schedule_timer(self, **given: Any) -> None:
        args = checked(shapes.ScheduleTimerArguments, **given)
        version = text_or_null(args.workflow_version)
        timer = (args.run_id, args.signal_id, args.workflow_id, version, args.wake_at)
        await self.do((self.of_timers.schedule, timer))
        await self.do((self.of_timers.wake_run, (args.run_id, args.wake_at, args.now)))


class ScheduleGoneForAMoment(HandwrittenStore):
    """upsertSchedule commits a delete, then an insert. A death between them leaves no schedule."""

    async def upsert_schedule(self, **given: Any) -> None:
        args = checked(shapes.UpsertScheduleArguments, **given)
        row = (
            *(args.schedule_id, args.workflow_id, text_or_null(args.workflow_version), encoded(args.schedule)),
            *(args.overlap_policy, json_or_null(args.input), integer_or_null(args.next_fire_at), int(args.enabled)),
            args.now,
        )
        await self.do((f"delete from {self.t.schedules} where schedule_id = ?1", (args.schedule_id,)))
        await self.do((self.of_schedules.upsert, row))


class _PicksBuckets(HandwrittenStore):
    """A look at the due schedules in a batch of its own; what comes after it is each store's."""

    async def claim_picked(
        self, args: shapes.ClaimDueArguments, condition: str, also: str = ""
    ) -> list[t.ScheduleBucket]:
        """Opens the buckets, or leases those again for which `condition` holds, in a second batch."""
        due = f"""select s.schedule_id, s.next_fire_at from {self.t.schedules} s left join {self.t.schedule_buckets} b
                    on b.schedule_id = s.schedule_id and b.bucket_id = cast(s.next_fire_at as text)
                  where s.enabled = 1 and s.next_fire_at <= cast(?3 as integer) and ?2 is not null
                    and (b.schedule_id is null or (b.status <> 'started' and {_BUCKET_FREE}))
                  order by s.next_fire_at, s.schedule_id limit cast(?4 as integer)"""
        [picked] = await self.do((due, (*_leasing(args), args.limit)))
        if not picked:
            return []
        opened = f"""insert into {self.t.schedule_buckets} as b ({_BUCKET})
              select schedule_id, cast(next_fire_at as text), workflow_id, workflow_version,
                workflow_id || ':' || schedule_id || ':' || cast(next_fire_at as text), next_fire_at, input,
                overlap_policy, 'claimed', ?1, ?2
              from {self.t.schedules}
              where schedule_id = ?4 and next_fire_at = cast(?5 as integer) and enabled = 1 and ?3 is not null
              on conflict (schedule_id, bucket_id) do update
                set lease_owner = excluded.lease_owner, lease_expires_at = excluded.lease_expires_at {also}
                where {condition} returning {_BUCKET}"""
        batch: list[Statement] = [
            (opened, (*_leasing(args), row["schedule_id"], row["next_fire_at"])) for row in picked
        ]
        return [built(t.ScheduleBucket, bucket_fields(rows[0])) for rows in await self.do(*batch) if rows]


class BucketsTwoOwners(_PicksBuckets):
    """claimDueScheduleBuckets picks, then opens or leases each bucket. Two clients pick the same schedule: both get its
    bucket.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        return await self.claim_picked(checked(shapes.ClaimDueArguments, **given), "b.status <> 'started'")


class BucketsLost(_PicksBuckets):
    """claimDueScheduleBuckets picks up to limit buckets, then takes those still free and looks for no others: two
    clients want one of two, and the second gets none.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        still = f"b.status <> 'started' and {_BUCKET_FREE}"
        return await self.claim_picked(checked(shapes.ClaimDueArguments, **given), still)


class StartForgotten(_PicksBuckets):
    """claimDueScheduleBuckets picks, then writes the status with the lease. A bucket marked as started in between is
    claimed again, and handed out once more when that lease has ended.
    """

    async def claim_due_schedule_buckets(self, **given: Any) -> list[t.ScheduleBucket]:
        also = ", status = excluded.status, started_at = null"
        return await self.claim_picked(checked(shapes.ClaimDueArguments, **given), _BUCKET_FREE, also)


_BUCKETS = ("claimDueScheduleBuckets.leased", "claimDueScheduleBuckets.claimed", "claimDueScheduleBuckets.reclaimed")

QUEUES: tuple[Racy, ...] = (
    racy(TimersTwoOwners, "claims.exclusive", "claimDueTimers.leased", "claimDueTimers.claimed"),
    racy(TimersLost, "claimDueTimers.omission", "claimDueTimers.claimed"),
    racy(TimersOneByOne, "claimDueTimers.claimed", "retry.converges", kind="cut"),
    racy(TimerThenRun, "scheduleTimer.scheduled", "scheduleTimer.rescheduled", kind="cut"),
    racy(ScheduleGoneForAMoment, "upsertSchedule.replaced", kind="cut"),
    racy(BucketsTwoOwners, "claims.exclusive", *_BUCKETS),
    racy(BucketsLost, "claimDueScheduleBuckets.omission", *_BUCKETS),
    racy(StartForgotten, "claims.exclusive", "markScheduleBucketStarted.started", "claimDueScheduleBuckets.started"),
)
