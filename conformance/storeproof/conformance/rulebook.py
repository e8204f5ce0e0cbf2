"""`storeproof rules`: the list of all rules, and everything the specification says about one."""

from __future__ import annotations

import difflib
import json

from rich.console import Console
from storeproof.conformance.failures import UsageError
from storeproof.conformance.terminal import CROSS_CUTTING, say
from storeproof.spec.specification import Rule, Specification, rule_data

_CHECKS = {
    None: "vectors, sequences, and every other check whose programs reach it",
    "nothing": "nothing: no call shows it",
    "sequences": "every answer of every check",
}


def print_rules(console: Console, specification: Specification, name: str | None) -> None:
    """All rules, those whose ids begin with `name`, or the one of that name; raises UsageError where there is none."""
    if name is not None and name in specification.rules:
        _print_one(console, specification, specification.rules[name])
        return
    found = [rule for rule in specification.rules.values() if rule.id.startswith(name or "")]
    if not found:
        raise UsageError(f"no rule {name!r}{_near(specification, name or '')}; `storeproof rules` lists them all")
    group = None
    for rule in sorted(found, key=lambda rule: rule.operation is None):
        if group != (rule.operation or CROSS_CUTTING):
            group = rule.operation or CROSS_CUTTING
            operation = specification.operations.get(group)
            say(console, f"{group}: {operation.says}" if operation else group, "bold")
        say(console, f"  {rule.id}  {rule.level}")
        say(console, f"      {rule.says}")


def _print_one(console: Console, specification: Specification, rule: Rule) -> None:
    say(console, rule.id, "bold")
    facts = {
        "says": rule.says,
        "why": rule.why,
        "level": rule.level + (f" ({rule.elsewhere} for stores of other packages)" if rule.elsewhere else ""),
        "from": f"the contract, {rule.source}",
        "kind": rule.kind,
        "checked by": _CHECKS.get(rule.checked_by, f"the check {rule.checked_by}"),
    }
    if rule.because:
        facts["because"] = rule.because
    if rule.capability:
        facts["only if"] = f"the store is {rule.capability}"
    if rule.operation:
        facts["order"] = _position(specification, rule)
    for label, text in facts.items():
        say(console, f"  {label:<11} {text}")
    data = _data(specification, rule)
    if data:
        say(console, f"\n  as data ({rule.operation}):")
        for line in json.dumps(data, indent=2, ensure_ascii=False).split("\n"):
            say(console, f"  {line}")


def _position(specification: Specification, rule: Rule) -> str:
    operation = specification.operations[rule.operation or ""]
    number = [other.id for other in operation.rules].index(rule.id) + 1
    return (
        f"rule {number} of {len(operation.rules)} of {operation.name}; of the deciding ones the first that fits decides"
    )


def _data(specification: Specification, rule: Rule) -> dict[str, object]:
    """Guard, effects and result as they stand in the model, without what is printed above."""
    if rule.operation is None:
        return {}
    for _kind, raw in rule_data(specification.operations[rule.operation].data):
        if raw["id"] == rule.id:
            told = {"id", "says", "why", "level", "from", "elsewhere", "checkedBy", "because", "capability"}
            return {key: value for key, value in raw.items() if key not in told}
    return {}


def _near(specification: Specification, name: str) -> str:
    names = [*specification.rules, *specification.operations]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; near it: {', '.join(near)}" if near else ""
