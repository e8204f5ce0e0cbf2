"""The statements on runs and their states, rendered once per store. Knows no driver and no result type.

All statements of this adapter lock in upstream's order: run states, event locks, deliveries, timers, events, runs. So a
fleet in two languages does not deadlock over a run. Every parameter has a cast: without one its type would depend on
the value, and a transaction pooler would see many statements where there is one.
"""

from __future__ import annotations

from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres.fragments import (
    RUN_COLUMNS,
    STATE_COLUMNS,
    SUMMARY_COLUMNS,
    accepts_approval,
    accepts_signal,
    columns,
    free_lease,
    start_again,
    unchanged,
)

_FREED = "lease_owner = null, lease_expires_at = null"
_WAITS_GONE = "awaiting = null, waiting_for = null, pending_approval = null, wake_at = null"
_LEASED = "lease_owner = %(lease_owner)s::text, lease_expires_at = %(expires_at)s::bigint"
_TERMINAL = "('finished', 'errored', 'aborted')"


class RunStatements:
    """One attribute per statement; `t` holds quoted names, with `%` doubled."""

    def __init__(self, t: TableNames) -> None:
        run = columns(RUN_COLUMNS, "r")

        # No row comes back if the run appeared after the snapshot: the insert met it, the select can't see it. The
        # store then asks again. Refused: `on conflict do update`, which answers at once but writes to a mere look.
        self.create = f"""
            with created as (
                insert into {t.runs} as r (run_id, workflow_id, workflow_version, status, input, created_at, updated_at)
                values (%(run_id)s::text, %(workflow_id)s::text, %(workflow_version)s::text, 'queued',
                        %(input)s::jsonb, %(now)s::bigint, %(now)s::bigint)
                on conflict (run_id) do nothing
                returning {run}
            )
            select 'created' as kind, created.* from created
            union all
            select 'existing', {run} from {t.runs} r
            where r.run_id = %(run_id)s::text and not exists (select from created)"""

        self.load = f"select {run} from {t.runs} r where r.run_id = %(run_id)s::text"

        # One statement is one snapshot (ruling 10). An event is never SQL NULL, so json_agg loses nothing.
        self.load_with_events = f"""
            select {run}, (
                select json_agg(json_build_array(e.event_index, e.event_type, e.step_id, e.event, e.created_at)
                                order by e.event_index)::text
                from {t.events} e where e.run_id = r.run_id
            ) as events
            from {t.runs} r where r.run_id = %(run_id)s::text"""

        self.load_state = f"""
            select {columns(STATE_COLUMNS, "s")} from {t.run_states} s where s.run_id = %(run_id)s::text"""

        saved = [name for name in STATE_COLUMNS if name != "run_id"]
        values = ", ".join(
            f"%({name})s::{'bigint' if name in ('created_at', 'updated_at') else kind}"
            for name, kind in ((name, _type(name)) for name in STATE_COLUMNS)
        )
        replaced = ", ".join(f"{name} = excluded.{name}" for name in saved)
        # It reads nothing but the rows it writes, so one statement is right whatever the snapshot; the second insert
        # reads from the first to keep the order of the locks.
        self.save_state = f"""
            with state as (
                insert into {t.run_states} ({", ".join(STATE_COLUMNS)}) values ({values})
                on conflict (run_id) do update set {replaced}
                returning {", ".join(STATE_COLUMNS)}
            )
            insert into {t.runs} ({", ".join(STATE_COLUMNS)}, wake_at)
            select {", ".join(STATE_COLUMNS)}, %(wake_at)s::bigint from state
            on conflict (run_id) do update set {replaced}, wake_at = excluded.wake_at"""

        # Two statements in one transaction, because rows that appeared while waiting for a lock must go too and only a
        # later snapshot shows them. A missing run is locked by a row of its own that never becomes visible: without
        # it, a run created meanwhile would be seen together with events that vanish under it. The event lock is
        # taken as an append takes it.
        self.lock_for_delete = f"""
            with state as (
                select 1 from {t.run_states} where run_id = %(run_id)s::text for update
            ), log as (
                insert into {t.event_locks} as l (run_id, created_at)
                select %(run_id)s::text, 0 where (select count(*) from state) >= 0
                on conflict (run_id) do update set created_at = l.created_at
                returning 1
            ), timers as (
                select 1 from {t.timers} where run_id = %(run_id)s::text and (select count(*) from log) >= 0
                order by signal_id collate "C" for update
            )
            insert into {t.runs} as r (run_id, workflow_id, status, input, created_at, updated_at)
            select %(run_id)s::text, '', 'aborted', 'null', 0, 0 where (select count(*) from timers) >= 0
            on conflict (run_id) do update set updated_at = r.updated_at"""
        deletes = ", ".join(
            f"d{number} as (delete from {table} where run_id = %(run_id)s::text)"
            for number, table in enumerate((t.run_states, t.event_locks, t.signal_deliveries, t.timers, t.events))
        )
        self.delete = f"with {deletes} delete from {t.runs} where run_id = %(run_id)s::text"

        # `claimable` without a claim means the run changed in between; the store then asks again. Nothing was written.
        claimable = f"r.status not in {_TERMINAL} and {free_lease('r')}"
        self.claim = f"""
            with claimed as (
                update {t.runs} r set status = 'running', {_LEASED}, updated_at = %(now)s::bigint
                where r.run_id = %(run_id)s::text and {claimable}
                returning {run}
            )
            select 'claimed' as kind, claimed.* from claimed
            union all
            select case when {claimable} then 'changed' else 'not-claimable' end, {run}
            from {t.runs} r where r.run_id = %(run_id)s::text and not exists (select from claimed)"""

        owned = "where run_id = %(run_id)s::text and lease_owner = %(lease_owner)s::text"
        self.heartbeat = f"update {t.runs} set {_LEASED}, updated_at = %(now)s::bigint {owned}"
        self.release = f"update {t.runs} set {_FREED} {owned}"

        # A version that changed since the snapshot had a writer in flight, so it may be left out (rulings 2 and 15),
        # and must be: its place in the order is the old one. `skip locked` instead of waiting, or many workers would
        # queue for the same first rows.
        self.claim_stale = f"""
            with stale as (
                select r.run_id, r.updated_at as since from {t.runs} r
                where r.status = 'running' and r.lease_expires_at <= %(now)s::bigint
                  and {unchanged(t.runs, "r", "run_id")}
                order by r.updated_at, r.run_id collate "C" limit %(limit)s::bigint
                for update skip locked
            ), claimed as (
                update {t.runs} r set {_LEASED}, updated_at = %(now)s::bigint
                from stale where r.run_id = stale.run_id
                returning {run}, stale.since
            )
            select * from claimed order by since, run_id collate "C" """

        known = "where run_id = %(run_id)s::text"
        self.mark_paused = f"""
            update {t.runs} set status = 'paused', awaiting = %(awaiting)s::jsonb,
                waiting_for = %(waiting_for)s::jsonb, pending_approval = %(pending_approval)s::jsonb,
                wake_at = %(wake_at)s::bigint, {_FREED}, updated_at = %(now)s::bigint {known}"""
        self.mark_finished = f"""
            update {t.runs} set status = 'finished', output = %(output)s::jsonb, {_WAITS_GONE}, {_FREED},
                updated_at = %(now)s::bigint {known}"""
        self.mark_errored = f"""
            update {t.runs} set status = 'errored', error = %(error)s::jsonb, {_WAITS_GONE}, {_FREED},
                updated_at = %(now)s::bigint {known}"""

        self.deliver_signal = _deliver(t, accepts_signal("r"), drops_timer=True)
        self.deliver_approval = _deliver(t, accepts_approval("r"), drops_timer=False)

        self.list = f"""
            select {columns(SUMMARY_COLUMNS, "r")} from {t.runs} r
            where (%(workflow_id)s::text is null or r.workflow_id = %(workflow_id)s::text)
              and (%(status)s::text is null or r.status = %(status)s::text)
            order by r.updated_at desc, r.run_id collate "C"
            limit %(limit)s::bigint offset %(offset)s::bigint"""


