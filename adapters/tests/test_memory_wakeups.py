"""The memory store: timers, deliveries and schedules."""

from typing import Any

import pytest
from tests.memory_session import Session, lease, schedule, signal


@pytest.fixture
def s() -> Session:
    return Session()


# Timers


def test_a_timer_is_upserted_and_tells_its_run(s: Session) -> None:
    s.schedule_timer(run_id="r", workflow_id="w", workflow_version="1", wake_at=9, signal_id="t", now=2)
    assert s.load_run(run_id="r") is None
    assert s.claim_due_timers(limit=1, **lease("a", 10, 8)) == []
    timer = {"runId": "r", "workflowId": "w", "workflowVersion": "1", "wakeAt": 9, "signalId": "t"}
    assert s.claim_due_timers(limit=1, **lease("a", 10, 9)) == [timer]
    assert s.claim_due_timers(limit=1, **lease("b", 10, 18)) == []
    assert s.claim_due_timers(limit=1, **lease("a", 10, 18)) == [timer]
    assert s.claim_due_timers(limit=1, **lease("b", 10, 28)) == [timer]
    s.run()
    s.schedule_timer(run_id="r", workflow_id="v", wake_at=3, signal_id="t", now=29)
    loaded = s.load_run(run_id="r")
    assert (loaded["wakeAt"], loaded["updatedAt"], loaded["status"]) == (3, 29, "queued")
    fresh = {"runId": "r", "workflowId": "v", "wakeAt": 3, "signalId": "t"}
    assert s.claim_due_timers(limit=1, **lease("c", 10, 29)) == [fresh]


def test_due_timers_come_by_time_run_and_signal(s: Session) -> None:
    for run_id, signal_id, wake_at in (("r", "b", 2), ("r", "a", 2), ("q", "z", 2), ("z", "z", 1), ("a", "a", 9)):
        s.schedule_timer(run_id=run_id, workflow_id="w", wake_at=wake_at, signal_id=signal_id, now=0)
    first = s.claim_due_timers(limit=2, **lease("a", 10, 5))
    rest = s.claim_due_timers(limit=9, **lease("b", 10, 5))
    assert [(timer["runId"], timer["signalId"]) for timer in first] == [("z", "z"), ("q", "z")]
    assert [(timer["runId"], timer["signalId"]) for timer in rest] == [("r", "a"), ("r", "b")]
    assert s.claim_due_timers(limit=0, **lease("a", 10, 99)) == []


# Deliveries


def test_a_signal_is_delivered_once_and_queues_the_run(s: Session) -> None:
    assert s.deliver_signal(run_id="r", delivery=signal(), now=2) == {"kind": "not-found"}
    s.run(status="paused", waitingFor={"signalName": "go"}, pendingApproval={"approvalId": "a", "title": ""})
    s.claim_run(run_id="r", **lease())
    s.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="x", now=6)
    s.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="y", now=6)
    before = s.load_run(run_id="r")
    assert s.deliver_signal(run_id="r", delivery=signal("no"), now=7) == {"kind": "not-waiting", "run": before}
    delivered = s.deliver_signal(run_id="r", delivery=signal(), now=8)
    bare = {"runId": "r", "workflowId": "w", "status": "queued", "input": None, "createdAt": 1, "updatedAt": 8}
    assert delivered == {"kind": "delivered", "run": bare | {"lease": before["lease"]}}
    assert [timer["signalId"] for timer in s.claim_due_timers(limit=9, **lease("b"))] == ["y"]
    s.mark_run_paused(run_id="r", waiting_for={"signalName": "go"}, now=9)
    again = s.deliver_signal(run_id="r", delivery=signal("other"), now=10)
    assert again == {"kind": "duplicate", "run": s.load_run(run_id="r")}
    assert again["run"]["status"] == "paused"


@pytest.mark.parametrize(
    ("wait_step", "signal_step", "accepted"),
    [(None, None, True), ("s", None, True), (None, "s", True), ("s", "s", True), ("s", "t", False)],
)
@pytest.mark.parametrize("where", ["waitingFor", "awaiting"])
def test_steps_must_agree_where_both_are_given(
    s: Session, where: str, wait_step: str | None, signal_step: str | None, accepted: bool
) -> None:
    wait = {"signalName": "go"} | ({"stepId": wait_step} if wait_step else {})
    other = {"type": "signal", "signalName": "other"}
    fields: dict[str, Any] = {where: wait if where == "waitingFor" else [other, {"type": "signal", **wait}]}
    s.run(status="paused", **fields)
    delivery = signal(**({"stepId": signal_step} if signal_step else {}))
    kind = s.deliver_signal(run_id="r", delivery=delivery, now=2)["kind"]
    assert kind == ("delivered" if accepted else "not-waiting")


