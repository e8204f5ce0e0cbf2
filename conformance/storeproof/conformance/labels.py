"""One moment of a timeline in few words: what a call is about, what a statement touches, what an answer says.

Every moment has several wordings, the fullest first, and the layout takes the first that fits. Knows no lane and no
page. What it can't read is shown as it came: a label is a help for the eye, the whole text is in the repro file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic.alias_generators import to_snake
from rich.cells import cell_len, set_cell_size
from storeproof.conformance.histories import Moment
from storeproof.conformance.portable import printable
from storeproof.conformance.statementlabels import statement_wordings
from storeproof.spec.jsonvalues import is_array, is_object

WAITS = "… waits for a lock"
DIES = "dies here"
LOST = "… the connection breaks before the answer"

_TELLING = {
    "run_id": "", "schedule_id": "", "bucket_id": "", "signal_id": "signal=", "approval_id": "approval=",
    "lease_owner": "owner=", "now": "now=", "expected_next_index": "at=", "events": "", "status": "status=",
    "reason": "reason=", "name": "name=", "signal_name": "waits_for=", "wake_at": "wake_at=",
    "next_fire_at": "next_fire_at=", "limit": "limit=", "lease_ms": "lease_ms=", "from_index": "from=",
    "enabled": "enabled=", "approved": "approved=", "workflow_id": "workflow=", "cursor": "cursor=",
}  # fmt: skip
"""How an argument is shown, the most telling first: the last goes first where there is no room."""
_HOLDERS = frozenset(("delivery", "approval", "state", "waiting_for", "pending_approval"))
"""Arguments whose own fields are the contract's; inside any other object is the caller's JSON."""
_PLAIN = re.compile(r"(?!(?:None|True|False)$)[A-Za-z_][\w.:/@+-]*", re.ASCII)
_RAISED = re.compile(r"(\w+) (\{.*)", re.DOTALL)
_LONGEST_VALUE = 20
_LONGEST = 400
"""No lane has room for more, and measuring a megabyte takes time."""
_MOST_ROWS = 4
_ASCII = str.maketrans({"→": "->", "…": "...", "✂": "X", "┌": "+", "└": "+", "│": "|", "┊": ":"})


def wordings(moment: Moment) -> Sequence[str]:
    """At least one, in one line of printable characters each, the fullest first."""
    match moment.kind:
        case "call":
            found = list(_call(moment.text))
        case "statement":
            found = list(statement_wordings(moment.text))
        case "answer":
            found = [f"→ {said}" for said in _answer(moment.text)]
        case "blocked":
            found = [WAITS]
        case "cut":
            # Before or after what is above it: without that, a cut COMMIT would look done.
            found = [", ".join(filter(None, (DIES, moment.text.strip().removeprefix("dies ")))), DIES]
        case "lost":
            found = [LOST, "… lost"]
        case "sleep":
            found = [" ".join(filter(None, ("sleeps", moment.text.strip()))), "sleeps"]
    return [flat(said) for said in found]


def fitted(said: Iterable[str], room: int, *, ascii: bool = False) -> str:
    """The first wording that fits into `room` columns of a terminal, or the last one, cut."""
    text = ""
    for wording in said:
        text = in_ascii(wording) if ascii else wording
        if cell_len(text) <= room:
            return text
    more = "..." if ascii else "…"
    return (set_cell_size(text, max(0, room - len(more))) + more)[: max(0, room)]


def in_ascii(text: str) -> str:
    """With the marks of a timeline spelled in ASCII, and every other character escaped."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def flat(text: str, longest: int = _LONGEST) -> str:
    """In one line of printable characters."""
    line = " ".join(printable(text[: longest + 1]).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _call(text: str) -> Iterator[str]:
    """`await store.claim_run(run_id='a', …)` is `claim_run(a, …)`, with ever fewer arguments."""
    found = _parsed(text)
    if isinstance(found, ast.Await):
        found = found.value
    if not (isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute)):
        yield text.removeprefix("# ")
        return
    arguments = {keyword.arg: _evaluated(keyword.value) for keyword in found.keywords if keyword.arg}
    told = list(_told(arguments))
    yield f"{found.func.attr}({', '.join(shown for _, shown in told)})"
    while len(told) > 1:
        told.remove(max(told, key=lambda argument: list(_TELLING).index(argument[0])))
        yield f"{found.func.attr}({', '.join(shown for _, shown in told)})"


