"""The pieces of SQL that several statements share. Knows the columns, no whole statement and no driver.

Two of them carry the adapter's reasoning about READ COMMITTED. A statement reads a snapshot taken when it begins; where
it waits for a row lock, Postgres follows that one row to its newest version and tests the row's conditions again, while
everything else the statement reads stays as old as the snapshot. So a decision taken from several rows holds only if
the row that guards it has not changed since: `unchanged` says so, and `start_again` undoes a statement that finds out
too late.
"""

from __future__ import annotations

CHANGED = "storeproof: rows changed while they were read; the operation is undone and starts again"
"""In the error by which a statement undoes itself; also what an operator finds in the server's log."""

RUN_COLUMNS = [
    "run_id",
    "workflow_id",
    "workflow_version",
    "status",
    "input",
    "output",
    "error",
    "awaiting",
    "waiting_for",
    "pending_approval",
    "wake_at",
    "lease_owner",
    "lease_expires_at",
    "created_at",
    "updated_at",
]
STATE_COLUMNS = [name for name in RUN_COLUMNS if name not in ("wake_at", "lease_owner", "lease_expires_at")]
SUMMARY_COLUMNS = [
    name for name in RUN_COLUMNS if name not in ("input", "output", "error", "lease_owner", "lease_expires_at")
]
# What a claim hands out of a bucket; its lease and its status stay inside.
BUCKET_COLUMNS = [
    "schedule_id",
    "bucket_id",
    "workflow_id",
    "workflow_version",
    "run_id",
    "fire_at",
    "input",
    "overlap_policy",
]
JSON_COLUMNS = frozenset(("input", "output", "error", "awaiting", "waiting_for", "pending_approval", "event"))


def columns(names: list[str], alias: str) -> str:
    """A select list; JSON as text, because every driver setting decodes jsonb differently and loses SQL NULL or floats.

    Text keeps SQL NULL (absent) apart from `null`, which `to_jsonb(row)` would not.
    """
    return ", ".join(f"{alias}.{name}::text as {name}" if name in JSON_COLUMNS else f"{alias}.{name}" for name in names)


def unchanged(table: str, alias: str, *key: str) -> str:
    """True only for the row version the statement's snapshot sees; false for any newer one that a lock wait brings.

    A correlated subquery on purpose: Postgres re-tests it against the newest version, with the old snapshot. A
    self-join would be removed by newer planners. Compared as text because a tid condition may become a TID scan, whose
    re-test several releases skip.
    """
    same = " and ".join(f"seen.{name} = {alias}.{name}" for name in key)
    return f"{alias}.ctid::text = (select seen.ctid::text from {table} seen where {same})"


def start_again(rows: str) -> str:
    """An expression that fails the statement, so that all it did is undone. `rows` is a query to make it non-constant.

    The alternative, a transaction that looks and rolls back, costs two more round trips on every call.
    """
    return f"cast('{CHANGED}' || (select count(*) from {rows})::text as integer)"


def free_lease(alias: str) -> str:
    """Whether the lease in the row is free for `lease_owner` at `now`."""
    return (
        f"({alias}.lease_owner is null or {alias}.lease_owner = %(lease_owner)s::text"
        f" or {alias}.lease_expires_at <= %(now)s::bigint)"
    )


def accepts_signal(run: str) -> str:
    """Whether a wait of the run accepts the signal: names equal, and step ids where both give one."""

    def fits(wait: str) -> str:
        return (
            f"{wait}->>'signalName' = %(name)s::text and (%(step_id)s::text is null or {wait}->>'stepId' is null"
            f" or {wait}->>'stepId' = %(step_id)s::text)"
        )

    return f"""coalesce({fits(f"{run}.waiting_for")}, false) or {_any_awaited(run, "signal", fits("awaited"))}"""


def accepts_approval(run: str) -> str:
    """Whether the run waits for the approval; the step id plays no part (ruling 13)."""
    fits = "{}->>'approvalId' = %(approval_id)s::text"
    pending = fits.format(f"{run}.pending_approval")
    return f"""coalesce({pending}, false) or {_any_awaited(run, "approval", fits.format("awaited"))}"""


def _any_awaited(run: str, kind: str, condition: str) -> str:
    awaiting = f"case when jsonb_typeof({run}.awaiting) = 'array' then {run}.awaiting else '[]'::jsonb end"
    return (
        f"exists (select from jsonb_array_elements({awaiting}) as awaited"
        f" where awaited->>'type' = '{kind}' and {condition})"
    )
