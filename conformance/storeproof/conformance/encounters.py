"""Runs a scenario once on a stage: the clients under a scheduler, then a reading of the whole state by one client.

What comes out is a history for the linearizability checker, the reading at its end, and the moments for a timeline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from storeproof.conformance.histories import History, Moment, Operation
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.points import Cut, Died, point
from storeproof.conformance.programs import Program
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.scheduling import Choose, Scheduler, Stuck
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Outcome, Raised

LIMIT_S = 10.0
"""Seconds that one schedule may take."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """One run of a scenario. `statements`: how many each client executed, COMMITs included."""

    history: History
    moments: tuple[Moment, ...]
    choices: tuple[int, ...]
    statements: tuple[int, ...]
    dead: int | None
    content: Hashable | None
    """The stage's fingerprint after the run."""

    @property
    def seen(self) -> Hashable:
        """What can be judged of it: equal for runs that no observer can tell apart."""
        return tuple((each.invoked, each.returned, repr(each.outcome)) for each in self.history), self.content


@dataclass(slots=True)
class _Recorder:
    ticks: Iterator[int] = field(default_factory=count)
    operations: list[Operation] = field(default_factory=list[Operation])


async def meet(
    stage: Stage, scenario: Scenario, choose: Choose, cut: Cut | None = None, limit_s: float = LIMIT_S
) -> Encounter:
    """Runs the clients of a scenario; the stage is prepared. Between `stage.points()` and its end."""
    scheduler = Scheduler(choose, stage.probe, cut, limit_s)
    recorder = _Recorder()

    async def client(number: int, program: Program) -> None:
        for call in program:
            await point(call.as_python(), "call")
            place = len(recorder.operations)
            recorder.operations.append(Operation(number, call, next(recorder.ticks)))
            outcome = await stage.client(number).answer(call.operation, call.args)
            if scheduler.dead == number:
                raise Died  # what the store's clean-up raised on the broken connection is no answer: nobody hears it
            recorder.operations[place] = _answered(recorder, place, outcome)
            scheduler.note(number, "answer", show_outcome(outcome))
            scheduler.answered(number)

    works = [_work(client, number, program) for number, program in enumerate(scenario.clients)]
    try:
        await scheduler.run(works)
    except Stuck:
        # Whoever has no answer now never gets one: that is an answer too, and no store may give it.
        message = f"no answer within {limit_s:g} s beside other clients"
        for place, operation in enumerate(recorder.operations):
            if operation.outcome is None and operation.client != scheduler.dead:
                recorder.operations[place] = _answered(recorder, place, Raised("NoAnswer", {"message": message}))
    if scheduler.dead is not None:
        await stage.revive(scheduler.dead)
        for place, operation in enumerate(recorder.operations):
            if operation.client == scheduler.dead and operation.outcome is None:
                recorder.operations[place] = replace(operation, returned=next(recorder.ticks))
    return Encounter(
        tuple(recorder.operations),
        tuple(moment for moment in scheduler.moments if moment.kind != "sleep"),
        tuple(scheduler.choices),
        tuple(scheduler.statements(number) for number in range(len(scenario.clients))),
        scheduler.dead,
        await stage.fingerprint(),
    )


async def read(stage: Stage, calls: Program, after: int) -> History:
    """What the calls answer one after the other, as operations that follow all others."""
    ticks = count(after)
    found: list[Operation] = []
    for call in calls:
        outcome = await stage.reader.call(call.operation, call.args)
        found.append(Operation(READER, call, next(ticks), next(ticks), outcome))
    return tuple(found)


READER = -1
"""The client that reads in the end."""


def _work(
    client: Callable[[int, Program], Awaitable[None]], number: int, program: Program
) -> Callable[[], Awaitable[None]]:
    return lambda: client(number, program)


def _answered(recorder: _Recorder, place: int, outcome: Outcome) -> Operation:
    operation = recorder.operations[place]
    return Operation(operation.client, operation.call, operation.invoked, next(recorder.ticks), outcome)
