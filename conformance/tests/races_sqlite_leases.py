"""SQLite stores that claim, renew or release the leases of runs wrongly beside other clients."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import MISSING
from storeproof.adapters.d1.binding import D1Binding, Row
from storeproof.adapters.d1.codec import built, lease_fields, run_fields
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_decisions import claimable
from tests.races_sqlite_statements import NO_LEASE, HandwrittenStore, Noticed, run_of

_NOT_FOUND = t.NotFound(kind="not-found")
_CLAIM = ("claims.exclusive", "claimRun.claimed", "claimRun.leased")


def _answer(kind: str, row: Row) -> t.ClaimAnswer:
    return built(t.ClaimAnswer, {"kind": kind, "run": run_fields(row)})


class _Claims(HandwrittenStore):
    async def check_then_claim(self, args: shapes.ClaimRunArguments) -> t.ClaimRunResult:
        """Right where nobody else claims meanwhile."""
        row = await self.row(args.run_id)
        if row is None:
            return _NOT_FOUND
        if not claimable(run_of(row), args.lease_owner, args.now):
            return _answer("not-claimable", row)
        leased = f"""update {self.t.runs} set status = 'running', lease_owner = ?2, lease_expires_at = ?3,
                     updated_at = ?4 where run_id = ?1"""
        _, rows = await self.do(
            (leased, (args.run_id, args.lease_owner, args.expires_at, args.now)), self.load(args.run_id)
        )
        return _answer("claimed", rows[0]) if rows else _NOT_FOUND


class ClaimTwoWinners(_Claims):
    """claimRun reads the lease in one batch and writes its own in a second. Two clients see it free: both are told
    "claimed".
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        return await self.check_then_claim(checked(shapes.ClaimRunArguments, **given))


class ClaimLockedInProcess(_Claims):
    """claimRun reads the lease, then writes its own, under an asyncio.Lock: right within a process, and two processes
    are both told "claimed".
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._claiming = asyncio.Lock()

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        async with self._claiming:
            return await self.check_then_claim(args)


class RefusalReadsLater(HandwrittenStore):
    """claimRun updates the run if its lease is free, and reads it again if not: released in between, it is
    "not-claimable" without a lease.
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        lease = (args.run_id, args.lease_owner, args.expires_at, args.now)
        [claimed] = await self.do((self.of_leases.claim, lease))
        if claimed:
            return _answer("claimed", claimed[0])
        row = await self.row(args.run_id)
        return _NOT_FOUND if row is None else _answer("not-claimable", row)


