"""Mutated models as things under test: what they answer to a program, and a Target that `verify` can hold to the model.

All at wire level, without a Python store in between: what is tested here is the kit. Knows no check and no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from storeproof.conformance.programs import Arguments, Program
from storeproof.reference.model import Model, Outcome, Raised, Returned, State, Step
from storeproof.reference.mutants import Mutant
from storeproof.spec.compiler import EvaluationError
from storeproof.spec.jsonvalues import equal
from storeproof.spec.specification import Specification


class Stepping(Protocol):
    """What executes a program: a model, or one operation of it beside another model's."""

    def initial(self) -> State: ...
    def step(self, state: State, operation: str, args: Arguments) -> Step: ...


@dataclass(frozen=True, slots=True)
class OneOperation:
    """The right model with one operation of a wrong one: a function that several operations call is wrong in each."""

    right: Model
    wrong: Model
    operation: str

    def initial(self) -> State:
        """The state of a new store."""
        return self.right.initial()

    def step(self, state: State, operation: str, args: Arguments) -> Step:
        """One operation."""
        return (self.wrong if operation == self.operation else self.right).step(state, operation, args)


def mutated_model(mutant: Mutant) -> Model:
    """The wrong model of a mutant."""
    return Model(Specification.from_data(mutant.data))


def answer(model: Stepping, state: State, operation: str, args: Arguments) -> tuple[State, Outcome]:
    """One step; a model so wrong that it fails answers an exception no store may raise."""
    try:
        step = model.step(state, operation, args)
    except EvaluationError as error:
        return state, Raised("UnexpectedException", {"message": str(error)})
    return step.state, step.outcome


def outcomes(model: Model, program: Program) -> list[Outcome]:
    """What a model answers to a program of plain calls, on a new store."""
    state = model.initial()
    found: list[Outcome] = []
    for call in program:
        state, outcome = answer(model, state, call.operation, call.args)
        found.append(outcome)
    return found


def told_apart(wrong: Stepping, program: Program, expected: Iterable[Outcome]) -> bool:
    """Whether one of the answers of `wrong` is not the expected one; stops at the first."""
    state = wrong.initial()
    for call, right in zip(program, expected, strict=True):
        state, outcome = answer(wrong, state, call.operation, call.args)
        if not _same(outcome, right):
            return True
    return False


def _same(left: Outcome, right: Outcome) -> bool:
    if isinstance(left, Returned):
        return isinstance(right, Returned) and equal(left.value, right.value)
    return isinstance(right, Raised) and left.name == right.name and equal(left.data, right.data)


class ModelTarget:
    """A store that is a model: in wire form, not durable, without subscriptions.

    It does not check arguments: no mutant touches their schema, so programs with refused calls are not for
    it.
    """

    capabilities = frozenset[str]()

    def __init__(self, name: str, model: Model) -> None:
        self.name = name
        self.hidden: Mapping[str, str] = {}
        self.elsewhere = False
        self._model = model
        self._state = model.initial()

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    async def reset(self) -> None:
        """An empty store."""
        self._state = self._model.initial()

    async def reopen(self) -> NoReturn:
        """A model is not durable, so nobody asks."""
        raise AssertionError("a model is not durable")

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call in wire form."""
        self._state, outcome = answer(self._model, self._state, operation, args)
        if isinstance(outcome, Raised) and outcome.name == "InvalidArgument":
            return Raised("InvalidArgument", {"field": outcome.data["fields"][0], "message": "a rule refuses it"})
        return outcome

    @property
    def store(self) -> Any:
        """There is no Python store; without the capability `subscribe` nobody asks for it."""
        return self._model

    def faults(self) -> None:
        """Nothing of a model fails."""

    def stage(self) -> None:
        """A model serves one client."""

    def environment(self) -> dict[str, str]:
        """Nothing but what it is."""
        return {"store": "a model"}
