"""Between the contract's values and D1's columns, both ways. Knows no SQL and no operation.

JSON is text and comes back equal (ruling 5): numbers keep the form Python wrote them in, non-ASCII letters stay as
they are, since escapes would make them up to three times as long against D1's 2,000,000 bytes. NULL is "absent";
JSON null is the text `null`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar, cast

from pydantic import MISSING, ValidationError
from storeproof.adapters.d1.binding import Row
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.types import Shape

S = TypeVar("S", bound=Shape)


def encoded(value: object) -> str:
    """A JSON value, a model, or a list of them as JSON text. Raises ValueError for what is no JSON."""
    return json.dumps(_wire(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_or_null(value: object) -> str | None:
    return None if value is MISSING else encoded(value)


def text_or_null(value: object) -> str | None:
    return value if isinstance(value, str) else None


def integer_or_null(value: object) -> int | None:
    return value if isinstance(value, int) else None


def run_fields(row: Row) -> dict[str, object]:
    """The fields of a Run, for `built`."""
    fields = {**summary_fields(row), **_decoded(row, "input", "output", "error")}
    if row["lease_owner"] is not None and row["lease_expires_at"] is not None:
        fields["lease"] = lease_fields(row)
    return fields


def summary_fields(row: Row) -> dict[str, object]:
    """The fields of a RunSummary, for `built`."""
    return {**_identity(row), **_present(row, "wake_at")}


def state_fields(row: Row) -> dict[str, object]:
    """The fields of a RunState, for `built`."""
    return {**_identity(row), **_decoded(row, "input", "output", "error")}


def lease_fields(row: Row) -> dict[str, object]:
    return {"owner": row["lease_owner"], "expires_at": row["lease_expires_at"]}


def event_fields(row: Row) -> dict[str, object]:
    """The fields of a StoredEvent, for `built`."""
    return {
        **_present(row, "run_id", "event_index", "event_type", "step_id", "created_at"),
        **_decoded(row, "event"),
    }


def timer_fields(row: Row) -> dict[str, object]:
    """The fields of a TimerWakeup, for `built`."""
    return _present(row, "run_id", "workflow_id", "workflow_version", "wake_at", "signal_id")


def bucket_fields(row: Row) -> dict[str, object]:
    """The fields of a ScheduleBucket, for `built`."""
    return {
        **_present(
            row, "schedule_id", "bucket_id", "workflow_id", "workflow_version", "run_id", "fire_at", "overlap_policy"
        ),
        **_decoded(row, "input"),
    }


def decoded(text: object) -> object:
    """The JSON value of a column's text. Raises StoreUnavailable for a column that holds no JSON."""
    try:
        return json.loads(cast("str", text))
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(f"a column that should hold JSON holds {str(text)[:80]!r}") from error


def built(shape: type[S], fields: Mapping[str, object]) -> S:
    """The answer. Raises StoreUnavailable if the stored row breaks the contract, which another writer must have done.

    One validation for an answer and the run in it: giving the answer a Run would check and copy the run twice.
    """
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreUnavailable(
            f"a stored row is no valid {shape.__name__}: {where}: {first['msg']}; another program wrote or changed it"
        ) from error


def _identity(row: Row) -> dict[str, object]:
    """What runs, summaries and states have in common."""
    return {
        **_present(row, "run_id", "workflow_id", "workflow_version", "status", "created_at", "updated_at"),
        **_decoded(row, "awaiting", "waiting_for", "pending_approval"),
    }


def _present(row: Row, *names: str) -> dict[str, object]:
    return {name: row[name] for name in names if row[name] is not None}


def _decoded(row: Row, *names: str) -> dict[str, object]:
    return {name: decoded(row[name]) for name in names if row[name] is not None}


def _wire(value: object) -> object:
    if isinstance(value, Shape):
        return value.to_wire()
    return [_wire(item) for item in cast("list[object]", value)] if isinstance(value, list) else value
