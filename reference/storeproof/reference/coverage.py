"""Which rules of the specification a number of steps has exercised, and which it never has.

Counts what `Step.rules` and `Step.rows` say; promises are not the model's to exercise. Knows nothing of how the steps
came about.
"""

from __future__ import annotations

from collections import Counter

from storeproof.reference.model import Step
from storeproof.spec.specification import Rule, Specification


class Coverage:
    """`steps` counts, by rule id, the steps that exercised the rule; `rows` the rows about which it decided."""

    def __init__(self, specification: Specification) -> None:
        self._rules = [rule for rule in specification.rules.values() if rule.kind != "promise"]
        self.steps: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    def add(self, step: Step) -> None:
        self.steps.update(step.rules)
        self.rows.update(rule for _, rule in step.rows)

    def exercised(self) -> list[Rule]:
        return [rule for rule in self._rules if self.steps[rule.id]]

    def never(self) -> list[Rule]:
        """The rules no step has exercised, in the order of the specification."""
        return [rule for rule in self._rules if not self.steps[rule.id]]

    def table(self) -> str:
        """A line per rule: how many steps, how many rows, and the id; the never exercised last."""
        done = [
            f"{self.steps[rule.id]:>8} {self.rows[rule.id] or '':>8}  {rule.id}"
            for rule in sorted(self.exercised(), key=lambda rule: -self.steps[rule.id])
        ]
        return "\n".join(["   steps     rows  rule", *done, *(f"   never           {r.id}" for r in self.never())])
