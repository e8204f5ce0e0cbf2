"""Which rows an operation over rows may take where the contract leaves the pick open, and the step that takes them.

Rows with equal order keys may come in any order (ruling 7), and an operation with an `omission` rule may leave rows out
(rulings 2 and 15). Whether that was excused is not asked here, nor what the store answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from storeproof.conformance.footprints import Evaluate, RowKey, evaluator
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Raised, State
from storeproof.reference.tables import Draft, Key
from storeproof.spec.specification import Data, Specification


class Candidate(NamedTuple):
    """A row that the operation would take if nothing limited it; `yielded` is what it would answer for the row."""

    key: Key
    order: tuple[Any, ...]
    yielded: Any


class Omission(NamedTuple):
    """A row that was left out; a write of any of `rows`, itself and what is looked up with it, excuses that."""

    row: RowKey
    rows: frozenset[RowKey]


class Picked(NamedTuple):
    """The step that takes the picked rows and no others."""

    state: State
    rules: tuple[str, ...]
    omitted: frozenset[Omission]


def over_rows(specification: Specification, call: Call) -> bool:
    """Whether a call answers a list of rows it picks."""
    return call.refused is None and "each" in specification.operations[call.operation].data


def takes_rows(specification: Specification, call: Call) -> bool:
    """Whether a call changes the rows it picks; of any other the state after does not tell what was picked."""
    return over_rows(specification, call) and not _form(specification, call.operation).reads_only


def omission_rule(specification: Specification, operation: str) -> str | None:
    """The id of the rule that lets an operation leave rows out, where it has one."""
    rule: Data = specification.operations[operation].data.get("each", {}).get("omission", {})
    return rule.get("id")


def candidates(model: Model, state: State, call: Call) -> list[Candidate]:
    """The rows to pick from, in the order of the model; none where the arguments are refused."""
    step = _unlimited(model.specification).step(state, call.operation, call.args)
    if isinstance(step.outcome, Raised):
        return []
    form = _form(model.specification, call.operation)
    draft = Draft(state)
    found: list[Candidate] = []
    for (key, _rule), yielded in zip(step.rows, step.outcome.value, strict=False):  # what was passed over comes last
        row = draft.get(form.relation, key)
        found.append(Candidate(key, tuple([evaluate(row) for evaluate in form.order]), yielded))
    return found


def left_out(
    specification: Specification, call: Call, every: list[Candidate], taken: Sequence[Candidate]
) -> list[Candidate] | None:
    """The rows that had to be taken before those that were; None where nobody may pick `taken`, in this order."""
    form = _form(specification, call.operation)
    limit = None if form.limit is None else int(form.limit(call.args))
    order = [item.order for item in taken]
    if form.omission is None:
        skip = 0 if form.skip is None else int(form.skip(call.args))
        wanted = every[skip:] if limit is None else every[skip : skip + limit]
        return [] if order == [item.order for item in wanted] else None
    if order != sorted(order) or (limit is not None and len(taken) > limit):
        return None
    keys = {item.key for item in taken}
    rest = [item for item in every if item.key not in keys]
    if len(taken) == limit:
        return [item for item in rest if order and item.order < order[-1]]
    return rest


def taking(
    model: Model, state: State, call: Call, every: list[Candidate], taken: Sequence[Candidate], left: list[Candidate]
) -> Picked:
    """The step in which exactly `taken` were taken; `left` is what `left_out` said of them.

    The others are hidden from the model's step and put back: each row's effects touch that row and what is looked up
    with it alone, so that hiding one alters no other.
    """
    specification = model.specification
    form = _form(specification, call.operation)
    keys = {item.key for item in taken}
    hidden = [item.key for item in every if item.key not in keys]
    before, without = Draft(state), Draft(state)
    for key in hidden:
        without.delete(form.relation, key, form.width)
    step = _unlimited(specification).step(without.tables, call.operation, call.args)
    after = Draft(step.state)
    for key in hidden:
        row = before.get(form.relation, key)
        assert row is not None
        after.put(form.relation, key, row)
    rules = step.rules
    if len(hidden) > len(left) and form.limit_rule:
        rules += (form.limit_rule,)
    if left and form.omission:
        rules += (form.omission,)
    omitted = frozenset(_omission(form, before, call, item.key) for item in left)
    return Picked(after.tables if taken and not form.reads_only else state, rules, omitted)


def _omission(form: _Form, before: Draft, call: Call, key: Key) -> Omission:
    row = before.get(form.relation, key)
    looked_up = [(relation, tuple([part(row, call.args) for part in parts])) for relation, parts in form.found]
    return Omission((form.relation, key), frozenset([(form.relation, key), *looked_up]))


class _Form(NamedTuple):
    """What is known of an operation over rows before it is called."""

    relation: str
    width: int
    order: tuple[Evaluate, ...]
    skip: Evaluate | None
    limit: Evaluate | None
    limit_rule: str | None
    found: tuple[tuple[str, tuple[Evaluate, ...]], ...]
    """What is looked up with a row: relation and key."""
    omission: str | None
    reads_only: bool


@cache
def _form(specification: Specification, operation: str) -> _Form:
    data = specification.operations[operation].data
    each: Data = data["each"]

    def cut(kind: str) -> Callable[..., Any] | None:
        return evaluator(specification, each[kind]["of"], ("args",)) if kind in each else None

    def looked_up(find: Data) -> tuple[str, tuple[Evaluate, ...]]:
        return find["in"], tuple(evaluator(specification, text, (each["row"], "args")) for text in find["key"])

    return _Form(
        relation=each["in"],
        width=len(specification.relations[each["in"]].key),
        order=tuple(evaluator(specification, text, (each["row"],)) for text in each.get("order", {}).get("by", ())),
        skip=cut("skip"),
        limit=cut("limit"),
        limit_rule=each.get("limit", {}).get("id"),
        found=tuple(looked_up(find) for find in each.get("find", {}).values() if "in" in find),
        omission=omission_rule(specification, operation),
        reads_only=not any(rule.get("effects") for rule in data["rules"]),
    )


@cache
def _unlimited(specification: Specification) -> Model:
    """The same model without `limit` and `skip`: it shows all rows there are to pick from."""
    operations: Data = dict(specification.data["operations"])
    for name, operation in operations.items():
        if "each" in operation:
            each = {part: of for part, of in operation["each"].items() if part not in ("limit", "skip")}
            operations[name] = {**operation, "each": each}
    return Model(Specification.from_data({**specification.data, "operations": operations}))
