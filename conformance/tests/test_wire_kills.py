"""What is found over the wire in processes that are killed, and what no kill is blamed for.

The broken program is `wire_store.py --fault …`; the right one is the same without.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from storeproof.conformance import racefindings, wirechecks, wirekills, wireload
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CUT
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import LINEARIZABLE
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.wirechecks import Crowd, check_wire_cuts, check_wire_histories
from storeproof.conformance.wireclient import WireClient
from storeproof.conformance.wirekills import Round, struck
from tests.test_wire_races import listed
from tests.test_wire_replays import LOOK, RACY, SAME_SIGNAL, TWO_EVENTS
from tests.test_wire_verify import CLAIMS, opened

TIED: Program = tuple(
    Call("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": 9, "signalId": "x", "now": 2})
    for run in ("r", "q")
)
"""Two timers that are due at once."""


def test_an_operation_that_is_kept_by_half_is_found(tmp_path: Path) -> None:
    # The answer to the second look comes when the first half is written, and kills the process before the second.
    round_ = Round(Scenario(WORLDS["waiting"], (LOOK, TWO_EVENTS, LOOK)), 2, 0.0, retried=False)
    with opened("--journal", str(tmp_path / "half"), "--fault", "half") as (runner, found):
        wrong = runner.wait(struck(found.stage(), runner.model, round_)).wrong
    assert wrong is not None
    assert wrong.wrong.rules == (CUT, LINEARIZABLE, "appendEvents.appended")  # and no rule of the look
    assert "the process killed when 2 of 3 calls had been answered" in wrong.wrong.message
    with opened("--journal", str(tmp_path / "whole")) as (runner, found):
        right = runner.wait(struck(found.stage(), runner.model, round_))
    assert (right.wrong, right.unknown, right.cuts) == (None, None, 1)


def test_what_was_only_in_flight_is_not_blamed_for_a_half(tmp_path: Path) -> None:
    timer: Program = (
        next(call for call in INSTANCES if call.operation == "scheduleTimer" and call.args["runId"] == "n"),
    )
    round_ = Round(Scenario(WORLDS["waiting"], (timer, TWO_EVENTS, LOOK)), 2, 0.0, retried=False)
    with opened("--journal", str(tmp_path / "half"), "--fault", "half") as (runner, found):
        wrong = runner.wait(struck(found.stage(), runner.model, round_)).wrong
    assert wrong is not None
    assert wrong.wrong.rules == (CUT, LINEARIZABLE, "appendEvents.appended")


def test_who_hears_an_answer_while_the_process_dies_calls_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    kill = WireClient.kill

    async def slow(client: WireClient) -> None:
        await asyncio.sleep(0.2)
        await kill(client)

    monkeypatch.setattr(WireClient, "kill", slow)
    with opened() as (runner, found):
        left = runner.wait(struck(found.stage(), runner.model, Round(Scenario((), (LOOK * 2,)), 0, 0.0, retried=False)))
    assert (left.wrong, left.unknown, left.cuts) == (None, None, 1)
    assert left.rules[ACKNOWLEDGED] == 1  # the first look, and nothing was cut off
    assert left.rules[CUT] == 0


def test_crowds_and_kills_that_are_skipped_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the setup is answered wrongly."""

    def crowds(*_: object) -> list[Crowd]:
        return [Crowd(SAME_SIGNAL, 24)] * 2

    def drawn(*_: object) -> list[Round]:
        return [Round(SAME_SIGNAL, 2, 0.0, retried=False)] * 3

    async def wrong(*_: object) -> str:
        return "await store.create_run(…): expected 1, got 2"

    monkeypatch.setattr(wirechecks, "_crowds", crowds)
    monkeypatch.setattr(wirechecks, "drawn_rounds", drawn)
    monkeypatch.setattr(wireload, "_set_up", wrong)
    monkeypatch.setattr(wirekills, "prepared", wrong)
    with opened() as (runner, found):
        session = Session(runner, Profile("few", 1, 30, loads=0), 1)
        check_wire_histories(session, found.stage())
        check_wire_cuts(session, found.stage())
    assert (session.skipped, session.failures, session.evidence) == ({"histories": 2, "cuts": 3}, [], {})


