"""The clients of one scenario at the same time over the wire, and how much later than the first each of them begins.

Knows no copies and no verdict.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Moment, Operation
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.programs import Program
from storeproof.conformance.racefailures import FEW
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wirestage import WireStage

LONGEST_DELAY_S = 0.003
"""How much later than the others a client may begin, where nobody knows how long they take."""
TOGETHER = 0.5
"""How often all clients begin together."""
COARSE_S = 0.002
"""The timers of an idle event loop come up to a millisecond late, and its process is woken late as well."""


class Pace:
    """When the clients of a scenario begin that nobody else has to do with: in half of the cases together; else one
    first, the others at any moment of the time that its calls take, which were timed when all began together. The
    longer they take the oftener it is the first: so each way in which two calls overlap is as likely as any other.

    Loads, of many calls, are `delays`: there it is the crowd that matters.
    """

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._lengths_s: list[float] = []

    async def meet(self, stage: WireStage, scenario: Scenario) -> Encounter:
        """Runs it once; the setup is done."""
        clients = len(scenario.clients)
        known = bool(self._lengths_s)
        delayed = self._drawn(clients) if known else delays(clients, self._source, LONGEST_DELAY_S / clients)
        lengths_s = [0.0] * clients
        encounter = await meet_over_wire(stage, scenario, delayed, exactly, lengths_s)
        if max(delayed) <= 0 and scenario.width <= FEW:
            self._lengths_s = lengths_s
        return encounter

    def _drawn(self, clients: int) -> list[float]:
        if self._source.random() < TOGETHER:
            return _in_any_order(clients, self._source)
        [first] = self._source.choices(range(clients), self._lengths_s)
        return [0.0 if number == first else self._source.random() * self._lengths_s[first] for number in range(clients)]


async def meet_over_wire(
    stage: WireStage,
    scenario: Scenario,
    delayed: Sequence[float],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    lengths_s: list[float] | None = None,
) -> Encounter:
    """Runs the clients of a scenario at the same time; the setup is done. Each begins after its delay in seconds.
    `lengths_s` takes how long each client's calls took.
    """
    ticks = count()
    operations: list[Operation] = []
    moments: list[Moment] = []

    async def client(number: int, program: Program) -> None:
        if delayed[number] > 0:
            await wait(delayed[number])
        began = time.monotonic()
        for call in program:
            place = len(operations)
            operations.append(Operation(number, call, next(ticks)))
            moments.append(Moment(number, "call", call.as_python()))
            outcome = await stage.client(number).call(call.operation, call.args)
            operations[place] = Operation(number, call, operations[place].invoked, next(ticks), outcome)
            moments.append(Moment(number, "answer", show_outcome(outcome)))
        if lengths_s is not None:
            lengths_s[number] = time.monotonic() - began

    # The order of the tasks is the order of the requests in the write.
    numbers = sorted(range(len(scenario.clients)), key=lambda number: delayed[number])
    await asyncio.gather(*(client(number, scenario.clients[number]) for number in numbers))
    return Encounter(tuple(operations), tuple(moments), (), (0,) * len(scenario.clients), None, None)


def delays(clients: int, source: random.Random, most_s: float) -> list[float]:
    """All together in half of the cases, in any order; else each by the same time later than the one before, `most_s`
    at most.
    """
    order = _in_any_order(clients, source)
    step = 0.0 if source.random() < TOGETHER else source.random() * most_s
    return [(position + clients) * step for position in order] if step else order


def _in_any_order(clients: int, source: random.Random) -> list[float]:
    """What is not above 0 is no delay: it only says who is first in the write."""
    return [float(position - clients) for position in source.sample(range(clients), clients)]


async def exactly(delay_s: float) -> None:
    """Waits so long, to some microseconds: the last of it the loop goes round, because nothing else would wake it in
    time. Among many requests in flight it is woken all the time, and need not.
    """
    until = time.monotonic() + delay_s
    await asyncio.sleep(delay_s - COARSE_S)
    while time.monotonic() < until:
        await asyncio.sleep(0)
