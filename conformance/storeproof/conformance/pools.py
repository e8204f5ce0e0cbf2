"""The few ids and values that one drawn program uses, so that ids collide and values that careless stores alter meet.

Knows no schema and no state; what the pools are drawn for is in `generation`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

from storeproof.conformance.choices import Choices
from storeproof.spec.values import MAX_INTEGER

IDS = ("a", "b", "a:b", "b:a", "A", "a b", "approval:a", "signal:a", "ab", "\U0001f600", "\ue000")
"""Prefixes of each other, joined by `:`, differing in case, on both sides of where UTF-16 and code points disagree."""

VALUES: tuple[Any, ...] = (
    None, 0, "", "x", True, "123", "null", "true", '{"a":1}', {}, [], [None], {"a": None}, {"a": {"b": [1, "1", None]}},
    1.5, -0.0, MAX_INTEGER, -MAX_INTEGER, "\U0001f600%s'\\\"", 1e308, False,
)  # fmt: skip
OBJECTS: tuple[dict[str, Any], ...] = ({}, {"k": 1}, {"k": None, "": "null"}, {"k": {"k": [True]}})
TEXTS = ("", "1", "v2", "null", "it's \U0001f600 100%")
PLAIN_IDS, PLAIN_VALUES = ("a", "b"), ("x", "y")
"""What no store confuses or alters."""


@dataclass(frozen=True, slots=True)
class Pools:
    """The few ids one program uses."""

    runs: tuple[str, ...]
    workflows: tuple[str, ...]
    schedules: tuple[str, ...]
    deliveries: tuple[str, ...]
    owners: tuple[str, ...]
    names: tuple[str, ...] = ("go", "__timer", "stop")
    steps: tuple[str, ...] = ("s", "t")
    ids: tuple[str, ...] = IDS
    values: tuple[Any, ...] = VALUES
    objects: tuple[dict[str, Any], ...] = OBJECTS
    texts: tuple[str, ...] = TEXTS

    def only(self, number: int) -> Pools:
        """The pools with the run and the schedule of this number alone; a timer may have any id."""
        runs, schedules = self.runs, self.schedules
        return replace(self, runs=(runs[number % len(runs)],), schedules=(schedules[number % len(schedules)],))


def draw_pools(choices: Choices, avoided: Set[str] = frozenset()) -> Pools:
    """Two or three ids a kind: the plain ones first, so that a minimal program is easy to read.

    Where a promise about ids or about values is avoided they are plain, and nothing puts it to the test.
    """
    plain_ids, plain_values = (any(rule.startswith(kind) for rule in avoided) for kind in ("ids.", "values."))

    def some() -> tuple[str, ...]:
        if plain_ids:
            return PLAIN_IDS
        plain = choices.chance(50)
        first = choices.among(("a", "b") if plain else IDS)
        others = [choices.among(("b", "a:b") if plain else IDS) for _ in range(2)]
        return tuple(dict.fromkeys((first, *others)))

    workflows = (("w",),) if plain_ids else (("w",), ("a", "a:b"))
    pools = Pools(some(), choices.among(workflows), some(), some(), ("A", "B", "a"))
    if plain_ids:
        pools = replace(pools, ids=PLAIN_IDS)
    if plain_values:
        pools = replace(pools, values=PLAIN_VALUES, objects=({"k": "x"},), texts=PLAIN_VALUES)
    return pools
