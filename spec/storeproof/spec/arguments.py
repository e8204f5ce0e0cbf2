"""What each operation takes, and the one function that refuses what it must not take.

An adapter's method begins with `checked(...)`; bad input is so refused before anything
changes (rulings 5, 6, 17 to 23).
"""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

from pydantic import MISSING, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.types import (
    Approval,
    ApprovalWait,
    Awaitable,
    DeleteReason,
    OverlapPolicy,
    RunState,
    ScheduleSpec,
    SerializedError,
    Shape,
    SignalDelivery,
    SignalWait,
    Status,
)
from storeproof.spec.values import (
    MAX_BYTES,
    MAX_INTEGER,
    Cursor,
    Event,
    Id,
    Integer,
    Json,
    Positive,
    Text,
    Time,
)


class RunIdArguments(Shape):
    run_id: Id


class CreateRunArguments(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    input: Json
    now: Time


class SaveRunStateArguments(Shape):
    state: RunState


class DeleteRunArguments(Shape):
    run_id: Id
    reason: DeleteReason


class AppendEventsArguments(Shape):
    run_id: Id
    expected_next_index: Integer
    events: list[Event]


class ReadEventsArguments(Shape):
    run_id: Id
    from_index: Integer | MISSING = MISSING


class SubscribeEventsArguments(Shape):
    run_id: Id
    from_index: Integer


class _Leasing(Shape):
    """Arguments that ask for a lease; `now + lease_ms` must stay an integer of the contract (ruling 19)."""

    lease_owner: Id
    lease_ms: Positive
    now: Time

    @model_validator(mode="after")
    def _lease_ends_in_range(self) -> _Leasing:
        if self.now + self.lease_ms > MAX_INTEGER:
            raise InvalidArgument("leaseMs", "now + leaseMs is beyond 2^53-1")
        return self

    @property
    def expires_at(self) -> int:
        """When the new lease ends, in milliseconds."""
        return self.now + self.lease_ms


class ClaimRunArguments(_Leasing):
    run_id: Id


class HeartbeatRunLeaseArguments(_Leasing):
    run_id: Id


class ReleaseRunLeaseArguments(Shape):
    run_id: Id
    lease_owner: Id


class ClaimDueArguments(_Leasing):
    """claimDueTimers, claimDueScheduleBuckets and claimStaleRuns."""

    limit: Integer


class MarkRunPausedArguments(Shape):
    run_id: Id
    awaiting: list[Awaitable] | MISSING = MISSING
    waiting_for: SignalWait | MISSING = MISSING
    pending_approval: ApprovalWait | MISSING = MISSING
    wake_at: Time | MISSING = MISSING
    now: Time


class MarkRunFinishedArguments(Shape):
    run_id: Id
    output: Json
    now: Time


class MarkRunErroredArguments(Shape):
    run_id: Id
    error: SerializedError
    code: Text
    now: Time


class ScheduleTimerArguments(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    wake_at: Time
    signal_id: Id
    now: Time


class DeliverSignalArguments(Shape):
    run_id: Id
    delivery: SignalDelivery
    now: Time


class DeliverApprovalArguments(Shape):
    run_id: Id
    approval: Approval
    now: Time


class UpsertScheduleArguments(Shape):
    schedule_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    schedule: ScheduleSpec
    overlap_policy: OverlapPolicy
    input: Json | MISSING = MISSING
    next_fire_at: Time | MISSING = MISSING
    enabled: Annotated[bool, Field(strict=True)]
    now: Time

    @model_validator(mode="after")
    def _run_id_fits(self) -> UpsertScheduleArguments:
        if len(self.workflow_id.encode()) + len(self.schedule_id.encode()) > 1006:
            raise InvalidArgument("scheduleId", "workflowId and scheduleId together exceed 1,006 bytes (ruling 17)")
        return self


class MarkScheduleBucketStartedArguments(Shape):
    schedule_id: Id
    bucket_id: Id
    run_id: Id
    now: Time


class ListRunsArguments(Shape):
    workflow_id: Id | MISSING = MISSING
    status: Status | MISSING = MISSING
    limit: Integer
    cursor: Cursor | MISSING = MISSING


A = TypeVar("A", bound=Shape)


def checked(shape: type[A], /, **arguments: object) -> A:
    """The arguments as `shape`, own copies of everything; raises InvalidArgument naming the first bad field.

    Takes Python names and models, or wire names and plain values, for every nested value.
    """
    try:
        valid = shape.model_validate(arguments)
    except ValidationError as error:
        raise _invalid_argument(error) from None
    _check_size(valid)
    return valid


def _check_size(valid: Shape) -> None:
    wire = valid.to_wire()
    if len(json.dumps(wire, ensure_ascii=False).encode()) > MAX_BYTES:
        largest = max(wire, key=lambda name: len(json.dumps(wire[name])))
        raise InvalidArgument(largest, f"the arguments exceed this store's limit of {MAX_BYTES:,} bytes of JSON")


def _invalid_argument(error: ValidationError) -> InvalidArgument:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return InvalidArgument(_path(first["loc"]), first["msg"])


_UNION_TAGS = {"signal", "approval", "cron", "interval"}


def _path(location: tuple[str | int, ...]) -> str:
    """The path in wire names; pydantic names a field as the caller did and puts the tag of a union into the path."""
    path = ""
    for before, part in zip((None, *location), location, strict=False):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in _UNION_TAGS and (isinstance(before, int) or before == "schedule")):
            name = to_camel(part) if "_" in part else part
            path += f".{name}" if path else name
    return path or "arguments"
