"""`storeproof vectors`: the recorded vectors on one target, and what is wrong told by file and line.

The same runner and the same judgement as `verify`, so that both find the same; nothing is made small here, because a
vector is what an author in another language has before them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.conformance.failuretext import around_the_difference
from storeproof.conformance.judgement import Judgement
from storeproof.conformance.portable import portable
from storeproof.conformance.progress import RunProgress
from storeproof.conformance.runner import Mismatch, Runner, expected_step
from storeproof.conformance.session import MOST_HANGING
from storeproof.conformance.targets import resolve
from storeproof.conformance.terminal import say
from storeproof.conformance.vectors import every_recorded_program
from storeproof.reference.model import Model, Outcome, Raised
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification

HEADER_LINES = 1
"""Before the calls of a vector; lines are counted from 1."""
MOST_TOLD = 12
"""Failing vectors told at length; the others are named."""
SHOWN = 600
"""Characters of a value, around the first difference."""


@dataclass(slots=True)
class Found:
    """What the vectors showed of one target."""

    passed: list[str] = field(default_factory=list[str])
    """The names of the vectors in which every answer was right."""
    failed: dict[str, Mismatch] = field(default_factory=dict[str, Mismatch])
    """By name, the first wrong answer."""
    tolerated: dict[str, Judgement] = field(default_factory=dict[str, Judgement])
    """By name, an answer that breaks a SHOULD rule only, and after which the vector went on."""
    exercised: Counter[str] = field(default_factory=Counter[str])
    error: str | None = None
    """Why the vectors did not all run, where they did not."""


def run_vectors(target: str | None, limit_s: float, output: Console, messages: Console) -> int:
    """Runs them all and prints what was found; the exit code, 3 over 1 over 0, but what failed stays failed.

    Raises UsageError and HarnessError while nothing has run yet.
    """
    if target is None:
        raise UsageError("name a target, or --list the vectors")
    specification = load()
    runner = Runner(resolve(target, specification, limit_s), Model(specification))
    with RunProgress(messages, runner.target.name) as progress:
        found = _run(runner, progress)
    for number, (name, mismatch) in enumerate(found.failed.items()):
        _tell(output, specification, name, mismatch, whole=number < MOST_TOLD)
    for name, judgement in found.tolerated.items():
        say(output, f"{name}.ndjson: {', '.join(judgement.rules)} (SHOULD): {judgement.message}", "yellow")
    output.print(_table(found))
    return verdict(output, specification, runner.target.name, found)


def list_vectors(output: Console) -> int:
    """Every vector with its length and the rules it is decided by."""
    model = Model(load())
    for name, program in every_recorded_program():
        state, rules = model.initial(), dict[str, None]()
        for call in program:
            step = expected_step(model, state, call)
            state, rules = step.state, rules | dict.fromkeys(step.rules)
        say(output, f"{name}.ndjson  {len(program)} calls", "bold")
        say(output, f"  {' '.join(rules)}")
    return 0


def _run(runner: Runner, progress: RunProgress) -> Found:
    found = Found()
    vectors = every_recorded_program()
    hung = 0
    try:
        runner.open()
        for number, (name, program) in enumerate(vectors, 1):
            if hung == MOST_HANGING:
                raise HarnessError(f"{hung} vectors ended in a call that hung; the other vectors were not run")
            run = runner.run(program, None)
            found.exercised += run.exercised
            if run.tolerated:
                found.tolerated[name] = run.tolerated[0]
            if run.mismatch is None:
                found.passed.append(name)
            else:
                found.failed[name] = run.mismatch
                hung += isinstance(run.mismatch.actual, Raised) and run.mismatch.actual.name == "NoAnswer"
            progress.advance("vectors", number, len(vectors))
    except HarnessError as error:
        found.error = str(error)
    try:
        runner.close()
    except HarnessError as error:
        found.error = found.error or str(error)
    return found


def _tell(output: Console, specification: Specification, name: str, mismatch: Mismatch, *, whole: bool) -> None:
    line = mismatch.index + 1 + HEADER_LINES
    say(output, f"{name}.ndjson, line {line}: {mismatch.call.operation}", "bold red")
    if not whole:
        return
    for rule in mismatch.judgement.rules[:3]:
        known = specification.rules.get(rule)
        say(output, f"  broke      {rule}{f' ({known.level}): {known.says}' if known else ''}")
    expected, actual = around_the_difference(_shown(mismatch.expected.outcome), _shown(mismatch.actual), SHOWN)
    arguments = json.dumps(portable(mismatch.call.args), ensure_ascii=False)
    for label, text in (
        ("rules", ", ".join(mismatch.expected.rules) or "none: no row was there"),
        ("arguments", arguments if len(arguments) <= SHOWN else f"{arguments[:SHOWN]}…"),
        ("expected", expected),
        ("actual", actual),
        ("wrong", mismatch.judgement.message[:SHOWN]),
    ):
        say(output, f"  {label:<10} {text}")
    output.print()


def _shown(outcome: Outcome) -> str:
    """An outcome as a vector says it."""
    if isinstance(outcome, Raised):
        return json.dumps({"error": {"name": outcome.name, "data": portable(outcome.data)}}, ensure_ascii=False)
    return json.dumps({"result": portable(outcome.value)}, ensure_ascii=False, default=repr)


def _table(found: Found) -> Table:
    """One row per operation: vectors run, and those in which all was right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("vectors of", "run", "passed"):
        table.add_column(column, no_wrap=True)
    names = [*found.passed, *found.failed]
    for operation in sorted({name.rpartition("-")[0] for name in names}):
        run = [name for name in names if name.rpartition("-")[0] == operation]
        passed = sum(name in found.passed for name in run)
        table.add_row(operation, str(len(run)), str(passed), style=None if passed == len(run) else "bold red")
    return table


def verdict(output: Console, specification: Specification, target: str, found: Found) -> int:
    """Says how it went and answers the exit code, as `verify` has it: a MUST that is broken decides, and rules that no
    call reached, because a vector ended early, are no pass.
    """
    broken = {rule for mismatch in found.failed.values() for rule in mismatch.judgement.rules}
    must = any(rule not in specification.rules or specification.rules[rule].level == "MUST" for rule in broken)
    unreached = sorted(_recorded_rules(specification) - found.exercised.keys() - broken)
    run = len(found.passed) + len(found.failed)
    said = f"{target}  {len(found.passed)} of {run} vectors passed, {len(found.exercised)} rules exercised"
    good = not must and not unreached and found.error is None
    output.print()
    say(output, said, "bold green" if good else "bold red")
    if found.error is not None:
        say(output, f"  cannot tell: {found.error}", "yellow")
    elif unreached:
        more = f" and {len(unreached) - MOST_TOLD} more" if len(unreached) > MOST_TOLD else ""
        say(output, f"  never exercised: {', '.join(unreached[:MOST_TOLD])}{more}")
    return 1 if must else 3 if found.error is not None else 1 if unreached else 0


def _recorded_rules(specification: Specification) -> set[str]:
    """What the vectors are there to exercise: every executable rule, and the refusals of every operation."""
    refusals = {f"{name}.arguments" for name, operation in specification.operations.items() if operation.executable}
    executable = {rule.id for rule in specification.rules.values() if rule.kind != "promise"}
    return executable | refusals | {"arguments.unkeepable"}
