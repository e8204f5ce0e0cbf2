"""The specification as it is shipped, and as objects."""

from typing import Any

import pytest
from storeproof.spec.layout import LayoutError, check_layout
from storeproof.spec.loader import Specification, load, read_data


def test_the_shipped_model_is_well_formed_and_loaded_once() -> None:
    assert load() is load()
    assert load().revision == "1"
    assert len(load().operations) == 25
    assert len(load().relations) == 7


def test_every_rule_is_there_by_its_id_with_its_kind() -> None:
    rules = load().rules
    assert {rule.id: rule.kind for rule in rules.values() if rule.operation == "claimDueTimers"} == {
        "claimDueTimers.lease-overflow": "decision",
        "claimDueTimers.not-due": "pass-over",
        "claimDueTimers.leased": "pass-over",
        "claimDueTimers.claimed": "decision",
        "claimDueTimers.order": "order",
        "claimDueTimers.ties": "ties",
        "claimDueTimers.limit": "limit",
        "claimDueTimers.omission": "promise",
        "claimDueTimers.arguments": "promise",
    }
    assert rules["listRuns.cursor"].kind == "skip"
    assert rules["claimDueTimers.omission"].checked_by == "interleavings"
    assert all(rule_id == rule.id for rule_id, rule in rules.items())


def test_a_promise_for_each_operation_stands_once_for_each() -> None:
    rules = load().rules
    found = [rule for rule in rules.values() if rule.id.endswith(".arguments") and rule.operation]
    assert sorted(rule.operation or "" for rule in found) == sorted(load().operations)
    assert {rule.checked_by for rule in found} == {"arguments"}
    assert {rule.elsewhere for rule in found} == {"SHOULD"}


def test_only_operations_with_rules_are_executable() -> None:
    assert [operation.name for operation in load().operations.values() if not operation.executable] == [
        "subscribeEvents"
    ]


def test_from_data_does_not_check() -> None:
    data = read_data()
    data["operations"]["loadRun"]["rules"][0]["when"] = "nonsense("
    assert Specification.from_data(data).rules["loadRun.unknown"].says == "There is no such run: nothing."


GONE = object()
RULE: list[str | int] = ["operations", "loadRun", "rules", 0]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["operations", "loadRun", "says"], GONE, "operations/loadRun.json: 'says' is a required property"),
        ([*RULE, "from"], GONE, "'from' is a required property"),
        ([*RULE, "wen"], "x", "'wen'"),
        ([*RULE, "level"], "MAY", "'MAY' is not one of"),
        ([*RULE, "when"], "=run == null", "does not match"),
        ([*RULE, "returns"], GONE, "operations/loadRun.json.rules[0]"),
        ([*RULE, "effects"], [{"put": "runs"}], "operations/loadRun.json.rules[0].effects[0]"),
        (["functions", "accepts", "value"], GONE, "functions.json.accepts: 'value' is a required property"),
        (["promises", 1, "checkedBy"], "nothing", "'because' is a required property"),
        (
            ["operations", "claimDueTimers", "each", "omission", "checkedBy"],
            GONE,
            "each.omission: 'checkedBy' is a req",
        ),
        (["clauses", "ruling 14", "later"], True, "'later' was unexpected"),
    ],
)
def test_a_file_out_of_shape_is_refused_with_its_place(path: list[str | int], value: object, message: str) -> None:
    data = read_data()
    target: Any = data
    for part in path[:-1]:
        target = target[part]
    if value is GONE:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    with pytest.raises(LayoutError) as caught:
        check_layout(data)
    assert message in str(caught.value)
