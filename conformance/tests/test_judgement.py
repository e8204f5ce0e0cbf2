"""Which rule a difference is said to break: other rows, another order, another content, another shape."""

from collections.abc import Callable
from typing import Any

from storeproof.conformance.judgement import Judgement, disordered, judge, unfit
from storeproof.conformance.programs import Call, Program
from storeproof.reference.model import Model, Outcome, Raised, Returned, State, Step
from storeproof.spec.loader import load

MODEL = Model(load())


def create(run: str, now: int, workflow: str = "w") -> Call:
    return Call("createRun", {"runId": run, "workflowId": workflow, "input": None, "now": now})


def timer(run: str, at: int) -> Call:
    return Call("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": at, "signalId": "t", "now": 0})


RUNS = (create("b", 5), create("a", 5), create("c", 9), create("d", 1, "v"))
TIMERS = (timer("b", 5), timer("a", 5), timer("c", 7), timer("d", 20))


def answered(setup: Program, call: Call, change: Callable[[Any], Any]) -> tuple[Model, State, Call, Step, Outcome]:
    """What a judge is given when the model's own answer is changed by `change`."""
    state = MODEL.initial()
    for step in setup:
        state = MODEL.step(state, step.operation, step.args).state
    expected = MODEL.step(state, call.operation, call.args)
    right: Outcome = expected.outcome
    actual = change(right.value if isinstance(right, Returned) else right.data)
    return MODEL, state, call, expected, actual if isinstance(actual, Raised) else Returned(actual)


def judged(setup: Program, call: Call, change: Callable[[Any], Any]) -> tuple[str, ...]:
    """The rules that are named."""
    found: Judgement | None = judge(*answered(setup, call, change))
    return () if found is None else found.rules


def listing(limit: int = 9, **wanted: str) -> Call:
    return Call("listRuns", {"limit": limit, **wanted})


def claim(limit: int = 9) -> Call:
    return Call("claimDueTimers", {"now": 9, "limit": limit, "leaseOwner": "o", "leaseMs": 1})


def test_the_models_own_answer_is_right() -> None:
    assert judged(RUNS, listing(), lambda rows: rows) == ()
    assert judged(RUNS, listing(), lambda rows: [dict(reversed(row.items())) for row in rows]) == ()


def test_rows_that_change_places() -> None:
    assert judged(RUNS, listing(), lambda rows: rows[::-1]) == ("listRuns.order",)
    assert judged(RUNS, listing(), lambda rows: [rows[0], rows[2], rows[1], rows[3]]) == ("listRuns.ties",)


def test_a_row_of_another_content_in_another_place_is_about_the_content_first() -> None:
    def later(rows: list[Any]) -> list[Any]:
        return [{**rows[1], "updatedAt": 99}, rows[0], *rows[2:]]

    assert judged(RUNS, listing(), later) == ("listRuns.listed", "listRuns.order")


def test_a_row_too_many_breaks_the_rule_that_passed_it_over() -> None:
    everything = {"runId": "d", "workflowId": "v", "status": "queued", "createdAt": 1, "updatedAt": 1}
    assert judged(RUNS, listing(workflowId="w"), lambda rows: [*rows, everything]) == ("listRuns.other-workflow",)
    not_due = {"runId": "d", "workflowId": "w", "wakeAt": 20, "signalId": "t"}
    assert judged(TIMERS, claim(), lambda rows: [*rows, not_due]) == ("claimDueTimers.not-due",)


def test_a_row_beyond_the_limit_is_no_extra_field() -> None:
    first = {"runId": "c", "workflowId": "w", "status": "queued", "createdAt": 9, "updatedAt": 9}
    assert judged(RUNS, listing(0), lambda rows: [*rows, first]) == ("listRuns.limit",)


def test_a_row_left_out_breaks_the_rule_that_takes_it() -> None:
    assert judged(TIMERS, claim(), lambda rows: rows[:2]) == ("claimDueTimers.claimed", "claimDueTimers.limit")
    assert judged(TIMERS, claim(), lambda rows: []) == ("claimDueTimers.claimed",)


def test_a_row_twice() -> None:
    assert judged(TIMERS, claim(), lambda rows: [rows[0], *rows]) == ("claimDueTimers.claimed",)


def test_a_limit_that_picks_other_rows_follows_another_order() -> None:
    late = {"runId": "c", "workflowId": "w", "wakeAt": 7, "signalId": "t"}
    tied = {"runId": "b", "workflowId": "w", "wakeAt": 5, "signalId": "t"}
    assert judged(TIMERS, claim(1), lambda rows: [late]) == ("claimDueTimers.order",)
    assert judged(TIMERS, claim(1), lambda rows: [tied]) == ("claimDueTimers.ties",)


def test_the_right_rows_in_another_order_are_fit_to_build_on() -> None:
    def with_a_field(rows: list[Any]) -> list[Any]:
        return [{**row, "tenant": "t"} for row in rows]

    for answer, of_order in (
        (answered(TIMERS, claim(), lambda rows: rows[::-1]), True),
        (answered(TIMERS, claim(), lambda rows: with_a_field(rows)[::-1]), True),
        (answered(TIMERS, claim(), lambda rows: rows), False),
        (answered(TIMERS, claim(), with_a_field), False),
    ):
        assert disordered(*answer) is of_order
        assert unfit(*answer) is None


