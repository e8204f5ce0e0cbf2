"""The recorded vectors are what the model says, exercise every rule, and tell every mutant by their entries alone."""

import pytest
from storeproof.conformance.clock import movable
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.mutated import mutated_model, outcomes, told_apart
from storeproof.conformance.recording import LONGEST, exercised
from storeproof.conformance.survivors import survivors
from storeproof.conformance.vectors import main, recorded_files, recorded_programs
from storeproof.reference.model import Model
from storeproof.reference.mutants import Mutant
from storeproof.reference.recorder import read, replay
from storeproof.spec.loader import load
from storeproof.spec.schemas import problems

MODEL = Model(load())


def test_the_model_answers_what_is_recorded() -> None:
    for name, text in recorded_files().items():
        vector = read(text.rstrip("\n").split("\n"))
        assert f"{vector.name}.ndjson" == name
        assert vector.specification == MODEL.specification.revision
        replay(MODEL, vector)


def test_every_rule_is_exercised() -> None:
    found = {rule for _, program in recorded_programs() for rule in exercised(MODEL, program)}
    rules = {rule.id for rule in MODEL.specification.rules.values() if rule.kind != "promise"}
    assert rules - found == set()


def test_every_mutant_that_can_be_told_apart_is() -> None:
    programs = [(program, outcomes(MODEL, program)) for _, program in recorded_programs()]

    def survives(mutant: Mutant) -> bool:
        wrong = mutated_model(mutant)
        return not any(told_apart(wrong, program, right) for program, right in programs)

    assert {mutant.id for mutant in model_mutants(MODEL.specification.data) if survives(mutant)} == set(survivors())


def test_arguments_are_valid_programs_short_and_most_can_be_moved_in_time() -> None:
    for name, program in recorded_programs():
        operations = MODEL.specification.operations
        assert all(not problems(operations[call.operation].arguments, call.args) for call in program), name
        assert len(program) <= LONGEST, name
    movables = sum(movable(program) for _, program in recorded_programs())
    assert movables >= len(recorded_programs()) * 3 // 5


def test_together_they_stay_small() -> None:
    assert sum(len(text.encode()) for text in recorded_files().values()) < 400_000


def test_an_unknown_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--chekc"]) == 2
    assert "[--check]" in capsys.readouterr().out
