"""For each operation a store that names the wrong field of bad arguments; breakers of rules that have no other one."""

# The defects reach into the memory store, whose parts are its own.
# pyright: reportPrivateUsage=false

from inspect import signature
from typing import Any

from pydantic import MISSING
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.conformance.programs import method_name
from storeproof.spec import types as t
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.loader import load
from tests.broken import Broken, broken

_MAX = 2**53 - 1


def _misnaming(operation: str) -> Broken:
    """Bad arguments are refused, and the report leads to another field than the one at fault (ruling 21)."""
    method = getattr(MemoryStore, method_name(operation))

    async def misnamed(self: MemoryStore, **given: Any) -> Any:
        try:
            return await method(self, **given)
        except InvalidArgument as error:
            if "2^53-1" in error.problem or "1,006" in error.problem:
                raise  # a rule of its own, and no breach of the schema
            raise InvalidArgument("another", error.problem) from None

    async def timeline(self: MemoryStore, *, run_id: str) -> Any:
        return await MemoryStore.load_execution(self, run_id=run_id)

    misnamed.__signature__ = signature(method)  # type: ignore[attr-defined]
    # The memory store's timeline asks load_execution, which must not make it wrong too.
    methods: dict[str, Any] = {"get_run_timeline": timeline, method_name(operation): misnamed}
    store = type(f"Misnames_{operation}", (MemoryStore,), methods)
    return broken(store, f"{operation} names the wrong field", f"{operation}.arguments", careful=False)


def _cutting(operation: str) -> Broken:
    """A lease that would end too late is cut instead of refused (ruling 19)."""
    method = getattr(MemoryStore, method_name(operation))

    async def cutting(self: MemoryStore, *, lease_ms: Any = MISSING, now: Any = MISSING, **given: Any) -> Any:
        if lease_ms.__class__ is int and now.__class__ is int and 0 < lease_ms <= _MAX and 0 <= now < _MAX:
            lease_ms = min(lease_ms, _MAX - now)
        left = {name: value for name, value in (("lease_ms", lease_ms), ("now", now)) if value is not MISSING}
        return await method(self, **given, **left)

    cutting.__signature__ = signature(method)  # type: ignore[attr-defined]
    store = type(f"Cuts_{operation}", (MemoryStore,), {method_name(operation): cutting})
    return broken(store, f"{operation} cuts a lease", f"{operation}.lease-overflow", careful=False)


def _not_for_unknown(operation: str) -> Broken:
    """Raises for a run that is not there."""
    method = getattr(MemoryStore, method_name(operation))

    async def raising(self: MemoryStore, **given: Any) -> Any:
        answer = await method(self, **given)
        self._runs[given["run_id"]]
        return answer

    store = type(f"Raises_{operation}", (MemoryStore,), {method_name(operation): raising})
    return broken(store, f"{operation} raises KeyError for an unknown run", f"{operation}.unknown")


class ClaimIgnoresLease(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        self._runs.get(run_id, {}).pop("lease", None)
        return await super().claim_run(run_id=run_id, **given)


class StaleTakesHeld(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        return super()._stale_runs(_MAX)


class TimerTooEarly(MemoryStore):
    def _due_timers(self, owner: str, now: int) -> list[Row]:
        early = [row for row in self._timers.values() if row["wakeAt"] == now + 1]
        return super()._due_timers(owner, now) + [row for row in early if self._lease_is_free(row, owner, now)]


class RepeatedIsRefused(MemoryStore):
    """The very same call as the last one is taken for a mistake."""

    async def mark_run_paused(self, **given: Any) -> None:
        if given == getattr(self, "_last", None):
            raise RuntimeError("the same call twice")
        self._last = given
        await super().mark_run_paused(**given)


_LEASING = ("claimDueScheduleBuckets", "claimDueTimers", "claimStaleRuns", "heartbeatRunLease")
_ASKING = ("loadExecution", "getRunTimeline", "markRunErrored", "markRunFinished", "markRunPaused")

ARGUMENTS: tuple[Broken, ...] = (
    *(_misnaming(operation) for operation in load().operations),
    *(_cutting(operation) for operation in _LEASING),
    *(_not_for_unknown(operation) for operation in _ASKING),
    broken(ClaimIgnoresLease, "claimRun ignores leases", "claimRun.leased"),
    broken(StaleTakesHeld, "claimStaleRuns takes runs whose lease holds", "claimStaleRuns.held"),
    broken(TimerTooEarly, "a timer is due one millisecond early", "claimDueTimers.not-due"),
    broken(RepeatedIsRefused, "the same call twice raises", "retry.converges"),
)
