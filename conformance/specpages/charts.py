"""The four state diagrams: what their states mean, which calls are made, and where things stand on the paper.

No edge and no rule is named here: `transitions` finds them. A route says how the line between two states runs, if there
is one; without a route it is straight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from storeproof.reference.workload import Call
from storeproof.spec.loader import load

from specpages.transitions import Edge, Found, Subject, edges, found

Point = tuple[float, float]

_STATUSES = ("queued", "running", "paused", "finished", "errored", "aborted")
_SAVED = _STATUSES[1:]
"""What the engine may save: never queued."""


@dataclass(frozen=True, slots=True)
class Box:
    """A state, or a group of states, whose box lies around theirs; measures in pixels."""

    x: float
    y: float
    width: float
    height: float
    label: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """The points of a line, the first and last on the borders of the boxes, and where its labels stand."""

    points: tuple[Point, ...]
    label: Point
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    title: str
    says: str
    states: Mapping[str, str]
    watched: tuple[str, ...]
    subjects: tuple[Subject, ...]
    boxes: Mapping[str, Box]
    routes: Mapping[tuple[str, str], Route]
    size: tuple[int, int]

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        return {name: box.members or (name,) for name, box in self.boxes.items()}


@cache
def happenings(name: str) -> Found:
    """All that the model does to a chart's rows."""
    chart = CHARTS[name]
    return found(load(), chart.subjects, chart.states, chart.watched)


def chart_edges(name: str) -> list[Edge]:
    return edges(happenings(name), CHARTS[name].groups)


def _lease(owner: str, now: int) -> dict[str, Any]:
    return {"leaseOwner": owner, "leaseMs": 2, "now": now}


def _run_calls(now: int) -> list[Call]:
    waits = {"waitingFor": {"signalName": "n"}, "pendingApproval": {"approvalId": "x", "title": ""}}
    state = {"runId": "r", "workflowId": "w", "input": None, "createdAt": 0, "updatedAt": 0, **waits}
    calls: list[Call] = [
        ("createRun", {"runId": "r", "workflowId": "w", "input": None, "now": now}),
        ("releaseRunLease", {"runId": "r", "leaseOwner": "a"}),
        ("heartbeatRunLease", {"runId": "r", **_lease("a", now)}),
        ("markRunFinished", {"runId": "r", "output": None, "now": now}),
        ("markRunErrored", {"runId": "r", "error": {"name": "E", "message": ""}, "code": "c", "now": now}),
        ("scheduleTimer", {"runId": "r", "workflowId": "w", "wakeAt": 1, "signalId": "x", "now": now}),
        ("deliverSignal", {"runId": "r", "delivery": {"signalId": "x", "name": "n", "payload": None}, "now": now}),
        ("deliverApproval", {"runId": "r", "approval": {"approvalId": "x", "approved": True}, "now": now}),
        ("deleteRun", {"runId": "r", "reason": "aborted"}),
    ]
    for owner in ("a", "b"):
        calls.append(("claimRun", {"runId": "r", **_lease(owner, now)}))
        calls.append(("claimStaleRuns", {**_lease(owner, now), "limit": 1}))
    calls.append(("markRunPaused", {"runId": "r", **waits, "now": now}))
    return calls + [("saveRunState", {"state": {**state, "status": status}}) for status in _SAVED]


def _timer_calls(now: int) -> list[Call]:
    timer = {"runId": "r", "workflowId": "w", "signalId": "t", "now": now}
    delivery = {"signalId": "t", "name": "n", "payload": None}
    return [
        ("createRun", {"runId": "r", "workflowId": "w", "input": None, "now": now}),
        ("markRunPaused", {"runId": "r", "waitingFor": {"signalName": "n"}, "now": now}),
        *(("scheduleTimer", {**timer, "wakeAt": at}) for at in (0, 4)),
        *(("claimDueTimers", {**_lease(owner, now), "limit": 1}) for owner in ("a", "b")),
        ("deliverSignal", {"runId": "r", "delivery": delivery, "now": now}),
        ("deleteRun", {"runId": "r", "reason": "aborted"}),
    ]


