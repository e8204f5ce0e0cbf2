"""What stands behind a rule: vectors, races and cuts that exercise it, and mutants of the model that are told apart.

It is found by executing the model on what the kit runs, so that a page claims of no rule what is not so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storeproof.conformance.catalogue import INSTANCES, WORLDS, pairs
from storeproof.conformance.constants import model_mutants
from storeproof.conformance.programs import Program
from storeproof.conformance.survivors import survivors
from storeproof.conformance.vectors import recorded_files
from storeproof.reference.model import Model
from storeproof.reference.recorder import read
from storeproof.spec.specification import Specification


@dataclass(frozen=True, slots=True)
class Evidence:
    """`vectors` by rule: their names; `mutants` by rule or function: how many; `equivalent`: reasons by mutant's id."""

    vectors: dict[str, list[str]]
    raced: frozenset[str]
    """Exercised by a pair of operations, whose orders are enumerated, in one of the orders without overlap."""
    cut: frozenset[str]
    """Exercised by an operation that is cut at every statement."""
    mutants: Counter[str]
    equivalent: dict[str, dict[str, str]]


def evidence(specification: Specification) -> Evidence:
    vectors: dict[str, list[str]] = defaultdict(list)
    for _, text in sorted(recorded_files().items()):
        vector = read(text.rstrip("\n").split("\n"))
        for rule in dict.fromkeys(rule for entry in vector.entries for rule in entry.rules):
            vectors[rule].append(vector.name)
    for rule, names in vectors.items():
        names.sort(key=lambda name: name.split("-")[0] != rule.split(".")[0])  # those about its operation first
    mutants: Counter[str] = Counter()
    equivalent: dict[str, dict[str, str]] = defaultdict(dict)
    reasons = survivors()
    for mutant in model_mutants(specification.data):
        mutants[mutant.rule] += 1
        if mutant.id in reasons:
            equivalent[mutant.rule][mutant.id] = reasons[mutant.id]
    model = Model(specification)
    raced = frozenset(_rules(model, (order for pair in pairs() for order in (pair, pair[::-1]))))
    cut = frozenset(_rules(model, ((call,) for call in INSTANCES)))
    return Evidence(dict(vectors), raced, cut, mutants, dict(equivalent))


def _rules(model: Model, programs: Iterable[Program]) -> Iterator[str]:
    """The rules that the programs exercise in the worlds of the races, their setups not counted."""
    todo = list(programs)
    for setup in WORLDS.values():
        start = model.initial()
        for call in setup:
            start = model.step(start, call.operation, call.args).state
        for program in todo:
            state = start
            for call in program:
                step = model.step(state, call.operation, call.args)
                state = step.state
                yield from step.rules
