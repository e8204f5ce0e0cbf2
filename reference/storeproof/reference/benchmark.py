"""Prints how many steps a second the model makes: `python -m storeproof.reference.benchmark [seed]`.

The workload is mixed and made beforehand; only `Model.step` is measured. No test looks at times.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter

from storeproof.reference.model import Model, State
from storeproof.reference.tables import freeze
from storeproof.reference.workload import workload
from storeproof.spec.loader import load

_STEPS = 50_000
_EACH = 500
"""Steps from one empty store; then the next begins, so that logs stay as short as in a test."""


def main(arguments: Sequence[str]) -> int:
    seed = int(arguments[0]) if arguments else 0
    model = Model(load())
    programs = [list(workload(seed + number, _EACH)) for number in range(_STEPS // _EACH)]
    for name, args in programs[0]:
        model.step(model.initial(), name, args)  # compiles every operation outside the measurement
    states: list[State] = []
    begin = perf_counter()
    for program in programs:
        state = model.initial()
        for name, args in program:
            state = model.step(state, name, args).state
            states.append(state)
    seconds = perf_counter() - begin
    print(f"{_STEPS / seconds:,.0f} steps/s ({_STEPS:,} steps, seed {seed})")
    begin = perf_counter()
    for state in states:
        hash(freeze(state))
    print(f"{len(states) / (perf_counter() - begin):,.0f} states frozen/s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
