"""What stands behind a rule: which recorded vectors exercise it, and how many mutants of the model they tell apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from storeproof.conformance.constants import model_mutants
from storeproof.conformance.survivors import survivors
from storeproof.conformance.vectors import recorded_files
from storeproof.reference.recorder import read
from storeproof.spec.specification import Specification


@dataclass(frozen=True, slots=True)
class Evidence:
    """`vectors` by rule: their names; `mutants` by rule or function: how many; `equivalent`: reasons by mutant's id."""

    vectors: dict[str, list[str]]
    mutants: Counter[str]
    equivalent: dict[str, dict[str, str]]


def evidence(specification: Specification) -> Evidence:
    vectors: dict[str, list[str]] = defaultdict(list)
    for _, text in sorted(recorded_files().items()):
        vector = read(text.rstrip("\n").split("\n"))
        for rule in dict.fromkeys(rule for entry in vector.entries for rule in entry.rules):
            vectors[rule].append(vector.name)
    mutants: Counter[str] = Counter()
    equivalent: dict[str, dict[str, str]] = defaultdict(dict)
    reasons = survivors()
    for mutant in model_mutants(specification.data):
        mutants[mutant.rule] += 1
        if mutant.id in reasons:
            equivalent[mutant.rule][mutant.id] = reasons[mutant.id]
    return Evidence(dict(vectors), mutants, dict(equivalent))
