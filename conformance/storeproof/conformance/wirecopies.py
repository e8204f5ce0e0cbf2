"""Copies of a scenario side by side in one store: other ids and other times, so that none has to do with another.

A reset is dear where a database has to be emptied. One reset so serves many repetitions of a pair. Copy n lies n times
SPACING_MS later, and its runs and schedules end in `.n`. What claims over all rows of a store answer is told apart by
that: they see what is due, so copies are set up from the latest to the earliest, or read from the earliest to the
latest. Knows no check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from storeproof.conformance.clock import moved
from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Outcome, Returned
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Specification
from storeproof.spec.values import MAX_INTEGER

SPACING_MS = 1_000
"""All times of a scenario, and the ends of its leases, lie within so many milliseconds."""
OVER_ALL_ROWS = frozenset({"listRuns", "claimStaleRuns", "claimDueTimers", "claimDueScheduleBuckets"})


@dataclass(frozen=True, slots=True)
class Copy:
    """The scenario as copy `number` of it; `last` is a time at which everything in it is due, and nothing later."""

    number: int
    scenario: Scenario

    @property
    def last(self) -> int:
        return self.number * SPACING_MS + SPACING_MS - 10

    def own(self, operation: str, outcome: Outcome) -> Outcome:
        """An answer over all rows without those of other copies: of all of them for a list of runs, which has no
        time; for a claim of the earlier ones, which are over and due again. A row of a later one is wrong there.
        """
        if operation not in OVER_ALL_ROWS or not isinstance(outcome, Returned):
            return outcome
        rows: Any = outcome.value
        if not is_array(rows):
            return outcome
        return Returned([row for row in rows if not self._of_another(row, any_time=operation == "listRuns")])

    def _of_another(self, row: Any, *, any_time: bool) -> bool:
        number = _number_of(row)
        return number is not None and number != self.number and (any_time or number < self.number)


def copies(specification: Specification, scenario: Scenario, count: int) -> Iterator[Copy]:
    """So many copies, from the earliest to the latest."""
    for number in range(count):
        setup = _copied(specification, scenario.setup, number)
        clients = tuple(_copied(specification, client, number) for client in scenario.clients)
        yield Copy(number, Scenario(setup, clients))


def apart(scenario: Scenario) -> bool:
    """Whether the clients of copies may meet at the same time: none of their operations is over all rows."""
    return not any(call.operation in OVER_ALL_ROWS for call in scenario.meeting)


def _copied(specification: Specification, program: Program, number: int) -> Program:
    later = moved(specification, program, number * SPACING_MS)
    return tuple(Call(call.operation, _renamed(call.args, number)) for call in later)


def _renamed(args: Arguments, number: int) -> Arguments:
    found: Arguments = {}
    for name, value in args.items():
        if name == "state":
            found[name] = _renamed(value, number)
        elif name in ("runId", "scheduleId"):
            found[name] = f"{value}.{number}"
        elif name == "limit" and "leaseOwner" not in args:
            found[name] = MAX_INTEGER  # a list of runs: those of other copies must not push its own ones out
        else:
            found[name] = value
    return found


def _number_of(row: Any) -> int | None:
    """Which copy a row of an answer belongs to."""
    holder: Any = row.get("run", row) if is_object(row) else None
    if not is_object(holder):
        return None
    name = holder.get("scheduleId", holder.get("runId"))
    number = name.rpartition(".")[2] if isinstance(name, str) else ""
    return int(number) if number.isdecimal() and number.isascii() else None
