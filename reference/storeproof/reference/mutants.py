"""Models that are wrong in one place: what a test suite must be able to tell from the right one.

    for mutant in mutants(load().data):
        model = Model(Specification.from_data(mutant.data))

Each mutant's data share everything with the original but what was changed. Changes that the static checker refuses are
left out: nobody could ship them. Knows the notation, not the contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from storeproof.reference.mutations import (
    Change,
    Path,
    answer_changes,
    data_changes,
    each_changes,
    expression_changes,
    expressions,
    replaced,
)
from storeproof.spec.checker import check_operation
from storeproof.spec.errors import SpecificationError
from storeproof.spec.specification import Data, Specification


@dataclass(frozen=True, slots=True)
class Mutant:
    id: str
    """Stable as long as the rule stays as it is: `claimRun.claimed/unset:wakeAt`."""
    rule: str
    """The id of the changed rule, or the name of the changed function."""
    description: str
    data: Data


def mutants(data: Data) -> Iterator[Mutant]:
    """All mutants of the model `data` (as `Specification.data`), in a fixed order."""
    seen: Counter[str] = Counter()
    for change in _changes(data):
        changed = replaced(data, change.path, change.value)
        if changed == data or _refused(changed, change.path):
            continue
        name = f"{change.rule}/{change.what}"
        seen[name] += 1
        if seen[name] > 1:
            name += f"#{seen[name]}"
        yield Mutant(name, change.rule, change.says, changed)


def _changes(data: Data) -> Iterator[Change]:
    for name, function in data["functions"].items():
        yield from expression_changes(name, ("functions", name, "value"), function["value"])
    for name, operation in data["operations"].items():
        root: Path = ("operations", name)
        yield from _rule_list_changes(operation["rules"], (*root, "rules"))
        for number, rule in enumerate(operation["rules"]):
            path = (*root, "rules", number)
            yield from data_changes(rule, path)
            yield from answer_changes(rule, path, operation["rules"])
            yield from _expression_changes(rule, path)
        for kind, rule in operation.get("each", {}).items():
            if kind in ("order", "ties", "skip", "limit"):
                path = (*root, "each", kind)
                yield from each_changes(kind, rule, path, operation["each"])
                yield from _expression_changes(rule, path)


def _expression_changes(rule: Data, path: Path) -> Iterator[Change]:
    for place, text in expressions(rule):
        yield from expression_changes(rule["id"], (*path, *place), text)


def _rule_list_changes(rules: list[Data], path: Path) -> Iterator[Change]:
    for number, rule in enumerate(rules):
        rest = [*rules[:number], *rules[number + 1 :]]
        yield Change(rule["id"], "dropped", f"{rule['id']} is dropped", path, rest)
        if "when" in rule:
            negated = {**rule, "when": f"!({rule['when']})"}
            yield Change(rule["id"], "negated", "the guard is negated", (*path, number), negated)
    for number in range(len(rules) - 1):
        first, second = rules[number : number + 2]
        swapped = [*rules[:number], second, first, *rules[number + 2 :]]
        yield Change(first["id"], "swapped", f"{second['id']} is tried before {first['id']}", path, swapped)


def _refused(data: Data, path: Path) -> bool:
    specification = Specification.from_data(data)
    changed = [str(path[1])] if path[0] == "operations" else list(specification.operations)
    try:
        for name in changed:
            check_operation(specification, specification.operations[name])
    except SpecificationError:
        return True
    return False
