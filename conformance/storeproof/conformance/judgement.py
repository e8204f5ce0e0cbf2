"""Compares one answer with the model's and says which rules a difference breaks. Pure: it calls nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from storeproof.conformance.equality import Difference, differences
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Outcome, Raised, Returned, State, Step
from storeproof.reference.tables import rows
from storeproof.spec.compiler import compiled, compiled_functions
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Specification

JSON_FIELDS = frozenset({"input", "output", "event", "meta", "payload"})
"""Fields of answers inside which anything is the caller's JSON."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with one answer: the rules it breaks, the likeliest first, and why, in words."""

    rules: tuple[str, ...]
    message: str


def judge(model: Model, before: State, call: Call, expected: Step, actual: Outcome) -> Judgement | None:
    """None where the answer is the model's; `before` is the model's state before the call."""
    if isinstance(expected.outcome, Returned) and isinstance(actual, Returned):
        found = list(differences(expected.outcome.value, actual.value))
        return _different(model, before, call, expected, actual.value, found) if found else None
    rule = decisive_rule(model.specification, call.operation, expected)
    if isinstance(actual, Raised) and actual.name in _BROKEN_ANSWERS:
        broken = _BROKEN_ANSWERS[actual.name]
        rules = (broken, rule) if broken == "answers.schema" else (rule, broken)
        return Judgement(rules, f"{actual.name}: {actual.data['message']}")
    if isinstance(actual, Raised) and actual.name == "StoreUnavailable":
        message = f"answered StoreUnavailable although nobody touched its storage: {actual.data['message']}"
        return Judgement((rule,), message)
    if isinstance(expected.outcome, Raised) and isinstance(actual, Raised) and expected.outcome.name == actual.name:
        return _other_data(rule, expected.outcome, actual)
    return Judgement((rule,), f"expected {show_outcome(expected.outcome)}, got {show_outcome(actual)}")


_BROKEN_ANSWERS = {
    "NoSuchMethod": "answers.taxonomy",
    "NoAnswer": "answers.taxonomy",
    "UnexpectedException": "answers.taxonomy",
    "WrongType": "answers.schema",
}


def decisive_rule(specification: Specification, operation: str, step: Step) -> str:
    """The rule that decided a step; over no rows at all it is the rule that would have yielded one."""
    return step.rules[0] if step.rules else yielding_rule(specification, operation)


@cache
def yielding_rule(specification: Specification, operation: str) -> str:
    """The last rule of an operation: the one that does what the operation is for."""
    last: str = specification.operations[operation].data["rules"][-1]["id"]
    return last


def misordered(model: Model, rules: Iterable[str]) -> bool:
    """Whether the rules are about nothing but the order of an answer's rows."""
    return all(model.specification.rules[rule].kind in ("order", "ties") for rule in rules)


def disordered(model: Model, before: State, call: Call, expected: Step, actual: Outcome) -> bool:
    """Whether nothing but the order of the rows is wrong, by which no limit has picked other ones."""
    judgement = judge(model, before, call, expected, actual)
    if judgement is None or not misordered(model, judgement.rules):
        return False
    key = model.specification.relations[model.specification.operations[call.operation].data["each"]["in"]].key
    wanted, got = (
        {_identity(item, key) for item in outcome.value} if isinstance(outcome, Returned) else None
        for outcome in (expected.outcome, actual)
    )
    return wanted == got


def unfit(model: Model, before: State, call: Call, expected: Step, actual: Outcome) -> str | None:
    """What is wrong with the answer to a setup, if nothing is to be built on it. Not what says nothing about the rows
    that the store holds now, fields too many and another order: sequences tell that.
    """
    judgement = judge(model, before, call, expected, actual)
    if judgement is None or judgement.rules == ("answers.extra-fields",):
        return None
    return None if disordered(model, before, call, expected, actual) else f"{call.as_python()}: {judgement.message}"


def first_segment(field: str) -> str:
    """`events[1].type` is about `events` (ruling 21)."""
    return field.split(".")[0].split("[")[0]


