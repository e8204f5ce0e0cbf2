"""One moment in few words: calls, statements of any store, answers."""

from collections.abc import Iterator

import pytest
from storeproof.adapters.d1 import statements as d1
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import queue_statements, run_statements
from storeproof.adapters.postgres.identifiers import qualified_tables
from storeproof.conformance.histories import Moment, MomentKind
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.labels import fitted, in_ascii, wordings
from storeproof.conformance.programs import Call
from storeproof.reference.model import Raised, Returned

RUN = {"runId": "a", "workflowId": "w", "status": "running", "input": {"status": "no"}, "createdAt": 0, "updatedAt": 7}
LEASED = {**RUN, "lease": {"owner": "w1", "expiresAt": 9}}
STARTED = {"type": "RUN_STARTED", "ts": 1, "runId": "a"}


def full(kind: MomentKind, text: str) -> str:
    return wordings(Moment(0, kind, text))[0]


@pytest.mark.parametrize(
    ("operation", "args", "label"),
    [
        (
            "createRun", {"runId": "a", "workflowId": "w", "input": {"runId": "b"}, "now": 1},
            "create_run(a, workflow=w, now=1)",
        ),
        (
            "claimRun", {"runId": "a", "leaseOwner": "w1", "leaseMs": 5, "now": 1},
            "claim_run(a, owner=w1, lease_ms=5, now=1)",
        ),
        (
            "appendEvents", {"runId": "a", "expectedNextIndex": 0, "events": [STARTED]},
            "append_events(a, at=0, RUN_STARTED)",
        ),
        ("appendEvents", {"runId": "a", "expectedNextIndex": 2, "events": []}, "append_events(a, at=2, 0 events)"),
        ("saveRunState", {"state": RUN}, "save_run_state(a, workflow=w, status=running)"),
        (
            "deliverApproval",
            {"runId": "a", "approval": {"approvalId": "p", "approved": True, "feedback": "x"}, "now": 1},
            "deliver_approval(a, approval=p, approved=True, now=1)",
        ),
        (
            "markRunPaused", {"runId": "a", "waitingFor": {"signalName": "go"}, "now": 1},
            "mark_run_paused(a, waits_for=go, now=1)",
        ),
        ("listRuns", {"limit": 0}, "list_runs(limit=0)"),
        ("loadRun", {"runId": ""}, "load_run('')"),
        ("loadRun", {"runId": "None"}, "load_run('None')"),
        ("loadRun", {"runId": "7"}, "load_run('7')"),
        ("loadRun", {"runId": "a\nb"}, "load_run('a\\nb')"),
        ("loadRun", {"runId": "x" * 20 + "-1"}, "load_run(xxxxxxxxxx…xxxxxxx-1)"),
        ("reopen", {}, "the store is closed and opened again here"),
    ],
)  # fmt: skip
def test_calls(operation: str, args: dict[str, object], label: str) -> None:
    assert full("call", Call(operation, args).as_python()) == label


def test_a_call_loses_what_tells_least_first() -> None:
    text = Call("claimRun", {"runId": "a", "leaseOwner": "w1", "leaseMs": float("nan"), "now": 1}).as_python()
    assert wordings(Moment(0, "call", text)) == [
        "claim_run(a, owner=w1, lease_ms=…, now=1)",
        "claim_run(a, owner=w1, now=1)",
        "claim_run(a, owner=w1)",
        "claim_run(a)",
    ]