class RefusalReadsBefore(HandwrittenStore):
    """claimRun reads the run, updates it if its lease is free, and else answers with what it read: claimed by another
    in between, it is "not-claimable" and free.
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        row = await self.row(args.run_id)
        lease = (args.run_id, args.lease_owner, args.expires_at, args.now)
        [claimed] = await self.do((self.of_leases.claim, lease))
        if claimed:
            return _answer("claimed", claimed[0])
        return _NOT_FOUND if row is None else _answer("not-claimable", row)


class HeartbeatCheckThenWrite(HandwrittenStore):
    """heartbeatRunLease reads the owner, then writes the lease. A run released or taken over in between has the old
    owner's lease again.
    """

    async def heartbeat_run_lease(self, **given: Any) -> None:
        args = checked(shapes.HeartbeatRunLeaseArguments, **given)
        row = await self.row(args.run_id)
        if row is not None and row["lease_owner"] == args.lease_owner:
            renewed = "lease_owner = ?2, lease_expires_at = ?3, updated_at = ?4"
            lease = (args.run_id, args.lease_owner, args.expires_at, args.now)
            await self.do((f"update {self.t.runs} set {renewed} where run_id = ?1", lease))


class ReleaseCheckThenWrite(HandwrittenStore):
    """releaseRunLease reads the owner, then takes the lease away, whose ever it is by now. Takes a lease, its takeover
    by another owner once it has ended, and the release between the two.
    """

    async def release_run_lease(self, **given: Any) -> None:
        args = checked(shapes.ReleaseRunLeaseArguments, **given)
        row = await self.row(args.run_id)
        if row is not None and row["lease_owner"] == args.lease_owner:
            await self.do((f"update {self.t.runs} set {NO_LEASE} where run_id = ?1", (args.run_id,)))


class _ClaimsStale(HandwrittenStore):
    async def claim_picked(self, args: shapes.ClaimDueArguments, condition: str) -> list[t.RunClaim]:
        """Picks stale runs in one batch, and takes those for which `condition` holds in a second."""
        [picked] = await self.do((self.of_leases.find_stale, (args.now, args.limit)))
        taken = f"""update {self.t.runs} set lease_owner = ?2, lease_expires_at = ?3, updated_at = ?4
                    where run_id = ?1 and {condition}"""
        returning = self.of_leases.claim.partition("returning")[2]
        leases = [(row["run_id"], args.lease_owner, args.expires_at, args.now) for row in picked]
        if not leases:
            return []
        claimed = await self.do(*((f"{taken} returning {returning}", lease) for lease in leases))
        return [_claim(rows) for rows in claimed if rows]


def _claim(rows: Sequence[Row]) -> t.RunClaim:
    return built(t.RunClaim, {"run": run_fields(rows[0]), "lease": lease_fields(rows[0])})


class StaleRunsTwoOwners(_ClaimsStale):
    """claimStaleRuns picks stale runs, then takes them. Two clients pick the same runs: both get them."""

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        return await self.claim_picked(checked(shapes.ClaimDueArguments, **given), "true")


class StaleRunsLost(_ClaimsStale):
    """claimStaleRuns picks up to limit stale runs, then takes those still stale and looks for no others: two clients
    want one of two runs, and the second gets none.
    """

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        still = "status = 'running' and lease_expires_at <= cast(?4 as integer)"
        return await self.claim_picked(checked(shapes.ClaimDueArguments, **given), still)


class RunsRemembered(HandwrittenStore):
    """loadRun answers a claimed run from memory as long as the lease stands, as if only its owner could change it. A
    process claims and loads; in between another one schedules a timer or saves the state.
    """

    def __init__(self, database: D1Binding, **options: Any) -> None:
        super().__init__(Noticed(database, self._forget), **options)
        self._held: t.Run | None = None
        self._direct = database

    async def _forget(self) -> None:
        self._held = None

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        answer = await super().claim_run(**given)
        if isinstance(answer, t.ClaimAnswer) and answer.kind == "claimed":
            self._held = answer.run
        return answer

    async def load_run(self, **given: Any) -> t.Run | None:
        args = checked(shapes.RunIdArguments, **given)
        held = self._held
        if held is None or held.run_id != args.run_id or held.lease is MISSING:
            return await super().load_run(**given)
        lease = f"""select 1 from {self.t.runs} where run_id = ?1 and status = 'running' and lease_owner = ?2
                    and lease_expires_at = cast(?3 as integer)"""
        [stands] = await self._direct.batch([(lease, (args.run_id, held.lease.owner, held.lease.expires_at))])
        return held if stands else await super().load_run(**given)


LEASES: tuple[Racy, ...] = (
    racy(ClaimTwoWinners, *_CLAIM),
    racy(ClaimLockedInProcess, *_CLAIM),
    racy(RefusalReadsLater, "claimRun.leased", "claimRun.terminal", "claimRun.claimed"),
    racy(RefusalReadsBefore, "claimRun.leased", "claimRun.terminal", "claimRun.claimed"),
    racy(HeartbeatCheckThenWrite, "claims.exclusive", "heartbeatRunLease.not-owner", "heartbeatRunLease.extended"),
    racy(ReleaseCheckThenWrite, "claims.exclusive", "releaseRunLease.not-owner", "releaseRunLease.released"),
    racy(StaleRunsTwoOwners, "claims.exclusive", "claimStaleRuns.held", "claimStaleRuns.claimed"),
    racy(StaleRunsLost, "claimStaleRuns.omission", "claimStaleRuns.claimed"),
    racy(RunsRemembered, "loadRun.found"),
)
