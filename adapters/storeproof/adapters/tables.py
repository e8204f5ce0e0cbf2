"""SQLAlchemy definitions of the tables, for typed reads by dashboards and administration.

They describe what the migrations make and make nothing themselves: a test compares them with migrated databases.
Knows no operation; the stores do not need them to run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine
from storeproof.adapters.names import TableNames

Dialect: TypeAlias = Literal["postgresql", "sqlite"]

MAX_POSTGRES_NAME_BYTES = 63
"""Postgres cuts longer identifiers off silently, and two names could become one."""


def tables(
    metadata: MetaData | None = None,
    *,
    dialect: Dialect = "postgresql",
    schema: str | None = None,
    names: TableNames | None = None,
) -> dict[str, Table]:
    """The tables under the field names of TableNames, with columns, primary keys and indexes.

    `dialect`: "postgresql" for PostgresStore, "sqlite" for D1Store, whose JSON is text and whose flags are integers.
    """
    registry, named = metadata or MetaData(), names or TableNames()
    columns = _Columns(dialect)
    made: dict[str, Table] = {}
    for field in fields(TableNames):
        columns_of: Callable[[], list[Column[Any]]] = getattr(columns, field.name)
        made[field.name] = Table(getattr(named, field.name), registry, *columns_of(), schema=schema)
    _add_indexes(made, dialect)
    return made


def index_name(table: str, suffix: str) -> str:
    """The name of a table's index in Postgres: upstream's `table_suffix`, or a shortened one that stays distinct.

    Left to Postgres, a long name would be cut to the table's own, `if not exists` would find that, and the index would
    silently be missing.
    """
    name = f"{table}_{suffix}"
    if len(name.encode()) <= MAX_POSTGRES_NAME_BYTES:
        return name
    digest = hashlib.sha256(table.encode()).hexdigest()[:8]
    room = MAX_POSTGRES_NAME_BYTES - len(suffix) - len(digest) - 2
    return f"{table.encode()[:room].decode(errors='ignore')}_{digest}_{suffix}"


class _Columns:
    """The columns of each table, under the field names of TableNames."""

    def __init__(self, dialect: Dialect) -> None:
        postgres = dialect == "postgresql"
        self._json: type[TypeEngine[Any]] = JSONB if postgres else Text
        self._time: type[TypeEngine[Any]] = BigInteger if postgres else Integer
        self._flag: type[TypeEngine[Any]] = Boolean if postgres else Integer

    def schema_migrations(self) -> list[Column[Any]]:
        return [
            Column("migration_id", Text, primary_key=True),
            Column("package_name", Text, nullable=False),
            Column("package_version", Text),
            Column("applied_at", self._time, nullable=False),
        ]

    def runs(self) -> list[Column[Any]]:
        return [
            *self._run(),
            Column("wake_at", self._time),
            *self._lease(),
            Column("created_at", self._time, nullable=False),
            Column("updated_at", self._time, nullable=False),
        ]

    def run_states(self) -> list[Column[Any]]:
        return [
            *self._run(),
            Column("created_at", self._time, nullable=False),
            Column("updated_at", self._time, nullable=False),
        ]

    def event_locks(self) -> list[Column[Any]]:
        return [Column("run_id", Text, primary_key=True), Column("created_at", self._time, nullable=False)]

    def events(self) -> list[Column[Any]]:
        return [
            Column("run_id", Text, primary_key=True),
            Column("event_index", Integer, primary_key=True, autoincrement=False),
            Column("event_type", Text, nullable=False),
            Column("step_id", Text),
            Column("event", self._json, nullable=False),
            Column("created_at", self._time, nullable=False),
        ]

    def timers(self) -> list[Column[Any]]:
        return [
            Column("run_id", Text, primary_key=True),
            Column("signal_id", Text, primary_key=True),
            *self._workflow(),
            Column("wake_at", self._time, nullable=False),
            *self._lease(),
        ]

    def signal_deliveries(self) -> list[Column[Any]]:
        return [
            Column("run_id", Text, primary_key=True),
            Column("signal_id", Text, primary_key=True),
            Column("created_at", self._time, nullable=False),
        ]

    def schedules(self) -> list[Column[Any]]:
        return [
            Column("schedule_id", Text, primary_key=True),
            *self._workflow(),
            Column("schedule", self._json, nullable=False),
            Column("overlap_policy", Text, nullable=False),
            Column("input", self._json),
            Column("next_fire_at", self._time),
            Column("enabled", self._flag, nullable=False),
            Column("updated_at", self._time, nullable=False),
        ]

    def schedule_buckets(self) -> list[Column[Any]]:
        return [
            Column("schedule_id", Text, primary_key=True),
            Column("bucket_id", Text, primary_key=True),
            *self._workflow(),
            Column("run_id", Text, nullable=False),
            Column("fire_at", self._time, nullable=False),
            Column("input", self._json),
            Column("overlap_policy", Text, nullable=False),
            Column("status", Text, nullable=False),
            *self._lease(),
            Column("started_at", self._time),
        ]

    def _run(self) -> list[Column[Any]]:
        waits = [Column(name, self._json) for name in ("awaiting", "waiting_for", "pending_approval")]
        return [
            Column("run_id", Text, primary_key=True),
            *self._workflow(),
            Column("status", Text, nullable=False),
            Column("input", self._json, nullable=False),
            Column("output", self._json),
            Column("error", self._json),
            *waits,
        ]

    def _workflow(self) -> list[Column[Any]]:
        return [Column("workflow_id", Text, nullable=False), Column("workflow_version", Text)]

    def _lease(self) -> list[Column[Any]]:
        return [Column("lease_owner", Text), Column("lease_expires_at", self._time)]


def _add_indexes(made: dict[str, Table], dialect: Dialect) -> None:
    postgres = dialect == "postgresql"

    def add(field: str, suffix: str, *keys: Column[Any]) -> None:
        table = made[field]
        Index(index_name(table.name, suffix) if postgres else f"{table.name}_{suffix}", *keys, _table=table)

    # Casts, because SQLAlchemy takes expressions here and its annotations name only columns.
    def descending(column: Column[Any]) -> Column[Any]:
        return cast("Column[Any]", column.desc())

    def by_code_point(column: Column[Any]) -> Column[Any]:
        return cast("Column[Any]", column.collate("C")) if postgres else column

    runs, timers, schedules = made["runs"].c, made["timers"].c, made["schedules"].c
    events, buckets = made["events"].c, made["schedule_buckets"].c
    add("runs", "status_idx", runs.status, runs.updated_at)
    add("runs", "lease_idx", runs.status, runs.lease_expires_at)
    add("runs", "updated_idx", descending(runs.updated_at), by_code_point(runs.run_id))
    add("runs", "workflow_idx", runs.workflow_id, descending(runs.updated_at), by_code_point(runs.run_id))
    start_of_type = cast("Column[Any]", func.left(events.event_type, 200)) if postgres else events.event_type
    add("events", "type_idx", events.run_id, start_of_type)
    add("timers", "due_idx", timers.wake_at, timers.lease_expires_at)
    add("timers", "wake_idx", timers.wake_at, by_code_point(timers.run_id), by_code_point(timers.signal_id))
    add("schedules", "due_idx", schedules.enabled, schedules.next_fire_at)
    add("schedules", "fire_idx", schedules.enabled, schedules.next_fire_at, by_code_point(schedules.schedule_id))
    add("schedule_buckets", "lease_idx", buckets.status, buckets.fire_at, buckets.lease_expires_at)
