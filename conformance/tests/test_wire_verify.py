"""`stdio:` targets held to the contract: right programs raise no alarm, each broken one is told by its rule."""

from __future__ import annotations

import json
import random
import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CUT
from storeproof.conformance.encounterload import Load
from storeproof.conformance.programs import Program
from storeproof.conformance.report import Report
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wirecopies import SPACING_MS, copies
from storeproof.conformance.wirekills import Round, Struck, struck
from storeproof.conformance.wireload import again, crowd
from storeproof.conformance.wiretarget import WireTarget, wire_target
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load
from tests.command_session import Ran, storeproof, unfit

PROGRAM = Path(__file__).parent / "wire_store.py"
SIGNALS: tuple[Program, ...] = tuple((call,) for call in INSTANCES if call.operation == "deliverSignal")
CLAIMS: tuple[Program, ...] = tuple((call,) for call in INSTANCES if call.operation == "claimDueTimers")


def target(*options: str) -> str:
    return f"stdio:{shlex.join([sys.executable, str(PROGRAM), *options])}"


def verified(folder: Path, *options: str, rules: tuple[str, ...], name: str) -> tuple[Ran, Report]:
    chosen = [word for rule in rules for word in ("--rule", rule)]
    command = ("verify", name, "--profile", "quick", "--seed", "3", "--json", "r.json", *chosen, *options)
    ran = storeproof(*command, folder=folder, timeout_s=600)
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    assert unfit("report", report) == []
    return ran, Report.model_validate(report)


@contextmanager
def opened(*options: str) -> Generator[tuple[Runner, WireTarget]]:
    specification = load()
    found = wire_target(target(*options), 20)
    runner = Runner(found, Model(specification))
    try:
        runner.open()
        yield runner, found
    finally:
        runner.close()


def crowded(clients: tuple[Program, ...], *options: str, number: int = 6) -> Load:
    with opened(*options) as (runner, found):
        scenario = Scenario(WORLDS["waiting"], clients)
        return runner.wait(crowd(found.stage(), runner.model, scenario, number, random.Random(1)))


def killed(folder: Path, *options: str, answers: int, clients: tuple[Program, ...] = SIGNALS) -> Struck:
    with opened("--journal", str(folder / "journal"), *options) as (runner, found):
        round_ = Round(Scenario(WORLDS["waiting"], clients), answers, 0.0, retried=False)
        return runner.wait(struck(found.stage(), runner.model, round_))


def test_a_slow_program_that_answers_in_any_order_conforms(tmp_path: Path) -> None:
    ran, report = verified(tmp_path, rules=("loadRun", "subscribeEvents"), name=target("--fault", "slow"))
    assert (ran.code, report.verdict) == (0, "conforms"), ran
    hidden = {rule.id for rule in report.rules if rule.status == "not-applicable"}
    assert hidden == {"subscribeEvents.failing-callback", "subscribeEvents.own-copies"}
    assert report.environment["store"] == "wire_store"


@pytest.mark.races
def test_a_right_program_conforms_in_several_clients_and_when_it_is_killed(tmp_path: Path) -> None:
    name = target("--journal", "journal", "--fault", "slow")
    ran, report = verified(tmp_path, rules=("atomic",), name=name)
    assert (ran.code, report.verdict, report.failures) == (0, "conforms", []), ran
    by_id = {rule.id: rule.evidence for rule in report.rules}
    assert by_id["atomic.linearizable"]["histories"] > 0
    assert by_id[CUT].keys() == by_id[ACKNOWLEDGED].keys() == {"cuts"}
    assert report.cut_points > 0
    assert report.pairs == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hangs", "no answer within 1 s to request"),
        ("late", "no answer within 1 s to request"),
        ("dies", "its standard output has ended; it ended with exit status 7; its standard error ends: out of memory"),
        ("exits", "its standard output has ended; it ended with exit status 4; its standard error ends: no licence"),
        ("garbage", "a line of its standard output is no message: no JSON"),
        ("twice", "a second answer to request"),
        ("unknown-id", "which nobody asked"),
        ("exits-with-3", "shutdown was answered, and the program did not end with exit status 0"),
    ],
)
def test_a_broken_protocol_is_exit_code_3_and_what_was_found_stays(fault: str, says: str, tmp_path: Path) -> None:
    rule = "claimRun.not-found"
    ran, report = verified(tmp_path, "--limit-s", "1", rules=(rule,), name=target("--fault", fault))
    assert (ran.code, report.verdict, report.failures) == (3, "unknown", []), ran
    assert report.error is not None
    told = "the program broke the wire protocol: "
    assert report.error.startswith(told)
    assert says in " ".join(report.error.split())
    assert told in " ".join(ran.out.split())
    assert "Traceback" not in ran.err
    assert any(rule.evidence for rule in report.rules) == (fault != "exits")


