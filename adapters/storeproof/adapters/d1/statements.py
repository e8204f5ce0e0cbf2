"""The SQL of every operation, rendered once per store from the names of its tables. Knows no argument and no answer.

Each operation is one statement or one batch, and decides by the rows that come back. Rules all of it keeps: an integer
is bound as REAL on D1, so it goes into a column of INTEGER affinity or through `cast(.. as integer)`; `limit` takes the
cast too; SQLite 3.40 understands every line. Rows come back in no promised order, except from an ordered `select`.
"""

from __future__ import annotations

from storeproof.adapters.d1.identifiers import quoted_tables
from storeproof.adapters.names import TableNames

_SUMMARY = (
    "run_id, workflow_id, workflow_version, status, awaiting, waiting_for, pending_approval, "
    "wake_at, created_at, updated_at"
)
_RUN = f"{_SUMMARY}, input, output, error, lease_owner, lease_expires_at"
_STATE = (
    "run_id, workflow_id, workflow_version, status, input, output, error, awaiting, waiting_for, pending_approval, "
    "created_at, updated_at"
)
_EVENT = "run_id, event_index, event_type, step_id, event, created_at"
_NO_WAITS = "awaiting = null, waiting_for = null, pending_approval = null, wake_at = null"
_NO_LEASE = "lease_owner = null, lease_expires_at = null"


class RunStatements:
    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)
        replaced = ", ".join(f"{name} = excluded.{name}" for name in _STATE.split(", ")[1:])

        self.create = f"""
            insert into {t.runs} (run_id, workflow_id, workflow_version, status, input, created_at, updated_at)
            values (?1, ?2, ?3, 'queued', ?4, ?5, ?5)
            on conflict (run_id) do nothing
            returning {_RUN}"""
        self.load = f"select {_RUN} from {t.runs} where run_id = ?1"
        self.load_state = f"select {_STATE} from {t.run_states} where run_id = ?1"
        self.save_state = f"""
            insert into {t.run_states} ({_STATE})
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            on conflict (run_id) do update set {replaced}"""
        self.save_run = f"""
            insert into {t.runs} ({_STATE}, wake_at)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            on conflict (run_id) do update set {replaced}, wake_at = excluded.wake_at"""
        self.delete = [
            f"delete from {table} where run_id = ?1"
            for table in (t.run_states, t.event_locks, t.signal_deliveries, t.timers, t.events, t.runs)
        ]
        self.pause = f"""
            update {t.runs}
            set status = 'paused', awaiting = ?2, waiting_for = ?3, pending_approval = ?4, wake_at = ?5,
              {_NO_LEASE}, updated_at = ?6
            where run_id = ?1"""
        self.finish = f"""
            update {t.runs}
            set status = 'finished', output = ?2, {_NO_WAITS}, {_NO_LEASE}, updated_at = ?3
            where run_id = ?1"""
        self.fail = f"""
            update {t.runs}
            set status = 'errored', error = ?2, {_NO_WAITS}, {_NO_LEASE}, updated_at = ?3
            where run_id = ?1"""
        # One text per filter: `?1 is null or workflow_id = ?1` would keep SQLite from using an index.
        page = "order by updated_at desc, run_id limit cast(?1 as integer) offset cast(?2 as integer)"
        self.list_all = f"select {_SUMMARY} from {t.runs} {page}"
        self.list_by_workflow = f"select {_SUMMARY} from {t.runs} where workflow_id = ?3 {page}"
        self.list_by_status = f"select {_SUMMARY} from {t.runs} where status = ?3 {page}"
        self.list_by_both = f"select {_SUMMARY} from {t.runs} where workflow_id = ?3 and status = ?4 {page}"


class LeaseStatements:
    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)

        self.claim = f"""
            update {t.runs}
            set status = 'running', lease_owner = ?2, lease_expires_at = ?3, updated_at = ?4
            where run_id = ?1 and status not in ('finished', 'errored', 'aborted')
              and (lease_owner is null or lease_owner = ?2 or lease_expires_at <= cast(?4 as integer))
            returning {_RUN}"""
        self.heartbeat = f"""
            update {t.runs} set lease_expires_at = ?3, updated_at = ?4
            where run_id = ?1 and lease_owner = ?2"""
        self.release = f"update {t.runs} set {_NO_LEASE} where run_id = ?1 and lease_owner = ?2"
        stale = f"""
              select run_id from {t.runs}
              where status = 'running' and lease_owner is not null and lease_expires_at <= cast(?3 as integer)
              order by updated_at, run_id limit cast(?4 as integer)"""
        # Its order is that of the old updated_at, which `returning` no longer sees: the same batch reads it first.
        self.find_stale = stale.replace("?3", "?1").replace("?4", "?2").strip()
        self.claim_stale = f"""
            update {t.runs}
            set lease_owner = ?1, lease_expires_at = ?2, updated_at = ?3
            where run_id in ({stale})
            returning {_RUN}"""


class LogStatements:
    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)
        # The largest index is one search in the primary key; count(*), as upstream has it, reads the whole log.
        length = f"(select coalesce(max(event_index), -1) + 1 from {t.events} where run_id = ?1)"

        # ->> gives a string as text, and ts into a column of INTEGER affinity, where 5.0 becomes 5.
        self.append = f"""
            insert into {t.events} ({_EVENT})
            select ?1, cast(?2 as integer) + e.key, e.value ->> '$.type', e.value ->> '$.stepId', e.value,
              e.value ->> '$.ts'
            from json_each(?3) e
            where {length} = cast(?2 as integer)
            returning event_index"""
        self.standing = f"""
            select {length} as next_index,
              (select event from {t.events} where run_id = ?1 and event_index = cast(?2 as integer)) as event"""
        self.read = f"""
            select {_EVENT} from {t.events}
            where run_id = ?1 and event_index >= cast(?2 as integer)
            order by event_index"""
        self.read_some = f"{self.read} limit cast(?3 as integer)"


