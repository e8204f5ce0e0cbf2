"""Which scenarios are run over the wire, and how often: what is drawn is looked at, and nothing is run."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any, cast

import pytest
from storeproof.conformance import wirechecks
from storeproof.conformance.encounterload import Load
from storeproof.conformance.footprints import meets
from storeproof.conformance.profiles import PROFILES, Profile
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import SNAPSHOTS, Wrong
from storeproof.conformance.races import after, pair_scenarios
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.targets import resolve
from storeproof.conformance.wirechecks import (
    MORE_CLAIMING,
    MORE_ORDERED,
    MORE_READING,
    MORE_REORDERED,
    check_wire_histories,
)
from storeproof.conformance.wirekills import LATEST, drawn_rounds
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Model
from storeproof.spec.loader import load

COPIES = 5
PROFILE = Profile("few", 1, 1, worlds=1, pairs=160, copies=COPIES)
MODEL = Model(load())

Crowds = list[tuple[Scenario, int]]


def drawn(monkeypatch: pytest.MonkeyPatch, profile: Profile = PROFILE, wrong: Wrong | None = None) -> Crowds:
    """Every scenario that would have been run, with how many copies of it; each is as wrong as that."""
    crowds: Crowds = []

    async def crowd(stage: WireStage, model: Model, scenario: Scenario, number: int, *_: Any) -> Load:
        crowds.append((scenario, number))
        return Load(wrong=wrong)

    monkeypatch.setattr(wirechecks, "crowd", crowd)
    runner = Runner(resolve("memory:", load()), MODEL)
    try:
        check_wire_histories(Session(runner, profile, 1), cast(WireStage, None))
    finally:
        runner.close()
    return crowds


def suspicious(pair: Scenario) -> bool:
    one, other = pair.clients[0][0], pair.clients[1][0]
    return meets(MODEL.specification, one, other) or meets(MODEL.specification, other, one)


def busy(pair: Scenario) -> int:
    """How many of the two calls change something, alone or after the other."""
    start = after(MODEL, pair.setup)
    changing: set[int] = set()
    for first, second in ((0, 1), (1, 0)):
        one, other = pair.clients[first][0], pair.clients[second][0]
        between = MODEL.step(start, one.operation, one.args).state
        changing |= {first} if between is not start else set()
        changing |= {second} if MODEL.step(between, other.operation, other.args).state is not between else set()
    return len(changing)


def test_of_two_operations_those_pairs_come_first_in_which_both_do_something(monkeypatch: pytest.MonkeyPatch) -> None:
    best: dict[frozenset[str], int] = defaultdict(int)
    for pair in pair_scenarios(MODEL, PROFILE.worlds):
        if suspicious(pair):
            operations = frozenset(client[0].operation for client in pair.clients)
            best[operations] = max(best[operations], busy(pair))
    found: dict[frozenset[str], int] = defaultdict(int)
    for scenario, _ in drawn(monkeypatch):
        if all(len(client) == 1 for client in scenario.clients) and len(scenario.clients) == 2:
            operations = frozenset(client[0].operation for client in scenario.clients)
            if len(operations) == 2:
                found[operations] = max(found[operations], busy(scenario))
    assert len(found) > 50
    assert {operations: best[operations] for operations in found} == found


def test_where_there_is_room_all_pairs_come_in_which_both_do_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the profile thorough."""
    thorough = PROFILES["thorough"]
    busiest = [pair for pair in pair_scenarios(MODEL, thorough.worlds) if suspicious(pair) and busy(pair) == 2]
    assert 400 < len(busiest) < thorough.pairs
    found = drawn(monkeypatch, replace(PROFILE, worlds=thorough.worlds, pairs=thorough.pairs))
    two = [scenario for scenario, _ in found if scenario.width == 2]
    assert [pair for pair in busiest if pair not in two] == []


def test_a_torn_read_that_was_told_gets_no_more_chances_than_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "loadExecution"

    def has_told(findings: RaceFindings, rule: str, operation: str) -> bool:
        return (rule, operation) == ("reads.snapshot", told)

    monkeypatch.setattr(RaceFindings, "has_told", has_told)
    numbers: dict[str, set[int]] = defaultdict(set)
    for scenario, number in drawn(monkeypatch):
        read = scenario.clients[0][-1].operation
        if read in SNAPSHOTS and len(scenario.clients[1]) == 2:
            numbers[read].add(number)
    assert numbers == {told: {COPIES}, "getRunTimeline": {COPIES * MORE_READING}}


