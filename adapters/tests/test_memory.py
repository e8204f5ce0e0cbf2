"""The memory store: runs, the log, leases, pauses and ends."""

from typing import Any

import pytest
from storeproof.adapters.memory import MemoryStore
from storeproof.spec.errors import InvalidArgument, LogConflict
from storeproof.spec.store import Store, SubscribableStore
from tests.memory_session import MAX, Session, event, lease, run, state_of


@pytest.fixture
def s() -> Session:
    return Session()


def test_it_is_a_store() -> None:
    store: Store = MemoryStore()
    subscribable: SubscribableStore = MemoryStore()
    assert subscribable.subscribe_delay_ms == 0
    assert run(store.load_run(run_id="r")) is None


# Runs


def test_create_run_first_writer_wins(s: Session) -> None:
    run = {"runId": "r", "workflowId": "w", "status": "queued", "input": None, "createdAt": 5, "updatedAt": 5}
    assert s.create_run(run_id="r", workflow_id="w", input=None, now=5) == {"kind": "created", "run": run}
    again = s.create_run(run_id="r", workflow_id="other", workflow_version="2", input=[1], now=9)
    assert again == {"kind": "existing", "run": run}
    assert s.load_run(run_id="r") == run


def test_what_is_not_there_is_nothing(s: Session) -> None:
    for operation in ("load_run", "load_execution", "get_run_timeline", "load_run_state"):
        assert getattr(s, operation)(run_id="r") is None
    assert s.read_events(run_id="r") == []
    for operation, arguments in {
        "delete_run": {"reason": "finished"},
        "heartbeat_run_lease": lease(),
        "release_run_lease": {"lease_owner": "a"},
        "mark_run_paused": {"now": 1},
        "mark_run_finished": {"output": 1, "now": 1},
        "mark_run_errored": {"error": {"name": "E", "message": ""}, "code": "c", "now": 1},
    }.items():
        assert getattr(s, operation)(run_id="r", **arguments) is None
    assert s.mark_schedule_bucket_started(schedule_id="s", bucket_id="1", run_id="r", now=1) is None
    assert s.list_runs(limit=9) == []


def test_save_run_state_replaces_all_but_the_lease(s: Session) -> None:
    s.run(status="paused", output=1)
    s.claim_run(run_id="r", **lease())
    state = state_of("r", status="running", waitingFor={"signalName": "__timer", "deadline": 7}, updatedAt=8)
    s.save_run_state(state=state)
    assert s.load_run_state(run_id="r") == state
    assert s.load_run(run_id="r") == {**state, "wakeAt": 7, "lease": {"owner": "a", "expiresAt": 15}}
    other = state_of("r", waitingFor={"signalName": "go", "deadline": 7})
    s.save_run_state(state=other)
    assert "wakeAt" not in s.load_run(run_id="r")
    s.save_run_state(state=state_of("r", waitingFor={"signalName": "__timer"}))
    assert "wakeAt" not in s.load_run(run_id="r")


def test_delete_run_takes_exactly_this_runs_rows(s: Session) -> None:
    for run_id in ("r", "r:1"):
        s.run(run_id, waitingFor={"signalName": "go"}, status="paused")
        s.append_events(run_id=run_id, expected_next_index=0, events=[event()])
        s.deliver_signal(run_id=run_id, delivery={"signalId": "x", "name": "go", "payload": 1}, now=2)
        s.schedule_timer(run_id=run_id, workflow_id="w", wake_at=1, signal_id="t", now=3)
    s.delete_run(run_id="r", reason="aborted")
    assert s.load_run(run_id="r") is None
    assert s.load_run_state(run_id="r") is None
    assert s.read_events(run_id="r") == []
    s.run("r", waitingFor={"signalName": "go"}, status="paused")
    delivery = {"signalId": "x", "name": "go", "payload": 1}
    assert s.deliver_signal(run_id="r", delivery=delivery, now=4)["kind"] == "delivered"
    assert s.deliver_signal(run_id="r:1", delivery=delivery, now=4)["kind"] == "duplicate"
    assert [timer["runId"] for timer in s.claim_due_timers(limit=9, **lease())] == ["r:1"]
    assert len(s.load_execution(run_id="r:1")["events"]) == 1


# The log


def test_append_events_is_all_or_nothing_at_the_end_of_the_log(s: Session) -> None:
    first, second = event(3, stepId="s", more={"a": [None]}), event(4)
    assert s.append_events(run_id="r", expected_next_index=0, events=[first, second]) == {"nextIndex": 2}
    stored = [
        {"runId": "r", "eventIndex": 0, "eventType": "CUSTOM", "stepId": "s", "event": first, "createdAt": 3},
        {"runId": "r", "eventIndex": 1, "eventType": "CUSTOM", "event": second, "createdAt": 4},
    ]
    assert s.read_events(run_id="r") == stored
    for index, existing in ((0, first), (1, second), (3, None), (MAX, None)):
        with pytest.raises(LogConflict) as conflict:
            s.append_events(run_id="r", expected_next_index=index, events=[])
        assert (conflict.value.attempted_index, conflict.value.existing) == (index, existing)
    assert s.append_events(run_id="r", expected_next_index=2, events=[]) == {"nextIndex": 2}
    assert s.read_events(run_id="r", from_index=1) == stored[1:]
    assert s.read_events(run_id="r", from_index=MAX) == []
    with pytest.raises(InvalidArgument, match=r"^events\[1\]\.ts"):
        s.append_events(run_id="r", expected_next_index=2, events=[event(), {"type": "x"}])
    assert len(s.read_events(run_id="r")) == 2


