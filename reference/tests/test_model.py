"""What the model's step answers, and that states are never changed."""

import copy
from typing import Any

import pytest
from storeproof.reference.model import Model, Raised, Returned, Step, freeze
from storeproof.reference.workload import workload
from storeproof.spec.loader import Specification, load, read_data
from storeproof.spec.schemas import problems

MODEL = Model(load())


def run(*calls: tuple[str, dict[str, Any]]) -> Step:
    state = MODEL.initial()
    step: Step | None = None
    for name, args in calls:
        step = MODEL.step(state, name, args)
        state = step.state
    assert step is not None
    return step


def value(step: Step) -> Any:
    assert isinstance(step.outcome, Returned)
    return step.outcome.value


def create(run_id: str, now: int = 0) -> tuple[str, dict[str, Any]]:
    return "createRun", {"runId": run_id, "workflowId": "w", "input": None, "now": now}


def timer(run_id: str, signal: str, at: int) -> tuple[str, dict[str, Any]]:
    return "scheduleTimer", {"runId": run_id, "workflowId": "w", "wakeAt": at, "signalId": signal, "now": 0}


def due(**args: Any) -> tuple[str, dict[str, Any]]:
    return "claimDueTimers", {"leaseOwner": "a", "leaseMs": 5, "now": 10, "limit": 10, **args}


def test_the_example_of_the_module() -> None:
    step = run(create("r"))
    assert step.outcome == Returned(
        {
            "kind": "created",
            "run": {
                "runId": "r",
                "workflowId": "w",
                "input": None,
                "status": "queued",
                "createdAt": 0,
                "updatedAt": 0,
            },
        }
    )
    assert step.rules == ("createRun.created",)
    assert step.rows == ()


def test_an_optional_json_field_travels_as_it_is() -> None:
    schedule = {
        "scheduleId": "s",
        "workflowId": "w",
        "schedule": {"kind": "cron", "expression": "*"},
        "overlapPolicy": "skip",
        "nextFireAt": 1,
        "enabled": True,
        "now": 0,
    }
    claim = ("claimDueScheduleBuckets", {"leaseOwner": "a", "leaseMs": 5, "now": 10, "limit": 10})
    absent = run(("upsertSchedule", schedule), claim).outcome
    null = run(("upsertSchedule", {**schedule, "input": None}), claim).outcome
    bucket = {
        "scheduleId": "s",
        "bucketId": "1",
        "workflowId": "w",
        "runId": "w:s:1",
        "fireAt": 1,
        "overlapPolicy": "skip",
    }
    assert absent == Returned([bucket])
    assert null == Returned([{**bucket, "input": None}])


def test_an_error_is_an_outcome_with_data_in_wire_form() -> None:
    step = run(("appendEvents", {"runId": "r", "expectedNextIndex": 2**53 - 1, "events": []}))
    assert step.outcome == Raised("LogConflict", {"runId": "r", "attemptedIndex": 2**53 - 1})
    step = run(("claimRun", {"runId": "r", "leaseOwner": "a", "leaseMs": 2**53 - 1, "now": 1}))
    assert step.outcome == Raised("InvalidArgument", {"fields": ["leaseMs"]})
    assert step.rules == ("claimRun.lease-overflow",)


def test_rows_say_which_rule_decided_about_each() -> None:
    step = run(
        timer("b", "t", 5),
        timer("a", "t", 5),
        timer("z", "t", 1),
        timer("q", "t", 11),
        timer("k", "t", 7),
        due(limit=2),
    )
    assert [row["runId"] for row in value(step)] == ["z", "a"]
    assert step.rows == (
        (("z", "t"), "claimDueTimers.claimed"),
        (("a", "t"), "claimDueTimers.claimed"),
        (("b", "t"), "claimDueTimers.limit"),
        (("k", "t"), "claimDueTimers.limit"),
        (("q", "t"), "claimDueTimers.not-due"),
    )
    assert step.rules == (
        "claimDueTimers.claimed",
        "claimDueTimers.order",
        "claimDueTimers.ties",
        "claimDueTimers.limit",
        "claimDueTimers.not-due",
    )


NONE: set[str] = set()
NO_TIMERS: list[tuple[str, int]] = []


@pytest.mark.parametrize(
    ("timers", "limit", "exercised"),
    [
        ([("a", 1)], 1, NONE),
        ([("a", 1), ("b", 1)], 2, {"ties"}),
        ([("a", 1), ("b", 2)], 2, {"order"}),
        ([("a", 1), ("b", 2)], 1, {"order", "limit"}),
        ([("a", 1), ("b", 1)], 1, {"ties", "limit"}),
        ([("a", 1), ("b", 2), ("c", 2)], 1, {"order", "limit"}),
        ([("a", 1), ("b", 2), ("c", 2)], 2, {"order", "ties", "limit"}),
        ([("a", 1), ("b", 1)], 0, {"limit"}),
        (NO_TIMERS, 0, NONE),
    ],
)
def test_order_ties_and_limit_count_only_where_they_bite(
    timers: list[tuple[str, int]], limit: int, exercised: set[str]
) -> None:
    step = run(*(timer(run_id, "t", at) for run_id, at in timers), due(limit=limit))
    found = {rule.partition(".")[2] for rule in step.rules} & {"order", "ties", "limit"}
    assert found == exercised


