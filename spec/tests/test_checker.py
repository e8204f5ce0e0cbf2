"""Every model in bad_models is the shipped one with one thing changed, and is refused with the message it names."""

import json
from pathlib import Path
from typing import Any

import pytest
from storeproof.spec.checker import ModelError, check, check_operation
from storeproof.spec.errors import SpecificationError
from storeproof.spec.expressions import ExpressionError
from storeproof.spec.loader import Specification, load, read_data

BAD = sorted((Path(__file__).parent / "bad_models").glob("*.json"))


def test_there_are_bad_models() -> None:
    assert len(BAD) >= 60


def changed(operation: str, path: list[str | int], value: Any) -> Specification:
    data = read_data()
    target: Any = data["operations"][operation]
    for part in path[:-1]:
        target = target[part]
    if value == "swap-first-two":
        first, second, *others = target[path[-1]]
        value = [second, first, *others]
    target[path[-1]] = value
    return Specification.from_data(data)


def check_all(specification: Specification, first: str) -> None:
    """The changed operation first: its errors tell more than those about the whole."""
    check_operation(specification, specification.operations[first])
    check(specification)


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_a_bad_model_is_refused(path: Path) -> None:
    bad = json.loads(path.read_text(encoding="utf-8"))
    specification = changed(bad["operation"], bad["path"], bad["value"])
    with pytest.raises(SpecificationError) as caught:
        check_all(specification, bad["operation"])
    assert bad["refused"] in str(caught.value)


GUARDS = [
    "has(run.lease) && run.lease.owner == args.leaseOwner",
    "!has(run.lease) || run.lease.expiresAt <= args.now",
    "has(run.lease) ? run.lease.expiresAt > args.now : false",
    "!(!has(run.lease) || run.lease.owner != 'x')",
    "has(run.waitingFor) && has(run.waitingFor.stepId) && run.waitingFor.stepId in ['a', 'b']",
    "has(run.awaiting) && run.awaiting.all(a, a.type == 'approval' || a.signalName != 'n')",
    "has(run.awaiting) && run.awaiting.exists(a, a.type != 'signal' && a.approvalId == 'x')",
    "has(run.awaiting) && size(run.awaiting) > 0 && run.awaiting[0].type == 'signal'",
    "run.input == null || run.input == 1 || run.input == 'x'",
    "[run.runId, 'x'] == [args.runId, 'x']",
]


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guarded_read_is_accepted(guard: str) -> None:
    specification = changed("claimRun", ["rules", 3, "when"], guard)
    check_operation(specification, specification.operations["claimRun"])


def test_what_earlier_rules_excluded_is_known_later() -> None:
    specification = changed("claimRun", ["rules", 2, "when"], "!has(run.lease)")
    check_operation(specification, specification.operations["claimRun"])
    specification = changed("claimRun", ["rules", 3, "when"], "run.lease.expiresAt <= args.now")
    specification.operations["claimRun"].data["rules"][2]["when"] = "!has(run.lease)"
    check_operation(specification, specification.operations["claimRun"])


def test_a_clause_without_rules_has_to_say_why() -> None:
    data = read_data()
    data["clauses"]["ruling 99"] = {}
    with pytest.raises(ModelError, match=r"ruling 99: no rule is from it; add one, or say why with because"):
        check(Specification.from_data(data))
    data["clauses"]["ruling 99"] = ["loadRun.lost"]
    with pytest.raises(ModelError, match=r"ruling 99: no rule loadRun\.lost"):
        check(Specification.from_data(data))


def test_rows_are_left_out_only_where_that_concerns_no_other_row() -> None:
    timers = read_data()["operations"]["claimDueTimers"]["each"]
    skip = {**timers["limit"], "id": "claimDueTimers.skip"}
    specification = changed("claimDueTimers", ["each", "skip"], skip)
    with pytest.raises(ModelError, match=r"claimDueTimers\.omission: a row left out would change which rows skip"):
        check_operation(specification, specification.operations["claimDueTimers"])
    effects = [{"delete": "runs", "key": ["timer.runId"]}]
    specification = changed("claimDueTimers", ["rules", 3, "effects"], effects)
    with pytest.raises(ModelError, match=r"claimDueTimers\.claimed changes runs, which is not the row's"):
        check_operation(specification, specification.operations["claimDueTimers"])


def test_an_invariant_is_checked_over_the_relations() -> None:
    data = read_data()
    data["invariants"][0]["holds"] = "events.all(e, e.stepId == 'x')"
    with pytest.raises(ExpressionError, match=r"invariant log-dense: stepId may be absent here"):
        check(Specification.from_data(data))


def test_the_key_of_a_relation_is_required_in_its_rows() -> None:
    data = read_data()
    data["relations"]["timers"]["key"] = ["runId", "lease"]
    with pytest.raises(ModelError, match="the key field lease is not a required field of the row"):
        check(Specification.from_data(data))


def test_a_function_that_calls_itself_is_refused() -> None:
    data = read_data()
    data["functions"]["isTerminal"]["value"] = "isTerminal(run)"
    with pytest.raises(ExpressionError, match="isTerminal calls itself"):
        check(Specification.from_data(data))


def test_checking_changes_nothing() -> None:
    before = json.dumps(load().data)
    check(load())
    assert json.dumps(load().data) == before
