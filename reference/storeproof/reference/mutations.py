"""The single changes of which mutants are made, each a value to be put at a path of the model data.

Knows rules and expressions as data; whether a change still is a model is the business of `mutants`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data
from storeproof.spec.syntax import Binary, Expression, Unary, children, rebuilt, text_of

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    rule: str
    what: str
    """The second half of the mutant's id."""
    says: str
    path: Path
    value: Any


_OTHER = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    "+": "-",
    "-": "+",
}
_EXPRESSIONS = ("when", "of", "forEach", "value")
_LISTS = ("key", "by")
_TEXTS = ("id", "says", "why", "level", "from", "elsewhere", "hints")


def replaced(data: Any, path: Path, value: object) -> Any:
    """`data` with `value` at `path`; copies the way there and shares the rest."""
    if not path:
        return value
    copy = dict(data) if is_object(data) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)  # type: ignore[index]
    return copy


def without(data: Data, name: str) -> Data:
    return {key: value for key, value in data.items() if key != name}


def expressions(rule: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The expressions of a rule with their paths in it; those of templates with their `=`."""
    if is_object(rule):
        for name, value in rule.items():
            if name in _EXPRESSIONS and isinstance(value, str):
                yield (*path, name), value
            elif name in _LISTS and is_array(value):
                yield from (((*path, name, number), text) for number, text in enumerate(value))
            elif name not in ("$copy", *_TEXTS):
                yield from expressions(value, (*path, name))
    elif is_array(rule):
        for number, value in enumerate(rule):
            yield from expressions(value, (*path, number))
    elif isinstance(rule, str) and rule.startswith("="):
        yield path, rule


def expression_changes(rule: str, path: Path, text: str) -> Iterator[Change]:
    """Every single change of an operator or operand, and `x` for `after.x`."""
    computed = "=" if text.startswith("=") else ""
    for what, tree in _variants(parse(text.removeprefix("="))):
        changed = text_of(tree)
        yield Change(rule, what, f"{text.removeprefix('=')} becomes {changed}", path, computed + changed)
    if "after." in text:
        yield Change(rule, "before", f"{text} becomes the row before", path, text.replace("after.", ""))


def _variants(tree: Expression) -> Iterator[tuple[str, Expression]]:
    if isinstance(tree, Binary):
        operator = tree.operator
        if operator in _OTHER:
            yield f"operator:{operator}→{_OTHER[operator]}", replace(tree, operator=_OTHER[operator])
        if operator in ("&&", "||"):
            yield f"without:{text_of(tree.right)}", tree.left
            if not isinstance(tree.left, Binary) or tree.left.operator != operator:
                yield f"without:{text_of(tree.left)}", tree.right
    elif isinstance(tree, Unary):
        yield f"operator:{tree.operator}→", tree.operand
    for number, child in enumerate(children(tree)):
        for what, changed in _variants(child):
            yield what, _with_child(tree, number, changed)


def _with_child(tree: Expression, number: int, changed: Expression) -> Expression:
    at = iter(range(number + 1 + len(children(tree))))
    return rebuilt(tree, lambda child: changed if next(at) == number else child)


def data_changes(rule: Data, path: Path) -> Iterator[Change]:
    """An effect dropped, or an entry of `set`, `unset`, `$copy` or of a stored row."""
    effects = rule.get("effects", [])
    for number, effect in enumerate(effects):
        kind = next(kind for kind in ("put", "update", "delete") if kind in effect)
        what = f"effect:{kind} {effect[kind]}"
        rest = [*effects[:number], *effects[number + 1 :]]
        yield Change(rule["id"], what, f"does not {kind} {effect[kind]}", (*path, "effects"), rest)
        here = (*path, "effects", number)
        for name in effect.get("unset", ()):
            left = [other for other in effect["unset"] if other != name]
            yield Change(rule["id"], f"unset:{name}", f"{name} is not unset", (*here, "unset"), left)
        for member in ("set", "row"):
            yield from _template_changes(rule["id"], member, effect.get(member), (*here, member))
    for member in ("returns", "yields"):
        for found, at in _templates(rule.get(member), (*path, member)):
            yield from _template_changes(rule["id"], member, found, at)
    conflict = rule.get("raises", {}).get("LogConflict")
    yield from _template_changes(rule["id"], "raises", conflict, (*path, "raises", "LogConflict"))


def _templates(value: object, path: Path) -> Iterator[tuple[Data, Path]]:
    if is_object(value):
        yield value, path
        for name, inner in value.items():
            if name != "$copy":
                yield from _templates(inner, (*path, name))


def _template_changes(rule: str, member: str, template: object, path: Path) -> Iterator[Change]:
    if not is_object(template):
        return
    for name, value in template.items():
        if name != "$copy":
            yield Change(rule, f"{member}:{name}", f"{name} is left out", path, without(template, name))
            continue
        for giver, fields in value.items():
            for field in fields:
                left = [other for other in fields if other != field]
                at = (*path, "$copy", giver)
                yield Change(rule, f"{member}:{field}", f"{field} is not taken over from {giver}", at, left)


def answer_changes(rule: Data, path: Path, siblings: list[Data]) -> Iterator[Change]:
    """The `kind` of the answer is that of another rule of the operation."""
    kinds = [kind for sibling in siblings if (kind := _kind(sibling)) is not None]
    own = _kind(rule)
    if own is not None:
        for kind in dict.fromkeys(kinds):
            if kind != own:
                says = f"answers {kind} instead of {own}"
                yield Change(rule["id"], f"kind:{kind}", says, (*path, "returns", "kind"), kind)


def _kind(rule: Data) -> str | None:
    answer = rule.get("returns")
    kind = answer.get("kind") if is_object(answer) else None
    return kind if isinstance(kind, str) else None


def each_changes(kind: str, rule: Data, path: Path, each: Data) -> Iterator[Change]:
    """A sort key dropped or turned round, or a cut dropped."""
    if kind in ("skip", "limit"):
        yield Change(rule["id"], "dropped", f"the {kind} is dropped", path[:-1], without(each, kind))
        return
    keys = rule["by"]
    for number, key in enumerate(keys):
        rest = [*keys[:number], *keys[number + 1 :]]
        yield Change(rule["id"], f"by:{key}", f"{key} is no sort key", (*path, "by"), rest)
        turned = key.removeprefix("-") if key.startswith("-") else f"-{key}"
        if not key.startswith("-"):  # a leading minus is mutated as an operator already
            yield Change(
                rule["id"], f"reversed:{key}", f"{key} is sorted the other way round", (*path, "by", number), turned
            )