def test_what_does_not_commute_gets_more_chances_and_claims_most(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: dict[tuple[str, ...], set[int]] = defaultdict(set)
    crowds = drawn(monkeypatch, replace(PROFILE, pairs=0, worlds=3))
    for scenario, number in crowds:
        if scenario.width == 2:
            numbers[tuple(sorted(call.operation for call in scenario.meeting))].add(number)
    often = {COPIES, COPIES * MORE_CLAIMING}  # in some worlds nothing is due
    assert numbers["claimDueScheduleBuckets", "markScheduleBucketStarted"] == often  # which answers nothing
    assert numbers["claimStaleRuns", "scheduleTimer"] == often
    assert numbers["deliverSignal", "scheduleTimer"] == {COPIES, COPIES * MORE_ORDERED}
    assert numbers["deleteRun", "deleteRun"] == {COPIES}
    claims = {"claimDueTimers", "claimStaleRuns", "claimDueScheduleBuckets"}
    of_claims = [pair for pair, found in numbers.items() if max(found) > COPIES * MORE_ORDERED]
    assert all(len(claims & set(pair)) == 1 for pair in of_claims)


def test_a_claim_that_an_order_decides_gets_more_crowds_until_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = replace(PROFILE, pairs=0, worlds=3)
    crowds = drawn(monkeypatch, profile)
    seen = Counter(scenario.as_python() for scenario, _ in crowds)
    often = [(scenario, number) for scenario, number in crowds if seen[scenario.as_python()] > 1]
    assert len(often) == 4 * (1 + MORE_REORDERED)
    assert {number for _, number in often} == {COPIES * MORE_CLAIMING}
    assert {tuple(sorted(call.operation for call in scenario.meeting)) for scenario, _ in often} == {
        ("claimStaleRuns", "scheduleTimer")
    }

    def has_told(findings: RaceFindings, rule: str, operation: str) -> bool:
        return (rule, operation) == ("claimStaleRuns.omission", "claimStaleRuns")

    monkeypatch.setattr(RaceFindings, "has_told", has_told)
    assert len(drawn(monkeypatch, profile)) == len(crowds) - 4 * MORE_REORDERED


def test_a_crowd_that_a_new_failure_ended_comes_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what the other copies show. What is told only after it was made small is not new a second time."""
    told: list[Scenario] = []

    def tell(_: Session, __: WireStage, ___: RaceFindings, scenario: Scenario, ____: Load) -> bool:
        told.append(scenario)
        return told.count(scenario) == 1

    monkeypatch.setattr(wirechecks, "_tell", tell)
    once = drawn(monkeypatch)
    assert told == []
    twice = drawn(monkeypatch, wrong=cast(Wrong, "wrong"))
    assert twice == [each for each in once for _ in range(2)]
    assert told == [scenario for scenario, _ in twice]


def test_two_of_three_kills_cut_off_one_operation_of_several_rows() -> None:
    rounds = list(drawn_rounds(MODEL, 1, 180))
    alone = [each for place, each in enumerate(rounds) if place % 3]
    assert all(each.scenario.width == 1 and not each.answers for each in alone)
    cut_off = {each.scenario.clients[0][0].operation for each in alone}
    assert cut_off >= {"appendEvents", "deleteRun", "deliverSignal", "deliverApproval", "claimDueTimers"}
    beside = rounds[::3]
    assert any(len(each.scenario.clients) > 2 for each in beside)
    assert any(each.answers for each in beside)


def test_no_part_of_an_operation_is_left_without_a_kill() -> None:
    """Each third of the time of each operation that is cut off alone, whatever the seed."""
    for seed in range(20):
        thirds: dict[str, set[int]] = defaultdict(set)
        for place, each in enumerate(drawn_rounds(MODEL, seed, 180)):
            if place % 3:
                thirds[each.scenario.as_python()].add(int(3 * each.later / LATEST))
        assert all(found == {0, 1, 2} for found in thirds.values())
