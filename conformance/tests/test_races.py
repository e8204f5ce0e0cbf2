"""The check `interleavings`: whole and right on good stores, and honest about the rest."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import MISSING
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance import catalogue, linearizability, racechecks, races
from storeproof.conformance.catalogue import INSTANCES, WORLDS, pairs
from storeproof.conformance.outputs import Outputs
from storeproof.conformance.profiles import PROFILES, Profile
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import CLAIMS, SNAPSHOTS, Readings
from storeproof.conformance.races import Exploration
from storeproof.conformance.report import Report, RuleReport
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.targets import Target, made_by, resolve
from storeproof.conformance.verification import Request, exit_code, verify_targets
from storeproof.conformance.verify import verify
from storeproof.spec import types as t
from tests.race_stages import SPECIFICATION, beside, explored, instance, instances, racy, staged, target
from tests.races_decisions import claimable

pytestmark = pytest.mark.races


PROFILE = Profile("test", 6, 60, most_failures=4)
_CREATE = Call("createRun", {"runId": "r", "workflowId": "w", "input": 1, "now": 1})


def interleavings(under_test: Target, *rules: str, profile: Profile = PROFILE) -> Report:
    return verify(under_test, SPECIFICATION, profile, seed=3, rules=rules, checks=("interleavings",))


def by_id(report: Report) -> dict[str, RuleReport]:
    return {rule.id: rule for rule in report.rules}


# right stores


def test_all_pairs_of_a_world_are_complete_and_right_on_sqlite() -> None:
    with staged("sqlite") as (runner, stage):
        scenarios = [beside("waiting", *pair) for pair in pairs()]
        found: list[Exploration] = runner.wait(explored(stage, scenarios, Readings())())
    assert len(found) == len(INSTANCES) * (len(INSTANCES) + 1) // 2
    for exploration in found:
        assert (exploration.wrong, exploration.unknown, exploration.skipped) == (None, None, None)
        # An operation is one batch: either comes first.
        assert (exploration.complete, exploration.schedules) == (True, 2)
    rules = sum((exploration.rules for exploration in found), Counter[str]())
    assert rules["atomic.linearizable"] == 2 * len(scenarios)
    claims = [scenario for scenario in scenarios if {call.operation for call in scenario.calls[-2:]} <= CLAIMS]
    assert rules["claims.exclusive"] == 2 * len(claims)
    reads = [scenario for scenario in scenarios if {call.operation for call in scenario.calls[-2:]} & SNAPSHOTS]
    assert rules["reads.snapshot"] == 2 * len(reads)
    assert min(rules[f"{name}.omission"] for name in CLAIMS - {"claimRun"}) > 100
    assert {rule.split(".")[0] for rule in rules} >= {call.operation for call in INSTANCES}


def test_every_operation_of_the_contract_meets_every_other() -> None:
    names = {name for name, operation in SPECIFICATION.operations.items() if operation.executable}
    assert {call.operation for call in INSTANCES} == names
    met = {frozenset((left.operation, right.operation)) for left, right in pairs()}
    assert len(met) == len(names) * (len(names) + 1) // 2


FEW: tuple[Call, ...] = tuple(
    call
    for call in INSTANCES
    if call.operation in ("loadRun", "loadExecution", "claimRun", "releaseRunLease", "markRunPaused", "claimDueTimers")
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check takes its pairs from a small catalogue, in two worlds, and no more than pairs."""
    monkeypatch.setattr(catalogue, "INSTANCES", FEW)
    monkeypatch.setattr(races, "INSTANCES", FEW)
    monkeypatch.setattr(racechecks, "reading_scenarios", lambda: iter(()))
    monkeypatch.delitem(WORLDS, "empty")


@pytest.mark.usefixtures("few")
def test_rules_get_evidence_and_pairs_are_counted() -> None:
    report = interleavings(target("sqlite"), profile=replace(PROFILE, worlds=1))
    assert (report.verdict, report.failures, report.error) == ("partial", [], None)
    names = list(SPECIFICATION.operations)
    expected = Counter(tuple(sorted((left.operation, right.operation), key=names.index)) for left, right in pairs())
    assert {pair.operations: pair.scenarios for pair in report.pairs} == expected
    assert len(expected) == 6 * 7 // 2
    for pair in report.pairs:
        assert (pair.complete, pair.schedules) == (True, 2 * pair.scenarios)
    evidence = {rule.id: rule.evidence.get("interleavings", 0) for rule in report.rules}
    claims = [pair for pair in pairs() if all(call.operation in CLAIMS for call in pair)]
    timers = [pair for pair in pairs() if any(call.operation == "claimDueTimers" for call in pair)]
    reads = [pair for pair in pairs() if any(call.operation == "loadExecution" for call in pair)]
    assert evidence["atomic.linearizable"] == 2 * sum(expected.values())
    assert evidence["claims.exclusive"] == 2 * len(claims)
    assert evidence["claimDueTimers.omission"] == 2 * len(timers)
    assert evidence["reads.snapshot"] == 2 * len(reads)
    assert evidence["claimRun.claimed"] > 0
    # What nothing exercised is not said to hold.
    assert (evidence["createRun.created"], by_id(report)["createRun.created"].status) == (0, "untested")


