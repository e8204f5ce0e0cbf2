"""Real concurrency: clients that run at the same time and are steered by nobody, and the history that comes of it.

For stores whose statements nobody sees it is all there is, for others a layer of smoke: it reaches what is below a
statement, such as a driver's own threads, but proves nothing, and what it finds need not come again. Judged by the same
Judge. The evidence is called `histories`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounters import LIMIT_S, Encounter
from storeproof.conformance.histories import Moment, Operation
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.linearizability import Unknown
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import CLAIMS, Judge, Readings, Wrong
from storeproof.conformance.races import after, exercised, prepared
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import CLIENTS, Stage
from storeproof.conformance.watchdog import Blocked, watch
from storeproof.reference.model import Model, Outcome, Raised

GRACE_S = 1.0
"""Seconds beyond the limit after which the event loop counts as blocked."""


@dataclass(slots=True)
class Load:
    """What became of scenarios that were run with real concurrency."""

    histories: int = 0
    operations: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    failures: int = 0
    """How many histories were wrong, where it went on after the first."""
    wrong: Wrong | None = None
    scenario: Scenario | None = None
    encounter: Encounter | None = None
    """The one that is wrong."""
    unknown: str | None = None
    skipped: str | None = None
    """Why a setup was not built upon: it was answered wrongly, which sequences tell better."""


async def meet_at_once(stage: Stage, scenario: Scenario, stores: int = CLIENTS, limit_s: float = LIMIT_S) -> Encounter:
    """Runs the clients of a scenario at the same time; the stage is prepared. Client n uses store n modulo `stores`."""
    ticks = count()
    operations: list[Operation] = []
    moments: list[Moment] = []

    def answered(place: int, outcome: Outcome) -> None:
        asked = operations[place]
        operations[place] = Operation(asked.client, asked.call, asked.invoked, next(ticks), outcome)
        moments.append(Moment(asked.client, "answer", show_outcome(outcome)))

    async def client(number: int, program: Program) -> None:
        for call in program:
            place = len(operations)
            operations.append(Operation(number, call, next(ticks)))
            moments.append(Moment(number, "call", call.as_python()))
            answered(place, await stage.client(number % stores).answer(call.operation, call.args))

    message = f"no answer within {limit_s:g} s beside other clients"
    try:
        # One watch around all: a watch of each call would take the other calls' alarm away.
        with watch(limit_s + GRACE_S):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(client(number, program) for number, program in enumerate(scenario.clients)))
    except (Blocked, TimeoutError) as error:
        message += "; the event loop is blocked" if isinstance(error, Blocked) else ""
        for place, operation in enumerate(operations):
            if operation.outcome is None:
                answered(place, Raised("NoAnswer", {"message": message}))
    return Encounter(
        tuple(operations), tuple(moments), (), (0,) * len(scenario.clients), None, await stage.fingerprint()
    )


async def repeated(
    stage: Stage, model: Model, scenario: Scenario, readings: Readings, repetitions: int, stores: int = CLIENTS
) -> Load:
    """Runs a scenario so many times with real concurrency, until one history is wrong."""
    found = Load()
    judging = Judge(model, stage, scenario, after(model, scenario.setup), readings)
    for _ in range(repetitions):
        found.skipped = await prepared(stage, model, scenario.setup)
        if found.skipped is not None:
            return found
        encounter = await meet_at_once(stage, scenario, stores)
        found.histories += 1
        found.operations += len(encounter.history)
        verdict = await judging.judged(encounter)
        if isinstance(verdict, Wrong):
            found.wrong, found.scenario, found.encounter = verdict, scenario, encounter
            return found
        if isinstance(verdict, Unknown):
            found.unknown = verdict.reason
            return found
        if not all(map(indeterminate, encounter.history)):
            found.rules.update(exercised(model, scenario, verdict))
    return found


def drawn_loads(seed: int, loads: int, clients: int = 6, calls: int = 8, runs: int = 4) -> Iterator[Scenario]:
    """Scenarios of many calls on a few runs and schedules, so many each. Sizes at which the checker is never in doubt:
    a history comes apart by the rows it touches, and a claim, of which there is one per client at most, joins parts.
    """
    source = random.Random(seed)
    keyed = [call for call in INSTANCES if _is_keyed(call)]
    claims = [call for call in INSTANCES if call.operation in CLAIMS and not _is_keyed(call)]
    world = [call for call in WORLDS["waiting"] if _is_keyed(call) and call.args.get("runId") != "q"]
    setup = tuple(_moved(call, run) for run in range(runs) for call in world if call.args.get("scheduleId") != "u")
    for _ in range(loads):
        programs: list[Program] = []
        for number in range(clients):
            program = [_drawn(source, source.choice(keyed), runs) for _ in range(calls)]
            if number < 2:
                program[source.randrange(calls)] = source.choice(claims)
            programs.append(tuple(program))
        yield Scenario(setup, tuple(programs))


def _is_keyed(call: Call) -> bool:
    return not {"runId", "scheduleId", "state"}.isdisjoint(call.args)


def _drawn(source: random.Random, call: Call, runs: int) -> Call:
    moved = _moved(call, source.randrange(runs))
    if call.operation == "appendEvents":
        return Call(call.operation, {**moved.args, "expectedNextIndex": source.randrange(1, 6)})
    return moved


def _moved(call: Call, number: int) -> Call:
    """The same call about another run or schedule."""
    names = {"r": f"r{number}", "s": f"s{number}", "w:s:9": f"w:s{number}:9"}

    def moved(args: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {name: moved(value) if name == "state" else value for name, value in args.items()}
        for name in {"runId", "scheduleId"} & found.keys():
            found[name] = names.get(found[name], found[name])
        return found

    return Call(call.operation, moved(call.args))