class TimerStatements:
    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)

        self.schedule = f"""
            insert into {t.timers} (run_id, signal_id, workflow_id, workflow_version, wake_at)
            values (?1, ?2, ?3, ?4, ?5)
            on conflict (run_id, signal_id) do update set workflow_id = excluded.workflow_id,
              workflow_version = excluded.workflow_version, wake_at = excluded.wake_at, {_NO_LEASE}"""
        self.wake_run = f"update {t.runs} set wake_at = ?2, updated_at = ?3 where run_id = ?1"
        self.claim_due = f"""
            update {t.timers}
            set lease_owner = ?1, lease_expires_at = ?2
            where (run_id, signal_id) in (
              select run_id, signal_id from {t.timers}
              where wake_at <= cast(?3 as integer)
                and (lease_owner is null or lease_owner = ?1 or lease_expires_at <= cast(?3 as integer))
              order by wake_at, run_id, signal_id limit cast(?4 as integer))
            returning run_id, signal_id, workflow_id, workflow_version, wake_at"""


class DeliveryStatements:
    """deliverSignal and deliverApproval: ?1 is the run, ?2 the stored id.

    The first statement decides and leaves a delivery whose created_at is negative; the next ones act on that mark, and
    the last takes it off. The batch is one transaction, so nobody else sees a mark, and none is there before. Refused:
    `changes()`, which leans on the server running nothing between the statements, and a column with a random token.
    """

    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)
        marked = f"exists (select 1 from {t.signal_deliveries} where run_id = ?1 and signal_id = ?2 and created_at < 0)"

        def accepts(wait: str) -> str:
            return f"""({wait} ->> '$.signalName' = ?3
                and (?4 is null or {wait} ->> '$.stepId' is null or {wait} ->> '$.stepId' = ?4))"""

        def deciding(accepted: str) -> str:
            return f"""
            insert into {t.signal_deliveries} (run_id, signal_id, created_at)
            select r.run_id, ?2, -1 from {t.runs} r where r.run_id = ?1 and {accepted}
            on conflict (run_id, signal_id) do nothing"""

        self.decide_signal = deciding(f"""({accepts("r.waiting_for")} or exists (
              select 1 from json_each(r.awaiting) w
              where w.value ->> '$.type' = 'signal' and {accepts("w.value")}))""")
        self.decide_approval = deciding("""(r.pending_approval ->> '$.approvalId' = ?3 or exists (
              select 1 from json_each(r.awaiting) w
              where w.value ->> '$.type' = 'approval' and w.value ->> '$.approvalId' = ?3))""")
        # ?3 is the delivery's own id, which the stored one may differ from (ruling 4).
        self.drop_timer = f"delete from {t.timers} where run_id = ?1 and signal_id = ?3 and {marked}"
        self.queue_run = f"""
            update {t.runs} set status = 'queued', {_NO_WAITS}, updated_at = ?3
            where run_id = ?1 and {marked}
            returning {_RUN}"""
        self.take_mark = f"""
            update {t.signal_deliveries} set created_at = ?3
            where run_id = ?1 and signal_id = ?2 and created_at < 0"""
        self.look = f"""
            select {_RUN}, exists (select 1 from {t.signal_deliveries} where run_id = ?1 and signal_id = ?2) as seen
            from {t.runs} where run_id = ?1"""


class ScheduleStatements:
    def __init__(self, tables: TableNames) -> None:
        t = quoted_tables(tables)
        bucket = (
            "schedule_id, bucket_id, workflow_id, workflow_version, run_id, fire_at, input, overlap_policy, "
            "status, lease_owner, lease_expires_at"
        )

        self.upsert = f"""
            insert into {t.schedules} (schedule_id, workflow_id, workflow_version, schedule, overlap_policy, input,
              next_fire_at, enabled, updated_at)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            on conflict (schedule_id) do update set workflow_id = excluded.workflow_id,
              workflow_version = excluded.workflow_version, schedule = excluded.schedule,
              overlap_policy = excluded.overlap_policy, input = excluded.input,
              next_fire_at = excluded.next_fire_at, enabled = excluded.enabled, updated_at = excluded.updated_at"""
        # next_fire_at is an INTEGER column, so its text has no ".0". A bucket keeps all but its lease (ruling 8).
        self.claim_due = f"""
            insert into {t.schedule_buckets} ({bucket})
            select s.schedule_id, cast(s.next_fire_at as text), s.workflow_id, s.workflow_version,
              s.workflow_id || ':' || s.schedule_id || ':' || cast(s.next_fire_at as text), s.next_fire_at, s.input,
              s.overlap_policy, 'claimed', ?1, ?2
            from {t.schedules} s left join {t.schedule_buckets} b
              on b.schedule_id = s.schedule_id and b.bucket_id = cast(s.next_fire_at as text)
            where s.enabled = 1 and s.next_fire_at <= cast(?3 as integer)
              and (b.schedule_id is null or (b.status <> 'started'
                and (b.lease_owner is null or b.lease_owner = ?1 or b.lease_expires_at <= cast(?3 as integer))))
            order by s.next_fire_at, s.schedule_id limit cast(?4 as integer)
            on conflict (schedule_id, bucket_id) do update
              set lease_owner = excluded.lease_owner, lease_expires_at = excluded.lease_expires_at
            returning {bucket}"""
        self.mark_started = f"""
            update {t.schedule_buckets} set run_id = ?3, status = 'started', started_at = ?4
            where schedule_id = ?1 and bucket_id = ?2"""
