"""The rows, results and nested arguments of the contract as frozen pydantic models.

Attribute names are snake_case, wire names camelCase (`by_alias`). An absent field is `MISSING` and is not dumped; None
stands for JSON null and is allowed only where the type is Json. `schema/contract.schema.json` is the source of truth:
a test holds these models to it in both directions. All times and durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import MISSING, BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from storeproof.spec.values import Event, Id, Integer, Json, JsonObject, Positive, Text, Time

Status: TypeAlias = Literal["queued", "running", "paused", "finished", "errored", "aborted"]
OverlapPolicy: TypeAlias = Literal["skip", "allow", "buffer-one", "cancel-previous", "terminate-previous"]
DeleteReason: TypeAlias = Literal["finished", "errored", "aborted"]


class Shape(BaseModel):
    """A shape of the contract: frozen, no unknown fields, camelCase on the wire."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        revalidate_instances="always",
    )

    def to_wire(self) -> dict[str, JsonValue]:
        """The wire form: camelCase keys, absent fields left out."""
        return self.model_dump(by_alias=True)


class SerializedError(Shape):
    name: Text
    message: Text
    stack: Text | MISSING = MISSING


class SignalWait(Shape):
    step_id: Id | MISSING = MISSING
    signal_name: Text
    deadline: Time | MISSING = MISSING
    meta: JsonObject | MISSING = MISSING


class ApprovalWait(Shape):
    step_id: Id | MISSING = MISSING
    approval_id: Id
    title: Text
    description: Text | MISSING = MISSING
    meta: JsonObject | MISSING = MISSING


class SignalAwaitable(SignalWait):
    type: Literal["signal"]


class ApprovalAwaitable(ApprovalWait):
    type: Literal["approval"]


Awaitable: TypeAlias = Annotated[SignalAwaitable | ApprovalAwaitable, Field(discriminator="type")]


class Lease(Shape):
    owner: Id
    expires_at: Time


class Run(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    status: Status
    input: Json
    output: Json | MISSING = MISSING
    error: SerializedError | MISSING = MISSING
    awaiting: list[Awaitable] | MISSING = MISSING
    waiting_for: SignalWait | MISSING = MISSING
    pending_approval: ApprovalWait | MISSING = MISSING
    wake_at: Time | MISSING = MISSING
    lease: Lease | MISSING = MISSING
    created_at: Time
    updated_at: Time


class RunState(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    status: Literal["running", "paused", "finished", "errored", "aborted"]
    input: Json
    output: Json | MISSING = MISSING
    error: SerializedError | MISSING = MISSING
    awaiting: list[Awaitable] | MISSING = MISSING
    waiting_for: SignalWait | MISSING = MISSING
    pending_approval: ApprovalWait | MISSING = MISSING
    created_at: Time
    updated_at: Time


class RunSummary(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    status: Status
    awaiting: list[Awaitable] | MISSING = MISSING
    waiting_for: SignalWait | MISSING = MISSING
    pending_approval: ApprovalWait | MISSING = MISSING
    wake_at: Time | MISSING = MISSING
    created_at: Time
    updated_at: Time


class StoredEvent(Shape):
    run_id: Id
    event_index: Integer
    event_type: Text
    step_id: Id | MISSING = MISSING
    event: Event
    created_at: Time


class LoadedExecution(Shape):
    run: Run
    events: list[StoredEvent]


RunTimeline: TypeAlias = LoadedExecution


class RunClaim(Shape):
    run: Run
    lease: Lease


class SignalDelivery(Shape):
    signal_id: Id
    step_id: Id | MISSING = MISSING
    name: Text
    payload: Json
    meta: JsonObject | MISSING = MISSING


class Approval(Shape):
    approval_id: Id
    approved: Annotated[bool, Field(strict=True)]
    feedback: Text | MISSING = MISSING
    meta: JsonObject | MISSING = MISSING


class TimerWakeup(Shape):
    run_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    wake_at: Time
    signal_id: Id


class CronSchedule(Shape):
    kind: Literal["cron"]
    expression: Text
    timezone: Text | MISSING = MISSING


class IntervalSchedule(Shape):
    kind: Literal["interval"]
    every_ms: Positive
    timezone: Text | MISSING = MISSING


ScheduleSpec: TypeAlias = Annotated[CronSchedule | IntervalSchedule, Field(discriminator="kind")]


class ScheduleBucket(Shape):
    schedule_id: Id
    bucket_id: Id
    workflow_id: Id
    workflow_version: Text | MISSING = MISSING
    run_id: Id
    fire_at: Time
    input: Json | MISSING = MISSING
    overlap_policy: OverlapPolicy


class NotFound(Shape):
    kind: Literal["not-found"]


class CreateRunResult(Shape):
    kind: Literal["created", "existing"]
    run: Run


class ClaimAnswer(Shape):
    kind: Literal["claimed", "not-claimable"]
    run: Run


class DeliveryAnswer(Shape):
    kind: Literal["delivered", "duplicate", "not-waiting"]
    run: Run


ClaimRunResult: TypeAlias = Annotated[ClaimAnswer | NotFound, Field(discriminator="kind")]
DeliverResult: TypeAlias = Annotated[DeliveryAnswer | NotFound, Field(discriminator="kind")]


class AppendEventsResult(Shape):
    next_index: Integer


def to_wire(value: Shape | Sequence[Shape] | None) -> JsonValue:
    """The wire form of an operation's result: a model, a list of models, or None."""
    if value is None:
        return None
    return value.to_wire() if isinstance(value, Shape) else [item.to_wire() for item in value]
