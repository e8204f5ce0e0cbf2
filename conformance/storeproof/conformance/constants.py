"""All model mutants that the kit is tested with: those of `reference.mutants`, and more with a wrong constant or field.

A guard that always holds, a wrong word (`paused` for `queued`), a number beside the right one, a word missing, the
branches of a choice exchanged, an argument stored in the place of another of the same type, a field wiped that stays, a
key too short: what a typing error, a swapped column or a careless UPDATE makes of a store. Knows the notation, not the
contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from storeproof.reference.mutants import Mutant, mutants
from storeproof.reference.mutations import Change, Path, expressions, replaced
from storeproof.spec.checker import check_operation
from storeproof.spec.errors import SpecificationError
from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Specification
from storeproof.spec.syntax import Choice, Expression, Has, ListOf, Literal, Unary, children, rebuilt, text_of


def model_mutants(data: Data) -> Iterator[Mutant]:
    """Every mutant of the model `data`, in a fixed order."""
    yield from (mutant for mutant in mutants(data) if not _swaps_reasons(data, mutant))
    seen: Counter[str] = Counter()
    for change in _changes(data):
        changed = replaced(data, change.path, change.value)
        if changed == data or _refused(changed, change.path):
            continue
        name = f"{change.rule}/{change.what}"
        seen[name] += 1
        yield Mutant(name if seen[name] == 1 else f"{name}#{seen[name]}", change.rule, change.says, changed)


def _swaps_reasons(data: Data, mutant: Mutant) -> bool:
    """Two neighbouring reasons to pass a row over, exchanged: it is passed over all the same, so it is no mutant."""
    if not mutant.id.endswith("/swapped"):
        return False
    rules = data["operations"][mutant.rule.split(".")[0]]["rules"]
    number = next(number for number, rule in enumerate(rules) if rule["id"] == mutant.rule)
    return not any(rule.keys() & {"returns", "raises", "yields"} for rule in rules[number : number + 2])


def _changes(data: Data) -> Iterator[Change]:
    for name, function in data["functions"].items():
        yield from _expression_changes(name, ("functions", name, "value"), function["value"])
    for name, operation in data["operations"].items():
        fields = data["contract"]["$defs"][operation["arguments"]]["properties"]
        for number, rule in enumerate(operation["rules"]):
            path: Path = ("operations", name, "rules", number)
            if "when" in rule:
                yield Change(rule["id"], "always", "the guard always holds", (*path, "when"), "0 == 0")
            for place, text in expressions(rule):
                yield from _expression_changes(rule["id"], (*path, *place), text)
                yield from _exchanged(rule["id"], (*path, *place), text, fields)
            for number_, effect in enumerate(rule.get("effects", ())):
                yield from _words(data, rule["id"], effect, (*path, "effects", number_))
                if len(effect.get("delete", "") and effect["key"]) > 1:
                    says = f"deletes every row of {effect['delete']} that shares the first part of the key"
                    key = (*path, "effects", number_, "key")
                    yield Change(rule["id"], f"key:{effect['delete']}", says, key, effect["key"][:1])
                yield from _unset(data, rule["id"], effect, (*path, "effects", number_))


def _expression_changes(rule: str, path: Path, text: str) -> Iterator[Change]:
    computed = "=" if text.startswith("=") else ""
    for what, tree in _variants(parse(text.removeprefix("="))):
        changed = text_of(tree)
        yield Change(rule, what, f"{text.removeprefix('=')} becomes {changed}", path, computed + changed)


def _variants(tree: Expression) -> Iterator[tuple[str, Expression]]:
    match tree:
        case Literal(value) if isinstance(value, int) and not isinstance(value, bool):
            yield f"constant:{value}+1", Literal(value + 1)
            if value:
                yield f"constant:{value}-1", Literal(value - 1)
        case Literal(value) if isinstance(value, str) and value:
            yield f"constant:{value}", Literal(f"{value}x")
        case Has():
            yield f"negated:{text_of(tree)}", Unary("!", tree)
        case ListOf(items):
            for number, item in enumerate(items):
                yield f"item:{text_of(item)}", replace(tree, items=(*items[:number], *items[number + 1 :]))
        case Choice(condition, then, otherwise):
            yield "branches", Choice(condition, otherwise, then)
        case _:
            pass
    for number, child in enumerate(children(tree)):
        for what, changed in _variants(child):
            yield what, _with_child(tree, number, changed)


def _with_child(tree: Expression, number: int, changed: Expression) -> Expression:
    at = iter(range(len(children(tree))))
    return rebuilt(tree, lambda child: changed if next(at) == number else child)


def _exchanged(rule: str, path: Path, text: str, fields: Data) -> Iterator[Change]:
    """Another argument of the same type, where one is stored or answered."""
    name = text.removeprefix("=args.")
    if not text.startswith("=") or name not in fields:
        return
    for other, schema in fields.items():
        if other != name and "$ref" in schema and schema["$ref"] == fields[name].get("$ref"):
            yield Change(rule, f"{path[-1]}:{other}", f"{path[-1]} becomes args.{other}", path, f"=args.{other}")


def _words(data: Data, rule: str, effect: Data, path: Path) -> Iterator[Change]:
    """Another word of the model's for the same field of the same relation."""
    relation = effect.get("put", effect.get("update"))
    for member in ("set", "row"):
        template = effect.get(member)
        if not is_object(template):
            continue
        for field, value in template.items():
            if isinstance(value, str) and not value.startswith("="):
                for word in sorted(_known_words(data, relation, field) - {value}):
                    says = f"{field} becomes {word} instead of {value}"
                    yield Change(rule, f"{member}:{field}={word}", says, (*path, member, field), word)


def _unset(data: Data, rule: str, effect: Data, path: Path) -> Iterator[Change]:
    """One optional field more that an update takes away."""
    if "update" not in effect:
        return
    row = data["relations"][effect["update"]]["row"]
    if "$ref" in row:
        row = data["contract"]["$defs"][row["$ref"].rsplit("/", 1)[1]]
    template = effect.get("set", {})
    copied = {name for names in template.get("$copy", {}).values() for name in names}
    unset = effect.get("unset", [])
    for field in row["properties"]:
        if field not in {*row["required"], *unset, *template, *copied}:
            yield Change(
                rule, f"also-unset:{field}", f"{field} is unset too", path, {**effect, "unset": [*unset, field]}
            )


def _known_words(data: Data, relation: object, field: str) -> set[str]:
    found: set[str] = set()

    def walk(value: object) -> None:
        if is_object(value):
            if relation in (value.get("put"), value.get("update")):
                word = {**value.get("row", {}), **value.get("set", {})}.get(field) if _has_template(value) else None
                if isinstance(word, str) and not word.startswith("="):
                    found.add(word)
            for item in value.values():
                walk(item)
        elif is_array(value):
            for item in value:
                walk(item)

    walk(data["operations"])
    return found


def _has_template(effect: Data) -> bool:
    return is_object(effect.get("row", {})) and is_object(effect.get("set", {}))


def _refused(data: Data, path: Path) -> bool:
    specification = Specification.from_data(data)
    changed = [str(path[1])] if path[0] == "operations" else list(specification.operations)
    try:
        for name in changed:
            check_operation(specification, specification.operations[name])
    except SpecificationError:
        return True
    return False
