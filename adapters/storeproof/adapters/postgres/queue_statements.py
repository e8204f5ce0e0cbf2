"""The statements on the event log, timers and schedules, rendered once per store. Knows no driver and no result type.

What `run_statements` says about locks and parameters holds here too.
"""

from __future__ import annotations

from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres.fragments import BUCKET_COLUMNS, columns, free_lease, start_again, unchanged

_LEASED = "lease_owner = %(lease_owner)s::text, lease_expires_at = %(expires_at)s::bigint"


class LogStatements:
    """One attribute per statement; `t` holds quoted names, with `%` doubled."""

    def __init__(self, t: TableNames) -> None:
        # The log's length is its last index plus one: a look into the primary key, where upstream counts every row.
        # The lock is upstream's row in the event locks, so both languages' appends take turns. Holding a lock row that
        # the snapshot saw, nobody deleted the log since (deleteRun removes the row), so it can only have grown, and
        # then the first index is taken and nothing is inserted. Holding a row made here, there was no log.
        # `added` = 0 though the length was right means: ask again.
        self.append = f"""
            with log as materialized (
                select coalesce(max(e.event_index)::bigint + 1, 0) as length
                from {t.events} e where e.run_id = %(run_id)s::text
            ), fitting as materialized (
                select from log where length = %(expected)s::bigint and %(count)s::bigint > 0
            ), known as materialized (
                select from {t.event_locks} where run_id = %(run_id)s::text
            ), locked as materialized (
                select 1 from {t.event_locks} where run_id = %(run_id)s::text and exists (select from fitting)
                for update
            ), made as (
                insert into {t.event_locks} (run_id, created_at)
                select %(run_id)s::text, 0 from fitting where not exists (select from known)
                on conflict (run_id) do nothing
                returning 1
            ), added as (
                insert into {t.events} (run_id, event_index, event_type, step_id, event, created_at)
                select %(run_id)s::text, %(expected)s::bigint + item.place - 1, item.event->>'type',
                       item.event->>'stepId', item.event, (item.event->>'ts')::numeric::bigint
                from jsonb_array_elements(%(events)s::jsonb) with ordinality as item (event, place)
                where exists (select from locked) or exists (select from made)
                on conflict (run_id, event_index) do nothing
                returning 1
            ), tally as materialized (
                select count(*) as added from added
            )
            select log.length,
                   case when tally.added in (0, %(count)s::bigint) then tally.added
                        else {start_again("added")} end as added,
                   (select e.event::text from {t.events} e
                    where e.run_id = %(run_id)s::text and e.event_index = %(expected)s::bigint) as existing
            from log, tally"""

        # Indexes are compared as bigint, so those beyond the column's 32 bits are merely not there (ruling 9).
        self.read = f"""
            select e.run_id, e.event_index, e.event_type, e.step_id, e.event::text as event, e.created_at
            from {t.events} e
            where e.run_id = %(run_id)s::text and e.event_index >= %(from_index)s::bigint
            order by e.event_index limit %(limit)s::bigint"""


