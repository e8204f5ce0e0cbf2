"""A memory store called by name without awaiting, and short forms of the arguments its tests need."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from storeproof.adapters.memory import MemoryStore
from storeproof.spec.types import to_wire

T = TypeVar("T")
MAX = 2**53 - 1


class Session:
    """Calls operations by name without awaiting, and answers wire forms: `s.load_run(run_id="r")`."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: object) -> object:
            answer: Any = run(getattr(self.store, operation)(**arguments))
            return to_wire(answer)

        return call

    def run(self, run_id: str = "r", *, now: int = 1, status: str = "queued", **state: Any) -> None:
        """A run in this status; anything but queued comes from a saved state."""
        self.create_run(run_id=run_id, workflow_id="w", input=None, now=now)
        if status != "queued" or state:
            self.save_run_state(state=state_of(run_id, status=status, updatedAt=now, **state))


def run(step: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(step)


def state_of(run_id: str, **fields: object) -> dict[str, Any]:
    state = {"runId": run_id, "workflowId": "w", "status": "paused", "input": None, "createdAt": 1, "updatedAt": 1}
    return state | fields


def lease(owner: str = "a", ms: int = 10, now: int = 5) -> dict[str, Any]:
    return {"lease_owner": owner, "lease_ms": ms, "now": now}


def event(ts: int = 0, **fields: object) -> dict[str, Any]:
    return {"type": "CUSTOM", "ts": ts, **fields}


def signal(name: str = "go", signal_id: str = "x", **fields: object) -> dict[str, Any]:
    return {"signalId": signal_id, "name": name, "payload": None, **fields}


def schedule(s: Session, schedule_id: str = "s", next_fire_at: int | None = 5, **fields: object) -> None:
    fire = {} if next_fire_at is None else {"next_fire_at": next_fire_at}
    defaults: dict[str, Any] = {
        "workflow_id": "w",
        "schedule": {"kind": "interval", "everyMs": 10},
        "overlap_policy": "skip",
        "enabled": True,
        "now": 1,
    }
    s.upsert_schedule(schedule_id=schedule_id, **defaults | fire | fields)