def test_a_store_written_elsewhere_should_refuse_and_may_not(tmp_path: Path) -> None:
    ran, report = verified(tmp_path, rules=("createRun",), name=target("--fault", "elsewhere"))
    failed = [(rule.id, rule.level) for rule in report.rules if rule.status == "failed"]
    assert (ran.code, report.verdict, failed) == (0, "conforms", [("createRun.arguments", "SHOULD")]), ran
    assert [failure.rules for failure in report.failures] == [["createRun.arguments"]]
    assert report.environment["written against"].startswith("no revision")


def test_fields_too_many_are_a_should(tmp_path: Path) -> None:
    name = target("--fault", "extra-fields")
    ran, report = verified(tmp_path, rules=("loadRun", "answers.extra-fields"), name=name)
    failed = [rule.id for rule in report.rules if rule.status == "failed"]
    assert (ran.code, failed) == (0, ["answers.extra-fields"]), ran


def test_a_gap_in_a_subscription_is_found(tmp_path: Path) -> None:
    ran, report = verified(tmp_path, rules=("subscribeEvents",), name=target("--fault", "gap"))
    failed = {rule.id for rule in report.rules if rule.status == "failed"}
    assert ran.code == 1, ran
    assert {"subscribeEvents.replay", "subscribeEvents.live"} <= failed


def test_events_after_the_end_are_found(tmp_path: Path) -> None:
    ran, report = verified(tmp_path, rules=("subscribeEvents.unsubscribed",), name=target("--fault", "deaf"))
    assert (ran.code, [rule.status for rule in report.rules]) == (1, ["failed"]), ran


def test_what_is_not_durable_although_it_says_so_is_found_and_replays(tmp_path: Path) -> None:
    name = target("--fault", "not-durable")
    ran, report = verified(tmp_path, rules=("durability",), name=name)
    assert (ran.code, [rule.status for rule in report.rules]) == (1, ["failed"]), ran
    [failure] = report.failures
    assert failure.repro is not None
    again_ = storeproof("replay", failure.repro, "--target", name, folder=tmp_path)
    assert (again_.code, "it still fails" in again_.out) == (1, True), again_
    right = storeproof("replay", failure.repro, "--target", target("--journal", "journal"), folder=tmp_path)
    assert (right.code, "it no longer fails" in right.out) == (0, True), right


def test_check_then_act_is_found_in_a_crowd_and_a_right_store_raises_no_alarm() -> None:
    wrong = crowded(SIGNALS, "--fault", "check-then-act")
    assert wrong.wrong is not None
    assert "atomic.linearizable" in wrong.wrong.rules
    right = crowded(SIGNALS, "--fault", "slow")
    assert (right.wrong, right.unknown, right.skipped, right.histories) == (None, None, None, 6)
    assert right.rules["atomic.linearizable"] == 6


def test_claims_over_all_rows_see_their_own_copy_only() -> None:
    found = crowded(CLAIMS[:2], "--fault", "slow")
    assert (found.wrong, found.unknown, found.skipped, found.histories) == (None, None, None, 6)
    assert found.rules["claims.exclusive"] == 6


def test_a_race_is_repeated_and_counted() -> None:
    with opened("--fault", "check-then-act") as (runner, found):
        scenario = Scenario(WORLDS["waiting"], SIGNALS)
        load_ = runner.wait(again(found.stage(), runner.model, scenario, 8, random.Random(1), 8))
    assert 0 < load_.failures <= load_.histories == 8


def test_copies_differ_by_their_ids_and_times() -> None:
    scenario = Scenario(WORLDS["waiting"], CLAIMS[:1])
    first, second = copies(load(), scenario, 2)
    one, other = first.scenario.setup[0].args, second.scenario.setup[0].args
    assert (one["runId"], other["runId"]) == ("r.0", "r.1")
    assert other["now"] - one["now"] == SPACING_MS
    rows = [{"runId": "r.0", "signalId": "x"}, {"runId": "r.1", "signalId": "x"}, {"runId": "r.2", "signalId": "x"}]
    # A row of an earlier copy is due again; one of a later copy is not due yet, and a claim that takes it is wrong.
    assert second.own("claimDueTimers", Returned(rows)) == Returned(rows[1:])
    assert second.own("listRuns", Returned(rows)) == Returned(rows[1:2])


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_what_a_killed_process_leaves_is_right_where_it_is_durable(answers: int, tmp_path: Path) -> None:
    found = killed(tmp_path, answers=answers)
    assert (found.wrong, found.unknown) == (None, None)
    assert found.cuts > 0


def test_answers_that_a_killed_process_loses_are_found(tmp_path: Path) -> None:
    found = killed(tmp_path, "--fault", "forgets", answers=2)
    assert found.wrong is not None
    assert found.wrong.wrong.rules[0] == ACKNOWLEDGED
    assert "the process killed when 2 of 2 calls had been answered" in found.wrong.wrong.message


def test_a_command_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    ran = storeproof("verify", "stdio:nosuchprogram --x", folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (2, False), ran
    assert "no command 'nosuchprogram'" in ran.err
