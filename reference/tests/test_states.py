"""The enumeration of small instances: closed, without a broken invariant, and able to find one."""

import pytest
from storeproof.reference.instances import INSTANCES
from storeproof.reference.model import Model
from storeproof.reference.states import explore, main
from storeproof.spec.loader import Specification, load, read_data
from storeproof.spec.schemas import problems


@pytest.mark.parametrize(
    ("name", "states"), [("leases", 156), ("waits", 635), ("timers", 2412), ("log", 450), ("lifecycle", 4608)]
)
def test_an_instance_has_these_states_and_keeps_the_invariants(name: str, states: int) -> None:
    found = explore(Model(load()), INSTANCES[name])
    assert found.broken == ()
    assert found.states == states
    assert found.transitions == states * len(INSTANCES[name])


def test_every_call_of_an_instance_is_valid() -> None:
    for calls in INSTANCES.values():
        for name, args in calls:
            assert not problems(load().operations[name].arguments, args)


def test_a_broken_invariant_is_found_with_the_shortest_program() -> None:
    data = read_data()
    data["invariants"].append(
        {
            "id": "paused-without-lease",
            "says": "A run that is not running has no lease.",
            "why": "It is not true: a delivery leaves the lease, and so the search must find it.",
            "from": "2 deliverSignal",
            "holds": "runs.all(r, r.status == 'running' || !has(r.lease))",
        }
    )
    found = explore(Model(Specification.from_data(data)), INSTANCES["lifecycle"])
    assert found.broken == ("paused-without-lease",)
    assert [name for name, _ in found.program] == ["createRun", "claimRun", "saveRunState"]


def test_the_command_prints_numbers_and_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leases"]) == 0
    assert capsys.readouterr().out.startswith("leases: 156 states, 3,900 transitions, ")
    assert main(["leeses"]) == 2
    assert "there are leases, waits" in capsys.readouterr().out
