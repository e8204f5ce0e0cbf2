"""Between the rows of the tables and the types of the contract. Knows no SQL and no connection.

jsonb keeps numbers exactly and in full: 1e308 comes back as 309 digits. Whole numbers beyond 2^53 are therefore read as
doubles again, which is what they were (ruling 5). -0 comes back as 0, its equal (ruling 19).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar, cast

from pydantic import JsonValue, ValidationError
from storeproof.adapters.postgres.connections import Row
from storeproof.spec.arguments import ClaimDueArguments, ClaimRunArguments, HeartbeatRunLeaseArguments
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.types import (
    LoadedExecution,
    Run,
    RunClaim,
    RunState,
    RunSummary,
    ScheduleBucket,
    Shape,
    StoredEvent,
    TimerWakeup,
)

_EXACT = 2**53
_JSON = ("input", "output", "error", "awaiting", "waiting_for", "pending_approval", "event")
_LEASE = ("lease_owner", "lease_expires_at")
_EVENT = ("event_index", "event_type", "step_id", "event", "created_at")

S = TypeVar("S", bound=Shape)
Leasing: TypeAlias = ClaimRunArguments | HeartbeatRunLeaseArguments | ClaimDueArguments


def encoded(value: object) -> str:
    """JSON text of a wire value that `checked` let through."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parameters(arguments: Shape, *optional: str, json: Sequence[str] = ()) -> dict[str, object]:
    """The scalar fields under their column names, and those named in `json` as JSON text.

    Fields named in `optional` or `json` are None (SQL NULL) where absent; names are wire names.
    """
    wire = arguments.to_wire()
    scalars = {_column(name): value for name, value in wire.items() if isinstance(value, str | int)}
    absent = {_column(name): None for name in (*optional, *json) if name not in wire}
    return {**scalars, **absent, **{_column(name): encoded(wire[name]) for name in json if name in wire}}


def leasing(arguments: Leasing) -> dict[str, object]:
    """`parameters` of an operation that gives a lease, with the moment it ends."""
    return {**parameters(arguments), "expires_at": arguments.expires_at}


def decoded(text: str) -> JsonValue:
    return cast("JsonValue", json.loads(text, parse_int=_number))


def stored_signal_id(signal_id: str) -> str:
    """How a delivered signal is remembered: as it is, unless that could be an approval's name (ruling 4)."""
    return f"signal:{signal_id}" if signal_id.startswith(("approval:", "signal:")) else signal_id


def stored_approval_id(approval_id: str) -> str:
    return f"approval:{approval_id}"


def run(row: Row) -> Run:
    return _shape(Run, _run_fields(row))


def run_claim(row: Row) -> RunClaim:
    fields = _run_fields(row)
    return _shape(RunClaim, {"run": fields, "lease": fields["lease"]})


def run_state(row: Row) -> RunState:
    return _shape(RunState, _fields(row))


def run_summary(row: Row) -> RunSummary:
    return _shape(RunSummary, _fields(row))


def loaded_execution(row: Row) -> LoadedExecution:
    events = cast("list[list[Any]]", decoded(row["events"] or "[]"))
    fields = [dict(zip(_EVENT, event, strict=True), run_id=row["run_id"]) for event in events]
    execution: dict[str, object] = {"run": _run_fields(row), "events": [_present(event) for event in fields]}
    return _shape(LoadedExecution, execution)


def stored_event(row: Row) -> StoredEvent:
    return _shape(StoredEvent, _fields(row))


def timer_wakeup(row: Row) -> TimerWakeup:
    return _shape(TimerWakeup, _fields(row))


def schedule_bucket(row: Row) -> ScheduleBucket:
    return _shape(ScheduleBucket, _fields(row))


def _run_fields(row: Row) -> dict[str, object]:
    names = [name for name in row if name not in (*_LEASE, "kind", "since", "events")]
    fields = _fields({name: row[name] for name in names})
    if row["lease_owner"] is not None and row["lease_expires_at"] is not None:
        fields["lease"] = {"owner": row["lease_owner"], "expires_at": row["lease_expires_at"]}
    return fields


def _fields(row: Row) -> dict[str, object]:
    """SQL NULL is an absent field; JSON null is the text `null` and becomes None."""
    return {name: decoded(value) if name in _JSON else value for name, value in _present(row).items()}


def _present(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _shape(shape: type[S], fields: dict[str, object]) -> S:
    """The rows are validated too: another program may have written them. Raises StoreUnavailable for one that is not
    of the contract.
    """
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise StoreUnavailable(
            f"a stored {shape.__name__} does not fit the contract; was the row written by another program? {error}"
        ) from error


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) <= _EXACT else float(number)


def _column(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