@pytest.mark.parametrize(
    ("program", "told"),
    [((*WORLDS["waiting"], *CLAIMS[1]), "claimDueTimers.order"), ((*TIED, *CLAIMS[1]), "claimDueTimers.ties")],
)
def test_an_order_that_one_client_was_told_of_is_no_work_of_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program, told: str
) -> None:
    """Also where it comes by chance, and in no program that one client runs to see whether the kill is needed; and
    where the client was told of another order of the rows.
    """
    rounds = [Round(Scenario(WORLDS["waiting"], (TWO_EVENTS,)), 1, 0.0, retried=False) for _ in range(6)]

    def drawn(*_: object) -> list[Round]:
        return rounds

    monkeypatch.setattr(wirechecks, "drawn_rounds", drawn)
    monkeypatch.setattr(racefindings, "TRIES_ALONE", 0)
    with opened("--journal", str(tmp_path / "journal"), "--fault", "any-order", "--seed", "3") as (runner, found):
        session = Session(runner, Profile("few", 1, 30, kills=len(rounds)), 1)
        for _ in range(20):
            session.exercise(program, "sequences")
        assert [failure.rules for failure in session.failures] == [[told]]
        check_wire_cuts(session, found.stage())
    assert [failure.rules for failure in session.failures] == [[told]]
    assert session.misordered == {"claimDueTimers.order"}
    assert session.cut_points > 0


def test_a_race_beside_a_kill_is_told_as_a_race_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    racing, alone = Round(SAME_SIGNAL, 2, 0.0, retried=False), Scenario(WORLDS["waiting"], (TWO_EVENTS,))
    rounds = [*(racing for _ in range(6)), Round(alone, 1, 0.0, retried=False)]

    def drawn(*_: object) -> list[Round]:
        return rounds

    monkeypatch.setattr(wirechecks, "drawn_rounds", drawn)
    monkeypatch.setattr(wirechecks, "MOST_SHRINKING_S", 1.0)
    with opened("--journal", str(tmp_path / "journal"), *RACY) as (runner, found):
        session = Session(runner, Profile("few", 1, 30, kills=len(rounds)), 1)
        check_wire_cuts(session, found.stage())
        assert {(failure.check, failure.rules[0]) for failure in session.failures} == {("histories", LINEARIZABLE)}
        assert session.evidence[ACKNOWLEDGED]["cuts"] > 0


def test_kills_go_on_where_what_they_find_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further defect is not hidden by one that shows every time."""
    half = Round(Scenario(WORLDS["waiting"], (TWO_EVENTS, LOOK)), 1, 0.0, retried=False)
    right = Round(Scenario(WORLDS["waiting"], (LOOK, LOOK)), 1, 0.0, retried=False)
    told: list[tuple[int, int]] = []

    class Seen:
        def advance(self, check: str, done: int, total: int) -> None:
            told.append((done, total))

    def drawn(*_: object) -> list[Round]:
        return [half, half, half, right]

    monkeypatch.setattr(wirechecks, "drawn_rounds", drawn)
    monkeypatch.setattr(wirechecks, "TRIES_AGAIN", 2)
    monkeypatch.setattr(wirechecks, "KILLS_AGAIN", 0)
    with opened("--journal", str(tmp_path / "journal"), "--fault", "half") as (runner, found):
        session = Session(runner, Profile("few", 1, 30, kills=4), 1, progress=Seen())
        check_wire_cuts(session, found.stage())
    assert [failure.rules[0] for failure in session.failures] == [CUT]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_kills_keep_away_from_what_is_known_to_fail(tmp_path: Path) -> None:
    profile = Profile("few", 1, 1, kills=4)
    with opened("--journal", str(tmp_path / "journal")) as (runner, found):
        session = listed(runner, profile, "createRun.created")
        check_wire_cuts(session, found.stage())
        assert session.failures == []
        assert session.cut_points > 0
        assert not session.evidence["createRun.created"]["cuts"]
