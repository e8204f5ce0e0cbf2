"""Who may run a run: claims, heartbeats, releases and the takeover of stale runs. Knows no wait and no event."""

from __future__ import annotations

from storeproof.adapters.d1.binding import D1Binding
from storeproof.adapters.d1.codec import built, lease_fields, run_fields
from storeproof.adapters.d1.statements import LeaseStatements, RunStatements
from storeproof.adapters.names import TableNames
from storeproof.spec.arguments import (
    ClaimDueArguments,
    ClaimRunArguments,
    HeartbeatRunLeaseArguments,
    ReleaseRunLeaseArguments,
)
from storeproof.spec.types import ClaimAnswer, ClaimRunResult, NotFound, RunClaim


class Leases:
    def __init__(self, binding: D1Binding, tables: TableNames) -> None:
        self._binding = binding
        self._sql = LeaseStatements(tables)
        self._load = RunStatements(tables).load

    async def claim(self, args: ClaimRunArguments) -> ClaimRunResult:
        lease = (args.run_id, args.lease_owner, args.expires_at, args.now)
        claimed, standing = await self._binding.batch([(self._sql.claim, lease), (self._load, (args.run_id,))])
        if not standing:
            return NotFound(kind="not-found")
        kind = "claimed" if claimed else "not-claimable"
        return built(ClaimAnswer, {"kind": kind, "run": run_fields(standing[0])})

    async def heartbeat(self, args: HeartbeatRunLeaseArguments) -> None:
        lease = (args.run_id, args.lease_owner, args.expires_at, args.now)
        await self._binding.batch([(self._sql.heartbeat, lease)])

    async def release(self, args: ReleaseRunLeaseArguments) -> None:
        await self._binding.batch([(self._sql.release, (args.run_id, args.lease_owner))])

    async def claim_stale(self, args: ClaimDueArguments) -> list[RunClaim]:
        lease = (args.lease_owner, args.expires_at, args.now, args.limit)
        found, claimed = await self._binding.batch(
            [(self._sql.find_stale, (args.now, args.limit)), (self._sql.claim_stale, lease)]
        )
        rows = {row["run_id"]: row for row in claimed}
        ordered = [rows[row["run_id"]] for row in found]
        return [built(RunClaim, {"run": run_fields(row), "lease": lease_fields(row)}) for row in ordered]
