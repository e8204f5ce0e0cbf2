"""What is found over the wire in several clients: races, gaps, claims, a real server; and what hides nothing.

Broken programs are `wire_store.py --fault …`; the right one is the same without, or with answers in any order.
"""

from __future__ import annotations

import random
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance import wirechecks
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounterload import Load
from storeproof.conformance.known import Known
from storeproof.conformance.loadchecks import check_histories
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import Arguments
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.subscriptionscenes import ONCE
from storeproof.conformance.wirechecks import Crowd, check_wire_histories
from storeproof.conformance.wireload import MOST_TOLD, crowd
from storeproof.conformance.wirestage import WireStage
from storeproof.conformance.wirestore import WireStore
from storeproof.conformance.wiretarget import wire_target
from storeproof.reference.model import Model, Outcome, Returned
from storeproof.spec.loader import load
from tests.test_wire_replays import LOOK, RACY, RIGHT, SAME_SIGNAL, replayed
from tests.test_wire_verify import CLAIMS, opened, target, verified

HERE = Path(__file__).parent


def test_a_gap_between_replay_and_live_is_found_beside_appends_only(tmp_path: Path) -> None:
    name = target("--fault", "handover")
    ran, report = verified(tmp_path, rules=(ONCE,), name=name)
    assert ran.code == 1, ran
    [failure] = report.failures
    assert (failure.rules, failure.check) == ([ONCE], "subscription-races")
    assert failure.repro is not None
    again_, said = replayed(tmp_path / failure.repro, folder=tmp_path)
    assert (again_.code, "it still fails" in said) == (1, True), again_
    right, said = replayed(tmp_path / failure.repro, "--target", RIGHT, folder=tmp_path)
    assert (right.code, "it no longer fails" in said) == (0, True), right


def listed(runner: Runner, profile: Profile, *rules: str) -> Session:
    session = Session(runner, profile, 1)
    session.known = Known(frozenset(rules))
    return session


def test_histories_keep_away_from_what_is_known_to_fail() -> None:
    profile = Profile("few", 1, 1, worlds=1, pairs=12, copies=2, loads=1)
    deliveries = [rule.id for rule in load().operations["deliverSignal"].rules if rule.kind != "promise"]
    with opened(*RACY) as (runner, found):
        session = listed(runner, profile, *deliveries)
        check_histories(session)
        assert (session.failures, session.known.failures) == ([], [])
        assert session.evidence[LINEARIZABLE]["histories"] > 0
        assert not any(session.evidence[rule]["histories"] for rule in deliveries)
        # The same pairs are wrong where nothing keeps away from them.
        raced = runner.wait(crowd(found.stage(), runner.model, SAME_SIGNAL, 8, random.Random(1)))
        assert raced.wrong is not None


def test_what_was_told_hides_nothing_in_the_copies_that_met_with_it() -> None:
    seen: list[Wrong | None] = []

    def told_(found: Load) -> bool:
        seen.append(found.wrong)
        return True

    with opened(*RACY) as (runner, found):
        stage, model = found.stage(), runner.model
        first = runner.wait(crowd(stage, model, SAME_SIGNAL, 24, random.Random(1)))
        every = runner.wait(crowd(stage, model, SAME_SIGNAL, 24, random.Random(1), None, told_))
    assert first.failures == 1
    assert first.histories < every.histories == 24
    assert every.failures == len(seen) > 1
    assert every.wrong is seen[0] is not None


def test_what_is_new_hides_nothing_in_the_copies_that_met_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Load] = []

    def crowds(*_: object) -> list[Crowd]:
        return [Crowd(SAME_SIGNAL, 24)]

    async def seen(*given: Any) -> Load:
        loads.append(await crowd(*given))
        return loads[-1]

    monkeypatch.setattr(wirechecks, "_crowds", crowds)
    monkeypatch.setattr(wirechecks, "crowd", seen)
    with opened(*RACY) as (runner, found):
        session = Session(runner, Profile("few", 1, 30), 1)
        check_wire_histories(session, found.stage())
    assert [failure.rules[0] for failure in session.failures] == [LINEARIZABLE]
    assert [each.failures > 1 for each in loads] == [False, True]
    assert loads[0].histories < loads[1].histories == 24


def test_an_order_that_is_new_hides_nothing_in_the_copies_that_met_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = tuple((each,) for each in INSTANCES if each.operation == "scheduleTimer")[:1]
    loads: list[Load] = []

    def crowds(*_: object) -> list[Crowd]:
        return [Crowd(Scenario(WORLDS["waiting"], timers * 2), 24)]

    async def seen(*given: Any) -> Load:
        loads.append(await crowd(*given))
        return loads[-1]

    monkeypatch.setattr(wirechecks, "_crowds", crowds)
    monkeypatch.setattr(wirechecks, "crowd", seen)
    with opened("--fault", "any-order") as (runner, found):
        session = Session(runner, Profile("few", 1, 30, loads=0), 1)
        check_wire_histories(session, found.stage())
    assert session.misordered == {"claimDueTimers.order"}
    assert [each.wrong is not None for each in loads] == [True, False]
    assert loads[0].histories < loads[1].histories == 24


