"""Runs a program on a target beside the model and stops at the first answer that is not the model's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from storeproof.conformance.closing import closing_steps
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.judgement import Judgement, disordered, judge
from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.conformance.refusals import unkeepable
from storeproof.conformance.targets import Target
from storeproof.conformance.watchdog import Blocked, abandoned, watch
from storeproof.reference.model import Model, Outcome, Raised, State, Step
from storeproof.spec.errors import CannotTellError

NOT_CARRIED = "NotCarried"
"""The name of an outcome that is no answer: the way to the store has no words for the arguments (NaN in JSON)."""

T = TypeVar("T")
Closing: TypeAlias = Callable[[Model, State, Program], Program]
CLOSING_S = 20.0
"""Seconds for closing a target."""
LEFT_S = 2.0
"""Seconds for ending what it left on the loop."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first wrong answer of a run. `index` counts through the program and then through its closing steps."""

    index: int
    call: Call
    expected: Step
    actual: Outcome
    judgement: Judgement
    closing: bool


@dataclass(slots=True)
class Run:
    """What one run showed."""

    mismatch: Mismatch | None = None
    exercised: Counter[str] = field(default_factory=Counter[str])
    """How often each rule decided something and the answer was right."""
    tolerated: list[Judgement] = field(default_factory=list[Judgement])
    """Answers that break a SHOULD rule only, and after which the run could go on."""
    reopened: int = 0
    left_out: int = 0
    """Calls that could not be made, because the way to the store does not carry their arguments."""


def expected_step(model: Model, state: State, call: Call) -> Step:
    """What the contract expects of a call, also of one whose arguments break the schema (rulings 5 and 6)."""
    if call.refused is None:
        return model.step(state, call.operation, call.args)
    return Step(state, Raised("InvalidArgument", {"fields": [call.refused]}), (refusing_rule(call),), ())


def refusing_rule(call: Call) -> str:
    """The promise that a call whose arguments break the schema puts to the test."""
    return "arguments.unkeepable" if unkeepable(call.args) else f"{call.operation}.arguments"


class Runner:
    """One event loop, one target, one model: everything that runs programs goes through here."""

    def __init__(self, target: Target, model: Model) -> None:
        self.target = target
        self.model = model
        self.loop = asyncio.Runner()

    def open(self) -> None:
        """Opens the target; raises HarnessError where that fails, and UsageError where it must not be opened."""
        self.wait(self._outside("could not be opened", self.target.open()))

    def close(self) -> None:
        """Closes the target and the loop; raises HarnessError where the target cannot be closed."""
        try:
            with watch(CLOSING_S):
                self.wait(self._outside("could not be closed", self.target.close()))
        except Blocked:
            raise HarnessError(f"{self.target.name}: closing it took longer than {CLOSING_S:g} s") from None
        finally:
            left = asyncio.all_tasks(self.loop.get_loop())
            try:
                with watch(LEFT_S):
                    self.loop.close()
            except Blocked:  # a task or a thread that never ends: everything about it has been said
                abandoned.extend(left)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, run on the runner's loop. Raises HarnessError where nothing can stop it."""
        try:
            return self.loop.run(work)
        except Blocked:
            raise HarnessError(
                f"{self.target.name}: a call took too long and went on when it was cancelled; the run ends here"
            ) from None

    def run(self, program: Program, closing: Closing | None = closing_steps, setup: int = 0) -> Run:
        """Runs a program on an empty store; `closing` makes the steps that read the state in the end. Of the answers to
        so many calls of a `setup` only those are wrong on which nothing is to be built.
        """
        return self.wait(self._run(program, closing, setup))

    async def _outside(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """What happens between calls is no answer of the store: whatever fails there, nothing can be said."""
        try:
            await work
        except CannotTellError:
            raise
        except (Exception, SystemExit) as error:
            raise HarnessError(f"{self.target.name} {what}: {type(error).__name__}: {error}") from error

    async def _run(self, program: Program, closing: Closing | None, setup: int) -> Run:
        await self._outside("could not be emptied", self.target.reset())
        run = Run()
        state = await self._steps(run, self.model.initial(), program, 0, setup=setup)
        if run.mismatch is None and closing is not None:
            await self._steps(run, state, closing(self.model, state, program), len(program), closing=True)
        return run

    async def _steps(
        self, run: Run, state: State, program: Program, offset: int, *, setup: int = 0, closing: bool = False
    ) -> State:
        before: Call | None = None
        for index, call in enumerate(program, offset):
            if call.operation == REOPEN:
                await self._outside("could not be opened again", self.target.reopen())
                run.reopened += 1
                continue
            expected = expected_step(self.model, state, call)
            actual = await self.target.call(call.operation, call.args)
            if isinstance(actual, Raised) and actual.name == NOT_CARRIED:
                run.left_out += 1
                continue
            judgement = judge(self.model, state, call, expected, actual)
            if judgement is not None and judgement.rules == ("answers.extra-fields",):
                run.tolerated.append(judgement)
            elif judgement is not None and not (
                index < setup and disordered(self.model, state, call, expected, actual)
            ):
                if call == before and not closing:
                    judgement = Judgement((*judgement.rules, "retry.converges"), judgement.message)
                run.mismatch = Mismatch(index, call, expected, actual, judgement, closing)
                return state
            run.exercised.update(expected.rules)
            run.exercised.update(("answers.taxonomy", "answers.schema", "answers.extra-fields"))
            if call is before:
                run.exercised["retry.converges"] += 1
            state, before = expected.state, call
        return state