@pytest.mark.usefixtures("few")
def test_more_worlds_are_more_scenarios() -> None:
    one, two = (interleavings(target("sqlite"), profile=replace(PROFILE, worlds=number)) for number in (1, 2))
    assert len(one.pairs) == len(two.pairs)
    first, second = (sum(pair.scenarios for pair in report.pairs) for report in (one, two))
    assert first == len(pairs()) < second <= 2 * first


def test_only_pairs_with_a_read_are_explored_for_the_promise_about_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racechecks, "reading_scenarios", lambda: iter(()))
    report = interleavings(target("sqlite"), "reads.snapshot", profile=replace(PROFILE, worlds=1))
    [rule] = report.rules
    assert (rule.id, rule.status, report.verdict) == ("reads.snapshot", "passed", "conforms")
    assert all(not SNAPSHOTS.isdisjoint(pair.operations) for pair in report.pairs)
    operations = len({call.operation for call in INSTANCES})
    assert len(report.pairs) == 2 * operations - 1
    expected = [pair for pair in pairs() if not SNAPSHOTS.isdisjoint(call.operation for call in pair)]
    assert sum(pair.scenarios for pair in report.pairs) == len(expected)
    assert rule.evidence == {"interleavings": 2 * len(expected)}


def test_a_read_meets_two_writes_of_another_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pair shows every torn read."""
    wide = [scenario for scenario in races.reading_scenarios() if scenario.width == 3]
    reads = [scenario for scenario in wide if scenario.clients[0][0].operation in SNAPSHOTS]
    assert {scenario.clients[0][0].operation for scenario in reads} == SNAPSHOTS
    assert {call.operation for scenario in reads for call in scenario.clients[1]} >= {"appendEvents", "markRunFinished"}

    def first_only(*_given: object) -> Iterator[Scenario]:
        return iter(reads[:1])

    monkeypatch.setattr(racechecks, "pair_scenarios", first_only)
    monkeypatch.setattr(racechecks, "reading_scenarios", lambda: iter(reads[:20]))
    report = interleavings(target("sqlite"), "reads.snapshot")
    # A batch beside two batches: three orders, and the first scenario was explored as a pair too.
    assert by_id(report)["reads.snapshot"].evidence == {"interleavings": 3 * 21}
    assert [pair.scenarios for pair in report.pairs] == [1]


def test_rules_that_no_race_breaks_are_no_reason_to_explore() -> None:
    report = interleavings(target("sqlite"), "createRun.created")
    assert (report.pairs, by_id(report)["createRun.created"].status) == ([], "untested")


# stores that are wrong, and not by a race


class NeverReleases(D1Store):
    async def release_run_lease(self, **given: Any) -> None:
        pass


@pytest.mark.usefixtures("few")
def test_what_is_wrong_alone_is_told_as_a_sequence() -> None:
    """And by the rule that it breaks, not by the promise about races."""
    report = interleavings(target("sqlite", NeverReleases))
    assert report.verdict == "fails"
    assert {failure.rules[0] for failure in report.failures} == {"releaseRunLease.released"}
    for failure in report.failures:
        assert (failure.clients, failure.schedule, failure.cut, failure.check) == ([], [], None, "interleavings")
        assert failure.program[-1]["op"] == "releaseRunLease"
    rules = by_id(report)
    assert {rules[rule].status for rule in ("atomic.linearizable", "claims.exclusive")}.isdisjoint({"failed"})
    assert rules["atomic.linearizable"].evidence["interleavings"] > 0


class ForgetsWakeAt(D1Store):
    """The setup of the world `waiting` ends in markRunPaused."""

    async def mark_run_paused(self, **given: Any) -> None:
        given.pop("wake_at", None)
        await super().mark_run_paused(**given)


@pytest.mark.usefixtures("few")
def test_a_state_that_a_setup_left_wrong_is_no_race() -> None:
    report = interleavings(target("sqlite", ForgetsWakeAt))
    assert [(failure.rules[0], failure.clients) for failure in report.failures] == [("markRunPaused.paused", [])]


class AnswersNonsense(D1Store):
    """In one way that is seen in the answer only."""

    async def mark_run_paused(self, **given: Any) -> Any:
        await super().mark_run_paused(**given)
        return [5]


def test_a_store_whose_setup_fails_is_skipped_and_not_accused() -> None:
    calls = (instance("deliverSignal"), instance("claimRun"))
    setup = (*WORLDS["waiting"], instance("markRunPaused"))
    with staged("sqlite", AnswersNonsense) as (runner, stage):
        scenarios = [Scenario(setup, tuple((call,) for call in calls)), beside("leased", *calls)]
        found: list[Exploration] = runner.wait(explored(stage, scenarios, Readings())())
    [skipped, right] = found
    assert skipped.skipped is not None
    assert skipped.skipped.startswith("await store.mark_run_paused(")
    assert (skipped.schedules, skipped.complete, skipped.wrong, skipped.rules) == (0, False, None, Counter())
    assert (right.skipped, right.complete) == (None, True)


@pytest.mark.usefixtures("few")
def test_what_is_skipped_is_counted_and_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrong(*_: object) -> str:
        return "await store.create_run(…): expected 1, got 2"

    monkeypatch.setattr(races, "prepared", wrong)
    report = interleavings(target("sqlite"), "atomic.linearizable")
    assert report.skipped == {"interleavings": sum(pair.scenarios for pair in report.pairs)}
    assert (report.verdict, report.failures, [rule.status for rule in report.rules]) == ("partial", [], ["untested"])


# verdicts the checker cannot give


def test_a_budget_that_is_too_small_is_no_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for function in (linearizability.check, linearizability.final_states):
        monkeypatch.setattr(function, "__defaults__", (1,))
    report = interleavings(target("sqlite"))
    assert report.verdict == "unknown"
    assert report.error is not None
    assert "could not judge a race within its budget" in report.error
    assert report.failures == []
    assert exit_code(report) == 3

    def only_races(*given: Any, **options: Any) -> Report:
        return verify(*given, **options, checks=("interleavings",))

    monkeypatch.setattr("storeproof.conformance.verification.verify", only_races)
    request = Request(("sqlite:",), "quick", 3, (), Outputs(), 10.0, tmp_path)
    assert verify_targets(request) == 3


# stores that only a factory knows


class Sleepy(MemoryStore):
    """claimRun looks whether the lease is free, pauses, and takes it from whoever has it by then."""

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        seen = await self.load_run(run_id=given["run_id"])
        await asyncio.sleep(0)
        now = await self.load_run(run_id=given["run_id"])
        if seen and now and claimable(seen, given["lease_owner"], given["now"]) and now.lease is not MISSING:
            await self.release_run_lease(run_id=now.run_id, lease_owner=now.lease.owner)
        return await super().claim_run(**given)


class Locked(Sleepy):
    """The same, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def claim_run(self, **given: Any) -> t.ClaimRunResult:
        async with self.lock:
            return await super().claim_run(**given)

    async def claim_stale_runs(self, **given: Any) -> list[t.RunClaim]:
        async with self.lock:
            return await super().claim_stale_runs(**given)


