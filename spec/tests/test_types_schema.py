"""The pydantic types and contract.schema.json say the same: by comparing what they say, and by asking both."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from storeproof.spec import arguments, types, values
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.schemas import contract_schema, problems, validator
from storeproof.spec.types import Shape

Value: TypeAlias = Any
"""A value in wire form, or a near miss of one."""

CLASSES: dict[str, type[Shape]] = {
    name: item
    for module in (types, arguments)
    for name, item in inspect.getmembers(module, inspect.isclass)
    if issubclass(item, Shape) and item is not Shape and not name.startswith("_")
}
SCALARS: dict[str, Value] = {
    name: getattr(values, name)
    for name in ("Text", "Id", "Integer", "Positive", "Time", "Cursor", "Json", "JsonObject")
} | {
    name: getattr(types, name)
    for name in ("Event", "Status", "OverlapPolicy", "DeleteReason", "Awaitable", "ScheduleSpec", "RunTimeline")
}
UNIONS: dict[str, Value] = {"ClaimRunResult": types.ClaimRunResult, "DeliverResult": types.DeliverResult}
LISTS: dict[str, Value] = {
    "ReadEventsResult": list[types.StoredEvent],
    "ClaimStaleRunsResult": list[types.RunClaim],
    "ClaimDueTimersResult": list[types.TimerWakeup],
    "ClaimDueScheduleBucketsResult": list[types.ScheduleBucket],
    "ListRunsResult": list[types.RunSummary],
}
OPTIONAL: dict[str, Value] = {
    "LoadRunResult": types.Run | None,
    "LoadExecutionResult": types.LoadedExecution | None,
    "LoadRunStateResult": types.RunState | None,
}
OPAQUE = ("Json", "JsonObject", "Event")
"""Compared by asking, not by reading: pydantic has them as functions."""

DEFINITIONS: dict[str, Value] = contract_schema()["$defs"]
EVENTS = [name for name in DEFINITIONS if name.endswith("Event") and name not in ("Event", "StoredEvent", "KnownEvent")]
ADAPTERS: dict[str, TypeAdapter[Value]] = {
    **{name: TypeAdapter[Value](item) for name, item in CLASSES.items()},
    **{name: TypeAdapter[Value](item) for name, item in (SCALARS | UNIONS | LISTS | OPTIONAL).items()},
}


# What they say


def normal(schema: Value, definitions: dict[str, Value]) -> Value:
    """A schema without words for people, its references resolved; order of names plays no part."""
    if isinstance(schema, list):
        return [normal(item, definitions) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    rules: dict[str, Value] = {
        # `not` is Cursor's: it keeps Python's `$` from matching before a last line feed, as pydantic's never does.
        key: value
        for key, value in schema.items()  # pyright: ignore[reportUnknownVariableType]
        if key not in ("title", "description", "discriminator", "$defs", "not")
    }
    if "$ref" in rules:
        name = str(rules["$ref"]).rpartition("/")[2]
        return name if name in OPAQUE else normal(definitions[name], definitions)
    if "const" in rules or "enum" in rules:
        rules.pop("type", None)
    for key in ("required", "enum"):
        if key in rules:
            rules[key] = sorted(rules[key])
    if "properties" in rules:
        rules["properties"] = {name: normal(item, definitions) for name, item in rules["properties"].items()}
        return rules
    return {key: normal(item, definitions) for key, item in rules.items()}


@pytest.mark.parametrize("name", sorted({*ADAPTERS} - {*OPAQUE, *OPTIONAL}))
def test_the_type_says_what_the_schema_says(name: str) -> None:
    generated = ADAPTERS[name].json_schema(by_alias=True)
    assert normal(generated, generated.get("$defs", {})) == normal(DEFINITIONS[name], DEFINITIONS)


def test_every_definition_is_a_type_or_an_event() -> None:
    others = {"KnownEvent", "StepAttempt", "JsonPatchOperation", "LogConflictData", "NothingResult"}
    assert {*DEFINITIONS} == {*ADAPTERS} | {*EVENTS} | others
    assert len(EVENTS) == 14
    assert DEFINITIONS["KnownEvent"]["oneOf"] == [{"$ref": f"#/$defs/{name}"} for name in EVENTS]


def test_the_schema_is_one_and_its_references_lead_somewhere() -> None:
    Draft202012Validator.check_schema(contract_schema())
    references = re.findall(r"'\$ref': '([^']*)'", str(contract_schema()))
    assert {reference.removeprefix("#/$defs/") for reference in references} <= {*DEFINITIONS}


def described(schema: Value, path: str) -> Iterator[tuple[str, str]]:
    yield path, schema.get("description", "")
    for name, item in schema.get("properties", {}).items():
        yield f"{path}.{name}", item.get("description", "")


def test_every_definition_and_every_property_has_a_description() -> None:
    descriptions = [pair for name, schema in DEFINITIONS.items() for pair in described(schema, name)]
    assert [path for path, text in descriptions if not text.endswith((".", ")"))] == []


# What they answer

texts = st.one_of(
    st.sampled_from(["", "a", "approval:a", "\ufffe", "\U0001f600", "line\n", "x" * 1025]), st.text(max_size=4)
)
texts = texts.filter(lambda text: not re.search("[\x00\ud800-\udfff]", text))
ids = st.one_of(
    st.sampled_from(["r", "r:1", "é" * 512, "x" * 1024, "\U0001f600" * 256, " "]),
    texts.filter(lambda t: 0 < len(t) < 9),
)
integers = st.sampled_from([0, 1, 5, 5.0, -0.0, 2**31, 2**53 - 1, float(2**53 - 1)])
positives = st.sampled_from([1, 7, 7.0, 2**53 - 1])
leaves = st.sampled_from([None, True, False, 0, -1, 1.5, 1e308, 5e-324, 2**60, -(2**53), "", "123", "null"])
jsons = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=5
)
objects = st.dictionaries(texts, jsons, max_size=2)
event_fields = st.fixed_dictionaries({"type": texts, "ts": integers}, optional={"stepId": ids})
events = st.tuples(objects, event_fields).map(lambda both: both[0] | both[1])
cursors = st.sampled_from(["0", "7", "0012", "9" * 16])
booleans = st.booleans()
shapes: dict[str, st.SearchStrategy[Value]] = {
    "Text": texts,
    "Id": ids,
    "Integer": integers,
    "Time": integers,
    "Positive": positives,
    "Json": jsons,
    "JsonObject": objects,
    "Event": events,
    "Cursor": cursors,
}


def from_schema(schema: dict[str, Value]) -> st.SearchStrategy[Value]:
    """Valid values of a definition: the hand-written strategies above at the leaves, its properties around them."""
    if "$ref" in schema and set(schema) <= {"$ref", "description"}:
        name = schema["$ref"].rpartition("/")[2]
        if name not in shapes:
            shapes[name] = from_schema(DEFINITIONS[name])
        return shapes[name]
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "oneOf" in schema:
        return st.one_of([from_schema(item) for item in schema["oneOf"]])
    if schema["type"] == "array":
        return st.lists(from_schema(schema["items"]), max_size=2)
    if schema["type"] == "object":
        fields = {name: from_schema(item) for name, item in schema["properties"].items()}
        required = {name: fields.pop(name) for name in schema["required"]}
        return st.fixed_dictionaries(required, optional=fields)
    return {"boolean": booleans, "null": st.none()}[schema["type"]]


WRONG: list[Value] = [
    *(None, True, False, 0, 1, -1, 5.0, 5.5, 2**53, 2**53 + 1, 2**64, 10**400, float("nan"), float("inf")),
    *("", "x", "12\n", "1" * 17, "٣", "x" * 1025, "é" * 513, "\x00", "a\x00", "\ud800", "a\udfff", "__timer"),
    *([], ["x"], {}, {"x": 1}, {"\x00": 1}, {"a": {"\ud800": []}}, [[{"a": 10**400}]], [{"type": "signal"}]),
    *({"kind": "cron"}, {"type": "x"}, {"type": "x", "ts": 5.0, "stepId": None}, {"type": "x", "ts": 1, "stepId": ""}),
]


def places(value: Value, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something may be changed: every field and item, at any depth."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    for key, item in inside:  # pyright: ignore[reportUnknownVariableType]
        yield from places(item, (*path, key))  # pyright: ignore[reportUnknownArgumentType]


def changed(value: Value, path: tuple[str | int, ...], how: str, wrong: Value) -> Value:
    """A copy in which the thing at `path` is replaced, dropped, or given a neighbour nobody knows."""
    if path:
        key, *rest = path
        inner = changed(value[key], tuple(rest), how, wrong)
        if isinstance(value, list):
            return [inner if index == key else item for index, item in enumerate(value)]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        kept = {name: item for name, item in value.items() if name != key or how != "drop" or rest}
        return kept if how == "drop" and not rest else kept | {key: inner}
    if how == "add" and isinstance(value, dict):
        return {**value, "unknown": wrong}  # pyright: ignore[reportUnknownVariableType]
    return wrong if how == "replace" else value


def accepted_by_pydantic(name: str, value: Value) -> bool:
    try:
        ADAPTERS[name].validate_python(value)
    except ValidationError:
        return False
    except InvalidArgument:  # only the two rules across fields raise it, and JSON Schema cannot say them
        return True
    return True


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_both_give_the_same_verdict(name: str) -> None:
    verdicts: list[bool] = []

    @settings(max_examples=8, derandomize=True, database=None, deadline=None)
    @given(valid=from_schema({"$ref": f"#/$defs/{name}"}), data=st.data())
    def compare(valid: Value, data: st.DataObject) -> None:
        assert problems(name, valid) == []
        assert accepted_by_pydantic(name, valid)
        for _ in range(6):
            path = data.draw(st.sampled_from(list(places(valid))))
            how = data.draw(st.sampled_from(["replace", "replace", "drop", "add"]))
            near = changed(valid, path, how, data.draw(st.sampled_from(WRONG)))
            verdict = accepted_by_pydantic(name, near)
            assert validator(name).is_valid(near) == verdict, (near, problems(name, near))
            verdicts.append(verdict)

    compare()
    assert False in verdicts


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_field_of_every_class_gets_the_same_verdict_for_every_wrong_value(name: str) -> None:
    whole = smallest(name, full=True)
    assert problems(name, whole) == []
    for field in [*whole, "unknown"]:
        for near in ({**whole, field: wrong} for wrong in WRONG):
            assert validator(name).is_valid(near) == accepted_by_pydantic(name, near), (field, near[field])
        without = {key: value for key, value in whole.items() if key != field}
        assert validator(name).is_valid(without) == accepted_by_pydantic(name, without), field


LEAVES: dict[str, Value] = {
    **dict.fromkeys(("Text", "Id"), "x"),
    **dict.fromkeys(("Integer", "Time", "Positive"), 1),
    **{"Json": {"a": [None, 1.5]}, "JsonObject": {"a": 1}, "Event": {"type": "x", "ts": 1}, "Cursor": "1"},
}


def smallest(name: str, *, full: bool = False) -> Value:
    """One plain value of a definition, with every field if `full`."""
    return LEAVES[name] if name in LEAVES else plain(DEFINITIONS[name], full)


def plain(schema: dict[str, Value], full: bool) -> Value:
    if "$ref" in schema:
        return smallest(schema["$ref"].rpartition("/")[2], full=full)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or schema["enum"][0]
    if "oneOf" in schema:
        return plain(schema["oneOf"][0], full)
    if schema["type"] == "array":
        return [plain(schema["items"], full)]
    if schema["type"] == "boolean":
        return True
    names = schema["properties"] if full else schema["required"]
    return {name: plain(schema["properties"][name], full) for name in names}
