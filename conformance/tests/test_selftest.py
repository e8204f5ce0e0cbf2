"""The command's verdicts on samples, and that it fails where something survives, is missed or is stale."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from storeproof.conformance import handbroken, selftest
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.handbroken import Finding, findings, stores
from storeproof.conformance.killing import Trials, Verdict, verdicts
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.survivors import survivors
from storeproof.reference.model import Model
from storeproof.reference.mutants import Mutant
from storeproof.spec.loader import load

MUTANTS = list(model_mutants(load().data))


def finding(name: str, **changed: object) -> Finding:
    plain = {
        "says": "x",
        "expected": ("loadRun.found",),
        "found": True,
        "first": True,
        "rules": ("loadRun.found",),
        "led_by": ("loadRun.found",),
        "check": "vectors",
        "others": (),
        "seconds": 1.0,
        "error": None,
    }
    return Finding(name, **{**plain, **changed})  # type: ignore[arg-type]


def test_a_sample_of_the_mutants_is_killed_by_vectors_and_by_sequences() -> None:
    sample = [mutant for mutant in MUTANTS[::24] if mutant.id not in survivors()]
    found = list(verdicts(Model(load()), sample, seed=0))
    assert [verdict.mutant.id for verdict in found if not verdict.kills] == []
    assert all("vectors" in verdict.kills for verdict in found)
    assert sum("sequences" in verdict.kills for verdict in found) >= len(found) - 2


def test_a_mutant_that_is_no_mutant_survives() -> None:
    unchanged = Mutant("loadRun.found/nothing", "loadRun.found", "nothing is changed", load().data)
    assert not Trials(Model(load()), "vectors", PROFILES["quick"], 0).kill(unchanged)


def test_every_operation_and_every_promise_has_a_hand_broken_store() -> None:
    specification = load()
    assert len({store.name for store in stores("BROKEN")}) == len(stores("BROKEN")) > 250
    broken = [*stores("BROKEN"), *stores("RACY")]
    operations = {rule.split(".")[0] for store in broken for rule in store.expected}
    assert set(specification.operations) <= operations
    known = {rule for store in broken for rule in store.expected}
    assert known <= set(specification.rules)
    promises = {rule.id for rule in specification.rules.values() if rule.kind == "promise"}
    assert {rule for rule in promises - known if specification.rules[rule].checked_by != "nothing"} == set()


def test_a_sample_of_the_broken_stores_is_found_for_the_right_reason() -> None:
    found = list(findings("BROKEN", range(3, len(stores("BROKEN")), 120), 0, 1))
    assert selftest.missed(found) == []
    assert sum(finding.first for finding in found) >= len(found) - 2


def test_right_stores_raise_no_alarm() -> None:
    names = [store.name for store in stores("UNUSUAL")]
    found = list(findings("UNUSUAL", map(names.index, ("durable", "TiesByArrival")), 0, 1))
    assert selftest.alarms(found) == []
    assert found[1].rules == ("listRuns.ties",)


def test_what_is_missed_is_told_with_what_was_expected() -> None:
    missed = selftest.missed(
        [
            finding("Silent", found=False, rules=()),
            finding("Misjudged", found=False, rules=("loadRun.unknown",)),
            finding("Lost", error="the factory failed"),
            finding("Found"),
        ]
    )
    assert missed == [
        "Silent (x): was not noticed; expected loadRun.found",
        "Misjudged (x): named only loadRun.unknown; expected loadRun.found",
        "Lost (x): the factory failed",
    ]


def test_a_false_alarm_is_told() -> None:
    said = selftest.alarms([finding("Right", others=("loadRun.unknown",)), finding("Shown", others=())])
    assert said == ["Right (x) is right, and the kit says: loadRun.unknown"]


def test_a_reason_for_no_mutant_is_stale() -> None:
    assert selftest.stale({"gone/mutant": "because"}, MUTANTS) == [
        "survivors.json has a reason for gone/mutant, which is no mutant any more"
    ]
    assert selftest.stale(survivors(), MUTANTS) == []


def test_every_survivor_has_a_reason_that_says_why() -> None:
    assert all(reason.startswith("Equivalent") and len(reason) > 60 for reason in survivors().values())
    assert len(survivors()) <= len(MUTANTS) * (1 - selftest.LEAST)


def test_reasons_and_kills_have_to_agree() -> None:
    console = Console(file=StringIO(), width=200)
    killed, alive = MUTANTS[0], MUTANTS[1]
    found = [Verdict(killed, {"vectors": 0.1}), Verdict(alive)]
    assert selftest.judged(console, found, {killed.id: "a reason"}) == [
        f"survivors.json has a reason for {killed.id}, which is killed by vectors",
        f"{alive.id} survives without a reason: {alive.description}",
        "only 50.0% of all mutants are killed; it has to be 95%",
    ]


def test_a_rule_that_nothing_was_killed_by_counts_as_untested() -> None:
    specification = load()
    checked = {rule.id for rule in specification.rules.values() if rule.checked_by != "nothing"}
    assert selftest.untested(specification, checked) == []
    (problem,) = selftest.untested(specification, checked - {"ids.kinds"})
    assert problem.startswith("ids.kinds counts as untested")


def test_without_a_checkout_the_command_says_so_and_counts_mutants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(handbroken, "FOLDER", tmp_path)
    monkeypatch.setattr(selftest, "SAMPLE", 60)
    text = StringIO()
    assert selftest.run(Console(file=text, width=200), quick=True, workers=1) == 0
    assert "hand-broken stores are tests and are not shipped" in text.getvalue()
