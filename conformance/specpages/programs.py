"""Programs of the pages, run on the model: what each call answered and by which rule, as Python and over the wire.

Knows the format of `data/examples.json` and `data/hazards.json`, and refuses a program that is not valid or in which
other rules decide than it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from storeproof.conformance import wire
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Outcome, Raised, Step
from storeproof.spec.schemas import problems
from storeproof.spec.specification import Specification

_WIDTH = 88
"""Columns of a line of code on a page."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call and what the model did about it."""

    call: Call
    step: Step


def recorded(
    specification: Specification, calls: Iterable[dict[str, Any]], decides: list[str] | None = None
) -> list[Recorded]:
    """The program run on a new model. Raises ValueError for bad arguments, and for other rules than `decides` lists."""
    model = Model(specification)
    state = model.initial()
    done: list[Recorded] = []
    for call in calls:
        wrong = problems(specification.operations[call["op"]].arguments, call["args"])
        if wrong:
            raise ValueError(f"{call['op']}: {'; '.join(wrong)}")
        step = model.step(state, call["op"], call["args"])
        state = step.state
        done.append(Recorded(Call(call["op"], call["args"]), step))
    decided = [item.step.rules[0] for item in done if item.step.rules]
    if decides is not None and decided != decides:
        raise ValueError(f"decided by {', '.join(decided)}; the page says {', '.join(decides)}")
    return done


def as_python(program: Iterable[Recorded]) -> str:
    """The calls as Python against a store called `store`, each with its answer, in JSON, as a comment."""
    return "\n\n".join("\n".join([*_call_lines(item.call), *_answer_lines(item.step.outcome)]) for item in program)


def wire_messages(program: list[Recorded]) -> str:
    """The last call and its answer as the messages of the wire protocol, one a line."""
    last = program[-1]
    said = {"jsonrpc": "2.0", "id": len(program)}
    request = {**said, "method": last.call.operation, "params": last.call.args}
    outcome = last.step.outcome
    if isinstance(outcome, Raised):
        answer = {**said, "error": wire.error_of(outcome)}
    else:
        answer = {**said, "result": outcome.value}
    return "\n".join(map(message_line, (request, answer)))


def message_line(message: dict[str, Any]) -> str:
    return wire.line(message).decode().rstrip("\n")


def answer_data(outcome: Outcome) -> Any:
    """What the comment shows of an answer: its JSON, or the name of the exception and its fields."""
    return {outcome.name: outcome.data} if isinstance(outcome, Raised) else outcome.value


def _call_lines(call: Call) -> list[str]:
    line = call.as_python()
    if len(line) <= _WIDTH:
        return [line]
    start, _, arguments = line.partition("(")
    broken = wrap(
        arguments.removesuffix(")"), _WIDTH - 4, break_long_words=False, break_on_hyphens=False,
        initial_indent="    ", subsequent_indent="    ",
    )  # fmt: skip
    return [f"{start}(", *broken, ")"]


def _answer_lines(outcome: Outcome) -> list[str]:
    text = json.dumps(answer_data(outcome), ensure_ascii=False)
    return wrap(
        text, _WIDTH, break_long_words=False, break_on_hyphens=False, initial_indent="#> ", subsequent_indent="#  "
    )
