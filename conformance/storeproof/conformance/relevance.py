"""Which recorded programs concern the rules that were asked for, told by the model alone: a part of a run is fast."""

from __future__ import annotations

from collections.abc import Set

from storeproof.conformance.programs import REOPEN, Program
from storeproof.conformance.runner import expected_step
from storeproof.reference.model import Model

EVERY_ANSWER = frozenset({"answers.taxonomy", "answers.schema", "answers.extra-fields"})
"""Promises that every answer of every program exercises."""
BY_SEQUENCES = EVERY_ANSWER | {"retry.converges"}
"""Promises that are about no operation and that generated programs exercise."""


def concerns(model: Model, program: Program, selected: Set[str] | None) -> bool:
    """Whether the program exercises one of the rules, not counting the steps that read its state; None: all rules."""
    return selected is None or not selected.isdisjoint(EVERY_ANSWER | _rules(model, program))


def _rules(model: Model, program: Program) -> frozenset[str]:
    state = model.initial()
    found: set[str] = set()
    refusing = any(call.refused for call in program)
    for call in program:
        if call.operation != REOPEN:
            step = expected_step(model, state, call)
            if call.refused or not refusing:  # around refused calls there are only a setup and reading it
                found.update(step.rules)
            state = step.state
    return frozenset(found)
