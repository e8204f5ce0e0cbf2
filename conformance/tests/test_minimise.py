"""Small programs: fewer steps, simpler arguments, always within the contract, and within the budget."""

from dataclasses import replace

from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Operation
from storeproof.conformance.minimise import minimised
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racefailures import minimised_race
from storeproof.conformance.racejudgement import Wrong
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Returned
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


def signal(run: str) -> Call:
    return Call("deliverSignal", {"runId": run, "delivery": {"signalId": "s", "name": "n", "payload": 0}, "now": 1})


def test_of_a_long_history_two_operations_that_met_come_first() -> None:
    """Only side by side do the two fail: leaving out one call after the other would try a hundred scenarios."""
    clients = (tuple(map(create, "abcdeag")), (*map(create, "hijkl"), signal("a")), tuple(map(create, "mnopq")))
    history = tuple(
        Operation(number, call, 10 * place + number, 10 * place + number + 5, Returned(None))
        for place in range(7)
        for number, client in enumerate(clients)
        for call in client[place : place + 1]
    )
    stuck = next(each for each in history if each.call == signal("a"))
    wrong = Wrong(("atomic.linearizable",), "", "", "", history, tuple(range(9)), False, stuck)
    encounter = Encounter(history, (), (), (0, 0, 0), None, None)
    tried: list[Scenario] = []

    def again(smaller: Scenario) -> Tried | None:
        tried.append(smaller)
        beside = [call for client in smaller.clients for call in client]
        both = signal("a") in beside and create("a") in beside
        return replace(found, scenario=smaller) if both and create("b") in smaller.setup else None

    found = Tried(Scenario((), clients), wrong, encounter)
    small = minimised_race(SPECIFICATION, found, again, tries=40)
    assert small.scenario == Scenario((create("b"),), ((create("a"),), (signal("a"),)))
    assert len(tried[0].clients) == 2
