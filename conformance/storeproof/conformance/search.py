"""The search for an order of operations that the model can follow, through one part of a history.

Wing and Gong (1993): of the operations that no other's answer precedes, place one that the model accepts, go on, and go
back where nothing fits. With the memo of Lowe (2017): never go on twice from the same set of placed operations and the
same state. An operation without an answer may be placed at any time after its call, or never; where it is known to be
over (its client is dead, and the store has noticed), not after calls that were made later than that.

Iterative, because a history may be longer than Python's stack is deep. Knows nothing of verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import inf
from typing import NamedTuple

from storeproof.conformance.footprints import footprint
from storeproof.conformance.histories import History
from storeproof.conformance.omissions import NOTHING, Ledger, Omissions
from storeproof.conformance.picks import Omission, omission_rule, takes_rows
from storeproof.conformance.relation import Successor, exhaustive, indeterminate, successors
from storeproof.reference.model import Model, State
from storeproof.reference.tables import freeze


class Path(NamedTuple):
    """A configuration of the search and the way there: from `before` by placing the operation `latest`."""

    done: int
    """A bit for each placed operation."""
    first: int
    """No operation with an answer before this position is left to place."""
    placed: int
    """How many operations with an answer are placed."""
    frontier: int
    """The latest call among what is placed: whatever was over before it comes no more."""
    state: State
    ledger: Ledger
    before: Path | None
    latest: int
    rules: tuple[str, ...]


class OverBudget(Exception):
    """More configurations than the budget allows."""


class Course:
    """What the searches through the parts of one history share. Lists are by index into the history."""

    def __init__(self, model: Model, history: History, budget: int) -> None:
        specification = model.specification
        self.model = model
        self.history = history
        self.budget = budget
        self.visited = 0
        self.unsure = [indeterminate(operation) for operation in history]
        self.returned = [
            inf if operation.returned is None or (unsure and operation.outcome is not None) else operation.returned
            for operation, unsure in zip(history, self.unsure, strict=True)
        ]
        self.footprints = [footprint(specification, operation.call) for operation in history]
        self.excusing = [
            unsure or not takes_rows(specification, operation.call)
            for operation, unsure in zip(history, self.unsure, strict=True)
        ]
        self.claims = [omission_rule(specification, operation.call.operation) is not None for operation in history]

    def successors(self, state: State, index: int) -> list[Successor]:
        """Where the operation may lead from a state; nowhere where its answer does not fit."""
        operation = self.history[index]
        return successors(self.model, state, operation.call, None if self.unsure[index] else operation.outcome)

    def overlap(self, one: int, other: int) -> bool:
        """Whether neither was answered before the other was called."""
        history, returned = self.history, self.returned
        return one != other and history[one].invoked < returned[other] and history[other].invoked < returned[one]


class Search:
    """The search through the operations `members`. Once it is over, `longest` is how far it got.

    `refused` is how far it could have got but for a claim that nobody excuses.
    """

    def __init__(self, course: Course, initial: State, members: Sequence[int]) -> None:
        self._course = course
        self._history = course.history
        self._answered = [index for index in members if not course.unsure[index]]
        self._unsure = [index for index in members if course.unsure[index]]
        overlapping = {
            claim: [other for other in members if course.overlap(claim, other)]
            for claim in members
            if course.claims[claim]
        }
        self._omissions = Omissions(course.footprints, overlapping, course.excusing) if overlapping else None
        self.longest = Path(0, 0, 0, -1, initial, NOTHING, None, -1, ())
        self.refused = self.longest
        self.complete = True
        """Whether every state that an operation without an answer may lead to was tried."""

    def ends(self) -> Iterator[Path]:
        """Every configuration in which all operations that have an answer are placed. Raises OverBudget."""
        course, wanted = self._course, len(self._answered)
        root = self.longest
        seen = {_key(root)}
        stack = [(root, self._moves(root))]
        if not wanted:
            yield root
        while stack:
            path, moves = stack[-1]
            move = next(moves, None)
            if move is None:
                stack.pop()
                continue
            following = self._placed(path, *move)
            if following is None or (key := _key(following)) in seen:
                continue
            if course.visited >= course.budget:
                raise OverBudget
            course.visited += 1
            seen.add(key)
            if following.placed > self.longest.placed:
                self.longest = following
            stack.append((following, self._moves(following)))
            if following.placed == wanted:
                yield following

    def following(self, path: Path) -> tuple[list[int], float]:
        """The operations with an answer that may come next, and the first answer among all that are to come."""
        earliest, found = inf, list[int]()
        for index in islice(self._answered, path.first, None):
            if path.done >> index & 1:
                continue
            if self._history[index].invoked > earliest:
                break  # by invocation: nothing further on was called before that answer either
            found.append(index)
            earliest = min(earliest, self._course.returned[index])
        return found, earliest

    def unexcused(self, path: Path) -> list[tuple[int, Omission]]:
        """What claims on a path left out and nobody to come can have written."""
        return self._omissions.hopeless(path.ledger, path.done) if self._omissions and path.ledger.owed else []

    def _moves(self, path: Path) -> Iterator[tuple[int, Successor]]:
        course, state = self._course, path.state
        found, earliest = self.following(path)
        owing: list[tuple[int, Successor]] = []
        for index in found:
            for successor in course.successors(state, index):
                if successor.omitted:
                    owing.append((index, successor))  # mostly it only stands in the wrong place, and fits later
                else:
                    yield index, successor
        yield from owing
        before = freeze(state)
        for index in self._unsure:
            if self._history[index].invoked > earliest:
                return
            if path.done >> index & 1 or course.returned[index] < path.frontier:
                continue
            if not exhaustive(course.model, state, self._history[index].call):
                self.complete = False
            for successor in course.successors(state, index):
                # Where nothing changes it need not be placed: never having taken effect looks the same.
                if freeze(successor.state) != before:
                    yield index, successor

    def _placed(self, path: Path, index: int, successor: Successor) -> Path | None:
        """The path with `index` at its end; None where a claim cannot be excused any more."""
        done, ledger, first = path.done | 1 << index, path.ledger, path.first
        if self._omissions is not None:
            ledger = self._omissions.settled(ledger, path.done, index, successor)
        while first < len(self._answered) and done >> self._answered[first] & 1:
            first += 1
        placed = path.placed + (not self._course.unsure[index])
        frontier = max(path.frontier, self._history[index].invoked)
        following = Path(done, first, placed, frontier, successor.state, ledger, path, index, successor.rules)
        if not self.unexcused(following):
            return following
        if placed > self.refused.placed:
            self.refused = following
        return None


def _key(path: Path) -> tuple[object, ...]:
    return (path.done, freeze(path.state), path.ledger)
