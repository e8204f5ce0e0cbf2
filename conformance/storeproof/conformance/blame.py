"""Says which rules a failing program breaks: the answer may be wrong, or the state may have been wrong before it.

From outside, a timer that a claim does not find was either not stored or not found. Reading the whole state after each
prefix of the (minimal) program tells the two apart where the data can be read in more than one way: if several kinds of
reads disagree with the model, the write before them is to blame; if one read disagrees and others show the same data
rightly, it is that read. Where nothing can tell, both rules are named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storeproof.conformance.closing import closing_steps, plain_reading, run_readings
from storeproof.conformance.generation import relations_of
from storeproof.conformance.idprograms import with_plain_ids
from storeproof.conformance.judgement import decisive_rule, misordered
from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.conformance.runner import Closing, Mismatch, Runner, expected_step
from storeproof.conformance.suspicion import by_suspicion
from storeproof.reference.model import Model, State
from storeproof.reference.tables import rows

OBSERVERS = (
    {"loadRun", "loadExecution", "getRunTimeline", "listRuns", "claimStaleRuns"},
    {"readEvents", "loadExecution", "getRunTimeline"},
)
"""Reads that show the same data."""


@dataclass(frozen=True, slots=True)
class Blame:
    """The rules, likeliest first, and the step (counted from 0) after which the state was wrong, if it was."""

    rules: tuple[str, ...]
    wrong_after: int | None


def blame(
    runner: Runner, program: Program, mismatch: Mismatch, spared: Callable[[Closing], Closing] = lambda reading: reading
) -> Blame:
    """The blame for the mismatch that ends a minimal failing program; `spared` keeps readings from known defects."""
    direct = mismatch.judgement.rules
    if "answers.taxonomy" in direct:
        return Blame(direct, None)  # whatever the state is, this operation must not answer so
    if misordered(runner.model, direct):
        return Blame(direct, None)  # the rows are right, so the state is
    last = min(mismatch.index, len(program) - 1)
    end = last + 1 if mismatch.closing else last
    readings = (spared(_plain_reading), spared(closing_steps))
    for reading in readings:
        for length in range(1, end + 1):
            wrong = _wrong_reads(runner, program[:length], reading)
            if wrong:
                return _judged(runner, program[:length], direct, wrong, length - 1)
    return Blame(direct, None)


def confuses_ids(runner: Runner, program: Program, mismatch: Mismatch, closing: Closing | None) -> bool:
    """Whether nothing is wrong with the failing program where its ids are plain ones, and still is where they are its
    own. Rows in a wrong order are not confused.
    """
    plain = with_plain_ids(runner.model.specification, program)
    if plain is None or misordered(runner.model, mismatch.judgement.rules):
        return False
    return runner.run(plain, closing).mismatch is None and runner.run(program, closing).mismatch is not None


def _plain_reading(model: Model, state: State, program: Program) -> Program:
    """The plain reading, and runs made where there are none, so that more than one kind of read shows each log."""
    runs = {row["runId"] for row in rows(state, "runs", 1)}
    calls: list[Call] = []
    for run_id in [call.args["runId"] for call in run_readings(program) if call.operation == "readEvents"]:
        if run_id not in runs:
            calls.append(Call("createRun", {"runId": run_id, "workflowId": "w", "input": None, "now": 0}))
            calls += [Call(name, {"runId": run_id}) for name in ("loadExecution", "getRunTimeline")]
    return (*plain_reading(model, state, program), *calls)


def _judged(runner: Runner, prefix: Program, direct: tuple[str, ...], wrong: dict[str, str], index: int) -> Blame:
    """`wrong` maps each operation whose reading disagrees to its rule."""
    write = _rule_of_last_step(runner.model, prefix)
    if write is None:
        return Blame(direct, None)
    if len(wrong) == 1:
        (read, rule), *_ = wrong.items()
        if any(read in observers for observers in OBSERVERS):
            return Blame(tuple(dict.fromkeys((rule, *direct))), None)
        if _touched(runner.model, write).isdisjoint(_touched(runner.model, read)):
            return Blame(tuple(dict.fromkeys((*direct, rule, write))), index)  # the write has no business there
        return Blame(by_suspicion(runner, (*direct, write, rule)), index)
    cross_cutting = tuple(rule for rule in direct if rule.split(".")[0] not in runner.model.specification.operations)
    return Blame(tuple(dict.fromkeys((write, *cross_cutting))), index)


def _touched(model: Model, rule: str) -> frozenset[str]:
    """The relations that the operation of a rule, or an operation, reads or writes; all for a promise about none."""
    operation = rule.split(".")[0]
    known = operation in model.specification.operations
    return relations_of(model.specification, operation) if known else frozenset(model.specification.relations)


def _wrong_reads(runner: Runner, prefix: Program, reading: Closing) -> dict[str, str]:
    """The reading operations that disagree with the model after a prefix, each tried on a store of its own."""
    found: dict[str, tuple[str, ...]] = {}
    while True:

        def others(model: Model, state: State, program: Program) -> Program:
            return tuple(call for call in reading(model, state, program) if call.operation not in found)

        mismatch = runner.run(prefix, others).mismatch
        if mismatch is None or not mismatch.closing:
            return {read: rules[0] for read, rules in found.items() if not misordered(runner.model, rules)}
        found[mismatch.call.operation] = mismatch.judgement.rules


def _rule_of_last_step(model: Model, prefix: Program) -> str | None:
    state = model.initial()
    rule = None
    for call in prefix:
        if call.operation == REOPEN:
            rule = "durability.reopened"
            continue
        step = expected_step(model, state, call)
        rule = decisive_rule(model.specification, call.operation, step)
        state = step.state
    return rule