@pytest.mark.parametrize(
    ("sql", "label"),
    [
        ("commit", "COMMIT"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE;", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
        ('select a from "s"."t""s" where b = $1', 'select t"s …'),
        (
            "SELECT * FROM ONLY s.runs r WHERE x FOR NO KEY UPDATE OF r SKIP LOCKED",
            "select runs … for no key update skip locked",
        ),
        ("select a, (select max(e.i) from events e) from runs", "select runs …"),
        ("select pg_advisory_xact_lock(%(key)s::bigint)", "select pg_advisory_xact_lock(?)"),
        ("select count(*) from 'not closed", "select count(*) from 'not closed"),
        ("insert or ignore into runs (a) values (?1)", "insert runs …"),
        (
            "insert into runs (a) values ('update x') on conflict (a) do update set a = 1",
            "insert runs … on conflict do update",
        ),
        ("update runs set a = (select b, c from d where e = 1), f=2 where g = 3", "update runs set a, f …"),
        ("update runs set a=1, b=2, c=3, d=4, e=5", "update runs set a, b, c, d, …"),
        ("delete from runs where status in (?, ?, ?)", "delete runs …"),
        ("/* update x */ delete from runs", "delete runs …"),
        ("-- update x\ndelete from runs", "delete runs …"),
        ("with gone as (delete from a_b returning 1) insert into a_c select 1 from gone", "delete a_b; insert a_c"),
        ("with due as (select 1 from timers for update) select 1 from due", "select timers … for update"),
        (
            "update t_a set x = 1; delete from t_b; delete from t_c; select 1 from t_d",
            "update t_a; delete t_b, t_c; select t_d",
        ),
        ("lock table runs in share mode", "lock table runs in share mode"),
        ("", ""),
    ],
)  # fmt: skip
def test_statements(sql: str, label: str) -> None:
    assert full("statement", sql) == label


def test_a_list_of_tables_loses_the_shared_prefix_and_then_its_end() -> None:
    sql = "insert into app_runs (a) values (1); delete from app_run_timers; delete from app_run_timers"
    assert wordings(Moment(0, "statement", sql)) == [
        "insert app_runs; delete app_run_timers",
        "insert runs; delete run_timers",
        "insert runs; delete run_timers; …",
        "insert runs; …",
    ]
    assert wordings(Moment(0, "statement", "delete from app_runs"))[-2:] == ["delete app_runs", "delete …runs"]


def own_statements() -> Iterator[str]:
    names = qualified_tables("tenant a", TableNames())
    groups: list[object] = [
        run_statements.RunStatements(names),
        queue_statements.LogStatements(names),
        queue_statements.WakeupStatements(names),
        *(kind(TableNames()) for name, kind in vars(d1).items() if name.endswith("Statements")),
    ]
    for group in groups:
        for value in vars(group).values():
            yield from value if isinstance(value, list) else [value]


def test_every_statement_of_our_adapters_is_a_verb_and_its_tables() -> None:
    found = list(own_statements())
    assert len(found) > 60
    for sql in found:
        shortest = wordings(Moment(0, "statement", sql))[0]
        assert shortest.split()[0] in ("select", "insert", "update", "delete")
        assert shortest.split()[1].startswith("workflow_")
        assert "tenant" not in shortest
        assert "%" not in shortest
        assert "?" not in shortest


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (Returned(None), "→ None"),
        (Returned({"kind": "claimed", "run": LEASED}), "→ claimed: running, owner=w1, updated_at=7"),
        (Returned({"kind": "not-found"}), "→ not-found"),
        (Returned(LEASED), "→ running, owner=w1, updated_at=7"),
        (Returned({"run": RUN, "events": [STARTED, STARTED]}), "→ running, 2 events, updated_at=7"),
        (Returned({"nextIndex": 3}), "→ next=3"),
        (Returned([]), "→ []"),
        (Returned([{"run": LEASED, "lease": {}}, RUN]), "→ [a, a]"),
        (Returned([{"runId": "a", "signalId": "s", "wakeAt": 1}]), "→ [a s]"),
        (Returned([{"scheduleId": "s", "bucketId": "1", "runId": "w:s:1"}]), "→ [s '1']"),
        (Returned([{"runId": "a", "eventIndex": n, "eventType": "X"} for n in range(6)]), "→ [0 X, 1 X, 2 X, 3 X, …]"),
        (
            Raised("LogConflict", {"runId": "a", "attemptedIndex": 0, "existing": STARTED}),
            "→ LogConflict: at=0, existing=RUN_STARTED",
        ),
        (Raised("StoreUnavailable", {"message": "gone\nfor now"}), "→ StoreUnavailable: gone for now"),
        (Raised("InvalidArgument", {"fields": ["now"]}), "→ InvalidArgument: now"),
        (Returned({"inf": float("inf")}), "→ {'inf': inf}"),
        (Returned({"a": 1}), "→ {'a': 1}"),
    ],
)
def test_answers(outcome: Returned | Raised, label: str) -> None:
    assert full("answer", show_outcome(outcome)) == label


def test_a_long_list_can_be_its_length() -> None:
    answer = Moment(0, "answer", repr([{"runId": f"a long id {n}"} for n in range(9)]))
    assert fitted(wordings(answer), 20) == "→ 9 rows"


@pytest.mark.parametrize(
    ("kind", "text", "label"),
    [
        ("cut", "dies after it", "dies here, after it"),
        ("cut", "", "dies here"),
        ("sleep", "", "sleeps"),
        ("sleep", "50 ms", "sleeps 50 ms"),
        ("blocked", "waits for a lock", "… waits for a lock"),
    ],
)
def test_other_moments(kind: MomentKind, text: str, label: str) -> None:
    assert full(kind, text) == label


@pytest.mark.parametrize("kind", ["call", "statement", "answer"])
def test_what_cannot_be_read_is_shown_as_it_is(kind: MomentKind) -> None:
    assert full(kind, "not ' closed \x00\ud800").removeprefix("→ ") == r"not ' closed \x00\ud800"
    for text in ("(" * 5000, "x" * 1_000_000, "[" * 300 + "]" * 300):
        label = full(kind, text).removeprefix("→ ")
        assert label[:390] == text[:390]
        assert len(label) <= 400


def test_fitting() -> None:
    assert fitted(["abcdef", "abc"], 5) == "abc"
    assert fitted(["abcdef"], 5) == "abcd…"
    assert fitted(["abcdef"], 5, ascii=True) == "ab..."
    assert fitted(["漢字漢字"], 5) == "漢字…"
    assert fitted(["abc"], 0) == ""
    assert in_ascii("→ é…") == "-> \\xe9..."
