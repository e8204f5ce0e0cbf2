"""The check `cuts` with whole processes: one opens the store, makes its calls and is killed with SIGKILL at a point.

Nothing of it can clean up, so what is found afterwards is what the database alone kept. The victims are forked by
`victimprocess`; a fresh store in this process then reads the state, and makes the call again that was cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal, TypeAlias

from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT, blamed
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.footprints import footprint
from storeproof.conformance.histories import Moment, Operation
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.linearizability import Linearizable, Unknown
from storeproof.conformance.points import Cut
from storeproof.conformance.programs import Program, to_json
from storeproof.conformance.racejudgement import Judge, Readings, Wrong
from storeproof.conformance.races import Tried, after, exercised, prepared
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.victimplaces import Place
from storeproof.reference.model import Model, Outcome, Raised, Returned

LIMIT_S = 60.0
"""Seconds that one victim may take, its start included."""

KillWhen: TypeAlias = Literal["before", "during", "after", "answered", "any moment"]


@dataclass(frozen=True, slots=True)
class Kill:
    """Where the process dies: at statement number `at` of its call number `call`, both counted from 0.

    `during`: the statement was sent and is not answered. `answered`: right after the answer to the call. `any moment`:
    somebody else kills it when it has told the answer to the call, wherever it is by then.
    """

    call: int
    at: int
    when: KillWhen


@dataclass(slots=True)
class Killing:
    """What became of one scenario. `points`: how many processes were killed and left all as it should be, by when."""

    points: Counter[KillWhen] = field(default_factory=Counter[KillWhen])
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: Tried | None = None
    kill: Kill | None = None
    """Of the one that is wrong."""
    unknown: str | None = None
    skipped: str | None = None


class Zygote:
    """The process that forks victims. Needs a system that can fork."""

    def __init__(self, modules: Sequence[str]) -> None:
        """`modules`: what victims need, imported once."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "storeproof.conformance.victimprocess"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._jobs, self._said = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._rest = b""
        self._tell({"path": sys.path, "modules": list(modules)})

    def victim(self, store: dict[str, Any], calls: Program, kill: Kill | None) -> tuple[list[Outcome], bool]:
        """The answers a victim gave, and whether it was killed before it was done. Raises HarnessError."""
        own = kill is not None and kill.when != "any moment"
        where = [kill.call, kill.at, kill.when] if own and kill is not None else None
        self._tell({"store": store, "calls": to_json(calls), "kill": where})
        outcomes: list[Outcome] = []
        killed, pid, failed = True, 0, ""
        for message in self._heard():
            if "pid" in message:
                pid = message["pid"]
            elif "answer" in message:
                outcomes.append(_outcome(message["answer"]))
                if kill is not None and kill.when == "any moment" and len(outcomes) == kill.call + 1:
                    os.kill(pid, signal.SIGKILL)
            elif "finished" in message:
                killed = False
            elif "failed" in message:
                failed = f":\n{message['failed']}"
            elif "ended" in message:
                if not os.WIFSIGNALED(message["ended"]) or os.WTERMSIG(message["ended"]) != signal.SIGKILL:
                    raise HarnessError(f"a process that was to be killed ended by itself{failed}")
                break
        return outcomes, killed

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()  # it may wait for a victim; that one ends by its alarm
        self._process.wait()

    def _tell(self, message: dict[str, Any]) -> None:
        rest = json.dumps(message).encode() + b"\n"
        while rest:
            rest = rest[os.write(self._jobs, rest) :]

    def _heard(self) -> Iterator[dict[str, Any]]:
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if not found:
                if not select.select([self._said], [], [], LIMIT_S)[0]:
                    raise HarnessError(f"a process that was to be killed said nothing for {LIMIT_S:g} s")
                read = os.read(self._said, 1 << 16)
                if not read:
                    raise HarnessError("the process that forks others has ended")
                self._rest += read
                continue
            self._rest = rest
            if line:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # killed in the middle of a line: nobody heard that answer


@contextmanager
def zygote(place: Place) -> Generator[Zygote]:
    """A process that forks victims for a place."""
    process = Zygote(place.modules)
    try:
        yield process
    finally:
        process.close()


def killed_scenarios(model: Model) -> Iterator[Scenario]:
    """Every writing instance, alone in the world with the most to do."""
    for call in INSTANCES:
        if footprint(model.specification, call).written:
            yield Scenario(WORLDS["waiting"], ((call,),))


async def explore_kills(place: Place, process: Zygote, model: Model, scenario: Scenario, readings: Readings) -> Killing:
    """Kills the one client of a scenario at every statement of its last call, and right after each answer."""
    killing = _Killing(place, process, model, scenario, readings)
    [calls] = scenario.clients
    last = len(calls) - 1
    try:
        for at in count():
            # One after the other, as long as a kill takes place: nobody knows beforehand how many there are.
            if not [when for when in place.whens if await killing.struck(Kill(last, at, when))]:
                break
        for number in range(len(calls)):
            await killing.struck(Kill(number, 0, "answered"))
    except _Over:
        pass
    return killing.found