@pytest.mark.parametrize("where", ["pendingApproval", "awaiting"])
def test_an_approval_matches_by_its_id_and_is_no_signal(s: Session, where: str) -> None:
    wait = {"approvalId": "a1", "title": "Go?", "stepId": "s"}
    fields: dict[str, Any] = {where: wait} if where == "pendingApproval" else {where: [{"type": "approval", **wait}]}
    approval = {"approvalId": "a1", "approved": False}
    assert s.deliver_approval(run_id="r", approval=approval, now=2) == {"kind": "not-found"}
    s.run(status="paused", **fields)
    s.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="a1", now=1)
    assert s.deliver_approval(run_id="r", approval=approval | {"approvalId": "a"}, now=2)["kind"] == "not-waiting"
    assert s.deliver_approval(run_id="r", approval=approval, now=3)["run"]["status"] == "queued"
    assert s.deliver_approval(run_id="r", approval=approval, now=4)["kind"] == "duplicate"
    assert len(s.claim_due_timers(limit=9, **lease())) == 1
    s.mark_run_paused(run_id="r", waiting_for={"signalName": "go"}, now=5)
    for signal_id in ("a1", "approval:a1"):
        s.mark_run_paused(run_id="r", waiting_for={"signalName": "go"}, now=5)
        assert s.deliver_signal(run_id="r", delivery=signal(signal_id=signal_id), now=6)["kind"] == "delivered"


# Schedules


def test_a_bucket_is_fixed_at_its_first_claim(s: Session) -> None:
    schedule(s, input=None, workflow_version="1")
    bucket = {
        **{"scheduleId": "s", "bucketId": "5", "workflowId": "w", "workflowVersion": "1", "runId": "w:s:5"},
        **{"fireAt": 5, "input": None, "overlapPolicy": "skip"},
    }
    assert s.claim_due_schedule_buckets(limit=9, **lease("a", 10, 4)) == []
    assert s.claim_due_schedule_buckets(limit=0, **lease("a", 10, 5)) == []
    assert s.claim_due_schedule_buckets(limit=9, **lease("a", 10, 5)) == [bucket]
    schedule(s, workflow_id="other", overlap_policy="allow", input=[1])
    assert s.claim_due_schedule_buckets(limit=9, **lease("b", 10, 14)) == []
    assert s.claim_due_schedule_buckets(limit=9, **lease("b", 10, 15)) == [bucket]
    s.mark_schedule_bucket_started(schedule_id="s", bucket_id="5", run_id="other", now=16)
    assert s.claim_due_schedule_buckets(limit=9, **lease("b", 10, 99)) == []
    schedule(s, next_fire_at=6)
    assert s.claim_due_schedule_buckets(limit=9, **lease("b", 10, 99))[0]["runId"] == "w:s:6"


def test_due_schedules_come_in_order_and_passed_over_ones_use_no_limit(s: Session) -> None:
    for schedule_id, at in (("b", 2), ("a", 2), ("z", 1), ("later", 9)):
        schedule(s, schedule_id, at)
    schedule(s, "off", 1, enabled=False)
    schedule(s, "never", None)
    s.claim_due_schedule_buckets(limit=1, **lease("a", 10, 3))  # z
    s.mark_schedule_bucket_started(schedule_id="z", bucket_id="1", run_id="r", now=3)
    assert [b["scheduleId"] for b in s.claim_due_schedule_buckets(limit=1, **lease("a", 10, 3))] == ["a"]
    assert [b["scheduleId"] for b in s.claim_due_schedule_buckets(limit=1, **lease("b", 10, 3))] == ["b"]


def test_pairs_of_ids_are_never_confused(s: Session) -> None:
    schedule(s, "b:c", workflow_id="a")
    schedule(s, "c", workflow_id="a:b")
    buckets = s.claim_due_schedule_buckets(limit=9, **lease())
    assert [bucket["runId"] for bucket in buckets] == ["a:b:c:5", "a:b:c:5"]
    s.mark_schedule_bucket_started(schedule_id="c", bucket_id="5", run_id="r", now=6)
    assert [b["scheduleId"] for b in s.claim_due_schedule_buckets(limit=9, **lease())] == ["b:c"]