@asynccontextmanager
async def sleepy() -> AsyncGenerator[MemoryStore]:
    yield Sleepy()


def test_clients_of_one_store_object_race_through_its_pauses() -> None:
    report = interleavings(resolve(f"{__name__}:sleepy", SPECIFICATION), "claims.exclusive")
    assert report.verdict == "fails"
    claims = [failure for failure in report.failures if [len(client) for client in failure.clients] == [1, 1]]
    assert len(claims) == len(report.failures) >= 1
    for failure in claims:
        assert failure.rules[:2] == ["claims.exclusive", "atomic.linearizable"]
        assert "claimRun" in [client[0]["op"] for client in failure.clients]
        # One looks and pauses; the other comes in between.
        assert failure.schedule[0] != failure.schedule[1]


def test_a_lock_in_the_process_is_enough_for_one_store_object() -> None:
    report = interleavings(made_by(Locked, "locked", SPECIFICATION), "claims.exclusive")
    assert (report.failures, report.error) == ([], None)
    # Whole calls were interleaved, and the pauses of claimRun; it is no evidence of anything about statements.
    assert by_id(report)["claims.exclusive"].evidence == {}
    assert report.verdict == "partial"


# racy stores


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_store_that_only_a_third_operation_shows_is_found(backend: Any) -> None:
    """No pair of its operations is wrong; two writes of one client beside the read are."""
    torn = racy(backend, "TimelineEventsFirst")
    finish, append = instances("markRunFinished")[0], instances("appendEvents")[0]
    read = instances("getRunTimeline")[0]
    with staged(backend, torn.store) as (runner, stage):
        two = [beside("waiting", read, finish), beside("waiting", read, append)]
        three = Scenario(WORLDS["waiting"], ((read,), (append, finish)))
        found: list[Exploration] = runner.wait(explored(stage, [*two, three], Readings())())
    assert [exploration.wrong for exploration in found[:2]] == [None, None]
    assert found[2].wrong is not None
    assert found[2].wrong.rules[0] == "reads.snapshot"


def test_profiles_explore_more_and_more() -> None:
    thirds = [PROFILES[name].thirds for name in ("quick", "default", "thorough")]
    assert 0 < thirds[0] < thirds[1] < thirds[2]