def show_outcome(outcome: Outcome) -> str:
    """An outcome for people."""
    return f"{outcome.value!r}" if isinstance(outcome, Returned) else f"{outcome.name} {outcome.data!r}"


def _other_data(rule: str, expected: Raised, actual: Raised) -> Judgement | None:
    if expected.name == "InvalidArgument":
        field = actual.data["field"]
        named = None if field is None else first_segment(field)
        if named is None or named in expected.data["fields"]:
            return None  # None: Python itself refused a missing or unknown keyword
        wanted = " or ".join(expected.data["fields"])
        return Judgement((rule,), f"InvalidArgument names {named or 'no field'!r} instead of {wanted}")
    found = [difference.describe() for difference in differences(expected.data, actual.data)]
    return Judgement((rule,), f"{expected.name}: {'; '.join(found)}") if found else None


def _different(
    model: Model,
    before: State,
    call: Call,
    expected: Step,
    actual: Any,
    found: list[Difference],
) -> Judgement:
    specification = model.specification
    result = specification.operations[call.operation].result
    extra = [item.path for item in found if _is_extra_field(item) and not _named(specification, result, item.path)]
    if len(extra) == len(found):
        return Judgement(("answers.extra-fields",), _described(found))
    actual = _without(actual, extra)  # a row is not another one because of them
    found = [item for item in found if item.path not in extra]
    message = _described(found)
    rule = decisive_rule(specification, call.operation, expected)
    answered = expected.outcome.value if isinstance(expected.outcome, Returned) else None
    operation = specification.operations[call.operation].data
    if "each" in operation and is_array(actual) and is_array(answered):
        return _rows_differ(model, before, operation, expected, actual, found, message)
    shape = _shape_rules(found)
    return Judgement((*shape, rule) if shape == ("answers.schema",) else (rule, *shape), message)


def _described(found: list[Difference]) -> str:
    return "; ".join(difference.describe() for difference in found[:4])


def _shape_rules(found: Iterable[Difference]) -> tuple[str, ...]:
    """The cross-cutting rules that a difference breaks besides the operation's own."""
    rules: list[str] = []
    for item in found:
        if _in_json(item.path):
            numeric = all(isinstance(side, int | float) for side in (item.expected, item.actual))
            null_or_none = item.expected is None and item.actual is None  # null, where null and absent are two things
            if item.kind == "other" or null_or_none or item.path[-1] not in JSON_FIELDS:
                rules.append("values.numbers" if numeric else "values.json")
        elif item.kind == "extra" and item.actual is None:
            rules.append("answers.schema")
    return tuple(dict.fromkeys(rules))


def _is_extra_field(item: Difference) -> bool:
    """An element too many in a list is no field: it is a row that should not be there."""
    return item.kind == "extra" and isinstance(item.path[-1], str) and not _in_json(item.path)


def _without(value: Any, paths: list[tuple[str | int, ...]]) -> Any:
    """A copy that lacks the fields at `paths`."""
    copy = deepcopy(value) if paths else value
    for path in paths:
        holder = copy
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]
    return copy


def _in_json(path: tuple[str | int, ...]) -> bool:
    return not JSON_FIELDS.isdisjoint(path)


@cache
def _named(specification: Specification, result: str, path: tuple[str | int, ...]) -> bool:
    """Whether the result's schema knows the field: one that must be absent here is wrong, not extra (ruling 26)."""
    definitions = specification.contract["$defs"]
    places = [definitions[result]]
    for part in path:
        options = [option for place in places for option in _options(place, definitions)]
        if isinstance(part, int):
            places = [option["items"] for option in options if "items" in option]
        else:
            places = [option["properties"][part] for option in options if part in option.get("properties", {})]
    return bool(places)


