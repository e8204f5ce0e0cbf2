"""Makes the Python source of one operation from its rules.

The source is meant to be read (`print(Model(load()).source("claimRun"))`): one branch per rule, in their order. It
runs in the namespace of `model`. This module knows the notation (`spec/model/NOTATION.md`), not any operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from storeproof.spec.compiler import source, variable
from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Operation, Relation

_STEP = "    "


def operation_source(operation: Operation, relations: Mapping[str, Relation]) -> str:
    """A Python function `operation(state, args)` that answers a Step."""
    writer = _Writer(operation.data, relations)
    writer.line(0, f"def {operation.name}(state, args):")
    writer.finds(1, operation.data.get("find", {}))
    if "each" in operation.data:
        writer.each()
    else:
        writer.rules()
    return "\n".join(writer.lines) + "\n"


def template(value: object) -> str:
    """Python source that makes a new value of a template (or computes it, or is the constant it says)."""
    if isinstance(value, str):
        return source(parse(value[1:])) if value.startswith("=") else repr(value)
    if is_array(value):
        return "[" + ", ".join(template(item) for item in value) + "]"
    if is_object(value):
        return "{" + ", ".join(_entries(value)) + "}"
    return repr(value)


def _entries(value: Data) -> Iterator[str]:
    for name, item in value.items():
        if name == "$copy":
            for giver, fields in item.items():
                yield f"**_copy({source(parse(giver))}, {tuple(fields)!r})"
        elif name.endswith("?"):
            yield f"**_unless_null({name[:-1]!r}, {template(item)})"
        else:
            yield f"{name!r}: {template(item)}"


class _Writer:
    """Writes the body line by line; holds what the lines of one operation share."""

    def __init__(self, operation: Data, relations: Mapping[str, Relation]) -> None:
        self.lines: list[str] = []
        self.operation = operation
        self.relations = relations
        self.found: dict[str, Data] = dict(operation.get("find", {}))

    def line(self, depth: int, text: str) -> None:
        self.lines.append(_STEP * depth + text)

    def finds(self, depth: int, finds: Data) -> None:
        for name, find in finds.items():
            self.line(depth, f"{variable(name)} = {self._lookup('state', find)}")

    def rules(self) -> None:
        for rule in self.operation["rules"]:
            depth = 1
            self.line(depth, f"# {rule['id']}")
            if "when" in rule:
                self.line(depth, f"if {source(parse(rule['when']))}:")
                depth = 2
            self._answer(depth, rule)

    def each(self) -> None:
        each = self.operation["each"]
        early = [rule for rule in self.operation["rules"] if rule.keys() & {"returns", "raises"}]
        late = [rule for rule in self.operation["rules"] if rule not in early]
        relation = self.relations[each["in"]]
        row = variable(each["row"])
        self.found |= each.get("find", {})
        for rule in early:
            self.line(1, f"# {rule['id']}")
            self.line(1, f"if {source(parse(rule['when']))}:")
            self._answer(2, rule)
        self.line(1, "taken, passed = [], []")
        self.line(1, f"for {row} in {self._rows('state', each)}:")
        self.finds(2, each.get("find", {}))
        key = "(" + "".join(f"{row}[{part!r}], " for part in relation.key) + ")"
        names = ", ".join([row, *map(variable, each.get("find", {}))])
        orders = ", ".join(_tuple(each[part]["by"]) if part in each else "()" for part in ("order", "ties"))
        for number, rule in enumerate(late):
            depth = 2
            self.line(depth, f"# {rule['id']}")
            if "when" in rule:
                self.line(depth, f"if {source(parse(rule['when']))}:")
                depth = 3
            if "yields" in rule:
                self.line(depth, f"taken.append(({orders}, {key}, {rule['id']!r}, {number}, {names}))")
            else:
                self.line(depth, f"passed.append(({key}, {rule['id']!r}))")
            if "when" in rule:
                self.line(depth, "continue")
        self._carry_out(late, names)

    def _carry_out(self, late: list[Data], names: str) -> None:
        each = self.operation["each"]
        skip = source(parse(each["skip"]["of"])) if "skip" in each else "0"
        limit = source(parse(each["limit"]["of"])) if "limit" in each else "None"
        self.line(1, f"skip = {skip}")
        self.line(1, f"picked = _pick(taken, skip, {limit})")
        yielding = [(number, rule) for number, rule in enumerate(late) if "yields" in rule]
        loop = f"for _order, _ties, _key, _id, _rule, {names} in picked:"
        if any(rule.get("effects") for _, rule in yielding):
            self.line(1, "draft = Draft(state)")
            self.line(1, loop)
            for number, rule in yielding:
                if rule.get("effects"):
                    self.line(2, f"if _rule == {number}:")
                    self._effects(3, rule)
            self.line(1, "after = draft.tables")
        else:
            self.line(1, "after = state")
        self.line(1, "answer = []")
        self.line(1, loop)
        for number, rule in yielding:
            self.line(2, f"if _rule == {number}:")
            self._after(3, rule["yields"], "after")
            self.line(3, f"answer.append({template(rule['yields'])})")
        ids = ", ".join(
            repr(each[kind]["id"]) if kind in each else "None" for kind in ("order", "ties", "skip", "limit")
        )
        self.line(1, f"return _each_step(after, answer, taken, picked, passed, skip, {ids})")

    def _answer(self, depth: int, rule: Data) -> None:
        after = "state"
        if rule.get("effects"):
            self.line(depth, "draft = Draft(state)")
            self._effects(depth, rule)
            after = "after"
            self.line(depth, "after = draft.tables")
        if "raises" in rule:
            ((error, data),) = rule["raises"].items()
            outcome = f"Raised({error!r}, {template(data)})"
        else:
            self._after(depth, rule["returns"], after)
            outcome = f"Returned({template(rule['returns'])})"
        self.line(depth, f"return Step({after}, {outcome}, ({rule['id']!r},), ())")

    def _effects(self, depth: int, rule: Data) -> None:
        for effect in rule.get("effects", ()):
            if "put" in effect:
                self._put(depth, effect)
            elif "update" in effect:
                unset = tuple(effect.get("unset", ()))
                changes = template(effect.get("set", {}))
                self.line(depth, f"draft.update({effect['update']!r}, {_tuple(effect['key'])}, {unset!r}, {changes})")
            else:
                width = len(self.relations[effect["delete"]].key)
                self.line(depth, f"draft.delete({effect['delete']!r}, {_tuple(effect['key'])}, {width})")

    def _put(self, depth: int, effect: Data) -> None:
        if "forEach" in effect:
            element = variable(effect["as"])
            items = source(parse(effect["forEach"]))
            if "index" in effect:
                element, items = f"{variable(effect['index'])}, {element}", f"enumerate({items})"
            self.line(depth, f"for {element} in {items}:")
            depth += 1
        relation = effect["put"]
        self.line(depth, f"row_ = {template(effect['row'])}")
        key = "(" + "".join(f"row_[{part!r}], " for part in self.relations[relation].key) + ")"
        self.line(depth, f"draft.put({relation!r}, {key}, row_)")

    def _after(self, depth: int, answer: object, state: str) -> None:
        """Looks up `after.x` for every x that the template reads so."""
        names = sorted({name for name in (*self.found, self._row()) if name and f"after.{name}" in str(answer)})
        if names:
            pairs = ", ".join(f"{name!r}: {self._lookup(state, self._find(name))}" for name in names)
            self.line(depth, f"after_ = {{{pairs}}}")

    def _row(self) -> str:
        row: str = self.operation.get("each", {}).get("row", "")
        return row

    def _find(self, name: str) -> Data:
        if name in self.found:
            return self.found[name]
        each = self.operation["each"]
        return {"in": each["in"], "key": [f"{name}.{part}" for part in self.relations[each["in"]].key]}

    def _lookup(self, state: str, find: Data) -> str:
        if "all" in find:
            return self._rows(state, {"in": find["all"], "key": find["key"]}, ordered=True)
        return f"_get({state}[{find['in']!r}], {_tuple(find['key'])})"

    def _rows(self, state: str, each: Data, ordered: bool = False) -> str:
        relation = self.relations[each["in"]]
        table, key = f"{state}[{relation.name!r}]", _tuple(each.get("key", []))
        if ordered:
            return f"_sorted_rows({table}, {key}, {relation.key!r})"
        return f"_rows({table}, {key}, {len(relation.key)})"


def _tuple(expressions: list[str]) -> str:
    return "(" + "".join(f"{source(parse(text))}, " for text in expressions) + ")"
