"""The names of the tables, which are upstream's unless an application overrides them. Knows no SQL and no driver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """One name per table; the fields are upstream's table keys in snake_case."""

    schema_migrations: str = "workflow_schema_migrations"
    runs: str = "workflow_runs"
    run_states: str = "workflow_run_states"
    event_locks: str = "workflow_event_locks"
    events: str = "workflow_events"
    timers: str = "workflow_timers"
    signal_deliveries: str = "workflow_signal_deliveries"
    schedules: str = "workflow_schedules"
    schedule_buckets: str = "workflow_schedule_buckets"