class WakeupStatements:
    """Timers, schedules and their buckets; one attribute per statement, `t` holds quoted names, with `%` doubled."""

    def __init__(self, t: TableNames) -> None:
        timer_columns = "(run_id, signal_id, workflow_id, workflow_version, wake_at)"
        timer_values = (
            "%(run_id)s::text, %(signal_id)s::text, %(workflow_id)s::text, %(workflow_version)s::text,"
            " %(wake_at)s::bigint"
        )
        timer_again = """on conflict (run_id, signal_id) do update set workflow_id = excluded.workflow_id,
                    workflow_version = excluded.workflow_version, wake_at = excluded.wake_at,
                    lease_owner = null, lease_expires_at = null"""
        run_moved = "set wake_at = %(wake_at)s::bigint, updated_at = %(now)s::bigint"

        # With a run in sight one statement does it all. Without one it does nothing and answers false: a run created
        # after the snapshot would not get its wakeAt. Should the run vanish on the way, the statement undoes itself.
        self.schedule_timer = f"""
            with run as materialized (
                select r.run_id from {t.runs} r where r.run_id = %(run_id)s::text
            ), timer as (
                insert into {t.timers} {timer_columns} select {timer_values} from run
                {timer_again}
                returning run_id
            ), moved as (
                update {t.runs} r {run_moved} from timer where r.run_id = timer.run_id returning 1
            )
            select case when not exists (select from run) then 0 when exists (select from moved) then 1
                        else {start_again("moved")} end as scheduled"""

        # For a run that seems not to be there, three statements in a transaction. A row that never becomes visible
        # holds the run's place meanwhile, so that createRun and deleteRun wait; where the insert meets a run, that
        # run is updated like any other.
        self.put_timer = f"insert into {t.timers} {timer_columns} values ({timer_values}) {timer_again}"
        self.hold_place = f"""
            insert into {t.runs} (run_id, workflow_id, status, input, created_at, updated_at)
            values (%(run_id)s::text, '', 'aborted', 'null', 0, 0)
            on conflict (run_id) do nothing returning 1"""
        self.leave_place = f"delete from {t.runs} where run_id = %(run_id)s::text"
        self.move_run = f"update {t.runs} {run_moved} where run_id = %(run_id)s::text returning 1"

        # See run_statements.claim_stale on changed versions and `skip locked`.
        timer_order = 'wake_at, {0}run_id collate "C", {0}signal_id collate "C"'
        self.claim_timers = f"""
            with due as (
                select w.run_id, w.signal_id from {t.timers} w
                where w.wake_at <= %(now)s::bigint and {free_lease("w")}
                  and {unchanged(t.timers, "w", "run_id", "signal_id")}
                order by w.{timer_order.format("w.")} limit %(limit)s::bigint
                for update skip locked
            ), claimed as (
                update {t.timers} w set {_LEASED} from due where w.run_id = due.run_id and w.signal_id = due.signal_id
                returning w.run_id, w.workflow_id, w.workflow_version, w.wake_at, w.signal_id
            )
            select * from claimed order by {timer_order.format("")}"""

        fields = ["workflow_id", "workflow_version", "schedule", "overlap_policy", "input", "next_fire_at", "enabled"]
        fields.append("updated_at")
        self.upsert_schedule = f"""
            insert into {t.schedules} (schedule_id, {", ".join(fields)})
            values (%(schedule_id)s::text, %(workflow_id)s::text, %(workflow_version)s::text, %(schedule)s::jsonb,
                    %(overlap_policy)s::text, %(input)s::jsonb, %(next_fire_at)s::bigint, %(enabled)s::boolean,
                    %(now)s::bigint)
            on conflict (schedule_id) do update set {", ".join(f"{name} = excluded.{name}" for name in fields)}"""

        # The schedule's row is the lock of the claim; its bucket may not be there yet. Buckets are then opened, or
        # taken if they are still the version the snapshot saw (ruling 8: what the first claim stored comes back). If
        # one slipped away to a writer that does not lock schedules (the other language's claim, a start), the limit
        # would go unfilled, so the whole statement undoes itself and starts again.
        bucket = columns(BUCKET_COLUMNS, "b")
        self.claim_buckets = f"""
            with due as (
                select s.schedule_id, s.next_fire_at::text as bucket_id, s.workflow_id, s.workflow_version,
                       s.next_fire_at, s.input, s.overlap_policy, b.ctid::text as version
                from {t.schedules} s
                left join {t.schedule_buckets} b
                  on b.schedule_id = s.schedule_id and b.bucket_id = s.next_fire_at::text
                where s.enabled and s.next_fire_at <= %(now)s::bigint
                  and (b.schedule_id is null or (b.status <> 'started' and {free_lease("b")}))
                  and {unchanged(t.schedules, "s", "schedule_id")}
                order by s.next_fire_at, s.schedule_id collate "C" limit %(limit)s::bigint
                for no key update of s skip locked
            ), opened as (
                insert into {t.schedule_buckets} as b ({", ".join(BUCKET_COLUMNS)}, status, lease_owner,
                                                       lease_expires_at)
                select schedule_id, bucket_id, workflow_id, workflow_version,
                       workflow_id || ':' || schedule_id || ':' || bucket_id, next_fire_at, input, overlap_policy,
                       'claimed', %(lease_owner)s::text, %(expires_at)s::bigint
                from due where version is null
                on conflict (schedule_id, bucket_id) do nothing
                returning {bucket}
            ), taken as (
                update {t.schedule_buckets} b set {_LEASED} from due
                where b.schedule_id = due.schedule_id and b.bucket_id = due.bucket_id and b.ctid::text = due.version
                returning {bucket}
            ), handed as materialized (
                select * from opened union all select * from taken
            ), tally as materialized (
                select case when (select count(*) from due) = (select count(*) from handed) then 0
                            else {start_again("handed")} end as lost
            )
            select handed.* from tally join handed on tally.lost = 0
            order by handed.fire_at, handed.schedule_id collate "C" """

        self.mark_started = f"""
            update {t.schedule_buckets}
            set run_id = %(run_id)s::text, status = 'started', started_at = %(now)s::bigint
            where schedule_id = %(schedule_id)s::text and bucket_id = %(bucket_id)s::text"""