def _type(column: str) -> str:
    return "jsonb" if column in ("input", "output", "error", "awaiting", "waiting_for", "pending_approval") else "text"


def _deliver(t: TableNames, accepts: str, *, drops_timer: bool) -> str:
    """Remembers, drops the timer, wakes the run: in upstream's order of locks, so the run is last.

    The run is the guard: every operation that touches its deliveries or timers changes it too, so if it is the version
    of the snapshot, all that was read holds. If it is not, the delivery already made is undone by failing. If another
    delivery of the same id came first, nothing was written and the answer is `changed`.
    """
    timers = f"""
            ), dropped as (
                delete from {t.timers} w using remembered
                where w.run_id = remembered.run_id and w.signal_id = %(signal_id)s::text
                returning 1"""
    after_timers = "and (select count(*) from dropped) >= 0" if drops_timer else ""
    names = ", ".join(f"run.{name}" for name in RUN_COLUMNS)
    return f"""
            with run as materialized (
                select {columns(RUN_COLUMNS, "r")}, ({accepts}) as accepts
                from {t.runs} r where r.run_id = %(run_id)s::text
            ), seen as materialized (
                select 1 from {t.signal_deliveries} d
                where d.run_id = %(run_id)s::text and d.signal_id = %(key)s::text
            ), remembered as (
                insert into {t.signal_deliveries} (run_id, signal_id, created_at)
                select run.run_id, %(key)s::text, %(now)s::bigint from run
                where run.accepts and not exists (select from seen)
                on conflict (run_id, signal_id) do nothing
                returning run_id{timers if drops_timer else ""}
            ), woken as (
                update {t.runs} r set status = 'queued', {_WAITS_GONE}, updated_at = %(now)s::bigint
                from remembered
                where r.run_id = remembered.run_id {after_timers} and {unchanged(t.runs, "r", "run_id")}
                returning {columns(RUN_COLUMNS, "r")}
            )
            select 'delivered' as kind, woken.* from woken
            union all
            select case when exists (select from seen) then 'duplicate'
                        when not run.accepts then 'not-waiting'
                        when exists (select from remembered) then {start_again("woken")}::text
                        else 'changed' end, {names}
            from run where not exists (select from woken)"""
