"""What an operation touches: never less than it reads or writes, and whole relations only where it must."""

import random
from collections import Counter

from storeproof.conformance.footprints import footprint
from storeproof.conformance.relation import written
from tests.judged import MODEL, after
from tests.random_histories import THEMES


def test_operations_stay_within_their_footprints() -> None:
    """What was written lies in it, and the answer does not change when everything outside of it is taken away."""
    specification = MODEL.specification
    seen: Counter[str] = Counter()
    for seed in range(300):
        rng = random.Random(seed)
        theme = THEMES[seed % len(THEMES)]
        state = after(MODEL.initial(), *theme.setup, *rng.choices(theme.calls, k=4))
        for call in theme.calls:
            touched = footprint(specification, call)
            step = MODEL.step(state, call.operation, call.args)
            wrote = written(specification, state, step.state)
            assert all(touched.may_write(row) for row in wrote)
            rest = {
                relation: {
                    first: row
                    for first, row in table.items()
                    if {(relation, first), (relation, None)} & touched.touched
                }
                for relation, table in state.items()
            }
            assert MODEL.step(rest, call.operation, call.args).outcome == step.outcome
            seen[call.operation] += bool(wrote)
    assert sum(count > 0 for count in seen.values()) == 15


def test_only_claims_and_lists_touch_whole_relations() -> None:
    whole = {
        call.operation
        for theme in THEMES
        for call in (*theme.setup, *theme.calls)
        if any(first is None for _relation, first in footprint(MODEL.specification, call).touched)
    }
    assert whole == {"claimDueTimers", "claimDueScheduleBuckets", "claimStaleRuns", "listRuns"}
