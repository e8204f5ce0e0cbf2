"""Makes the recorded vectors: small programs that exercise every rule of the model and tell every mutant from it.

A reader in another language has only the recorded answers, so the steps that read the state in the end are part of a
program here, and what a program tells apart is told by its own answers. Deterministic: fixed seeds, fixed order. Knows
nothing of files and of stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from storeproof.conformance.choices import RandomChoices
from storeproof.conformance.clock import movable
from storeproof.conformance.closing import closing_steps
from storeproof.conformance.crowds import crowd_programs
from storeproof.conformance.generation import draw_program, weighted_operations
from storeproof.conformance.minimise import minimised
from storeproof.conformance.mutated import OneOperation, Stepping, mutated_model, outcomes, told_apart
from storeproof.conformance.programs import Program
from storeproof.conformance.refusals import crossing_programs
from storeproof.reference.model import Model
from storeproof.reference.mutants import Mutant

SEEDS = 500
"""Programs drawn for one goal before it is given up."""
LENGTHS = (4, 8, 12, 20)
SHRINK_TRIES = 4_000
LONGEST = 48
"""Steps of one vector; a longer one would be hard to follow."""

Reaches: TypeAlias = Callable[[Program], bool]


class GoalError(Exception):
    """A rule that no program exercises, or a mutant that no program tells from the model."""


@dataclass(slots=True)
class _Piece:
    operation: str
    program: Program
    rules: set[str]
    killed: dict[str, Stepping] = field(default_factory=dict[str, Stepping])


def made_vectors(model: Model, mutants: Iterable[Mutant]) -> dict[str, Program]:
    """{name: program}, the names by operation. `mutants` are the ones that can be told apart.

    Raises GoalError where a goal is not reached; a mutant that changes no answer belongs among the survivors.
    """
    alive = _goals(model, mutants)
    pieces: list[_Piece] = []
    covered: set[str] = set()

    def keep(operation: str, program: Program) -> None:
        right = outcomes(model, program)
        killed = {name: goal.wrong for name, goal in alive.items() if told_apart(goal.wrong, program, right)}
        new = exercised(model, program) - covered
        covered.update(new)
        for name in killed:
            del alive[name]
        pieces.append(_Piece(operation, program, new, killed))

    for operation in model.specification.operations.values():
        for rule in operation.rules:
            if rule.kind != "promise" and rule.id not in covered:
                keep(operation.name, _reached(model, operation.name, rule.id, _exercises(model, rule.id)))
        for name in [name for name, goal in alive.items() if goal.operation == operation.name]:
            if name in alive:
                goal = alive[name]
                try:
                    keep(
                        operation.name,
                        _reached(model, operation.name, goal.rule, _tells_apart(model, goal.wrong), name),
                    )
                except GoalError:
                    if goal.must:
                        raise
                    del alive[name]  # a function wrong in one operation only need not show
    pieces = _merged(model, pieces)
    pieces += [_Piece(operation, program, set()) for operation, program in crowd_programs()]
    return _named(pieces)


@dataclass(frozen=True, slots=True)
class _Goal:
    operation: str
    rule: str | None
    wrong: Stepping
    must: bool


def _goals(model: Model, mutants: Iterable[Mutant]) -> dict[str, _Goal]:
    """Every mutant in its operation; a mutated function once in each operation that calls it, and as a whole in one."""
    goals: dict[str, _Goal] = {}
    for mutant in mutants:
        wrong = mutated_model(mutant)
        callers = sorted(_operations(model, mutant))
        if "." in mutant.rule:
            goals[mutant.id] = _Goal(callers[0], mutant.rule, wrong, True)
            continue
        for name in callers:
            goals[f"{mutant.id} in {name}"] = _Goal(name, None, OneOperation(model, wrong, name), False)
        goals[mutant.id] = _Goal(callers[-1], None, wrong, True)
    return goals


def exercised(model: Model, program: Program) -> set[str]:
    """The rules a program exercises on the model."""
    state = model.initial()
    rules: set[str] = set()
    for call in program:
        step = model.step(state, call.operation, call.args)
        state = step.state
        rules.update(step.rules)
    return rules


def _exercises(model: Model, rule: str) -> Reaches:
    return lambda program: rule in exercised(model, program)


def _tells_apart(model: Model, wrong: Stepping) -> Reaches:
    return lambda program: told_apart(wrong, program, outcomes(model, program))


def _operations(model: Model, mutant: Mutant) -> set[str]:
    """The operations a mutant's change can show in: its own, or those that call the function."""
    if "." in mutant.rule:
        return {mutant.rule.split(".")[0]}
    callers = {mutant.rule}
    for name, function in model.specification.functions.items():
        if mutant.rule in function.value:
            callers.add(name)
    operations = model.specification.operations.items()
    return {name for name, operation in operations if any(caller in repr(operation.data) for caller in callers)}


def _reached(model: Model, operation: str, rule: str | None, reaches: Reaches, goal: str | None = None) -> Program:
    wanted = frozenset({rule} if rule else ())
    crossing = crossing_programs(model.specification, operation)
    # The crossing ones begin with a setup of their own, so a drawn program that does as well is preferred.
    for program in chain(
        _drawn(model, operation, wanted, 0, 60), crossing, _drawn(model, operation, wanted, 60, SEEDS)
    ):
        state = model.initial()
        for call in program:
            state = model.step(state, call.operation, call.args).state
        whole = (*program, *closing_steps(model, state, program))
        if reaches(whole):
            return minimised(whole, model.specification, reaches, SHRINK_TRIES)
    raise GoalError(f"{SEEDS} programs around {operation} do not reach {goal or rule}")


def _drawn(model: Model, operation: str, wanted: frozenset[str], first: int, end: int) -> Iterator[Program]:
    weighted = weighted_operations(model.specification, operation)
    for seed in range(first, end):
        yield draw_program(RandomChoices(seed), model, weighted, LENGTHS[seed % len(LENGTHS)], wanted)


def _merged(model: Model, pieces: list[_Piece]) -> list[_Piece]:
    """Pieces of one operation joined, one after the other, as long as each still reaches what it is there for."""
    merged: list[_Piece] = []
    for piece in pieces:
        for other in _joinable(merged, piece):
            program = other.program + piece.program
            right = outcomes(model, program)
            if piece.rules <= exercised(model, program) and all(
                told_apart(wrong, program, right) for wrong in piece.killed.values()
            ):
                other.program = program
                other.rules |= piece.rules
                other.killed |= piece.killed
                break
        else:
            merged.append(piece)
    return merged


def _joinable(merged: list[_Piece], piece: _Piece) -> Iterator[_Piece]:
    """What cannot be moved in time stays apart, so that it does not keep the rest from being moved."""
    for other in merged:
        fits = len(other.program) + len(piece.program) <= LONGEST
        if other.operation == piece.operation and fits and movable(other.program) == movable(piece.program):
            yield other


def _named(pieces: list[_Piece]) -> dict[str, Program]:
    named: dict[str, Program] = {}
    for piece in pieces:
        number = sum(name.rpartition("-")[0] == piece.operation for name in named) + 1
        named[f"{piece.operation}-{number}"] = piece.program
    return named