def test_other_rows_are_not() -> None:
    late = {"runId": "c", "workflowId": "w", "wakeAt": 7, "signalId": "t"}
    tied = {"runId": "b", "workflowId": "w", "wakeAt": 5, "signalId": "t"}
    for answer in (
        answered(TIMERS, claim(1), lambda _: [late]),  # the rule is the one about the order, and c is leased now
        answered(TIMERS, claim(1), lambda _: [tied]),
        answered(TIMERS, claim(), lambda rows: [{**rows[1], "wakeAt": 4}, rows[0], *rows[2:]]),
        answered(TIMERS, claim(), lambda rows: [rows[1], rows[0]]),
    ):
        assert not disordered(*answer)
        said = unfit(*answer)
        assert said is not None
        assert said.startswith("await store.claim_due_timers(")


def test_an_unknown_field_is_a_should_and_a_null_is_not() -> None:
    load_b = Call("loadRun", {"runId": "b"})
    assert judged(RUNS, load_b, lambda run: {**run, "tenant": "t"}) == ("answers.extra-fields",)
    assert judged(RUNS, load_b, lambda run: {**run, "tenant": "t", "workflowId": "x"}) == ("loadRun.found",)
    assert judged(RUNS, load_b, lambda run: {**run, "lease": None}) == ("answers.schema", "loadRun.found")


def test_a_field_of_another_shape_is_an_unknown_field_too() -> None:
    lease = {"owner": "o", "expiresAt": 10}
    assert judged(TIMERS, claim(), lambda rows: [{**rows[0], "lease": lease}, *rows[1:]]) == ("answers.extra-fields",)
    assert judged(RUNS, Call("loadRun", {"runId": "b"}), lambda run: {**run, "lease": lease}) == ("loadRun.found",)

    def tied(rows: list[Any]) -> list[Any]:
        return [{**rows[1], "lease": lease}, {**rows[0], "lease": lease}, rows[2]]

    assert judged(TIMERS, claim(), tied) == ("claimDueTimers.ties",)


def test_values_that_differ_inside_json_name_the_value_rules_too() -> None:
    def input_of(value: Any) -> Callable[[Any], Any]:
        return lambda answer: {**answer, "run": {**answer["run"], "input": value}}

    number = Call("createRun", {"runId": "x", "workflowId": "w", "input": 5, "now": 0})
    text = Call("createRun", {"runId": "x", "workflowId": "w", "input": "123", "now": 0})
    assert judged((), number, input_of(5.5)) == ("createRun.created", "values.numbers")
    assert judged((), text, input_of(123)) == ("createRun.created", "values.json")
    assert judged((), number, input_of(5.0)) == ()
    assert judged((), number, input_of(True)) == ("createRun.created", "values.numbers")


def test_null_and_absent_are_two_values_where_null_is_a_value() -> None:
    load_b = Call("loadRun", {"runId": "b"})
    null = Call("createRun", {"runId": "x", "workflowId": "w", "input": {"a": None}, "now": 0})

    def input_of(value: Any) -> Callable[[Any], Any]:
        return lambda answer: {**answer, "run": {**answer["run"], "input": value}}

    assert judged(RUNS, load_b, lambda run: {**run, "output": None}) == ("loadRun.found", "values.json")
    assert judged(RUNS, load_b, lambda run: {**run, "output": 1}) == ("loadRun.found",)
    assert judged((), null, input_of({})) == ("createRun.created", "values.json")
    assert judged((), null, input_of({"a": None, "b": None})) == ("createRun.created", "values.json")


def test_an_exception_where_an_answer_was_due() -> None:
    load_b = Call("loadRun", {"runId": "b"})
    unexpected = Raised("UnexpectedException", {"message": "KeyError: 'b'"})
    assert judged(RUNS, load_b, lambda _: unexpected) == ("loadRun.found", "answers.taxonomy")
    assert judged(RUNS, load_b, lambda _: Raised("WrongType", {"message": "dict"})) == (
        "answers.schema",
        "loadRun.found",
    )
    assert judged(RUNS, load_b, lambda _: Raised("StoreUnavailable", {"message": "x"})) == ("loadRun.found",)


def test_invalid_argument_has_to_name_the_field() -> None:
    too_long = Call("claimRun", {"runId": "b", "leaseOwner": "o", "leaseMs": 2**53 - 1, "now": 1})

    def naming(field: str | None) -> Callable[[Any], Any]:
        return lambda _: Raised("InvalidArgument", {"field": field, "message": "x"})

    assert judged(RUNS, too_long, naming("leaseMs")) == ()
    assert judged(RUNS, too_long, naming("leaseMs.x[1]")) == ()
    assert judged(RUNS, too_long, naming(None)) == ()
    assert judged(RUNS, too_long, naming("now")) == ("claimRun.lease-overflow",)