def _bucket_calls(now: int) -> list[Call]:
    schedule = {"scheduleId": "s", "workflowId": "w", "schedule": {"kind": "interval", "everyMs": 1}, "now": now}
    return [
        ("upsertSchedule", {**schedule, "overlapPolicy": "skip", "enabled": True, "nextFireAt": 1}),
        *(("claimDueScheduleBuckets", {**_lease(owner, now), "limit": 1}) for owner in ("a", "b")),
        ("markScheduleBucketStarted", {"scheduleId": "s", "bucketId": "1", "runId": "w:s:1", "now": now}),
    ]


_RUN = Subject(
    "runs",
    ("r",),
    _run_calls,
    2,
    apart=("runs", "signalDeliveries", "timers"),
    blind=("createdAt", "updatedAt", "wakeAt", "input", "output", "error"),
)
_TIMER = Subject("timers", ("r", "t"), _timer_calls, 4, blind=("createdAt", "updatedAt"))
_BUCKET = Subject("scheduleBuckets", ("s", "1"), _bucket_calls, 5)

_NO_LEASE = "row == null || !has(row.lease)"
_IN_FORCE = "row != null && has(row.lease) && row.lease.expiresAt > now"
_OVER = "row != null && has(row.lease) && row.lease.expiresAt <= now"

