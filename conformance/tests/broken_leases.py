"""Stores that claim, renew or release leases of runs wrongly."""

from typing import Any

from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.spec import types as t
from tests.broken import Broken, broken


class LeaseHoldsAtItsEnd(MemoryStore):
    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        held = row.get("lease")
        return held is None or held["owner"] == owner or held["expiresAt"] < now


class LeaseNeverExpires(MemoryStore):
    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        held = row.get("lease")
        return held is None or held["owner"] == owner


class OwnLeaseIsNotFree(MemoryStore):
    @staticmethod
    def _lease_is_free(row: Row, owner: str, now: int) -> bool:
        held = row.get("lease")
        return held is None or held["expiresAt"] <= now


class ClaimTakesEnded(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        run = self._runs.get(run_id)
        status = run and run["status"]
        if run and status in rows.TERMINAL:
            run["status"] = "running"
        answer = await super().claim_run(run_id=run_id, **given)
        if run and not isinstance(answer, t.NotFound) and answer.kind == "not-claimable":
            run["status"] = status
        return answer


class ClaimTakesAborted(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        run = self._runs.get(run_id)
        if run and run["status"] == "aborted" and "lease" not in run:
            run["status"] = "running"
        return await super().claim_run(run_id=run_id, **given)


class ClaimRefusesPaused(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        run = self._runs.get(run_id)
        if run is not None and run["status"] == "paused":
            return t.ClaimAnswer.model_validate({"kind": "not-claimable", "run": run})
        return await super().claim_run(run_id=run_id, **given)


class ClaimClearsWaits(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        answer = await super().claim_run(run_id=run_id, **given)
        if isinstance(answer, t.ClaimAnswer) and answer.kind == "claimed":
            self._runs[run_id] = rows.without(self._runs[run_id], *rows.WAITS)
        return answer


class ClaimAnswersRunBefore(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        before = await self.load_run(run_id=run_id) if run_id in self._runs else None
        answer = await super().claim_run(run_id=run_id, **given)
        return answer if before is None else answer.model_copy(update={"run": before})


class ClaimKeepsUpdatedAt(MemoryStore):
    async def claim_run(self, *, run_id: str, **given: Any) -> t.ClaimRunResult:
        before = self._runs.get(run_id, {}).get("updatedAt")
        answer = await super().claim_run(run_id=run_id, **given)
        if before is not None:
            self._runs[run_id]["updatedAt"] = before
        return answer


class ClaimUnknownNotClaimable(MemoryStore):
    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        answer = await super().claim_run(**given)
        if isinstance(answer, t.NotFound):
            raise LookupError("no such run")
        return answer


class HeartbeatByAnybody(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, **given: Any) -> None:
        run = self._runs.get(run_id, {})
        if "lease" in run:
            run["lease"]["owner"] = lease_owner
        await super().heartbeat_run_lease(run_id=run_id, lease_owner=lease_owner, **given)


class HeartbeatTakesFree(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None:
        await super().heartbeat_run_lease(run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now)
        run = self._runs.get(run_id)
        if run is not None and "lease" not in run:
            run["lease"] = rows.lease(lease_owner, now + lease_ms)


class HeartbeatTooLate(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, now: int, **given: Any) -> None:
        run = self._runs.get(run_id, {})
        if "lease" in run and run["lease"]["expiresAt"] <= now:
            return
        await super().heartbeat_run_lease(run_id=run_id, now=now, **given)


class HeartbeatAddsUp(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None:
        run = self._runs.get(run_id, {})
        before = run["lease"]["expiresAt"] if run and "lease" in run else None
        await super().heartbeat_run_lease(run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now)
        if before is not None and self._holds_lease(run, lease_owner):
            run["lease"] = rows.lease(lease_owner, min(before + lease_ms, 2**53 - 1))


class HeartbeatIsSilent(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, **given: Any) -> None:
        before = self._runs.get(run_id, {}).get("updatedAt")
        await super().heartbeat_run_lease(run_id=run_id, **given)
        if before is not None:
            self._runs[run_id]["updatedAt"] = before


class HeartbeatRaisesForUnknown(MemoryStore):
    async def heartbeat_run_lease(self, *, run_id: str, **given: Any) -> None:
        await super().heartbeat_run_lease(run_id=run_id, **given)
        self._runs[run_id]


class ReleaseByAnybody(MemoryStore):
    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        await super().release_run_lease(run_id=run_id, lease_owner=lease_owner)
        self._runs.get(run_id, {}).pop("lease", None)


class ReleaseTouchesUpdatedAt(MemoryStore):
    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        run = self._runs.get(run_id, {})
        ends = run["lease"]["expiresAt"] if "lease" in run else 0
        await super().release_run_lease(run_id=run_id, lease_owner=lease_owner)
        if run and ends and "lease" not in run:
            run["updatedAt"] = ends


class ReleaseQueues(MemoryStore):
    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        run = self._runs.get(run_id, {})
        leased = "lease" in run
        await super().release_run_lease(run_id=run_id, lease_owner=lease_owner)
        if leased and "lease" not in run:
            run["status"] = "queued"


class ReleaseRaisesForUnknown(MemoryStore):
    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        await super().release_run_lease(run_id=run_id, lease_owner=lease_owner)
        self._runs[run_id]


class StaleSkipsOwn(MemoryStore):
    async def claim_stale_runs(self, *, lease_owner: str, **given: Any) -> list[t.RunClaim]:
        self._asks = lease_owner
        return await super().claim_stale_runs(lease_owner=lease_owner, **given)

    def _stale_runs(self, now: int) -> list[Row]:
        return [run for run in super()._stale_runs(now) if run["lease"]["owner"] != self._asks]


class StaleTakesUnleased(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        unleased = [run for run in self._runs.values() if run["status"] == "running" and "lease" not in run]
        return sorted([*super()._stale_runs(now), *unleased], key=lambda run: (run["updatedAt"], run["runId"]))


class StaleTakesAnyStatus(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        stale = [run for run in self._runs.values() if "lease" in run and run["lease"]["expiresAt"] <= now]
        return sorted(stale, key=lambda run: (run["updatedAt"], run["runId"]))


class StaleNotAtItsEnd(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        return [run for run in super()._stale_runs(now) if run["lease"]["expiresAt"] < now]


class StaleInOrderOfId(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        return sorted(super()._stale_runs(now), key=lambda run: run["runId"])


class StaleByArrival(MemoryStore):
    def _stale_runs(self, now: int) -> list[Row]:
        stale = {run["runId"] for run in super()._stale_runs(now)}
        return sorted((run for run in self._runs.values() if run["runId"] in stale), key=lambda run: run["updatedAt"])


class StaleWithoutLimit(MemoryStore):
    async def claim_stale_runs(self, *, limit: int, **given: Any) -> list[t.RunClaim]:
        return await super().claim_stale_runs(
            limit=1_000_000 if limit.__class__ is int and 0 < limit < 2**53 else limit, **given
        )


class StaleLimitBeforeFilter(MemoryStore):
    async def claim_stale_runs(self, *, now: int, limit: int, **given: Any) -> list[t.RunClaim]:
        self._limit = limit
        return await super().claim_stale_runs(now=now, limit=limit, **given)

    def _stale_runs(self, now: int) -> list[Row]:
        first = sorted(self._runs.values(), key=lambda run: (run["updatedAt"], run["runId"]))[: self._limit]
        return [run for run in super()._stale_runs(now) if run in first]


LEASES: tuple[Broken, ...] = (
    broken(
        LeaseHoldsAtItsEnd,
        "a lease holds at expiresAt itself",
        "claimRun.claimed",
        "claimDueTimers.claimed",
        "claimDueScheduleBuckets.reclaimed",
    ),
    broken(
        LeaseNeverExpires,
        "a lease never expires",
        "claimRun.claimed",
        "claimDueTimers.claimed",
        "claimDueScheduleBuckets.reclaimed",
    ),
    broken(
        OwnLeaseIsNotFree,
        "the owner cannot claim again",
        "claimRun.claimed",
        "claimDueTimers.claimed",
        "claimDueScheduleBuckets.reclaimed",
    ),
    broken(ClaimTakesEnded, "claimRun takes ended runs", "claimRun.terminal"),
    broken(ClaimTakesAborted, "claimRun takes aborted runs", "claimRun.terminal"),
    broken(ClaimRefusesPaused, "claimRun refuses paused runs", "claimRun.claimed"),
    broken(ClaimClearsWaits, "claimRun clears the waits", "claimRun.claimed"),
    broken(ClaimAnswersRunBefore, "claimRun answers the run as it was before", "claimRun.claimed"),
    broken(ClaimKeepsUpdatedAt, "claimRun stores no updatedAt", "claimRun.claimed"),
    broken(ClaimUnknownNotClaimable, "claimRun raises LookupError for an unknown run", "claimRun.not-found"),
    broken(HeartbeatByAnybody, "heartbeat takes another owner's lease", "heartbeatRunLease.not-owner"),
    broken(HeartbeatTakesFree, "heartbeat leases a run nobody holds", "heartbeatRunLease.not-owner"),
    broken(HeartbeatTooLate, "heartbeat refuses the caller's own expired lease", "heartbeatRunLease.extended"),
    broken(HeartbeatAddsUp, "heartbeat adds to the old end instead of now", "heartbeatRunLease.extended"),
    broken(HeartbeatIsSilent, "heartbeat does not set updatedAt", "heartbeatRunLease.extended"),
    broken(HeartbeatRaisesForUnknown, "heartbeat raises KeyError for an unknown run", "heartbeatRunLease.unknown"),
    broken(ReleaseByAnybody, "release drops another owner's lease", "releaseRunLease.not-owner"),
    broken(ReleaseTouchesUpdatedAt, "release changes updatedAt", "releaseRunLease.released"),
    broken(ReleaseQueues, "release queues the run", "releaseRunLease.released"),
    broken(ReleaseRaisesForUnknown, "release raises KeyError for an unknown run", "releaseRunLease.unknown"),
    broken(StaleSkipsOwn, "claimStaleRuns skips the caller's own", "claimStaleRuns.claimed"),
    broken(StaleTakesUnleased, "claimStaleRuns takes running runs without a lease", "claimStaleRuns.unleased"),
    broken(StaleTakesAnyStatus, "claimStaleRuns takes runs that are not running", "claimStaleRuns.not-running"),
    broken(StaleNotAtItsEnd, "claimStaleRuns waits one millisecond too long", "claimStaleRuns.claimed"),
    broken(StaleInOrderOfId, "claimStaleRuns orders by id", "claimStaleRuns.order"),
    broken(StaleByArrival, "claimStaleRuns breaks ties by arrival", "claimStaleRuns.ties", "ids.order"),
    broken(StaleWithoutLimit, "claimStaleRuns ignores the limit", "claimStaleRuns.limit"),
    broken(
        StaleLimitBeforeFilter,
        "claimStaleRuns cuts before it filters",
        "claimStaleRuns.claimed",
        "claimStaleRuns.limit",
    ),
)