def _options(schema: Data, definitions: Data) -> Iterator[Data]:
    """What a schema may stand for: references are followed, alternatives taken apart."""
    if "$ref" in schema:
        yield from _options(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    elif "oneOf" in schema:
        for option in schema["oneOf"]:
            yield from _options(option, definitions)
    else:
        yield schema


def _rows_differ(
    model: Model,
    before: State,
    operation: Data,
    expected: Step,
    actual: list[Any],
    found: list[Difference],
    message: str,
) -> Judgement:
    """Rows taken that should not be, rows left out, another order, or another content: each has its rule."""
    relation = model.specification.relations[operation["each"]["in"]]
    assert isinstance(expected.outcome, Returned)
    wanted = [_identity(item, relation.key) for item in expected.outcome.value]
    got = [_identity(item, relation.key) for item in actual]
    decided = dict(expected.rows)
    yielding = yielding_rule(model.specification, operation["operation"])
    unwanted = [key for key in got if key not in wanted]
    missing = [key for key in wanted if key not in got]
    each = operation["each"]
    if unwanted or missing or len(got) != len(wanted):
        rules = [decided.get(key, yielding) for key in unwanted]
        cut = {each[name]["id"] for name in ("limit", "skip") if name in each}
        if missing and rules and cut.issuperset(rules):
            # as many rows, but others: the pick followed another order
            rules = _order_rules(model, before, operation, [*missing, *unwanted], picked=True) or rules
        elif missing and not rules:
            rules = [decided[key] for key in missing] + ([each["limit"]["id"]] if "limit" in each and got else [])
        elif not rules:
            rules = [yielding]  # one row twice
        return Judgement(tuple(dict.fromkeys(rules)), message)
    if got != wanted:
        order = _order_rules(model, before, operation, got) or [yielding]
        # Rows of another content are in another place because of it: the order is right for what the store holds.
        altered = [
            decided.get(key, yielding) for key in got if not _same_row(expected.outcome.value, actual, wanted, got, key)
        ]
        return Judgement(tuple(dict.fromkeys([*altered, *order])), message)
    rows_at_fault = [decided.get(wanted[item.path[0]], yielding) for item in found if isinstance(item.path[0], int)]
    return Judgement(tuple(dict.fromkeys([*rows_at_fault, *_shape_rules(found)])), message)


def _identity(item: Any, key: tuple[str, ...]) -> tuple[Any, ...]:
    """The key of the row an element of the answer is about; a claim of a run holds it one level down."""
    holder: Any = item.get("run", item) if is_object(item) else None
    values: Iterator[Any] = (holder.get(name) for name in key) if is_object(holder) else iter(())
    return tuple(value if isinstance(value, str | int) else repr(value) for value in values)


def _same_row(expected: list[Any], actual: list[Any], wanted: list[Any], got: list[Any], key: Any) -> bool:
    return next(differences(expected[wanted.index(key)], actual[got.index(key)]), None) is None


def _order_rules(
    model: Model, before: State, operation: Data, keys: list[tuple[Any, ...]], *, picked: bool = False
) -> list[str]:
    """`order` if rows with different order keys changed places, `ties` if only equal ones did.

    `picked`: the keys are those of rows a limit cut off and of the ones that came instead.
    """
    each = operation["each"]
    relation = model.specification.relations[each["in"]]
    by_key = {tuple(row[name] for name in relation.key): row for row in rows(before, relation.name, len(relation.key))}
    order = _order_key(model, each["row"], each["order"]["by"])
    values = [order(by_key[key]) for key in keys if key in by_key]
    in_order = all(value == values[0] for value in values) if picked else values == sorted(values)
    if in_order and "ties" in each:
        return [each["ties"]["id"]]
    return [each["order"]["id"]]


def _order_key(model: Model, row_name: str, expressions: list[str]) -> Callable[[Any], list[Any]]:
    functions = [compiled(text, (row_name,), _functions(model.specification)) for text in expressions]
    return lambda row: [function(row) for function in functions]


@cache
def _functions(specification: Specification) -> dict[str, Callable[..., Any]]:
    return compiled_functions({name: (item.parameters, item.value) for name, item in specification.functions.items()})
