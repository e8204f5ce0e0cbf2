"""Interleavings on Postgres, where clients wait for locks and run into deadlocks: the same again and again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from psycopg import AsyncConnection
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.encounters import Encounter, meet
from storeproof.conformance.exploring import Explorer
from storeproof.conformance.lockwatch import LockWatch
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Exploration, explore
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from tests.race_stages import MODEL, beside, explored, instance, instances, staged
from tests.races_postgres_statements import HandwrittenStore, Steps

pytestmark = pytest.mark.races


ALL = -1
"""Of the claims of due rows: the instance that takes more than one."""
BLOCKING = [
    beside("waiting", instance("scheduleTimer"), instance("scheduleTimer")),
    beside("empty", instance("scheduleTimer"), instance("scheduleTimer")),
    beside("waiting", instance("scheduleTimer", 0), instance("scheduleTimer", 1)),
    beside("empty", instance("createRun"), instance("createRun")),
    beside("waiting", *instances("createRun", "n")),
    beside("waiting", instance("deliverSignal", 0), instance("deliverSignal", 1)),
    beside("waiting", instance("appendEvents", 0), instance("appendEvents", 1)),
    beside("waiting", instance("claimRun"), instance("saveRunState")),
    beside("leased", instance("releaseRunLease"), instance("markRunFinished")),
    beside("leased", instance("claimDueScheduleBuckets", ALL), instance("markScheduleBucketStarted")),
    beside("waiting", instance("deleteRun"), instance("appendEvents")),
    beside("waiting", instance("upsertSchedule", 0), instance("upsertSchedule", 1)),
    beside("leased", instance("heartbeatRunLease"), instance("claimStaleRuns", ALL)),
    beside("waiting", instance("deleteRun"), instance("claimDueTimers", ALL)),
]
"""Of which one waits for the other's lock in some schedules on Postgres."""


def every_encounter(stage: Stage, scenario: Scenario, bound: int | None = None) -> Callable[[], Any]:
    async def run() -> list[Encounter]:
        explorer, found = Explorer(bound), list[Encounter]()
        while explorer.more:
            await stage.prepare(scenario.setup)
            found.append(await meet(stage, scenario, explorer.choose))
            explorer.advance()
        return found

    return run


def told(encounters: list[Encounter]) -> list[object]:
    """All that may be different if a run does not repeat itself."""
    return [(each.choices, each.moments, each.statements, each.seen) for each in encounters]


def test_postgres_is_explored_twice_in_the_same_way() -> None:
    with staged("postgresql") as (runner, stage):
        for scenario in BLOCKING:
            first: list[Encounter] = runner.wait(every_encounter(stage, scenario)())
            second: list[Encounter] = runner.wait(every_encounter(stage, scenario)())
            assert told(first) == told(second), scenario.as_python()
            schedules = [each.choices for each in first]
            assert len(set(schedules)) == len(schedules) >= 4
            blocked = [each for each in first if any(moment.kind == "blocked" for moment in each.moments)]
            assert 0 < len(blocked) < len(first), scenario.as_python()
            [found] = runner.wait(explored(stage, [scenario], Readings())())
            assert (found.complete, found.schedules, found.wrong) == (True, len(first), None)


class LocksInOppositeOrder(HandwrittenStore):
    """claimRun locks its run, then the other; each client begins with its own. Postgres ends one of the two, which
    begins again.
    """

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, **given)

        async def work(steps: Steps) -> None:
            for run_id in ("r", "q") if args.run_id == "r" else ("q", "r"):
                await steps.row(run_id, "for update")

        await self.transacted(work)
        return await super().claim_run(**given)


def test_a_deadlock_is_run_through_in_the_same_way_and_does_no_harm() -> None:
    claim = instances("claimRun")[0]
    other = Call("claimRun", {**claim.args, "runId": "q"})
    scenario = beside("waiting", claim, other)
    with staged("postgresql", LocksInOppositeOrder) as (runner, stage):
        first: list[Encounter] = runner.wait(every_encounter(stage, scenario, 2)())
        assert told(first) == told(runner.wait(every_encounter(stage, scenario, 2)()))
        found: Exploration = runner.wait(explore(stage, MODEL, scenario, Readings(), 2))
    assert (found.complete, found.schedules, found.wrong) == (True, len(first), None)
    # The victim locks its rows twice; its COMMIT comes once, as that of the claim does.
    victims = [each for each in first if max(Counter(_locks(each)).values()) > 2]
    assert 2 <= len(victims) < len(first)
    assert {moment.client for each in victims for moment in each.moments if moment.kind == "blocked"} == {0, 1}


def _locks(encounter: Encounter) -> list[int]:
    return [moment.client for moment in encounter.moments if "for update" in moment.text]


def test_who_is_in_a_deadlock_does_not_wait_for_others() -> None:
    """The server ends it, sooner or later; who waits behind it does wait."""

    async def run() -> list[bool]:
        watch, locks = LockWatch(), "select pg_advisory_xact_lock({})"
        async with AsyncExitStack() as stack:
            a, b, c = [await stack.enter_async_context(await AsyncConnection.connect(embedded_url())) for _ in "abc"]
            for connection in (a, b, c):
                watch.psycopg(connection)
                await connection.execute("set deadlock_timeout = '60s'")
            await a.execute(locks.format(9101).encode())
            await b.execute(locks.format(9102).encode())
            seen: list[bool] = []
            waiting: list[asyncio.Task[object]] = []
            for connection, lock, others in ((a, 9102, (a, b)), (c, 9102, (b, c)), (b, 9101, (a, b, c))):
                waiting.append(asyncio.create_task(connection.execute(locks.format(lock).encode())))
                await _until_it_waits(connection)
                seen += [await watch.probe(other.info.backend_pid) for other in others]
            for connection in (a, b, c):
                connection.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await watch.close()
        return seen

    assert asyncio.run(run()) == [True, False, False, True, False, False, True]


async def _until_it_waits(connection: AsyncConnection) -> None:
    async with await AsyncConnection.connect(embedded_url(), autocommit=True) as other, asyncio.timeout(20):
        waits = "select from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
        while not (await other.execute(waits, (connection.info.backend_pid,))).rowcount:
            await asyncio.sleep(0.01)