async def explore_moments(
    place: Place, process: Zygote, model: Model, scenario: Scenario, readings: Readings
) -> Killing:
    """Kills the one client of a scenario from outside, after each of its answers but the last."""
    killing = _Killing(place, process, model, scenario, readings)
    try:
        for number in range(len(scenario.clients[0]) - 1):
            await killing.struck(Kill(number, 0, "any moment"))
    except _Over:
        pass
    return killing.found


async def rekill(
    place: Place, process: Zygote, model: Model, scenario: Scenario, readings: Readings, kill: Kill
) -> Tried | None:
    """One kill again; what is wrong with it, if anything."""
    killing = _Killing(place, process, model, scenario, readings)
    with suppress(_Over):
        await killing.struck(kill)
    return killing.found.wrong


class _Over(Exception):
    """There is nothing more to find out about the scenario."""


class _Killing:
    def __init__(self, place: Place, process: Zygote, model: Model, scenario: Scenario, readings: Readings) -> None:
        self._place = place
        self._process = process
        self._model = model
        self._scenario = scenario
        self._judge = Judge(model, place.stage, scenario, after(model, scenario.setup), readings)
        self.found = Killing()

    async def struck(self, kill: Kill) -> bool:
        """One process killed, and what it left judged; whether the kill took place."""
        encounter, killed = await self._run(kill)
        if not killed:
            return False
        cut = any(operation.outcome is None for operation in encounter.history)
        verdict = await self._judged(encounter, kill)
        if cut and kill.when != "any moment":
            if await self._place.stage.fingerprint() != encounter.content:
                encounter, _ = await self._run(kill)  # the state had to be read, and reading claims
            verdict = await self._judged(await self._again(encounter), kill)
            self.found.rules[CONVERGES] += 1
        self.found.points[kill.when] += 1
        self.found.rules.update(exercised(self._model, self._scenario, verdict))
        self.found.rules[CUT] += cut
        self.found.rules[ACKNOWLEDGED] += any(not indeterminate(operation) for operation in encounter.history)
        return True

    async def _run(self, kill: Kill) -> tuple[Encounter, bool]:
        self.found.skipped = await prepared(self._place.stage, self._model, self._scenario.setup)
        if self.found.skipped:
            raise _Over
        store = await self._place.left()
        [calls] = self._scenario.clients
        # In a thread: the loop goes on, and with it whatever a pool of the stage has to do.
        outcomes, killed = await asyncio.to_thread(self._process.victim, store, calls, kill)
        await self._place.gone()
        history: list[Operation] = []
        moments: list[Moment] = []
        for number, call in enumerate(calls[: len(outcomes) + 1]):
            outcome = outcomes[number] if number < len(outcomes) else None
            history.append(Operation(0, call, 2 * number, 2 * number + 1, outcome))
            moments.append(Moment(0, "call", call.as_python()))
            if outcome is not None:
                moments.append(Moment(0, "answer", show_outcome(outcome)))
        if kill.when == "answered":
            del history[kill.call + 1 :], moments[2 * kill.call + 2 :]  # the next call never began
        moments.append(Moment(0, "cut", "killed"))
        content = await self._place.stage.fingerprint()
        return Encounter(tuple(history), tuple(moments), (), (), 0, content), killed

    async def _again(self, encounter: Encounter) -> Encounter:
        last = encounter.history[-1]
        outcome = await self._place.stage.reader.call(last.call.operation, last.call.args)
        at = 1 + (last.returned or last.invoked)
        moments = Moment(1, "call", last.call.as_python()), Moment(1, "answer", show_outcome(outcome))
        return replace(
            encounter,
            history=(*encounter.history, Operation(1, last.call, at, at + 1, outcome)),
            moments=(*encounter.moments, *moments),
            content=await self._place.stage.fingerprint(),
        )

    async def _judged(self, encounter: Encounter, kill: Kill) -> Linearizable:
        verdict = await self._judge.judged(encounter)
        if isinstance(verdict, Unknown):
            self.found.unknown = verdict.reason
            raise _Over
        if isinstance(verdict, Wrong):
            cut = Cut(0, kill.at, "answered" if kill.when == "answered" else "after")
            how = f"its process killed {_where(kill)}"
            told = blamed(self._model, self._judge.start, self._scenario, cut, verdict, how)
            self.found.wrong, self.found.kill = Tried(self._scenario, told, encounter, cut), kill
            raise _Over
        return verdict


def _where(kill: Kill) -> str:
    match kill.when:
        case "answered":
            return f"right after the answer to call {kill.call + 1}"
        case "any moment":
            return f"a moment after the answer to call {kill.call + 1}"
        case _:
            return f"{kill.when} statement {kill.at + 1} of call {kill.call + 1}"


def _outcome(said: list[Any]) -> Outcome:
    return Returned(said[1]) if said[0] == "Returned" else Raised(said[1], said[2])
