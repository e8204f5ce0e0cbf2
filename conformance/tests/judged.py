"""Operations of a history as the model answers them, and a state of which claims leave rows out."""

from typing import Any

from storeproof.conformance.histories import Operation
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Outcome, Raised, Returned, State
from storeproof.spec.loader import load
from tests.random_histories import claim, create, pause, run_setup, signal, timer

MODEL = Model(load())
GONE = Raised("StoreUnavailable", {"message": "gone"})


def did(client: int, call: Call, invoked: int, returned: int, state: State, answer: Any = ...) -> Operation:
    """An operation with the answer it has in `state`, or with the one given."""
    outcome: Outcome = MODEL.step(state, call.operation, call.args).outcome if answer is ... else Returned(answer)
    return Operation(client, call, invoked, returned, outcome)


def after(state: State, *calls: Call) -> State:
    for call in calls:
        state = MODEL.step(state, call.operation, call.args).state
    return state


def rows(state: State, call: Call) -> list[Any]:
    outcome = MODEL.step(state, call.operation, call.args).outcome
    assert isinstance(outcome, Returned)
    answered: list[Any] = outcome.value
    return answered


# Runs `r` and `s` each with a due timer.
TIMERS = run_setup(MODEL, (create("r"), pause("r"), timer("r", "x", 0), timer("r", "y", 0), timer("s", "x", 0)))
CLAIM = claim("claimDueTimers", "a", 9)
DUE = rows(TIMERS, CLAIM)
SIGNAL = signal("r", "x")
