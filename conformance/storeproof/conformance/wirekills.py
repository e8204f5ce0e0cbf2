"""Processes killed with SIGKILL while requests are in flight, and what a new process then finds.

Requests without an answer are indeterminate: they took effect or not, perhaps later, where a server still works on
them. What was answered must be there. Judged like any other history; the kit kills only what it started.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.catalogue import LONG_APPEND, WORLDS, WRITERS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.footprints import meets
from storeproof.conformance.histories import History, Moment, Operation
from storeproof.conformance.judgement import decisive_rule, show_outcome
from storeproof.conformance.linearizability import Linearizable, Unknown, check
from storeproof.conformance.points import Cut
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import LINEARIZABLE, Judge, Readings, Wrong
from storeproof.conformance.races import Tried, after, exercised, prepared
from storeproof.conformance.relation import indeterminate, written
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wireclient import Killed
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Model

MOST_CLIENTS = 4
LATEST = 1.5
"""The longest time between the requests, or an answer, and the kill, in calls: as long as one takes and half of it."""
EVENLY = (5**0.5 - 1) / 2
"""Its multiples, less their whole parts, divide 0 to 1 evenly, however many they are: the golden ratio."""
CALL_S = 0.003
"""How long a call takes where the setup, which tells, has none."""


@dataclass(frozen=True, slots=True)
class Round:
    """One kill: when so many answers have come, and then `later`: 1.0 is as long as a call of this store takes.
    `retried`: what was cut off is called again by the new process before the state is read.
    """

    scenario: Scenario
    answers: int
    later: float
    retried: bool

    def of(self, scenario: Scenario, attempt: int) -> Round:
        """The same kill of another scenario; attempts differ by their moment."""
        return Round(scenario, min(self.answers, scenario.width), self.later * attempt / 2, self.retried)


@dataclass(slots=True)
class Struck:
    """What became of a round. `cuts`: how many operations were cut off or had just been answered."""

    cuts: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: Tried | None = None
    unknown: str | None = None
    skipped: str | None = None
    """Why nobody was killed: the setup was answered wrongly, which sequences tell better."""


def drawn_rounds(model: Model, seed: int, number: int) -> Iterator[Round]:
    """So many, two of three of one operation alone: only what is cut off can be half done, and nothing hides it."""
    source = random.Random(seed)
    alone, beside = _alone(model, source), _beside(source)
    for place in range(number):
        yield next(alone if place % 3 else beside)


def _alone(model: Model, source: random.Random) -> Iterator[Round]:
    """Each operation that writes several rows, again and again, at moments that lie evenly: it is half done for a part
    of its time only.
    """
    worlds = list(WORLDS.values())[:2]
    calls = [
        (Scenario(world, ((call,),)), source.random()) for world in worlds for call in _of_several_rows(model, world)
    ]
    source.shuffle(calls)
    for turn in count():
        for scenario, first in calls:
            yield Round(scenario, 0, LATEST * ((first + turn * EVENLY) % 1), retried=source.random() < 0.5)


def _beside(source: random.Random) -> Iterator[Round]:
    """Each writing operation, beside up to three clients, some with a second call."""
    worlds = list(WORLDS.values())
    first = source.randrange(len(WRITERS))
    for place in count():
        clients: list[Program] = [(WRITERS[(first + place // 2) % len(WRITERS)],)]
        clients += (
            tuple(source.choice(WRITERS) for _ in range(source.randint(1, 2)))
            for _ in range(source.randrange(MOST_CLIENTS))
        )
        scenario = Scenario(worlds[place % 2] if place % 5 else worlds[2], tuple(clients))
        answers = source.randint(0, scenario.width)
        later = source.random() * LATEST if not answers or source.random() < 0.5 else 0.0
        yield Round(scenario, answers, later, retried=source.random() < 0.5)


def _of_several_rows(model: Model, world: Program) -> Program:
    start = after(model, world)
    steps = ((call, model.step(start, call.operation, call.args)) for call in (*WRITERS, LONG_APPEND))
    return tuple(call for call, step in steps if len(written(model.specification, start, step.state)) > 1)


async def struck(stage: WireStage, model: Model, round_: Round, avoidance: Avoidance | None = None) -> Struck:
    """Runs a round and judges what is left."""
    found = Struck()
    scenario = round_.scenario
    started = time.monotonic()
    found.skipped = await prepared(stage, model, scenario.setup)
    if found.skipped is not None:
        return found
    call_s = (time.monotonic() - started) / (1 + len(scenario.setup)) if scenario.setup else CALL_S
    history, moments = await _killed(stage, round_, round_.later * call_s)
    cut_off = [each for each in history if each.outcome is None]
    await stage.target.start()
    if round_.retried:
        history, moments = await _retried(stage, history, moments)
    encounter = Encounter(history, moments, (), (), 0, None)
    start = after(model, scenario.setup)
    verdict = await Judge(model, stage, scenario, start, Readings(avoidance=avoidance)).judged(encounter)
    if isinstance(verdict, Unknown):
        found.unknown = verdict.reason
    elif isinstance(verdict, Wrong):
        cut = Cut(0, round_.answers, "after" if cut_off else "answered")
        found.wrong = Tried(scenario, _blamed(model, scenario, verdict, round_), encounter, cut)
    else:
        found.cuts = max(len(cut_off), 1)
        found.rules.update(exercised(model, scenario, verdict))
        found.rules[CUT] += len(cut_off)
        found.rules[CONVERGES] += len(cut_off) if round_.retried else 0
        heard = [each for each in history if each.client < len(scenario.clients) and not indeterminate(each)]
        found.rules[ACKNOWLEDGED] += bool(heard)
    return found


async def _killed(stage: WireStage, round_: Round, delay_s: float) -> tuple[History, tuple[Moment, ...]]:
    """The clients at work until the process is killed; what they heard."""
    ticks = count()
    operations: list[Operation] = []
    moments: list[Moment] = []
    heard = asyncio.Event()
    answers, dying = 0, False

    async def client(number: int, program: Program) -> None:
        nonlocal answers
        for call in program:
            if dying:  # its last answer came on the way
                return
            place = len(operations)
            operations.append(Operation(number, call, next(ticks)))
            moments.append(Moment(number, "call", call.as_python()))
            outcome = await stage.target.client.call(call.operation, call.args)
            operations[place] = replace(operations[place], returned=next(ticks), outcome=outcome)
            moments.append(Moment(number, "answer", show_outcome(outcome)))
            answers += 1
            if answers >= round_.answers:
                heard.set()

    work = [asyncio.create_task(client(number, program)) for number, program in enumerate(round_.scenario.clients)]
    try:
        if round_.answers:
            waiting = asyncio.create_task(heard.wait())
            await asyncio.wait([waiting, *work], return_when=asyncio.FIRST_COMPLETED)
            while not heard.is_set() and not all(task.done() for task in work):
                await asyncio.wait([waiting, *work], return_when=asyncio.FIRST_COMPLETED, timeout=0.001)
            waiting.cancel()
        await asyncio.sleep(0)  # the requests are made
        await asyncio.sleep(delay_s)  # and written
    finally:
        dying = True
        await stage.target.kill()
        ended = await asyncio.gather(*work, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, BaseException) and not isinstance(problem, Killed):
            raise problem
    moments.append(Moment(0, "cut", "killed"))
    return tuple(operations), tuple(moments)


async def _retried(
    stage: WireStage, history: History, moments: tuple[Moment, ...]
) -> tuple[History, tuple[Moment, ...]]:
    """What was cut off once more, one after the other, by a client that knows nothing of the first call."""
    ticks = count(1 + max((each.returned or each.invoked for each in history), default=0))
    caller = 1 + max((each.client for each in history), default=0)
    for operation in [each for each in history if each.outcome is None]:
        call = operation.call
        outcome = await stage.reader.call(call.operation, call.args)
        history = (*history, Operation(caller, call, next(ticks), next(ticks), outcome))
        answered = Moment(caller, "answer", show_outcome(outcome))
        moments = (*moments, Moment(caller, "call", call.as_python()), answered)
    return history, moments


def _blamed(model: Model, scenario: Scenario, wrong: Wrong, round_: Round) -> Wrong:
    """With the rules in front that the kill shows as broken: what was answered is lost, or a call is half done."""
    lost = _forgotten(model, scenario, wrong)
    retried = round_.retried and not lost
    rules = [ACKNOWLEDGED] if lost else [CONVERGES, CUT] if retried else [CUT]
    rules += [rule for rule in _near(model, scenario, wrong) if len(scenario.clients) > 1 or rule != LINEARIZABLE]
    start = after(model, scenario.setup)
    blamed = _suspect(model, scenario, wrong, lost=lost)
    rules.append(decisive_rule(model.specification, blamed.operation, model.step(start, blamed.operation, blamed.args)))
    heard = sum(1 for each in wrong.history if 0 <= each.client < len(scenario.clients) and each.outcome is not None)
    how = f"the process killed when {heard} of {scenario.width} calls had been answered"
    again = ", and what was cut off called again" if round_.retried else ""
    problem = wrong.message.removeprefix("no order of these operations gives these answers: ")
    return replace(wrong, rules=tuple(dict.fromkeys(rules)), message=f"{how}{again}: {problem}")


def _near(model: Model, scenario: Scenario, wrong: Wrong) -> list[str]:
    """The rules without those of operations that have nothing to do with what fits nowhere, and were only in flight."""
    if wrong.stuck is None:
        return [*wrong.rules]
    stuck = wrong.stuck.call
    near = {call.operation for call in scenario.meeting if meets(model.specification, call, stuck)} | {stuck.operation}
    far = {call.operation for call in scenario.meeting} - near
    return [rule for rule in wrong.rules if model.specification.rules[rule].operation not in far]


def _suspect(model: Model, scenario: Scenario, wrong: Wrong, *, lost: bool) -> Call:
    """The call that was cut off, or answered and lost, and that may write what fits nowhere."""
    calls = [each for each in wrong.history if 0 <= each.client < len(scenario.clients)]
    cut = [each.call for each in calls if (each.outcome is None) != lost]
    stuck = wrong.stuck
    near = [call for call in cut if stuck and meets(model.specification, call, stuck.call)]
    return [*near, *cut, calls[0].call][0]


def _forgotten(model: Model, scenario: Scenario, wrong: Wrong) -> bool:
    """Whether the history is right if the last answers had never been given, those of the setup included."""
    clients = range(len(scenario.clients))
    unheard = tuple(
        replace(each, returned=None, outcome=None) if each.client in clients else each for each in wrong.history
    )
    for kept in range(len(scenario.setup), -1, -1):
        if isinstance(check(model, after(model, scenario.setup[:kept]), unheard), Linearizable):
            return True
    return False
