"""The Store protocol: what an adapter offers in Python.

Every method is a coroutine, takes keyword arguments only, and answers a typed result. A nested argument is given as its
model or as a mapping in wire form. Any method may raise InvalidArgument (nothing changed) or StoreUnavailable (ruling
12). What each operation does is said in `model/operations/<operation>.json` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable as AwaitableResult
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from pydantic import MISSING, JsonValue
from storeproof.spec.types import (
    AppendEventsResult,
    Approval,
    ApprovalWait,
    Awaitable,
    ClaimRunResult,
    CreateRunResult,
    CronSchedule,
    DeleteReason,
    DeliverResult,
    IntervalSchedule,
    LoadedExecution,
    OverlapPolicy,
    Run,
    RunClaim,
    RunState,
    RunSummary,
    RunTimeline,
    ScheduleBucket,
    SerializedError,
    SignalDelivery,
    SignalWait,
    Status,
    StoredEvent,
    TimerWakeup,
)

Wire: TypeAlias = Mapping[str, JsonValue]
"""A nested value in wire form."""

EventCallback: TypeAlias = Callable[[dict[str, JsonValue], int], None]
"""Called with the event, a copy of the subscriber's own, and its index."""

Unsubscribe: TypeAlias = Callable[[], AwaitableResult[None]]


class Store(Protocol):
    """A durable-workflow store."""

    async def create_run(
        self, *, run_id: str, workflow_id: str, workflow_version: str | MISSING = MISSING, input: JsonValue, now: int
    ) -> CreateRunResult: ...

    async def load_run(self, *, run_id: str) -> Run | None: ...

    async def load_execution(self, *, run_id: str) -> LoadedExecution | None: ...

    async def get_run_timeline(self, *, run_id: str) -> RunTimeline | None: ...

    async def load_run_state(self, *, run_id: str) -> RunState | None: ...

    async def save_run_state(self, *, state: RunState | Wire) -> None: ...

    async def delete_run(self, *, run_id: str, reason: DeleteReason) -> None: ...

    async def append_events(
        self, *, run_id: str, expected_next_index: int, events: Sequence[dict[str, JsonValue]]
    ) -> AppendEventsResult:
        """Raises LogConflict."""
        ...

    async def read_events(self, *, run_id: str, from_index: int | MISSING = MISSING) -> list[StoredEvent]: ...

    async def claim_run(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> ClaimRunResult: ...

    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None: ...

    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None: ...

    async def claim_stale_runs(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[RunClaim]: ...

    async def mark_run_paused(
        self,
        *,
        run_id: str,
        awaiting: Sequence[Awaitable | Wire] | MISSING = MISSING,
        waiting_for: SignalWait | Wire | MISSING = MISSING,
        pending_approval: ApprovalWait | Wire | MISSING = MISSING,
        wake_at: int | MISSING = MISSING,
        now: int,
    ) -> None: ...

    async def mark_run_finished(self, *, run_id: str, output: JsonValue, now: int) -> None: ...

    async def mark_run_errored(self, *, run_id: str, error: SerializedError | Wire, code: str, now: int) -> None: ...

    async def schedule_timer(
        self,
        *,
        run_id: str,
        workflow_id: str,
        workflow_version: str | MISSING = MISSING,
        wake_at: int,
        signal_id: str,
        now: int,
    ) -> None: ...

    async def claim_due_timers(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[TimerWakeup]: ...

    async def deliver_signal(self, *, run_id: str, delivery: SignalDelivery | Wire, now: int) -> DeliverResult: ...

    async def deliver_approval(self, *, run_id: str, approval: Approval | Wire, now: int) -> DeliverResult: ...

    async def upsert_schedule(
        self,
        *,
        schedule_id: str,
        workflow_id: str,
        workflow_version: str | MISSING = MISSING,
        schedule: CronSchedule | IntervalSchedule | Wire,
        overlap_policy: OverlapPolicy,
        input: JsonValue | MISSING = MISSING,
        next_fire_at: int | MISSING = MISSING,
        enabled: bool,
        now: int,
    ) -> None: ...

    async def claim_due_schedule_buckets(
        self, *, now: int, limit: int, lease_owner: str, lease_ms: int
    ) -> list[ScheduleBucket]: ...

    async def mark_schedule_bucket_started(
        self, *, schedule_id: str, bucket_id: str, run_id: str, now: int
    ) -> None: ...

    async def list_runs(
        self,
        *,
        workflow_id: str | MISSING = MISSING,
        status: Status | MISSING = MISSING,
        limit: int,
        cursor: str | MISSING = MISSING,
    ) -> list[RunSummary]: ...


class SubscribableStore(Store, Protocol):
    """A store with the optional subscribeEvents (ruling 11)."""

    @property
    def subscribe_delay_ms(self) -> int:
        """How long after an append's answer its events may still be on their way, in milliseconds (ruling 24)."""
        ...

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        """Calls `callback` for every event from `from_index` on until the returned function is awaited."""
        ...
