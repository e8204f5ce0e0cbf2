"""Moments for the tests of timelines: two clients that deliver one signal, a cut, and values of any kind."""

from storeproof.conformance.histories import Moment

SELECT = 'select r.status from "kit"."workflow_runs" r where r.run_id = %(run_id)s::text'
INSERT = 'insert into "kit"."workflow_signal_deliveries" (run_id, signal_id) values ($1, $2) on conflict do nothing'
UPDATE = 'update "kit"."workflow_runs" r set status = \'queued\', waiting_for = null where r.run_id = $1'


def deliver(client: int, now: int) -> Moment:
    delivery = "{'signalId': 's', 'name': 'go', 'payload': {'runId': 'not this one'}}"
    return Moment(client, "call", f"await store.deliver_signal(run_id='a', delivery={delivery}, now={now})")


def said(client: int, sql: str) -> Moment:
    return Moment(client, "statement", sql)


def delivered(client: int, now: int) -> Moment:
    run = {"runId": "a", "status": "queued", "input": None, "updatedAt": now}
    return Moment(client, "answer", repr({"kind": "delivered", "run": run}))


TWO = (
    deliver(0, 5),
    said(0, SELECT),
    deliver(1, 6),
    said(1, SELECT),
    said(0, INSERT),
    said(0, UPDATE),
    said(1, UPDATE),
    Moment(1, "blocked", "waits for a lock"),
    said(0, "COMMIT"),
    delivered(0, 5),
    said(1, "COMMIT"),
    delivered(1, 6),
)
CUT = (deliver(0, 5), said(0, UPDATE), said(0, "COMMIT"), Moment(0, "cut", "dies before it"), deliver(0, 6))
HOSTILE = (
    "</text><script>alert(1)</script>&amp;<!-- ]]>",
    "\ud800\x00\x1b[31m\u202ered\ufffe\u2028",
    "漢字" * 60,
    "W" * 300,
    "'\"`--;/*",
    "e\u0301" * 40,
    "👩‍👧" * 20,
    "\n\n\t",
    "%(x)s $1 ?1 :x",
    "שלום עולם",
    "",
)


def hostile(clients: int) -> list[Moment]:
    moments: list[Moment] = []
    for number, text in enumerate(HOSTILE):
        client = number % clients
        answer = repr({"kind": text, "run": {"status": text, "lease": {"owner": text}}})
        moments += [
            Moment(client, "call", f"await store.claim_run(run_id={text!r}, lease_owner={text!r}, now=1)"),
            Moment(client, "statement", text),
            Moment(client, "sleep", text),
            Moment(client, "blocked", text),
            Moment(client, "cut", text) if number % 2 else Moment(client, "answer", answer),
            Moment(client, "call", text),
            Moment(client, "answer", text),
        ]
    return moments