def test_a_skip_counts_where_it_leaves_something_out() -> None:
    runs = [create(run_id, now) for run_id, now in (("a", 1), ("b", 2), ("c", 3))]
    step = run(*runs, ("listRuns", {"limit": 1, "cursor": "1"}))
    assert [row["runId"] for row in value(step)] == ["b"]
    assert step.rules == ("listRuns.listed", "listRuns.order", "listRuns.cursor", "listRuns.limit")
    assert step.rows == ((("b",), "listRuns.listed"), (("c",), "listRuns.cursor"), (("a",), "listRuns.limit"))
    step = run(*runs, ("listRuns", {"limit": 1, "cursor": "9"}))
    assert step.outcome == Returned([])
    assert step.rules == ("listRuns.cursor",)


def test_an_earlier_state_is_a_snapshot() -> None:
    states = [MODEL.initial()]
    copies = [copy.deepcopy(states[0])]
    for name, args in workload(3, 400):
        states.append(MODEL.step(states[-1], name, args).state)
        copies.append(copy.deepcopy(states[-1]))
    assert states == copies
    assert MODEL.initial() == {name: {} for name in load().relations}


def test_the_same_call_in_the_same_state_gives_the_same_step() -> None:
    state = MODEL.initial()
    for name, args in workload(4, 300):
        step, again = MODEL.step(state, name, args), MODEL.step(state, name, args)
        assert step == again
        state = step.state


def test_freeze_is_equal_for_equal_states_only() -> None:
    def frozen(input_: Any) -> object:
        return freeze(run(("createRun", {"runId": "r", "workflowId": "w", "input": input_, "now": 0})).state)

    values: list[Any] = [None, 0, False, True, "true", ["true"], [], {}, "0", {"a": 1}, {"a": None}, [1, [2]], [[1], 2]]
    assert len({frozen(each) for each in values}) == len(values)
    assert frozen(1) == frozen(1.0)
    assert frozen({"a": 1, "b": 2}) == frozen({"b": 2, "a": 1})
    deleted = run(create("r"), timer("r", "t", 1), ("deleteRun", {"runId": "r", "reason": "aborted"}))
    assert freeze(deleted.state) == freeze(MODEL.initial())


def test_every_answer_keeps_its_schema_and_every_state_the_invariants() -> None:
    for seed in range(6):
        state = MODEL.initial()
        for name, args in workload(seed, 150):
            operation = load().operations[name]
            assert not problems(operation.arguments, args)
            step = MODEL.step(state, name, args)
            state = step.state
            if isinstance(step.outcome, Returned):
                assert not problems(operation.result, step.outcome.value)
            elif step.outcome.name == "LogConflict":
                assert not problems("LogConflictData", step.outcome.data)
            assert not MODEL.broken_invariants(state)


def test_a_whole_number_may_be_written_as_a_double() -> None:
    append: dict[str, Any] = {"runId": "r", "expectedNextIndex": 0.0, "events": [{"type": "x", "ts": 1}]}
    assert run(("appendEvents", append), ("appendEvents", append)).rules == ("appendEvents.conflict",)
    assert len(value(run(create("r"), ("listRuns", {"limit": 1.0})))) == 1


def test_an_operation_without_rules_is_not_executed() -> None:
    with pytest.raises(KeyError, match="subscribeEvents has no rules"):
        MODEL.step(MODEL.initial(), "subscribeEvents", {})
    with pytest.raises(KeyError):
        MODEL.step(MODEL.initial(), "dropAllRuns", {})


def test_the_source_names_every_rule_in_order() -> None:
    source = MODEL.source("claimRun")
    places = [source.index(f"# {rule['id']}") for rule in load().operations["claimRun"].data["rules"]]
    assert places == sorted(places)


def test_constructs_the_shipped_model_does_not_use() -> None:
    """A delete and a lookup by the first two of three key parts."""
    data = read_data()
    rules = data["operations"]["deleteRun"]["rules"]
    rules[0]["effects"] = [{"delete": "signalDeliveries", "key": ["args.runId", "'signal'"]}]
    data["operations"]["loadRun"]["find"]["run"] = {"all": "signalDeliveries", "key": ["args.runId", "'approval'"]}
    model = Model(Specification.from_data(data))
    row = {"runId": "r", "id": "x"}
    group = {("approval", "y"): {**row, "kind": "approval", "id": "y"}, ("signal", "x"): {**row, "kind": "signal"}}
    state = {**model.initial(), "signalDeliveries": {"r": {**group, ("approval", "x"): {**row, "kind": "approval"}}}}
    found = model.step(state, "loadRun", {"runId": "r"})
    assert [item["id"] for item in value(found)] == ["x", "y"]
    left = model.step(state, "deleteRun", {"runId": "r", "reason": "aborted"}).state
    assert list(left["signalDeliveries"]["r"]) == [("approval", "y"), ("approval", "x")]
