"""The rows of the memory store in wire form, and the few questions the contract asks about one row.

A row is a plain dict with camelCase keys in which an absent field has no key. Knows no store, no operation and no
subscriber; nothing here changes a row it was given.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic import JsonValue

Row: TypeAlias = dict[str, Any]
"""`Any`, because a row's fields have as many types as the contract; the models check them on the way in and out."""

TERMINAL = frozenset({"finished", "errored", "aborted"})
WAITS = ("awaiting", "waitingFor", "pendingApproval", "wakeAt")
"""What a run waits for; the four fields come and go together (section 2, markRunPaused)."""

_NOT_IN_A_SUMMARY = ("input", "output", "error", "lease")


def lease(owner: str, expires_at: int) -> Row:
    """A lease that ends at `expires_at`, in milliseconds."""
    return {"owner": owner, "expiresAt": expires_at}


def without(row: Row, *names: str) -> Row:
    """A copy in which these fields are absent."""
    return {name: value for name, value in row.items() if name not in names}


def run_of_state(state: Row, before: Row | None) -> Row:
    """The run row saveRunState writes over `before`: every field is the state's, the lease stays."""
    run = dict(state)
    waiting_for = state.get("waitingFor", {})
    if waiting_for.get("signalName") == "__timer" and "deadline" in waiting_for:
        run["wakeAt"] = waiting_for["deadline"]
    if before is not None and "lease" in before:
        run["lease"] = before["lease"]
    return run


def stored_event(run_id: str, index: int, event: dict[str, JsonValue]) -> Row:
    """eventType, stepId and createdAt are the event's type, stepId and ts; the event itself stays as it is."""
    row: Row = {"runId": run_id, "eventIndex": index, "eventType": event["type"], "event": event}
    if "stepId" in event:
        row["stepId"] = event["stepId"]
    row["createdAt"] = event["ts"]
    return row


def signal_waits(run: Row) -> list[Row]:
    """Every wait a signal may end: waitingFor, and the signals among awaiting."""
    waits = [run["waitingFor"]] if "waitingFor" in run else []
    return waits + [wait for wait in run.get("awaiting", []) if wait["type"] == "signal"]


def approval_waits(run: Row) -> list[Row]:
    """Every wait an approval may end: pendingApproval, and the approvals among awaiting."""
    waits = [run["pendingApproval"]] if "pendingApproval" in run else []
    return waits + [wait for wait in run.get("awaiting", []) if wait["type"] == "approval"]


def bucket_of_schedule(schedule: Row) -> Row:
    """The bucket a due schedule asks for now, not yet leased (section 2, claimDueScheduleBuckets)."""
    bucket_id = str(schedule["nextFireAt"])
    bucket = without(schedule, "nextFireAt", "enabled", "schedule")
    bucket["bucketId"] = bucket_id
    bucket["runId"] = f"{schedule['workflowId']}:{schedule['scheduleId']}:{bucket_id}"
    bucket["fireAt"] = schedule["nextFireAt"]
    return bucket


def summary(run: Row) -> Row:
    """What listRuns shows of a run."""
    return without(run, *_NOT_IN_A_SUMMARY)
