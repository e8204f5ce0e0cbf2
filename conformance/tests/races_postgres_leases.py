"""Postgres stores that claim, renew or release the leases of runs wrongly beside other clients."""

import asyncio
from typing import Any

from pydantic import MISSING
from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Row
from storeproof.adapters.postgres.execution import read
from storeproof.adapters.postgres.fragments import unchanged
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.races import Racy, racy
from tests.races_decisions import claimable
from tests.races_postgres_statements import FREE, LEASED, NO_LEASE, HandwrittenStore, Noticed, Steps

_NOT_FOUND = t.NotFound(kind="not-found")
_CLAIM = ("claims.exclusive", "claimRun.claimed", "claimRun.leased")


def _answer(kind: str, row: Row) -> t.ClaimAnswer:
    return t.ClaimAnswer.model_validate({"kind": kind, "run": codec.run(row)})


async def _check_then_claim(steps: Steps, args: shapes.ClaimRunArguments, lock: str = "") -> t.ClaimRunResult:
    """Right where nobody else claims meanwhile."""
    row = await steps.row(args.run_id, lock)
    if row is None:
        return _NOT_FOUND
    if not claimable(codec.run(row), args.lease_owner, args.now):
        return _answer("not-claimable", row)
    claimed = await steps.lease(codec.leasing(args))
    return _answer("claimed", claimed[0]) if claimed else _NOT_FOUND


class ClaimTwoWinners(HandwrittenStore):
    """claimRun reads the lease, then writes its own, in a READ COMMITTED transaction. Two clients see it free: both are
    told "claimed".
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)

        async def work(steps: Steps) -> t.ClaimRunResult:
            return await _check_then_claim(steps, args)

        return await self.transacted(work)


class ClaimLockedInProcess(HandwrittenStore):
    """claimRun reads the lease, then writes its own, under an asyncio.Lock: right within a process, and two processes
    are both told "claimed".
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._claiming = asyncio.Lock()

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        async with self._claiming:
            return await _check_then_claim(self.steps, args)


class ClaimLocksWithoutTransaction(HandwrittenStore):
    """claimRun reads the lease with FOR UPDATE, then writes its own, but on an autocommit connection: the lock ends
    with the statement, and two clients are both told "claimed".
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        return await _check_then_claim(self.steps, args, "for update")


class RefusalReadsLater(HandwrittenStore):
    """claimRun updates the run if its lease is free, and reads it again if not: released in between, it is
    "not-claimable" without a lease.
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)
        condition = f"status not in ('finished', 'errored', 'aborted') and {FREE}"
        claimed = await self.steps.lease(codec.leasing(args), condition)
        if claimed:
            return _answer("claimed", claimed[0])
        row = await self.steps.row(args.run_id)
        return _NOT_FOUND if row is None else _answer("not-claimable", row)


class HeartbeatCheckThenWrite(HandwrittenStore):
    """heartbeatRunLease reads the owner, then writes the lease. A run released or taken over in between has the old
    owner's lease again.
    """

    async def heartbeat_run_lease(self, **given: Any) -> None:
        args = checked(shapes.HeartbeatRunLeaseArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is not None and row["lease_owner"] == args.lease_owner:
            known = "where run_id = %(run_id)s"
            await self.steps.do(f"update {self.t.runs} set {LEASED}, updated_at = %(now)s {known}", codec.leasing(args))


class ReleaseCheckThenWrite(HandwrittenStore):
    """releaseRunLease reads the owner, then takes the lease away, whose ever it is by now. Takes a lease, its takeover
    by another owner once it has ended, and the release between the two.
    """

    async def release_run_lease(self, **given: Any) -> None:
        args = checked(shapes.ReleaseRunLeaseArguments, **given)
        row = await self.steps.row(args.run_id)
        if row is not None and row["lease_owner"] == args.lease_owner:
            await self.steps.do(f"update {self.t.runs} set {NO_LEASE} where run_id = %(id)s", id=args.run_id)


class StaleRunsBySubselect(HandwrittenStore):
    """claimStaleRuns updates what an unlocked subselect picked. The second client waits for the first one's commit and
    then takes the same runs: two owners.
    """

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        args = checked(shapes.ClaimDueArguments, **given)
        statement = self.of_runs.claim_stale.replace("for update skip locked", "")
        statement = statement.replace(f"and {unchanged(self.t.runs, 'r', 'run_id')}", "")
        return [codec.run_claim(row) for row in await self.steps.do(statement, codec.leasing(args))]


class StaleRunsLost(HandwrittenStore):
    """claimStaleRuns updates what an unlocked subselect picked if it is still stale. The second client waits for the
    first, gets nothing, and looks for no other run: with two stale runs and limit 1 it answers none.
    """

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        args = checked(shapes.ClaimDueArguments, **given)
        statement = self.of_runs.claim_stale.replace("for update skip locked", "")
        statement = statement.replace(f"and {unchanged(self.t.runs, 'r', 'run_id')}", "")
        still = "and r.status = 'running' and r.lease_expires_at <= %(now)s::bigint"
        statement = statement.replace("where r.run_id = stale.run_id", f"where r.run_id = stale.run_id {still}")
        return [codec.run_claim(row) for row in await self.steps.do(statement, codec.leasing(args))]


class RunsRemembered(HandwrittenStore):
    """loadRun answers a claimed run from memory as long as the lease stands, as if only its owner could change it. A
    process claims and loads; in between another one schedules a timer or saves the state.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._held: t.Run | None = None
        self._direct = self._connections
        self.use(Noticed(self._connections, self._forget))

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
        lease = f"""select 1 from {self.t.runs} where run_id = %(id)s and status = 'running'
                    and lease_owner = %(owner)s and lease_expires_at = %(ends)s"""
        parameters = {"id": args.run_id, "owner": held.lease.owner, "ends": held.lease.expires_at}
        stands = await read(self._direct, "loadRun", lease, parameters)
        return held if stands else await super().load_run(**given)


LEASES: tuple[Racy, ...] = (
    racy(ClaimTwoWinners, *_CLAIM),
    racy(ClaimLockedInProcess, *_CLAIM),
    racy(ClaimLocksWithoutTransaction, *_CLAIM),
    racy(RefusalReadsLater, "claimRun.leased", "claimRun.terminal", "claimRun.claimed"),
    racy(HeartbeatCheckThenWrite, "claims.exclusive", "heartbeatRunLease.not-owner", "heartbeatRunLease.extended"),
    racy(ReleaseCheckThenWrite, "claims.exclusive", "releaseRunLease.not-owner", "releaseRunLease.released"),
    racy(StaleRunsBySubselect, "claims.exclusive", "claimStaleRuns.held", "claimStaleRuns.claimed"),
    racy(StaleRunsLost, "claimStaleRuns.omission", "claimStaleRuns.claimed"),
    racy(RunsRemembered, "loadRun.found"),
)
