"""Which model mutants each check kills: a check's programs are drawn once, and run on each mutant until one tells.

A mutant is judged as any store is: beside the right model, by the same runner. What only this module does is to know
beforehand, from the two models alone, which program is worth running.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from storeproof.conformance.checks import CHECKS
from storeproof.conformance.closing import closing_steps
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.mutated import ModelTarget, mutated_model, outcomes, told_apart
from storeproof.conformance.profiles import PROFILES, Profile
from storeproof.conformance.programs import Program
from storeproof.conformance.runner import Closing, Run, Runner
from storeproof.conformance.session import Session
from storeproof.reference.model import Model, Outcome
from storeproof.reference.mutants import Mutant

EVERY = ("vectors", "sequences")
"""Each of these is tried on every mutant, so that one does not hide what the other misses."""
OTHERS = ("arguments", "values", "ids")
"""Tried on what the others leave."""


@dataclass(slots=True)
class Verdict:
    """What became of one mutant: seconds to the kill, by check."""

    mutant: Mutant
    kills: dict[str, float] = field(default_factory=dict[str, float])


def verdicts(model: Model, mutants: Iterable[Mutant], seed: int) -> Iterator[Verdict]:
    """One verdict per mutant. Sequences are drawn with the quick profile, and once more with the default one."""
    quick = PROFILES["quick"]
    every = [(check, Trials(model, check, quick, seed)) for check in EVERY]
    others = [("sequences", Trials(model, "sequences", PROFILES["default"], seed + 1))]
    others += [(check, Trials(model, check, quick, seed)) for check in OTHERS]
    for mutant in mutants:
        verdict = Verdict(mutant)
        for check, trials in every:
            _try(verdict, check, trials)
        for check, trials in others:
            if not verdict.kills:
                _try(verdict, check, trials)
        yield verdict


def _try(verdict: Verdict, check: str, trials: Trials) -> None:
    started = time.perf_counter()
    if trials.kill(verdict.mutant):
        verdict.kills[check] = time.perf_counter() - started


class Trials:
    """The programs of one check, with what the right model answers; drawn when they are first asked for."""

    def __init__(self, model: Model, check: str, profile: Profile, seed: int) -> None:
        self._model = model
        self._check = check
        self._profile = profile
        self._seed = seed
        self._programs: list[tuple[Program, Program, list[Outcome]]] | None = None

    def kill(self, mutant: Mutant) -> bool:
        """Whether one of the programs shows that the mutant is wrong, and the runner says so."""
        if self._programs is None:
            self._programs = list(self._drawn())
        wrong = mutated_model(mutant)
        runner = Runner(ModelTarget(mutant.id, wrong), self._model)
        try:
            for program, whole, right in self._programs:
                if told_apart(wrong, whole, right) and runner.run(program).mismatch is not None:
                    return True
        finally:
            runner.close()
        return False

    def _drawn(self) -> Iterator[tuple[Program, Program, list[Outcome]]]:
        for program in programs_of(self._model, self._check, self._profile, self._seed):
            state = self._model.initial()
            for call in program:
                state = self._model.step(state, call.operation, call.args).state
            whole = (*program, *closing_steps(self._model, state, program))
            yield program, whole, outcomes(self._model, whole)


def programs_of(model: Model, check: str, profile: Profile, seed: int) -> list[Program]:
    """The programs a check runs on a store with which nothing is wrong, those with refused calls left out."""
    runner = Runner(ModelTarget("the model", model), model)
    try:
        session = _Collecting(runner, profile, seed)
        CHECKS[check](session)
    finally:
        runner.close()
    if session.failures:
        raise HarnessError(f"the model differs from itself: {session.failures[0].message}")
    return session.collected


@dataclass(slots=True)
class _Collecting(Session):
    collected: list[Program] = field(default_factory=list[Program])

    def exercise(
        self,
        program: Program,
        check: str,
        promise: str | None = None,
        baseline: Program | None = None,
        closing: Closing | None = closing_steps,
        *,
        spared: bool = False,
    ) -> Run:
        if any(call.refused for call in program):
            return Run()  # refusing is not the model's business
        self.collected.append(program)
        # By name: a dataclass with slots is another class than the one `super()` was compiled for.
        return Session.exercise(self, program, check, promise, baseline, closing, spared=spared)