def _told(arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each telling argument's name with how it is shown."""
    for name, value in arguments.items():
        if name in _HOLDERS and is_object(value):
            yield from _told({to_snake(key): item for key, item in value.items()})
        elif name == "events" and is_array(value):
            yield name, _types(value)
        elif name in _TELLING:
            yield name, f"{_TELLING[name]}{_value(value)}"


def _answer(text: str) -> Iterator[str]:
    """The kind or the exception, with what matters of the rest, and ever less of it."""
    raised = _RAISED.fullmatch(text)
    found = _parsed(raised[2] if raised else text)
    value = _evaluated(found) if found else ...
    if is_array(value):
        rows = [_row(item) for item in value]
        more = ", …" if len(rows) > _MOST_ROWS else ""
        yield f"[{', '.join(rows[:_MOST_ROWS])}{more}]"
        yield f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
        return
    if not is_object(value):
        yield text
        return
    kind = raised[1] if raised else value.get("kind")
    details = list(_details(value))
    while details:
        yield f"{kind}: {', '.join(details)}" if kind else ", ".join(details)
        details.pop()
    yield str(kind) if kind else text


def _details(value: dict[str, Any]) -> Iterator[str]:
    """What matters of an answer or of an exception's data, the most telling first."""
    run = value["run"] if is_object(value.get("run")) else value
    lease = value["lease"] if is_object(value.get("lease")) else run.get("lease")
    if "status" in run:
        yield _value(run["status"])
    if is_object(lease) and "owner" in lease:
        yield f"owner={_value(lease['owner'])}"
    for name, shown in (("nextIndex", "next="), ("attemptedIndex", "at="), ("message", "")):
        if name in value:
            yield f"{shown}{printable(value[name]) if name == 'message' else _value(value[name])}"
    if is_array(value.get("fields")):
        yield " or ".join(map(_value, value["fields"]))
    if is_object(value.get("existing")):
        yield f"existing={_types([value['existing']])}"
    if is_array(value.get("events")):
        yield _types(value["events"])
    for name in ("wakeAt", "updatedAt"):
        if name in run:
            yield f"{to_snake(name)}={_value(run[name])}"


def _row(item: Any) -> str:
    """The row of a list: its key, and an event's type."""
    row = item["run"] if is_object(item) and is_object(item.get("run")) else item
    if not is_object(row):
        return _value(row)
    names = ("eventIndex", "eventType") if "eventIndex" in row else ("scheduleId", "bucketId")
    names = names if names[0] in row else ("runId", "signalId")
    return " ".join(_value(row[name]) for name in names if name in row) or "{…}"


def _types(events: list[Any]) -> str:
    """Events: how many, and of a single one its type."""
    if len(events) == 1 and is_object(events[0]) and "type" in events[0]:
        return _value(events[0]["type"])
    return f"{len(events)} event{'' if len(events) == 1 else 's'}"


def _value(value: Any) -> str:
    """A value on its own: a plain word bare, anything else as Python, long ones without their middle."""
    if is_object(value):
        return "{…}"
    if is_array(value):
        return "[…]"
    if value is ...:
        return "…"
    text = value if isinstance(value, str) and _PLAIN.fullmatch(value) else printable(repr(value))
    if len(text) <= _LONGEST_VALUE:
        return text
    # The middle goes, because long ids that race often begin alike.
    return f"{text[: _LONGEST_VALUE // 2]}…{text[-(_LONGEST_VALUE // 2 - 1) :]}"


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluated(node: ast.expr) -> Any:
    """The value of a literal; an ellipsis for what is none, such as `float('nan')`."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return ...
