"""One failure as plain text: for the terminal, JUnit and pytest alike. At most thirty-nine lines.

Knows no console and no colour; the whole of what is shortened here is in the repro file.
"""

from __future__ import annotations

import re
import shlex
from textwrap import wrap

from storeproof.conformance.histories import Moment
from storeproof.conformance.labels import fitted, flat
from storeproof.conformance.portable import printable
from storeproof.conformance.report import FailureReport
from storeproof.conformance.timelines import timeline_text
from storeproof.spec.specification import Specification

MOST_RULES = 3
TIMELINE_LINES = 12
MOST_STATES = 2
MOST_PROGRAM_LINES = 14
"""Lines as they are printed: a call may take two."""
CALL_LINES = 5
VALUE_LINES = 4


def failure_text(failure: FailureReport, specification: Specification, target: str, width: int = 100) -> str:
    """What broke, the program, expected beside actual, and the commands to go on with."""
    lines = [
        *_rules(failure, specification, width),
        "",
        *_wrapped(failure.message, width, 3 if failure.clients else 4),
        "",
    ]
    if failure.clients:
        lines += _race(failure, width)
    elif failure.program:
        steps = f"{len(failure.program)} step{'' if len(failure.program) == 1 else 's'}"
        lines += [f"The program ({steps}; check: {failure.check}):", *_program(failure.python, width), ""]
    else:
        lines += [f"A scene of the check {failure.check}; it has no program.", ""]
        lines += _timeline(failure, width)
    most = 2 if failure.clients else VALUE_LINES  # a timeline needs the room
    expected, actual = around_the_difference(printable(failure.expected), printable(failure.actual), width * most // 2)
    lines += _labelled("expected", expected, width, most) + _labelled("actual", actual, width, most)
    lines += [where_found(failure), "", "What to do:", f"    storeproof rules {failure.rules[0]}"]
    if failure.repro:
        lines.append(f"    storeproof replay {quoted(failure.repro)} --target {quoted(target)}")
    return "\n".join(line.rstrip() for line in lines)


def _race(failure: FailureReport, width: int) -> list[str]:
    """The setup shortly, for the repro file has it; then who did what when."""
    setup = f" after a setup of {counted_calls(len(failure.program))}" if failure.program else ""
    calls = counted_calls(sum(map(len, failure.clients)))
    who = f"{len(failure.clients)} clients make {calls}" if len(failure.clients) > 1 else f"One client makes {calls}"
    lines = [f"{who}{setup} (check: {failure.check}):"]
    if failure.program:
        lines += [f"    {line}" for line in _names(failure, width - 4)]
    return [*lines, "", *_timeline(failure, width)]


def counted_calls(calls: int) -> str:
    """`1 call`, `2 calls`."""
    return f"{calls} call{'' if calls == 1 else 's'}"


def _timeline(failure: FailureReport, width: int) -> list[str]:
    """Who did what when, and how far the contract can follow."""
    if not failure.moments:
        return []
    moments = [Moment(each.client, each.kind, each.text) for each in failure.moments]
    lanes = 1 + max(moment.client for moment in moments)
    lines = timeline_text(moments, lanes, width, TIMELINE_LINES).split("\n")
    states = [f"    {fitted([flat(line)], width - 4)}" for line in failure.states[-MOST_STATES:]]
    return [*lines, *(["allowed as far as"] if states else []), *states, ""]


def _names(failure: FailureReport, width: int) -> list[str]:
    named = [f"{step['op']}" for step in failure.program]
    return _wrapped(f"setup: {', '.join(named)}", width, 1)  # the line before says how many there are


def around_the_difference(expected: str, actual: str, room: int) -> tuple[str, str]:
    """Both texts cut to `room` characters around the place where they begin to differ."""
    at = next((index for index, (a, b) in enumerate(zip(expected, actual, strict=False)) if a != b), None)
    if at is None:
        at = min(len(expected), len(actual))
    start = max(0, at - room // 3)
    return _cut(expected, start, room), _cut(actual, start, room)


def quoted(text: str) -> str:
    """For a shell: as it is where that is safe."""
    return shlex.quote(text)


def _rules(failure: FailureReport, specification: Specification, width: int) -> list[str]:
    lines: list[str] = []
    told = 2 if failure.clients else MOST_RULES
    for index, name in enumerate(failure.rules[:told]):
        rule = specification.rules.get(name)
        says = rule.says if rule else "not a rule of this revision"
        lines += _wrapped(f"{'broke' if index == 0 else 'perhaps'} {name}: {says}", width, 3 - min(index, 1))
    if len(failure.rules) > told:
        lines.append(f"perhaps also {', '.join(failure.rules[told:])}"[:width])
    return lines


def _program(python: str, width: int) -> list[str]:
    steps = [_call(line, width - 4) for line in python.split("\n")]
    if sum(map(len, steps)) > MOST_PROGRAM_LINES:
        # The end is what fails; the beginning is needed least.
        kept: list[list[str]] = []
        while steps and sum(map(len, kept)) + len(steps[-1]) < MOST_PROGRAM_LINES:
            kept.insert(0, steps.pop())
        steps = [[f"# {len(steps)} earlier steps are in the repro file"], *kept]
    return [f"    {line}" for step in steps for line in step]


def _call(line: str, width: int) -> list[str]:
    """One call, broken between arguments, where Python may be broken too."""
    lines: list[str] = []
    for piece in re.split(r"(?<=, )(?=[a-z_]+=)", printable(line)):
        if lines and len(lines[-1]) + len(piece) <= width:
            lines[-1] += piece
        else:
            lines.append(f"    {piece}" if lines else piece)
    folded = [part for line in lines for part in _folded(line, width)]
    return folded if len(folded) <= CALL_LINES else [*folded[: CALL_LINES - 1], "    … # whole in the repro file"]


def _folded(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)] or [""]


def where_found(failure: FailureReport) -> str:
    """At which step, and since when the state was wrong."""
    if failure.clients:
        calls = len(failure.program) + sum(map(len, failure.clients))
        return "found reading the state afterwards" if failure.step > calls else "found in an answer"
    steps = len(failure.program)
    where = f"at step {failure.step}" if failure.step <= steps else "reading the state after the program"
    if not steps:
        return f"found by the check {failure.check}"
    if failure.wrong_after is None:
        return f"found {where}"
    return f"found {where}; the state was already wrong after step {failure.wrong_after}"


def _labelled(label: str, value: str, width: int, most: int) -> list[str]:
    pieces = _wrapped(value, width - 12, most)
    return [f"{label if index == 0 else '':<10}  {piece}" for index, piece in enumerate(pieces)]


def _wrapped(text: str, width: int, most: int) -> list[str]:
    lines = wrap(printable(text), width, break_on_hyphens=False, replace_whitespace=True) or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][: width - 2]} …"]


def _cut(text: str, start: int, room: int) -> str:
    end = start + room
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
