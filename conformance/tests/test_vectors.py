"""The recorded vectors are what the model says, exercise every rule, and tell every mutant by their entries alone."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from storeproof.conformance.clock import movable
from storeproof.conformance.closing import plain_reading
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.mutated import mutated_model, outcomes, told_apart
from storeproof.conformance.recording import LONGEST, exercised
from storeproof.conformance.refusals import SETUP, refused_calls
from storeproof.conformance.refusalvectors import REFUSALS, recordable
from storeproof.conformance.schemafiles import schema
from storeproof.conformance.survivors import survivors
from storeproof.conformance.vectors import every_recorded_program, main, recorded_files, recorded_programs
from storeproof.reference.model import Model, Raised, Returned
from storeproof.reference.mutants import Mutant
from storeproof.reference.recorder import Entry, is_refusal, read, replay
from storeproof.spec.loader import load
from storeproof.spec.schemas import contract_schema, problems

MODEL = Model(load())
OPERATIONS = {name: each for name, each in MODEL.specification.operations.items() if each.executable}
ENTRIES: list[Entry] = [
    entry for text in recorded_files().values() for entry in read(text.rstrip("\n").split("\n")).entries
]


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


def test_the_lines_name_every_rule_and_every_refusal_and_nothing_else() -> None:
    rules = {rule.id for rule in MODEL.specification.rules.values() if rule.kind != "promise"}
    refusals = {f"{name}.arguments" for name in OPERATIONS} | {"arguments.unkeepable"}
    assert {rule for entry in ENTRIES for rule in entry.rules} == rules | refusals


def test_every_operation_refuses_something_for_each_argument_and_for_one_it_does_not_know() -> None:
    blamed = {(entry.operation, _blamed(entry)) for entry in ENTRIES if _blamed(entry)}
    arguments = {name: contract_schema()["$defs"][each.arguments]["properties"] for name, each in OPERATIONS.items()}
    assert blamed == {(name, field) for name, fields in arguments.items() for field in (*fields, "unknown")}


def test_what_has_to_be_refused_breaks_the_schema_and_nothing_else_does() -> None:
    for entry in ENTRIES:
        breaks = bool(problems(OPERATIONS[entry.operation].arguments, entry.args))
        promised = entry.rules in ((f"{entry.operation}.arguments",), ("arguments.unkeepable",))
        assert breaks == promised == bool(_blamed(entry)), entry


def test_what_no_json_carries_is_left_out() -> None:
    assert not any(recordable(value) for value in (float("nan"), [10**400], {"\ud800": 1}, "\ud800", -(2**53) - 1))
    assert all(recordable(value) for value in (None, 1.5, 2**53, "a\x00b", {"k": ["\U0001f600"]}))
    calls = [call for name in OPERATIONS for call in refused_calls(MODEL.specification, name)]
    assert 0 < sum(not recordable(call.args) for call in calls) < len(calls) / 4
    assert all(recordable(entry.args) for entry in ENTRIES)


def test_refusals_begin_with_a_state_and_end_with_reading_it() -> None:
    state = MODEL.initial()
    for call in SETUP:
        state = MODEL.step(state, call.operation, call.args).state
    reading = plain_reading(MODEL, state, SETUP)
    programs = {name: program for name, program in every_recorded_program() if name.endswith(REFUSALS)}
    assert programs.keys() == {f"{name}-{REFUSALS}" for name in OPERATIONS}
    for program in programs.values():
        refused = program[len(SETUP) : -len(reading)]
        assert (program[: len(SETUP)], program[-len(reading) :]) == (SETUP, reading)
        assert all(call.refused for call in refused)
    assert every_recorded_program() == tuple(sorted((*recorded_programs(), *programs.items())))


def test_every_line_fits_its_schema_and_every_value_its_shape() -> None:
    lines = line_validator()
    for name, text in recorded_files().items():
        for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
            assert not list(lines.iter_errors(json.loads(line))), f"{name}, line {number}"
    wrong: list[Any] = [
        {},
        {"op": "loadRun", "args": {}, "rules": []},
        {**json.loads(next(iter(recorded_files().values())).split("\n")[1]), "more": 1},
    ]
    assert all(list(lines.iter_errors(each)) for each in wrong)
    for entry in ENTRIES:
        if isinstance(entry.outcome, Returned):
            assert problems(OPERATIONS[entry.operation].result, entry.outcome.value) == []


def line_validator() -> Validator:
    contract = contract_schema()
    registry: Registry[Any] = Registry[Any]().with_resource(contract["$id"], DRAFT202012.create_resource(contract))
    return Draft202012Validator(schema("vector"), registry=registry)


def _blamed(entry: Entry) -> str | None:
    """The field of a call that a promise refuses; what a rule of the model refuses are valid arguments."""
    if not is_refusal(MODEL.specification, entry):
        return None
    assert isinstance(entry.outcome, Raised)
    return str(entry.outcome.data["fields"][0])


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
    assert sum(len(text.encode()) for text in recorded_files().values()) < 450_000


def test_an_unknown_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--chekc"]) == 2
    assert "[--check]" in capsys.readouterr().out