def test_an_execution_is_the_run_and_its_log(s: Session) -> None:
    s.append_events(run_id="r", expected_next_index=0, events=[event()])
    assert s.load_execution(run_id="r") is None
    s.run()
    expected = {"run": s.load_run(run_id="r"), "events": s.read_events(run_id="r")}
    assert s.load_execution(run_id="r") == s.get_run_timeline(run_id="r") == expected


# Leases


def test_claim_run_needs_a_free_lease_and_a_run_that_goes_on(s: Session) -> None:
    assert s.claim_run(run_id="r", **lease()) == {"kind": "not-found"}
    s.run(waitingFor={"signalName": "go"}, status="paused")
    claimed = s.claim_run(run_id="r", **lease("a", 10, 5))
    assert claimed["kind"] == "claimed"
    assert claimed["run"] == s.load_run(run_id="r")
    assert claimed["run"]["status"] == "running"
    assert claimed["run"]["lease"] == {"owner": "a", "expiresAt": 15}
    assert claimed["run"]["updatedAt"] == 5
    assert claimed["run"]["waitingFor"] == {"signalName": "go"}
    assert s.claim_run(run_id="r", **lease("b", 10, 14)) == {"kind": "not-claimable", "run": claimed["run"]}
    assert s.claim_run(run_id="r", **lease("a", 20, 6))["run"]["lease"]["expiresAt"] == 26
    assert s.claim_run(run_id="r", **lease("b", 10, 26))["kind"] == "claimed"


@pytest.mark.parametrize("status", ["finished", "errored", "aborted"])
def test_a_terminal_run_is_not_claimable(s: Session, status: str) -> None:
    s.run(status=status)
    assert s.claim_run(run_id="r", **lease())["kind"] == "not-claimable"


def test_only_the_owner_prolongs_or_gives_up_a_lease(s: Session) -> None:
    s.run()
    s.claim_run(run_id="r", **lease("a", 10, 5))
    before = s.load_run(run_id="r")
    s.heartbeat_run_lease(run_id="r", **lease("b", 99, 9))
    s.release_run_lease(run_id="r", lease_owner="b")
    assert s.load_run(run_id="r") == before
    s.heartbeat_run_lease(run_id="r", **lease("a", 10, 99))
    assert s.load_run(run_id="r") == before | {"lease": {"owner": "a", "expiresAt": 109}, "updatedAt": 99}
    s.release_run_lease(run_id="r", lease_owner="a")
    released = s.load_run(run_id="r")
    assert "lease" not in released
    assert (released["status"], released["updatedAt"]) == ("running", 99)
    s.heartbeat_run_lease(run_id="r", **lease("a", 10, 100))
    assert s.load_run(run_id="r") == released


def test_claim_stale_runs_takes_ended_leases_in_order(s: Session) -> None:
    for run_id, claimed_at in (("b", 2), ("a", 2), ("c", 1), ("\uffff", 2), ("\U0001f600", 2)):
        s.run(run_id)
        s.claim_run(run_id=run_id, **lease("a", 10, claimed_at))
    s.run("paused")
    s.claim_run(run_id="paused", **lease("a", 1, 1))
    s.mark_run_paused(run_id="paused", now=1)
    assert s.claim_stale_runs(limit=9, **lease("b", 10, 10)) == []
    assert s.claim_stale_runs(limit=0, **lease("b", 10, 12)) == []
    claims = s.claim_stale_runs(limit=3, **lease("a", 10, 12))
    assert [claim["run"]["runId"] for claim in claims] == ["c", "a", "b"]
    assert all(claim["lease"] == claim["run"]["lease"] == {"owner": "a", "expiresAt": 22} for claim in claims)
    assert claims[0]["run"] == s.load_run(run_id="c")
    assert claims[0]["run"]["updatedAt"] == 12
    rest = s.claim_stale_runs(limit=MAX, **lease("b", 10, 12))
    assert [claim["run"]["runId"] for claim in rest] == ["\uffff", "\U0001f600"]


# Pauses and ends


def test_pausing_replaces_all_four_waits(s: Session) -> None:
    s.run()
    s.claim_run(run_id="r", **lease())
    waits: dict[str, Any] = {
        "awaiting": [{"type": "approval", "approvalId": "a", "title": "Go?"}],
        "waitingFor": {"signalName": "go", "meta": {}},
        "pendingApproval": {"approvalId": "a", "title": ""},
        "wakeAt": 9,
    }
    s.mark_run_paused(
        run_id="r",
        awaiting=waits["awaiting"],
        waiting_for=waits["waitingFor"],
        pending_approval=waits["pendingApproval"],
        wake_at=9,
        now=7,
    )
    bare = {"runId": "r", "workflowId": "w", "status": "paused", "input": None, "createdAt": 1, "updatedAt": 7}
    assert s.load_run(run_id="r") == bare | waits
    s.mark_run_paused(run_id="r", awaiting=[], now=8)
    assert s.load_run(run_id="r") == bare | {"awaiting": [], "updatedAt": 8}


def test_the_ends_clear_waits_and_lease_and_keep_each_others_field(s: Session) -> None:
    s.run(waitingFor={"signalName": "go"}, status="paused")
    s.claim_run(run_id="r", **lease())
    s.mark_run_finished(run_id="r", output=None, now=6)
    finished = s.load_run(run_id="r")
    bare = {"runId": "r", "workflowId": "w", "input": None, "createdAt": 1}
    assert finished == bare | {"status": "finished", "output": None, "updatedAt": 6}
    s.mark_run_errored(run_id="r", error={"name": "E", "message": "m"}, code="c", now=7)
    error = {"name": "E", "message": "m"}
    assert s.load_run(run_id="r") == finished | {"status": "errored", "error": error, "updatedAt": 7}
    s.mark_run_finished(run_id="r", output=2, now=8)
    assert s.load_run(run_id="r") == finished | {"output": 2, "error": error, "updatedAt": 8}
