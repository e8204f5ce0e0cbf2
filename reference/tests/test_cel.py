"""The expressions are CEL: two CEL implementations give the values that our compiled code gives.

Every guard, key and template of the model is evaluated on what a seeded workload meets, always in the order of the
rules, so that nothing is evaluated that its guards exclude. Functions of the model are written out at their calls.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import cel as rust
import pytest
from cel_expr_python import cel as google  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
from storeproof.reference.model import Model, State
from storeproof.reference.tables import Draft, rows
from storeproof.reference.workload import workload
from storeproof.spec.compiler import compiled, compiled_functions
from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import equal, is_array, is_object
from storeproof.spec.loader import load
from storeproof.spec.syntax import Call, Expression, Name, rebuilt, text_of

SPECIFICATION = load()
FUNCTIONS = {name: (function.parameters, function.value) for name, function in SPECIFICATION.functions.items()}
NAMESPACE = compiled_functions(FUNCTIONS)
SAMPLES = 12
"""Different bindings under which one expression is evaluated."""

Bindings = dict[str, Any]


def inlined(tree: Expression) -> Expression:
    tree = rebuilt(tree, inlined)
    if not isinstance(tree, Call) or tree.function not in FUNCTIONS:
        return tree
    parameters, value = FUNCTIONS[tree.function]
    given = dict(zip(parameters, tree.arguments, strict=True))

    def substituted(part: Expression) -> Expression:
        return given.get(part.name, part) if isinstance(part, Name) else rebuilt(part, substituted)

    return inlined(substituted(parse(value)))


def ours(text: str, names: Bindings) -> Any:
    return compiled(text, names, NAMESPACE)(*names.values())


def by_rust(text: str, names: Bindings) -> Any:
    return rust.evaluate(text, names)


def by_google(text: str, names: Bindings) -> Any:
    environment = google.NewEnv(variables=dict.fromkeys(names, google.Type.DYN))
    value = environment.compile(text).eval(data=names)
    assert value.type() != google.Type.ERROR, value  # it returns errors as values
    return value.plain_value()


def found(state: State, finds: dict[str, Any], names: Bindings) -> Iterator[tuple[str, Bindings]]:
    """Binds what is looked up, and yields the keys."""
    for name, find in finds.items():
        key: list[Any] = []
        for part in find["key"]:
            yield part, dict(names)
            key.append(ours(part, names))
        relation = SPECIFICATION.relations[find.get("in") or find["all"]]
        if "in" in find:
            names[name] = Draft(state).get(relation.name, tuple(key))
        else:
            every = [row for row in rows(state, relation.name, len(relation.key)) if row[relation.key[0]] == key[0]]
            names[name] = sorted(every, key=lambda row: [row[part] for part in relation.key])


def templates(value: object, names: Bindings) -> Iterator[tuple[str, Bindings]]:
    if is_object(value):
        if "forEach" in value:
            yield value["forEach"], names
            for index, item in enumerate(ours(value["forEach"], names)):
                yield from templates(value["row"], {**names, value["as"]: item, value.get("index", "i"): index})
            return
        for name, item in value.items():
            if name == "key":
                yield from ((part, names) for part in item)
            elif name == "$copy":
                yield from ((giver, names) for giver in item)
            else:
                yield from templates(item, names)
    elif is_array(value):
        for item in value:
            yield from templates(item, names)
    elif isinstance(value, str) and value.startswith("="):
        yield value[1:], names


def by_rules(rules: list[dict[str, Any]], names: Bindings) -> Iterator[tuple[str, Bindings]]:
    """The guards up to the rule that is taken, and what that rule computes; binds `taken` to it.

    The rows of `after` are those before the effects: how `after.x` is read does not depend on what x is.
    """
    for rule in rules:
        if "when" in rule:
            yield rule["when"], names
            if not ours(rule["when"], names):
                continue
        after = {name: value for name, value in names.items() if name != "args"}
        for part in ("effects", "returns", "yields", "raises"):
            yield from templates(rule.get(part), {**names, "after": after})
        names["taken"] = rule
        return


def evaluated(state: State, operation: str, args: Bindings) -> Iterator[tuple[str, Bindings]]:
    """Every expression that a step evaluates, with the values of its names."""
    data, names = SPECIFICATION.operations[operation].data, {"args": args}
    yield from found(state, data.get("find", {}), names)
    if "each" not in data:
        yield from by_rules(data["rules"], names)
        return
    each = data["each"]
    early = [rule for rule in data["rules"] if rule.keys() & {"returns", "raises"}]
    yield from by_rules(early, names)
    if "taken" in names:
        return
    yield from ((each[cut]["of"], names) for cut in ("skip", "limit") if cut in each)
    yield from ((part, names) for part in each.get("key", ()))
    for row in rows(state, each["in"], len(SPECIFICATION.relations[each["in"]].key)):
        here = {**names, each["row"]: row}
        yield from found(state, each.get("find", {}), here)
        yield from by_rules(data["rules"][len(early) :], here)
        if "yields" in here["taken"]:
            yield from ((part, here) for sort in ("order", "ties") for part in each.get(sort, {}).get("by", ()))


def samples() -> list[tuple[str, Bindings]]:
    model, count = Model(SPECIFICATION), Counter[str]()
    chosen: list[tuple[str, Bindings]] = []
    seen: set[tuple[str, str]] = set()
    for seed in range(8):
        state = model.initial()
        for operation, args in workload(seed, 300):
            for text, names in evaluated(state, operation, args):
                used = {name: value for name, value in names.items() if name != "taken"}
                key = (text, json.dumps(used, sort_keys=True))
                if key not in seen and count[text] < SAMPLES:
                    seen.add(key)
                    count[text] += 1
                    chosen.append((text, used))
            state = model.step(state, operation, args).state
        for invariant in SPECIFICATION.invariants:
            tables = {name: list(rows(state, name, len(r.key))) for name, r in SPECIFICATION.relations.items()}
            chosen.append((invariant.holds, tables))
    return chosen


CHOSEN = samples()


@pytest.mark.parametrize("engine", [by_rust, by_google], ids=["common-expression-language", "cel-expr-python"])
def test_another_cel_gives_the_same_values(engine: Callable[[str, Bindings], Any]) -> None:
    for text, names in CHOSEN:
        expected = ours(text, names)
        answer = engine(text_of(inlined(parse(text))), names)
        assert equal(answer, expected), (text, names)


def test_every_expression_of_the_model_is_among_them() -> None:
    texts = {text for text, _ in CHOSEN}
    for operation in SPECIFICATION.operations.values():
        for rule in operation.data["rules"]:
            assert rule.get("when", "args.now") in texts
            for part in ("effects", "returns", "yields", "raises"):
                assert strings(rule.get(part)) <= texts
    assert len(CHOSEN) > 500


def strings(value: object) -> set[str]:
    if is_object(value):
        return set[str]().union(*(strings(item) for item in value.values()))
    if is_array(value):
        return set[str]().union(*(strings(item) for item in value))
    return {value[1:]} if isinstance(value, str) and value.startswith("=") else set()