def test_of_two_failures_of_the_same_calls_the_seldom_one_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, the calls show only the other one."""

    def crowds(*_: object) -> list[Crowd]:
        return [Crowd(SAME_SIGNAL, 24)]

    monkeypatch.setattr(wirechecks, "_crowds", crowds)
    monkeypatch.setattr(wirechecks, "TRIES_AGAIN", 3)
    with opened("--fault", "throws") as (runner, found):
        session = Session(runner, Profile("few", 1, 30), 1)
        check_wire_histories(session, found.stage())
    assert {failure.rules[0] for failure in session.failures} == {"answers.taxonomy", LINEARIZABLE}


def test_what_was_told_hides_nothing_in_copies_of_a_claim_until_it_was_met_often() -> None:
    scenario = Scenario(WORLDS["waiting"], CLAIMS[:2])
    seen: list[Wrong | None] = []

    def told_(found: Load) -> bool:
        seen.append(found.wrong)
        return len(seen) != 3

    with opened("--fault", "two-owners") as (runner, found):
        stage, model = found.stage(), runner.model
        new = runner.wait(crowd(stage, model, scenario, 24, random.Random(1), None, told_))
        assert new.failures == len(seen) == 3
        assert new.wrong is seen[2] is not None
        often = runner.wait(crowd(stage, model, scenario, 24, random.Random(1), None, told_))
    assert often.failures == len(seen) - 3 == MOST_TOLD
    assert often.wrong is seen[3] is not None


def test_copies_that_were_read_are_out_of_the_way_of_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each claims all earlier ones again, and the time of a crowd is as the square of its size."""
    call, taken = WireStore.call, list[int]()

    async def seen(store: WireStore, operation: str, args: Arguments) -> Outcome:
        outcome = await call(store, operation, args)
        if operation == "claimDueTimers" and isinstance(outcome, Returned):
            taken.append(len(outcome.value))
        return outcome

    monkeypatch.setattr(WireStore, "call", seen)
    timers = tuple((each,) for each in INSTANCES if each.operation == "scheduleTimer")[:1]
    with opened() as (runner, found):
        scenario = Scenario(WORLDS["waiting"], timers * 2)
        right = runner.wait(crowd(found.stage(), runner.model, scenario, 24, random.Random(1)))
    assert (right.wrong, right.histories) == (None, 24)
    assert 24 <= sum(taken) <= 24 * 6


def test_rows_that_come_in_any_order_are_no_race_and_hide_none() -> None:
    profile = Profile("few", 1, 1, worlds=2, pairs=40, copies=3, thirds=40)
    with opened("--fault", "any-order") as (runner, _):
        session = Session(runner, profile, 1)
        check_histories(session)
        assert {failure.rules[0] for failure in session.failures} == {"claimDueTimers.order"}
        assert session.evidence[LINEARIZABLE]["histories"] > 100
        assert session.misordered == {"claimDueTimers.order"}


@pytest.mark.parametrize("options", [(), ("--fault", "any-order")])
@pytest.mark.parametrize("world", WORLDS)
def test_every_world_is_set_up_for_a_crowd(world: str, options: tuple[str, ...]) -> None:
    """Where copies meet at once, and in turn. Rows in another order are the same rows; the reading tells them."""
    with opened(*options) as (runner, found):
        for meeting in ((LOOK, LOOK), (CLAIMS[0], LOOK)):
            scenario = Scenario(WORLDS[world], meeting)
            right = runner.wait(crowd(found.stage(), runner.model, scenario, 24, random.Random(1)))
            assert (right.skipped, right.unknown) == (None, None)
            assert right.histories == 24 or (right.wrong is not None and right.wrong.reading)


def test_a_race_that_is_known_is_expected_and_one_that_does_not_come_is_not_stale(tmp_path: Path) -> None:
    (tmp_path / "claim.toml").write_text(
        'adapter = "wire_store"\ncapabilities = ["subscribe"]\n'
        '[expected-failures]\n"claims.exclusive" = { reason = "known" }\n'
    )
    ran, report = verified(
        tmp_path, "--claim", "claim.toml", rules=("claims.exclusive",), name=target("--fault", "two-owners")
    )
    [rule] = report.rules
    assert (ran.code, report.failures, rule.status, rule.because) == (0, [], "expected-failure", "known"), ran
    assert report.expected
    ran, report = verified(tmp_path, "--claim", "claim.toml", rules=("claims.exclusive",), name=RIGHT)
    [rule] = report.rules
    assert (ran.code, report.failures, report.expected, rule.status) == (0, [], [], "expected-failure"), ran
    assert "races come by chance" in (rule.because or "")


@pytest.mark.races
@pytest.mark.parametrize("store", ["CreateTwoWinners", "ApprovalCheckThenAct"])
def test_check_then_act_on_a_real_server_is_found(store: str) -> None:
    operation = "createRun" if store == "CreateTwoWinners" else "deliverApproval"
    call = next(each for each in INSTANCES if each.operation == operation and each.args["runId"] != "q")
    world = "empty" if operation == "createRun" else "waiting"
    scenario = Scenario(WORLDS[world], ((call,), (call,)))
    command = [sys.executable, str(HERE / "wire_postgres.py"), store]
    runner = Runner(wire_target(f"stdio:{shlex.join(command)}", 60), Model(load()))
    try:
        runner.open()
        stage = runner.target.stage()
        assert isinstance(stage, WireStage)
        found = runner.wait(crowd(stage, runner.model, scenario, 24, random.Random(1)))
    finally:
        runner.close()
    assert found.wrong is not None
    assert found.wrong.rules[0] == LINEARIZABLE
