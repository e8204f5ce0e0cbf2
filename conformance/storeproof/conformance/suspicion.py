"""Which of several rules is the likeliest to be broken, told by the recorded programs that fail and those that do not.

Where a claim does not find what was stored, one program cannot say which of the two is wrong. Many can: the rule that
is in the failing ones and in few of the others (the measure of Ochiai, as in spectrum-based fault localisation).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from weakref import WeakKeyDictionary

from storeproof.conformance.closing import plain_reading
from storeproof.conformance.runner import Runner
from storeproof.conformance.vectors import recorded_programs

_SPECTRA: WeakKeyDictionary[Runner, list[tuple[frozenset[str], bool]]] = WeakKeyDictionary()
"""Per runner, of every recorded program: the rules that it exercised and the one that failed, and whether one did."""


def by_suspicion(runner: Runner, rules: Iterable[str]) -> tuple[str, ...]:
    """The rules without repetition, the most suspicious first; of equal ones the one that was right least often."""
    if runner not in _SPECTRA:
        _SPECTRA[runner] = [_spectrum(runner, index) for index in range(len(recorded_programs()))]
    spectrum = _SPECTRA[runner]
    failures = sum(failed for _, failed in spectrum)

    def trust(rule: str) -> tuple[float, int]:
        inside = [failed for exercised, failed in spectrum if rule in exercised]
        suspicion = sum(inside) / sqrt(failures * len(inside)) if failures and inside else 0.0
        return -suspicion, len(inside) - sum(inside)

    return tuple(sorted(dict.fromkeys(rules), key=trust))


def _spectrum(runner: Runner, index: int) -> tuple[frozenset[str], bool]:
    _, program = recorded_programs()[index]
    run = runner.run(program, plain_reading)
    found = run.mismatch
    rules = found.expected.rules if found else ()
    return frozenset({*run.exercised, *rules}), found is not None