_CHARTS = (
    Chart(
        "run",
        "A run",
        "The status of a run. A line from a frame stands for one from each state in it, and a line to a frame for one "
        "to the state that the arguments name.",
        {"no run": "row == null", **{status: f"row != null && row.status == '{status}'" for status in _STATUSES}},
        ("status",),
        (_RUN,),
        {
            "no run": Box(150, 20, 130, 40),
            "queued": Box(165, 300, 120, 44),
            "running": Box(400, 290, 110, 44),
            "paused": Box(400, 440, 110, 44),
            "finished": Box(640, 240, 110, 44),
            "errored": Box(640, 340, 110, 44),
            "aborted": Box(640, 440, 110, 44),
            "any run": Box(20, 120, 940, 520, "any run", _STATUSES),
            "not ended": Box(135, 215, 405, 300, "not ended", _STATUSES[:3]),
            "not queued": Box(370, 190, 410, 350, "not queued", _STATUSES[1:]),
        },
        {
            ("no run", "queued"): Route(((235, 60), (235, 300)), (243, 95), "start"),
            ("any run", "no run"): Route(((175, 120), (175, 60)), (167, 95), "end"),
            ("no run", "not queued"): Route(((280, 40), (620, 40), (620, 190)), (450, 32)),
            ("any run", "not queued"): Route(((740, 120), (740, 190)), (748, 158), "start"),
            ("not ended", "running"): Route(((455, 215), (455, 290)), (447, 256), "end"),
            ("not queued", "queued"): Route(((400, 540), (400, 575), (225, 575), (225, 344)), (312, 594)),
            ("any run", "paused"): Route(((455, 640), (455, 484)), (463, 610), "start"),
            ("any run", "finished"): Route(((960, 262), (750, 262)), (870, 254)),
            ("any run", "errored"): Route(((960, 362), (750, 362)), (870, 354)),
        },
        (980, 660),
    ),
    Chart(
        "lease",
        "A lease",
        "The lease of a run, of a timer or of a schedule bucket. A row that is not there has none.",
        {"no lease": _NO_LEASE, "in force": _IN_FORCE, "over": _OVER},
        ("lease",),
        (_RUN, _TIMER, _BUCKET),
        {
            "no lease": Box(40, 120, 130, 50),
            "in force": Box(450, 130, 120, 50),
            "over": Box(720, 130, 110, 50),
            "leased": Box(410, 20, 450, 330, "leased", ("in force", "over")),
        },
        {
            ("no lease", "in force"): Route(((170, 145), (450, 145)), (286, 103)),
            ("leased", "no lease"): Route(((410, 320), (105, 320), (105, 170)), (262, 338)),
            ("in force", "over"): Route(((570, 155), (720, 155)), (645, 147)),
            ("over", "in force"): Route(((775, 180), (775, 225), (530, 225), (530, 180)), (652, 243)),
            ("in force", "in force"): Route(((490, 130), (490, 100), (530, 100), (530, 130)), (450, 58), "start"),
            ("leased", "in force"): Route(((470, 350), (470, 180)), (478, 338), "start"),
        },
        (880, 480),
    ),
    Chart(
        "timer",
        "A timer",
        "One timer of a run. It is due from `wakeAt` on, and stays stored until its signal is delivered.",
        {
            "no timer": "row == null",
            "not due": "row != null && !has(row.lease) && row.wakeAt > now",
            "due": "row != null && !has(row.lease) && row.wakeAt <= now",
            "handed out": _IN_FORCE,
            "lease over": _OVER,
        },
        ("lease",),
        (_TIMER,),
        {
            "no timer": Box(30, 140, 110, 50),
            "not due": Box(330, 145, 100, 50),
            "due": Box(480, 145, 90, 50),
            "handed out": Box(770, 145, 110, 50),
            "lease over": Box(770, 260, 110, 50),
            "stored": Box(290, 50, 740, 290, "stored", ("not due", "due", "handed out", "lease over")),
            "free": Box(310, 105, 280, 115, "free", ("not due", "due")),
        },
        {
            ("no timer", "free"): Route(((140, 165), (310, 165)), (190, 115)),
            ("not due", "due"): Route(((430, 170), (480, 170)), (455, 138)),
            ("due", "handed out"): Route(((570, 170), (770, 170)), (680, 162)),
            ("handed out", "lease over"): Route(((800, 195), (800, 260)), (792, 232), "end"),
            ("lease over", "handed out"): Route(((850, 260), (850, 195)), (858, 232), "start"),
            ("handed out", "handed out"): Route(((805, 145), (805, 110), (845, 110), (845, 145)), (825, 100)),
            ("stored", "no timer"): Route(((290, 310), (85, 310), (85, 190)), (188, 328)),
            ("stored", "free"): Route(((425, 340), (425, 220)), (433, 278), "start"),
        },
        (1040, 360),
    ),
    Chart(
        "bucket",
        "A schedule bucket",
        "One firing of a schedule. It comes into being when somebody claims it, from `nextFireAt` on.",
        {
            "no bucket": "row == null",
            "handed out": "row != null && row.status == 'claimed' && row.lease.expiresAt > now",
            "lease over": "row != null && row.status == 'claimed' && row.lease.expiresAt <= now",
            "started": "row != null && row.status == 'started'",
        },
        ("status", "lease"),
        (_BUCKET,),
        {
            "no bucket": Box(20, 115, 110, 50),
            "handed out": Box(460, 115, 110, 50),
            "lease over": Box(460, 225, 110, 50),
            "started": Box(460, 370, 110, 50),
            "claimed": Box(380, 30, 520, 270, "claimed", ("handed out", "lease over")),
        },
        {
            ("no bucket", "handed out"): Route(((130, 140), (460, 140)), (254, 130)),
            ("handed out", "lease over"): Route(((485, 165), (485, 225)), (477, 200), "end"),
            ("lease over", "handed out"): Route(((545, 225), (545, 165)), (553, 200), "start"),
            ("handed out", "handed out"): Route(((495, 115), (495, 80), (535, 80), (535, 115)), (543, 84), "start"),
            ("claimed", "started"): Route(((515, 300), (515, 370)), (523, 340), "start"),
        },
        (920, 440),
    ),
)
CHARTS: Mapping[str, Chart] = {chart.name: chart for chart in _CHARTS}
