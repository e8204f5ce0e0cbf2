"""The check `cuts` against a Postgres server that fails under load: connections dropped, answers lost, a restart.

Clients run at the same time and are steered by nobody, so no run comes again exactly; the faults are drawn by a seed.
StoreUnavailable is the right answer then and leaves an operation in doubt; everything else is judged as ever, and the
store has to work again afterwards. Only backends of the stage's own stores are ended.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT
from storeproof.conformance.encounterload import drawn_loads, meet_at_once
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import History
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.linearizability import Linearizable, Unknown, check
from storeproof.conformance.programs import Program
from storeproof.conformance.racejudgement import CLAIMS, Judge, Readings, Wrong
from storeproof.conformance.races import Tried, after, exercised, prepared
from storeproof.conformance.relation import MOST_ROWS, indeterminate
from storeproof.conformance.restartable import RestartableServer
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import CLIENTS, Stage
from storeproof.reference.model import Model, State

LIMIT_S = 60.0
"""Seconds that a load may take, the restart of its server included."""
TRIES = 20
PAUSE_S = 0.1
"""How often a store is called after a fault until it works again, and seconds in between."""

BLAME_BUDGET = 20_000
"""Configurations that are visited to tell a lost answer from half an operation."""
FEW = MOST_ROWS // 2
"""Runs, with two timers each: of a claim without an answer every choice of rows is tried, if they are not too many."""

Strikes: TypeAlias = Counter[str]
Fault: TypeAlias = Callable[[], AbstractAsyncContextManager[Strikes]]
"""While it is open, things fail; it counts them."""
OpenStage: TypeAlias = Callable[[], Stage]
"""Makes a stage over the same data, not opened yet; a new one after every load, for the old one's connections may be
gone."""


@dataclass(slots=True)
class Endured:
    """What became of loads under a fault. `strikes`: what failed, and how often."""

    histories: int = 0
    operations: int = 0
    unavailable: int = 0
    """Operations that were answered StoreUnavailable."""
    strikes: Strikes = field(default_factory=Counter[str])
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: Tried | None = None
    unknown: str | None = None
    skipped: str | None = None


async def endure(
    open_stage: OpenStage,
    model: Model,
    scenario: Scenario,
    fault: Fault,
    found: Endured,
    avoidance: Avoidance | None = None,
) -> None:
    """Runs a scenario's clients at the same time while the fault strikes, and adds to `found` what came of it.

    `avoidance` is for the reading of the state afterwards.
    """
    stage = open_stage()
    await stage.open()
    try:
        found.skipped = await prepared(stage, model, scenario.setup)
        if found.skipped:
            return
        with _quiet():
            async with fault() as strikes:
                encounter = await meet_at_once(stage, scenario, limit_s=LIMIT_S)
            gone = await _gone(stage)
    finally:
        await stage.close()
    found.histories += 1
    found.operations += len(encounter.history)
    found.unavailable += sum(map(indeterminate, encounter.history))
    found.strikes += strikes
    start = after(model, scenario.setup)
    if gone is not None:
        message = f"{TRIES} calls in {TRIES * PAUSE_S:g} s after the fault: {gone}"
        wrong = Wrong((CONVERGES,), message, "an answer", "StoreUnavailable", encounter.history, (), False)
        found.wrong = Tried(scenario, wrong, encounter)
        return
    await _judge(open_stage, Readings(avoidance=avoidance), model, scenario, start, encounter, found)


async def _judge(
    open_stage: OpenStage,
    readings: Readings,
    model: Model,
    scenario: Scenario,
    start: State,
    encounter: Encounter,
    found: Endured,
) -> None:
    stage = open_stage()
    await stage.open()
    try:
        whole = replace(encounter, content=await stage.fingerprint())
        verdict = await Judge(model, stage, scenario, start, readings).judged(whole)
    finally:
        await stage.close()
    if isinstance(verdict, Unknown):
        found.unknown = verdict.reason
    elif isinstance(verdict, Wrong):
        found.wrong = Tried(scenario, _blamed(model, start, len(scenario.clients), verdict), whole)
    else:
        found.rules.update(exercised(model, scenario, verdict))
        found.rules[CUT] += sum(map(indeterminate, whole.history))
        found.rules[ACKNOWLEDGED] += sum(not indeterminate(operation) for operation in whole.history)


async def _gone(stage: Stage) -> str | None:
    """What a store still answers that does not come back; None where all do."""
    for number in range(CLIENTS):
        said = ""
        for _ in range(TRIES):
            outcome = await stage.client(number).call("loadRun", {"runId": "back"})
            said = show_outcome(outcome)
            if said == "None":
                break
            await asyncio.sleep(PAUSE_S)
        else:
            return said
    return None


def _blamed(model: Model, start: State, clients: int, wrong: Wrong) -> Wrong:
    """With the rules that only a fault breaks: in front where the reading shows it, else as one more suspect. Where no
    loss of the last answers explains it, the setup's may be lost too, or the search for it too long: both are named.
    """
    if not wrong.reading:
        return replace(wrong, rules=(*wrong.rules, ACKNOWLEDGED))
    answered = [place for place, operation in enumerate(wrong.history) if 0 <= operation.client < clients]
    answered.sort(key=lambda place: wrong.history[place].returned or 0, reverse=True)
    # The last ones are the likeliest to be lost: is the history right without so many of the last answers?
    counts = [1 << power for power in range(len(answered).bit_length() + 1)]
    lost = any(_right_without(model, start, wrong.history, answered[:count]) for count in counts)
    return replace(wrong, rules=(*((ACKNOWLEDGED,) if lost else (CUT, ACKNOWLEDGED)), *wrong.rules))


def _right_without(model: Model, start: State, history: History, places: list[int]) -> bool:
    changed = tuple(
        replace(operation, returned=None, outcome=None) if place in places else operation
        for place, operation in enumerate(history)
    )
    return isinstance(check(model, start, changed, BLAME_BUDGET), Linearizable)


def dropping(url: str, schema: str, seed: int) -> Fault:
    """Ends a backend of the schema's clients every few milliseconds with pg_terminate_backend."""

    @asynccontextmanager
    async def open_fault() -> AsyncGenerator[Strikes]:
        strikes, source = Strikes(), random.Random(seed)
        async with await _psycopg().AsyncConnection.connect(url, autocommit=True) as connection:

            async def strike() -> None:
                while True:
                    await asyncio.sleep(source.uniform(0.001, 0.01))
                    ended = await connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
                        (source.choice(_sessions(schema)),),
                    )
                    strikes["connections dropped"] += ended.rowcount

            async with _beside(strike):
                yield strikes

    return open_fault


