"""Small programs: fewer steps, simpler arguments, always within the contract, and within the budget."""

from storeproof.conformance.minimise import minimised
from storeproof.conformance.programs import Call, Program
from storeproof.spec.loader import load
from storeproof.spec.schemas import problems

SPECIFICATION = load()


def create(run: str, now: int = 77) -> Call:
    version = {"workflowVersion": "it's a long one"}
    return Call(
        "createRun", {"runId": run, "workflowId": "w", **version, "input": {"deep": [1, {"x": None}]}, "now": now}
    )


NOISE = tuple(create(f"noise {index}") for index in range(13))


def valid(program: Program) -> bool:
    operations = SPECIFICATION.operations
    return not any(problems(operations[call.operation].arguments, call.args) for call in program)


def test_only_the_steps_that_matter_stay_in_their_order() -> None:
    program = (*NOISE[:5], create("left"), *NOISE[5:], create("right"))

    def fails(shorter: Program) -> bool:
        assert valid(shorter)
        names = [call.args["runId"] for call in shorter]
        return "left" in names and "right" in names and names.index("left") < names.index("right")

    small = minimised(program, SPECIFICATION, fails)
    assert [call.args["runId"] for call in small] == ["left", "right"]


def test_arguments_become_simple_and_stay_valid() -> None:
    def fails(shorter: Program) -> bool:
        assert valid(shorter)
        return any(call.args["now"] > 9 for call in shorter)

    (call,) = minimised((create("some run"), create("other")), SPECIFICATION, fails)
    assert call.args["now"] == 10
    assert set(call.args) == {"runId", "workflowId", "input", "now"}
    assert call.args["runId"] == "a"


def test_the_budget_is_kept() -> None:
    tried = 0

    def fails(shorter: Program) -> bool:
        nonlocal tried
        tried += 1
        return False

    assert minimised(NOISE, SPECIFICATION, fails, tries=7) == NOISE
    assert tried == 7


def test_no_two_values_are_exchanged_for_each_other_for_ever() -> None:
    tried: list[Program] = []

    def fails(shorter: Program) -> bool:
        tried.append(shorter)
        return len(shorter) == 1

    minimised((create("some run"),), SPECIFICATION, fails)
    assert len(tried) < 40


def test_what_cannot_be_made_smaller_comes_back() -> None:
    program = NOISE[:3]
    assert minimised(program, SPECIFICATION, lambda shorter: shorter == program) == program
