"""Rule coverage: the seeded workload reaches every rule, and a rule not reached is listed."""

from storeproof.reference.coverage import Coverage
from storeproof.reference.model import Model
from storeproof.reference.workload import workload
from storeproof.spec.loader import load


def covered(seeds: range, length: int) -> Coverage:
    model, coverage = Model(load()), Coverage(load())
    for seed in seeds:
        state = model.initial()
        for name, args in workload(seed, length):
            step = model.step(state, name, args)
            state = step.state
            coverage.add(step)
    return coverage


def test_a_long_workload_exercises_every_rule() -> None:
    coverage = covered(range(60), 500)
    assert [rule.id for rule in coverage.never()] == []
    assert len(coverage.exercised()) == sum(rule.kind != "promise" for rule in load().rules.values())


def test_what_was_never_exercised_is_listed() -> None:
    coverage = covered(range(1), 1)
    assert len(coverage.exercised()) == 1
    assert "   never           claimRun.leased" in coverage.table().splitlines()


def test_rows_are_counted_by_the_rule_that_decided() -> None:
    coverage = covered(range(5), 300)
    assert coverage.rows["claimStaleRuns.not-running"] > coverage.steps["claimStaleRuns.not-running"] > 0
    assert coverage.rows["createRun.created"] == 0
