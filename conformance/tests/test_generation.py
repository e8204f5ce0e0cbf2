"""Drawn programs: valid, the same for the same seed, and reaching the states in which rules meet."""

from collections import Counter

import pytest
from storeproof.conformance.choices import RandomChoices
from storeproof.conformance.generation import draw_program, relations_of, weighted_operations
from storeproof.conformance.openings import OPENINGS
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from storeproof.spec.schemas import problems

MODEL = Model(load())
OPERATIONS = [name for name, operation in MODEL.specification.operations.items() if operation.executable]
PROGRAMS = [
    (operation, draw_program(RandomChoices(seed), MODEL, weighted_operations(MODEL.specification, operation), 12))
    for operation in OPERATIONS
    for seed in range(20)
]


def test_every_argument_is_valid() -> None:
    for _, program in PROGRAMS:
        for call in program:
            assert problems(MODEL.specification.operations[call.operation].arguments, call.args) == []


def test_the_same_seed_gives_the_same_program() -> None:
    again = draw_program(RandomChoices(3), MODEL, OPERATIONS, 12)
    assert again == draw_program(RandomChoices(3), MODEL, OPERATIONS, 12)
    assert again != draw_program(RandomChoices(4), MODEL, OPERATIONS, 12)


def test_a_program_has_its_length_and_an_opening() -> None:
    lengths = {len(program) for _, program in PROGRAMS}
    assert lengths == {12 + len(opening) for opening in OPENINGS}


def test_the_focus_is_drawn_most() -> None:
    for operation in OPERATIONS:
        drawn = Counter(call.operation for focus, program in PROGRAMS if focus == operation for call in program)
        assert drawn[operation] >= 30


def test_few_programs_exercise_nearly_every_rule() -> None:
    exercised: set[str] = set()
    for _, program in PROGRAMS:
        state = MODEL.initial()
        for call in program:
            step = MODEL.step(state, call.operation, call.args)
            state = step.state
            exercised.update(step.rules)
    rules = {rule.id for rule in MODEL.specification.rules.values() if rule.kind != "promise"}
    assert len(rules - exercised) <= 4


def test_wanted_rules_attract() -> None:
    wanted = frozenset({"heartbeatRunLease.extended"})

    def hits(goal: frozenset[str]) -> int:
        found = 0
        for seed in range(60):
            weighted = weighted_operations(MODEL.specification, "heartbeatRunLease")
            state = MODEL.initial()
            for call in draw_program(RandomChoices(seed), MODEL, weighted, 12, goal):
                step = MODEL.step(state, call.operation, call.args)
                state = step.state
                found += not wanted.isdisjoint(step.rules)
        return found

    assert hits(wanted) > 1.5 * hits(frozenset())


def test_leased_runs_with_equal_times_are_drawn() -> None:
    found = 0
    for seed in range(300):
        state = MODEL.initial()
        weighted = weighted_operations(MODEL.specification, "claimStaleRuns")
        for call in draw_program(RandomChoices(seed), MODEL, weighted, 8):
            state = MODEL.step(state, call.operation, call.args).state
        found += sum("lease" in row for row in state["runs"].values()) > 1
    assert found >= 5


@pytest.mark.parametrize(
    ("operation", "relation"),
    [("deleteRun", "signalDeliveries"), ("appendEvents", "events"), ("claimDueScheduleBuckets", "scheduleBuckets")],
)
def test_the_relations_an_operation_touches(operation: str, relation: str) -> None:
    assert relation in relations_of(MODEL.specification, operation)
