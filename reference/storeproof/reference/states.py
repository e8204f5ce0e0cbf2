"""Visits every reachable state of small instances and checks the model's invariants on each.

    python -m storeproof.reference.states [instance …]

An instance is a handful of calls; all their sequences are covered, because the search goes on until no call leads to a
new state. A broken invariant is shown with the shortest program that leads to it. Knows no operation: what is called
is said by `instances`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter

from storeproof.reference.coverage import Coverage
from storeproof.reference.instances import INSTANCES
from storeproof.reference.model import Model, State
from storeproof.reference.tables import freeze
from storeproof.reference.workload import Call
from storeproof.spec.loader import load


@dataclass(frozen=True, slots=True)
class Exploration:
    """`broken` holds the invariants that fail somewhere; `program` is the shortest way to the first such state."""

    states: int
    transitions: int
    broken: tuple[str, ...]
    program: tuple[Call, ...]
    coverage: Coverage


def explore(model: Model, calls: Sequence[Call]) -> Exploration:
    """All states reachable by `calls`, breadth first; ends at the first broken invariant."""
    start = model.initial()
    came_from: dict[Hashable, tuple[Hashable, Call] | None] = {freeze(start): None}
    coverage = Coverage(model.specification)
    level: list[tuple[Hashable, State]] = [(freeze(start), start)]
    transitions = 0
    while level:
        following: list[tuple[Hashable, State]] = []
        for frozen, state in level:
            if broken := model.broken_invariants(state):
                return Exploration(len(came_from), transitions, tuple(broken), _way(came_from, frozen), coverage)
            for call in calls:
                step = model.step(state, *call)
                transitions += 1
                coverage.add(step)
                if step.state is state:
                    continue
                reached = freeze(step.state)
                if reached not in came_from:
                    came_from[reached] = (frozen, call)
                    following.append((reached, step.state))
        level = following
    return Exploration(len(came_from), transitions, (), (), coverage)


def _way(came_from: dict[Hashable, tuple[Hashable, Call] | None], to: Hashable) -> tuple[Call, ...]:
    program: list[Call] = []
    while (step := came_from[to]) is not None:
        to, call = step
        program.append(call)
    return tuple(reversed(program))


def main(arguments: Sequence[str]) -> int:
    model = Model(load())
    unknown = [name for name in arguments if name not in INSTANCES]
    if unknown:
        print(f"no instance {', '.join(unknown)}; there are {', '.join(INSTANCES)}")
        return 2
    failed = False
    for name in arguments or INSTANCES:
        begin = perf_counter()
        found = explore(model, INSTANCES[name])
        print(f"{name}: {found.states:,} states, {found.transitions:,} transitions, {perf_counter() - begin:.1f} s")
        if found.broken:
            failed = True
            print(f"  broken: {', '.join(found.broken)}, after")
            for operation, args in found.program:
                print(f"    {operation} {json.dumps(args)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