def losing(schema: str, seed: int, share: float = 0.15) -> Fault:
    """Breaks connections of the schema's clients when a statement was executed and before its answer is heard, in this
    share of them; a COMMIT is a statement too.
    """

    @asynccontextmanager
    async def open_fault() -> AsyncGenerator[Strikes]:
        strikes, source = Strikes(), random.Random(seed)
        psycopg = _psycopg()
        original = psycopg.AsyncConnection.wait

        async def wait(self: Any, gen: Any, *given: Any, **options: Any) -> Any:
            name = gen.gi_code.co_name
            result = await original(self, gen, *given, **options)
            own = self.info.parameter_status("application_name") in _sessions(schema)
            if own and name in ("_execute_gen", "_commit_gen", "_exit_gen") and source.random() < share:
                self.pgconn.finish()
                strikes["answers lost"] += 1
                raise psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")
            return result

        psycopg.AsyncConnection.wait = wait
        try:
            yield strikes
        finally:
            psycopg.AsyncConnection.wait = original

    return open_fault


def restarting(server: RestartableServer, how: Literal["fast", "immediate"], seed: int) -> Fault:
    """Restarts the server once, some milliseconds into the load; a load that is over by then counts as `too late`."""

    @asynccontextmanager
    async def open_fault() -> AsyncGenerator[Strikes]:
        strikes, begun = Strikes(), asyncio.Event()

        async def strike() -> None:
            await asyncio.sleep(random.Random(seed).uniform(0.005, 0.03))
            begun.set()
            await asyncio.to_thread(server.restart, how)

        async with _beside(strike, begun):
            yield strikes
            strikes[f"restarts ({how})" if begun.is_set() else "too late"] += 1

    return open_fault


def outage_scenarios(seed: int, loads: int, calls: int = 8, runs: int = FEW) -> list[Scenario]:
    """Loads that the checker is sure of where operations are in doubt: of many runs only without claims over rows."""
    scenarios = list(drawn_loads(seed, loads, CLIENTS, calls, runs))
    if runs <= FEW:
        return scenarios
    return [replace(one, clients=tuple(map(_without_claims, one.clients))) for one in scenarios]


def _without_claims(program: Program) -> Program:
    return tuple(call for call in program if call.operation not in CLAIMS or "runId" in call.args)


def _sessions(schema: str) -> list[str]:
    """What `databasestages` calls the clients' sessions."""
    return [f"{schema} {number}"[-63:] for number in range(CLIENTS)]


@contextmanager
def _quiet() -> Generator[None]:
    """Without the warnings of pools whose connections are broken on purpose."""
    logger = logging.getLogger("psycopg.pool")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@asynccontextmanager
async def _beside(
    work: Callable[[], Coroutine[Any, Any, None]], begun: asyncio.Event | None = None
) -> AsyncGenerator[None]:
    """Beside the body; ends with it, unless it has begun something that has to come to its end."""
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        if begun is None or not begun.is_set():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _psycopg() -> Any:
    return importlib.import_module("psycopg")
