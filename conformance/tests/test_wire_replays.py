"""What was found over the wire is tried again from its file: races, kills, and what nobody can judge."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance import wirereplays
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT
from storeproof.conformance.encounterload import Load
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.points import Cut
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racefailures import told
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.races import Tried
from storeproof.conformance.report import FailureReport
from storeproof.conformance.repro import save
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.wirechecks import tried
from storeproof.conformance.wirekills import LATEST, Round, Struck, struck
from storeproof.conformance.wireload import again
from storeproof.conformance.wiremeetings import LONGEST_DELAY_S
from storeproof.conformance.wirereplays import replay_over_wire
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.command_session import Ran, storeproof
from tests.test_wire_verify import CLAIMS, SIGNALS, opened, target

RIGHT = target("--fault", "slow")
RACY = ("--fault", "check-then-act")
SAME_SIGNAL = Scenario(WORLDS["waiting"], (SIGNALS[0], SIGNALS[0]))
SMALL = replace(SAME_SIGNAL, setup=(WORLDS["waiting"][0], WORLDS["waiting"][-1]))
"""The same in a world of one run that waits: cheap to repeat."""
NOBODY = Encounter((), (), (), (), None, None)
LOOK: Program = (Call("loadRun", {"runId": "q"}),)
TWO_EVENTS: Program = tuple(
    call for call in INSTANCES if call.operation == "appendEvents" and len(call.args["events"]) == 2
)[:1]


def replayed(file: Path, *options: str, folder: Path) -> tuple[Ran, str]:
    """What `storeproof replay` said, without line breaks."""
    ran = storeproof("replay", str(file), *options, folder=folder, timeout_s=300)
    return ran, " ".join(ran.out.split())


def saved(check: str, found: Tried, name: str, folder: Path) -> Path:
    """The repro file of a failure as a run saves it."""
    specification = load()
    failure: FailureReport = told(check, found, Model(specification))
    return save(failure, name, 1, folder, specification)


def repetitions(said: str) -> tuple[int, int]:
    counted = re.search(r"in (\d+) of (\d+) repetitions", said)
    assert counted is not None, said
    return int(counted[1]), int(counted[2])


def test_a_race_replays_with_how_often_it_came(tmp_path: Path) -> None:
    with opened(*RACY) as (runner, found):
        load_ = runner.wait(again(found.stage(), runner.model, SMALL, 50, random.Random(1)))
    wrong = tried(load_)
    assert wrong is not None
    file = saved("histories", wrong, target(*RACY), tmp_path)
    ran, said = replayed(file, folder=tmp_path)
    assert (ran.code, "it still fails" in said) == (1, True), ran
    failures, of = repetitions(said)
    assert 0 < failures <= of == 100
    ran, said = replayed(file, "--target", RIGHT, folder=tmp_path)
    assert (ran.code, "it no longer fails" in said, "repetitions" in said) == (0, True, False), ran


def test_a_replay_looks_behind_rows_in_a_wrong_order_and_then_into_crowds(monkeypatch: pytest.MonkeyPatch) -> None:
    order, tries = "claimDueTimers.order", list[tuple[str, frozenset[str]]]()

    def load_(rule: str) -> Load:
        wrong = Wrong((rule,), rule, "", "", (), (), True)
        return Load(histories=1, failures=1, wrong=wrong, scenario=SAME_SIGNAL, encounter=NOBODY)

    async def alone(*given: Any) -> Load:
        tries.append(("alone", given[-1].rules))
        return Load(histories=100) if order in given[-1].rules else load_(order)

    async def together(*given: Any, latest_s: float) -> Load:
        when = "together" if latest_s == LONGEST_DELAY_S else "later"
        tries.append((f"{given[3]} {when}", given[-1].rules))
        return load_(LINEARIZABLE) if len(tries) == 6 else Load(histories=96)

    monkeypatch.setattr(wirereplays, "again", alone)
    monkeypatch.setattr(wirereplays, "crowd", together)
    with opened() as (runner, found):
        for saved, rule in (([LINEARIZABLE], LINEARIZABLE), ([order], order)):
            replay = replay_over_wire(found.stage(), runner.model, SAME_SIGNAL, None, saved)
            again_ = runner.wait(replay)
            assert again_ is not None
            assert again_.wrong.rules == (rule,)
    without, with_ = frozenset({order}), frozenset[str]()
    crowds = [(each, without) for each in ("96 together", "96 later", "48 together", "48 later")]
    assert tries == [("alone", with_), ("alone", without), *crowds, ("alone", with_)]


@pytest.mark.parametrize("check", ["alone", "together", "killed"])
@pytest.mark.parametrize("why", ["unknown", "skipped"])
def test_a_replay_that_nobody_could_judge_is_not_a_pass(monkeypatch: pytest.MonkeyPatch, check: str, why: str) -> None:
    def gave_up(kind: type[Any], *, really: bool) -> Any:
        async def found(*_: Any, **__: Any) -> Any:
            return kind(**{why: "it gave up"}) if really else kind()

        return found

    monkeypatch.setattr(wirereplays, "again", gave_up(Load, really=check == "alone"))
    monkeypatch.setattr(wirereplays, "crowd", gave_up(Load, really=check == "together"))
    monkeypatch.setattr(wirereplays, "struck", gave_up(Struck, really=check == "killed"))
    cut = Cut(0, 1, "after") if check == "killed" else None
    with opened() as (runner, found), pytest.raises(HarnessError, match="it gave up"):
        runner.wait(replay_over_wire(found.stage(), runner.model, SAME_SIGNAL, cut, [LINEARIZABLE]))


@pytest.mark.parametrize("check", ["histories", "interleavings"])
def test_a_replay_says_where_its_setup_is_wrong(tmp_path: Path, check: str) -> None:
    wrong = Wrong((LINEARIZABLE,), "they raced", "", "", (), (), True)
    file = saved(check, Tried(replace(SAME_SIGNAL, setup=LOOK), wrong, NOBODY), RIGHT, tmp_path)
    ran, said = replayed(file, "--target", "report_stores:Nonsense", folder=tmp_path)
    assert (ran.code, said) == (3, ""), ran
    said = " ".join(ran.err.split())
    assert "the race could not be tried, because the store is wrong already without it: await store.load_run(" in said


def test_a_kill_replays_with_how_often_something_was_lost(tmp_path: Path) -> None:
    options = ("--journal", str(tmp_path / "forgetful"), "--fault", "forgets")
    with opened(*options) as (runner, found):
        round_ = Round(SAME_SIGNAL, 2, 0.0, retried=False)
        wrong = runner.wait(struck(found.stage(), runner.model, round_)).wrong
    assert wrong is not None
    file = saved("cuts", wrong, target(*options), tmp_path)
    ran, said = replayed(file, folder=tmp_path)
    assert (ran.code, "it still fails" in said, ACKNOWLEDGED in said) == (1, True, True), ran
    failures, of = repetitions(said)
    assert 0 < failures <= of == 10
    ran, said = replayed(file, "--target", target("--journal", str(tmp_path / "right")), folder=tmp_path)
    assert (ran.code, "it no longer fails" in said) == (0, True), ran


def test_a_kill_whose_retry_is_wrong_replays_with_the_retry(tmp_path: Path) -> None:
    """Without it nothing is wrong: the append was done whole."""
    options = ("--journal", str(tmp_path / "journal"), "--fault", "appends-again")
    scenario = Scenario(WORLDS["waiting"], (TWO_EVENTS,))
    with opened(*options) as (runner, found):
        kills = [
            runner.wait(struck(found.stage(), runner.model, Round(scenario, 0, 1.5, retried=retried))).wrong
            for retried in (False, True)
        ]
    assert kills[0] is None
    assert kills[1] is not None
    file = saved("cuts", kills[1], target(*options), tmp_path)
    ran, said = replayed(file, folder=tmp_path)
    assert (ran.code, "it still fails" in said, CONVERGES in said) == (1, True, True), ran


@pytest.mark.parametrize(("fails", "kills", "said"), [(23, 30, "in 1 of 30 repetitions: a half"), (51, 50, None)])
def test_a_kill_that_shows_seldom_is_repeated_more_often(
    monkeypatch: pytest.MonkeyPatch, fails: int, kills: int, said: str | None
) -> None:
    made: list[Round] = []
    half = Tried(SAME_SIGNAL, Wrong((CUT,), "a half", "", "", (), (), True), NOBODY)

    async def seldom(_: object, __: object, round_: Round) -> Struck:
        made.append(round_)
        return Struck(wrong=half if len(made) == fails else None)

    monkeypatch.setattr(wirereplays, "struck", seldom)
    with opened() as (runner, found):
        replay = replay_over_wire(found.stage(), runner.model, SAME_SIGNAL, Cut(0, 0, "after"), [CUT])
        again_ = runner.wait(replay)
    assert (again_.wrong.message if again_ else None) == said
    assert len(made) == kills
    assert {round_.later for round_ in made} == {0, 0.25, 0.5, 0.75, 1, 1.25, LATEST}


def test_rows_that_came_in_a_wrong_order_are_looked_at_more_than_once(tmp_path: Path) -> None:
    """It is chance: with this seed the first run of the program is answered right."""
    with opened("--fault", "any-order") as (runner, _):
        session = Session(runner, Profile("few", 1, 30), 1)
        for _ in range(20):
            session.exercise((*WORLDS["waiting"], *CLAIMS[1]), "sequences")
        [failure] = session.failures
    assert failure.rules == ["claimDueTimers.order"]
    file = save(failure, RIGHT, 1, tmp_path, load())
    ran, said = replayed(file, "--target", target("--fault", "any-order", "--seed", "5"), folder=tmp_path)
    assert (ran.code, "it still fails" in said, "claimDueTimers.order" in said) == (1, True, True), ran
    ran, said = replayed(file, folder=tmp_path)
    assert (ran.code, "it no longer fails" in said) == (0, True), ran
