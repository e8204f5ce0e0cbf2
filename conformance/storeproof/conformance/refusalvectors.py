"""The refused calls among the recorded vectors: few enough to be shipped, one of every kind of wrong.

Of what `refusals` derives from the schema, a call is recorded if it is the first that an operation has to blame an
argument for, or the first in which a field of that name is wrong in that way. Knows nothing of files and of stores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any

from storeproof.conformance.closing import plain_reading
from storeproof.conformance.equality import differences
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.refusals import SETUP, plain_arguments, refused_calls
from storeproof.reference.model import Model
from storeproof.spec.values import MAX_INTEGER

REFUSALS = "refusals"
"""The last part of the name of such a vector."""


def refusal_vectors(model: Model) -> dict[str, Program]:
    """{name: program}: a state that would show what was half taken, the refused calls, and reading that state."""
    state = model.initial()
    for call in SETUP:
        state = model.step(state, call.operation, call.args).state
    reading = plain_reading(model, state, SETUP)
    return {f"{name}-{REFUSALS}": (*SETUP, *calls, *reading) for name, calls in _chosen(model).items()}


def _chosen(model: Model) -> dict[str, list[Call]]:
    specification = model.specification
    seen: set[tuple[str, ...]] = set()
    chosen: dict[str, list[Call]] = {}
    for name in (name for name, operation in specification.operations.items() if operation.executable):
        good = plain_arguments(specification, name)
        chosen[name] = []
        for call in refused_calls(specification, name):
            if not recordable(call.args):
                continue
            shows = {(name, str(call.refused)), *_wrongs(good, call.args)}
            if shows - seen:
                chosen[name].append(call)
                seen |= shows
    return chosen


def recordable(value: Any) -> bool:
    """Whether every JSON reader takes the value as it is: no NaN, no lone surrogate, no integer beyond 2^53."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # lone surrogates cannot be encoded either
        return False
    numbers: list[int] = []
    json.loads(text, parse_int=lambda digits: numbers.append(int(digits)))
    return all(abs(number) <= MAX_INTEGER + 1 for number in numbers)


def _wrongs(good: Any, bad: Any) -> Iterator[tuple[str, ...]]:
    """Each difference by the name of its field; what stands too much in a list is held beside its first element."""
    for difference in differences(good, bad):
        names = [part for part in difference.path if isinstance(part, str)]
        if difference.kind == "extra" and isinstance(difference.path[-1], int):
            first = reduce(getitem, difference.path[:-1], good)[0]
            yield from _wrongs({names[-1]: first}, {names[-1]: difference.actual})
        else:
            yield names[-1], difference.kind, json.dumps(difference.actual)
