"""The model as a relation: the states one call may lead to when the store answered so, and what that obliges it to.

Alone, the model is a function and `judgement` compares with it. Beside other clients the contract leaves open what
`picks` says: the order of ties, and the rows that somebody else in flight writes. Whether anybody did write them is for
the caller to find out: this module sees one call at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from storeproof.conformance.equality import differences
from storeproof.conformance.footprints import RowKey
from storeproof.conformance.histories import Operation
from storeproof.conformance.judgement import judge
from storeproof.conformance.picks import Candidate, Omission, candidates, left_out, over_rows, takes_rows, taking
from storeproof.conformance.programs import Call
from storeproof.conformance.runner import expected_step
from storeproof.reference.model import Model, Outcome, Raised, Returned, State, Step
from storeproof.spec.jsonvalues import equal, is_array
from storeproof.spec.specification import Specification

MOST_ROWS = 6
"""Of so many rows every subset (64) is tried for a claim that never answered; of more only what the model takes."""


@dataclass(frozen=True, slots=True)
class Successor:
    """One state a call may lead to, with the rules exercised and the rows left out on the way."""

    state: State
    rules: tuple[str, ...]
    omitted: frozenset[Omission]
    before: State
    specification: Specification

    @property
    def writes(self) -> frozenset[RowKey]:
        """The rows put or deleted, also where their content stayed the same. Found when asked for: few ask."""
        return written(self.specification, self.before, self.state)


def indeterminate(operation: Operation) -> bool:
    """Whether nobody can tell if it took effect: no answer, or StoreUnavailable, which promises neither.

    Such an operation may also take effect later: what the store had sent before it gave up may still be under way.
    """
    outcome = operation.outcome
    return outcome is None or (isinstance(outcome, Raised) and outcome.name == "StoreUnavailable")


def successors(model: Model, state: State, call: Call, outcome: Outcome | None) -> list[Successor]:
    """Every state that `call` in `state` may lead to if it answered `outcome`; none where the contract forbids that.

    None stands for an answer that nobody saw: every state the call can lead to, in which it did take effect. A claim
    over many rows can lead to more of them than are listed: see `exhaustive`.
    """
    expected = expected_step(model, state, call)
    own = Successor(expected.state, expected.rules, frozenset(), state, model.specification)
    if outcome is None:
        return [own, *_other_picks(model, state, call, expected)] if takes_rows(model.specification, call) else [own]
    if _same(model, state, call, expected, outcome):
        return [own]
    if (
        over_rows(model.specification, call)
        and isinstance(expected.outcome, Returned)
        and isinstance(outcome, Returned)
    ):
        return _picked(model, state, call, expected, outcome)
    return []


def exhaustive(model: Model, state: State, call: Call) -> bool:
    """Whether `successors` without an outcome lists every state; if not, that none of them fits proves nothing."""
    return not takes_rows(model.specification, call) or len(candidates(model, state, call)) <= MOST_ROWS


def written(specification: Specification, before: State, after: State) -> frozenset[RowKey]:
    """The rows that a step put or deleted. States share what was not touched, so identity tells, not equality."""
    found: list[RowKey] = []
    for relation, table in after.items():
        old = before[relation]
        if table is old:
            continue
        width = len(specification.relations[relation].key)
        for first in _changed(old, table):
            if width == 1:
                found.append((relation, (first,)))
                continue
            rests = _changed(old.get(first, {}), table.get(first, {}))
            found.extend((relation, (first, rest) if width == 2 else (first, *rest)) for rest in rests)
    return frozenset(found)


def _changed(old: dict[Any, Any], new: dict[Any, Any]) -> list[Any]:
    changed = [key for key, value in new.items() if old.get(key) is not value]
    return changed + [key for key in old if key not in new]


def _same(model: Model, state: State, call: Call, expected: Step, outcome: Outcome) -> bool:
    """As `judgement` sees it: a field too many breaks a SHOULD, and has nothing to do with other clients."""
    wanted = expected.outcome
    if isinstance(wanted, Returned) and isinstance(outcome, Returned):
        if equal(wanted.value, outcome.value):
            return True
        if not _only_extra(wanted.value, outcome.value):
            return False  # before `judge`, which words what is wrong: a search meets this at every second step
    elif isinstance(wanted, Returned) or isinstance(outcome, Returned) or wanted.name != outcome.name:
        return False
    found = judge(model, state, call, expected, outcome)
    return found is None or found.rules == ("answers.extra-fields",)


def _only_extra(expected: Any, actual: Any) -> bool:
    return all(item.kind == "extra" and isinstance(item.path[-1], str) for item in differences(expected, actual))


def _picked(model: Model, state: State, call: Call, expected: Step, outcome: Returned) -> list[Successor]:
    """The one state after an answer that is not the model's own, where an open pick explains it."""
    specification = model.specification
    every = candidates(model, state, call)
    taken = _matched(every, outcome.value)
    left = None if taken is None else left_out(specification, call, every, taken)
    if taken is None or left is None:
        return []
    # Once more as a whole: row by row any field too many was let pass.
    wanted = Step(expected.state, Returned([item.yielded for item in taken]), expected.rules, expected.rows)
    if not _same(model, state, call, wanted, outcome):
        return []
    return [Successor(*taking(model, state, call, every, taken, left), state, specification)]


def _matched(every: list[Candidate], answer: Any) -> list[Candidate] | None:
    """The rows of an answer, in its order; None where one is not among the candidates, or comes twice."""
    if not is_array(answer):
        return None
    rest = list(every)
    taken: list[Candidate] = []
    for item in answer:
        found = next((candidate for candidate in rest if equal(candidate.yielded, item)), None) or next(
            (candidate for candidate in rest if _only_extra(candidate.yielded, item)), None
        )
        if found is None:
            return None
        rest.remove(found)
        taken.append(found)
    return taken


def _other_picks(model: Model, state: State, call: Call, expected: Step) -> Iterator[Successor]:
    """Every pick but the model's own, the largest first."""
    every = candidates(model, state, call)
    if not every or len(every) > MOST_ROWS:
        return
    answered = len(expected.outcome.value) if isinstance(expected.outcome, Returned) else 0
    own = {key for key, _rule in expected.rows[:answered]}
    for size in range(len(every), -1, -1):
        for taken in combinations(every, size):
            left = left_out(model.specification, call, every, taken)
            if left is not None and {item.key for item in taken} != own:
                yield Successor(*taking(model, state, call, every, taken, left), state, model.specification)
