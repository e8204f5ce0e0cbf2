"""Histories whose answers hold the right rows in a wrong order: what they are with the rows in another one.

An order is judged by one client's answers. Beside other clients it would look like a race: where no order of the
operations gives the rows as they came, the longest beginning that fits may end at anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations, product
from math import factorial, prod
from typing import Any

from storeproof.conformance.histories import History, Operation
from storeproof.conformance.judgement import disordered, judge
from storeproof.conformance.linearizability import Illegal, Linearizable, check
from storeproof.reference.model import Model, Returned, State
from storeproof.spec.jsonvalues import is_array

MOST_ORDERS = 36
"""Orders of the rows of all answers that are tried; with more, rows are put where the longest beginning wants them."""


def in_another_order(model: Model, start: State, history: History) -> tuple[History, list[Illegal]] | None:
    """A history that is legal with the rows of some answers in another order, and each of those answers where it
    stands among the operations. None where there is no such order.
    """
    for ordered in _other_orders(model, start, history):
        found = check(model, start, ordered)
        if isinstance(found, Linearizable):
            return ordered, _moved(model, start, history, ordered, found)
    return None


def mended(model: Model, start: State, history: History, orders: frozenset[str] | None = None) -> History:
    """A history with the rows in order wherever its longest beginning ends at rows in a wrong one; only against
    `orders`, if there are any given.
    """
    for _ in history:
        found = check(model, start, history)
        if not isinstance(found, Illegal):
            break
        stuck = history[found.stuck]
        if stuck.outcome is None or not disordered(model, found.state, stuck.call, found.expected, stuck.outcome):
            break
        judgement = judge(model, found.state, stuck.call, found.expected, stuck.outcome)
        if judgement is None or (orders is not None and not orders.issuperset(judgement.rules)):
            break
        ordered = replace(stuck, outcome=found.expected.outcome)
        history = tuple(ordered if each is stuck else each for each in history)
    return history


def _other_orders(model: Model, start: State, history: History) -> Iterator[History]:
    places = [place for place, operation in enumerate(history) if _rows(model, operation) is not None]
    answers = [_rows(model, history[place]) or [] for place in places]
    if prod(factorial(len(rows)) for rows in answers) > MOST_ORDERS:
        yield mended(model, start, history)
        return
    for orders in product(*map(permutations, answers)):
        ordered = list(history)
        for place, before, rows in zip(places, answers, orders, strict=True):
            if before != [*rows]:
                ordered[place] = replace(history[place], outcome=Returned([*rows]))
        if any(one is not other for one, other in zip(ordered, history, strict=True)):
            yield tuple(ordered)


def _moved(model: Model, start: State, history: History, ordered: History, found: Linearizable) -> list[Illegal]:
    moved: list[Illegal] = []
    state = start
    for number, place in enumerate(found.order):
        operation = ordered[place]
        step = model.step(state, operation.call.operation, operation.call.args)
        if operation is not history[place] and operation.outcome is not None:
            expected = step._replace(outcome=operation.outcome)
            moved.append(Illegal(found.order[:number], state, place, expected, ()))
        state = step.state
    return moved


def _rows(model: Model, operation: Operation) -> Sequence[Any] | None:
    """The rows of an answer that the contract puts in order, if they are more than one."""
    if "each" not in model.specification.operations[operation.call.operation].data:
        return None
    rows: Any = operation.outcome.value if isinstance(operation.outcome, Returned) else None
    return rows if is_array(rows) and len(rows) > 1 else None
