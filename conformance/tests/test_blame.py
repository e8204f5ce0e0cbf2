"""Whether a failure is laid at the door of the write or of the read, on stores in which it is known which is wrong."""

from contextlib import nullcontext
from typing import Any

import pytest
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.blame import Blame, blame
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.runner import Runner
from storeproof.conformance.suspicion import by_suspicion
from storeproof.conformance.targets import StoreTarget
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.broken_deliveries import SignalKeepsTimer
from tests.broken_log import EventWithoutStep, ReadIgnoresIndex
from tests.broken_marks import FinishedKeepsLease
from tests.broken_runs import LoadHidesEnded, SaveMerges
from tests.broken_timers import TimerLosesVersion, TimerNeedsRun

CREATE = Call("createRun", {"runId": "a", "workflowId": "w", "input": None, "now": 0})
CLAIM = Call("claimRun", {"runId": "a", "leaseOwner": "o", "leaseMs": 9, "now": 1})
FINISH = Call("markRunFinished", {"runId": "a", "output": 1, "now": 2})
LOAD = Call("loadRun", {"runId": "a"})
EVENT = {"type": "x", "ts": 0, "stepId": "s"}
APPEND = Call("appendEvents", {"runId": "a", "expectedNextIndex": 0, "events": [EVENT]})
TIMER = Call(
    "scheduleTimer", {"runId": "a", "workflowId": "w", "workflowVersion": "1", "wakeAt": 5, "signalId": "t", "now": 0}
)
DUE = Call("claimDueTimers", {"now": 9, "limit": 9, "leaseOwner": "o", "leaseMs": 1})
STATE = {"runId": "a", "workflowId": "w", "status": "paused", "input": None, "createdAt": 0, "updatedAt": 3}


def blamed(store: type[MemoryStore], *program: Call) -> Blame:
    specification = load()
    target = StoreTarget(store.__name__, lambda: nullcontext(store()), specification)
    runner = Runner(target, Model(specification))
    try:
        runner.open()
        found = runner.run(program).mismatch
        assert found is not None
        return blame(runner, program, found)
    finally:
        runner.close()


@pytest.mark.parametrize(
    ("store", "program", "rule"),
    [
        (FinishedKeepsLease, (CREATE, CLAIM, FINISH, LOAD), "markRunFinished.finished"),
        (SaveMerges, (CREATE, FINISH, Call("saveRunState", {"state": STATE}), LOAD), "saveRunState.replaced"),
        (EventWithoutStep, (APPEND, Call("readEvents", {"runId": "a"})), "appendEvents.appended"),
        (TimerNeedsRun, (TIMER, DUE), "scheduleTimer.without-run"),
        (SignalKeepsTimer, (), "deliverSignal.delivered"),
    ],
)
def test_a_write_that_stored_wrongly(store: type[MemoryStore], program: Program, rule: str) -> None:
    wait = {"runId": "a", "waitingFor": {"signalName": "go"}, "now": 1}
    signal = {"runId": "a", "delivery": {"signalId": "t", "name": "go", "payload": 0}, "now": 2}
    delivered = (CREATE, TIMER, Call("markRunPaused", wait), Call("deliverSignal", signal), DUE)
    assert blamed(store, *(program or delivered)).rules[0] == rule


@pytest.mark.parametrize(
    ("store", "program", "rule"),
    [
        (LoadHidesEnded, (CREATE, FINISH, LOAD), "loadRun.found"),
        (ReadIgnoresIndex, (APPEND, Call("readEvents", {"runId": "a", "fromIndex": 1})), "readEvents.before"),
        (TimerLosesVersion, (CREATE, TIMER, DUE), "claimDueTimers.claimed"),
    ],
)
def test_a_read_that_shows_wrongly(store: type[MemoryStore], program: Program, rule: str) -> None:
    assert blamed(store, *program).rules[0] == rule


def test_the_step_after_which_the_state_was_wrong_is_told() -> None:
    assert blamed(FinishedKeepsLease, CREATE, CLAIM, FINISH, LOAD).wrong_after == 2
    assert blamed(LoadHidesEnded, CREATE, FINISH, LOAD).wrong_after is None


def test_an_exception_is_the_operations_own() -> None:
    class Raising(MemoryStore):
        async def load_execution(self, *, run_id: str) -> Any:
            raise KeyError(run_id)

    assert blamed(Raising, CREATE).rules == ("loadExecution.found", "answers.taxonomy")


def test_suspicion_is_in_the_programs_that_fail() -> None:
    specification = load()
    runner = Runner(StoreTarget("x", lambda: nullcontext(TimerNeedsRun()), specification), Model(specification))
    try:
        runner.open()
        rules = ("claimDueTimers.claimed", "scheduleTimer.without-run", "claimDueTimers.claimed")
        assert by_suspicion(runner, rules) == ("scheduleTimer.without-run", "claimDueTimers.claimed")
    finally:
        runner.close()
