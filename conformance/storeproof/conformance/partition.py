"""Splits a history into parts that touch no common row, and puts what was found about the parts together again.

Linearizability is local (Herlihy and Wing 1990): a history is linearizable if and only if each part is. A search costs
far more than in proportion to the length, so parts are searched alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from storeproof.conformance.footprints import Cell, Footprint
from storeproof.conformance.histories import History
from storeproof.conformance.relation import written
from storeproof.reference.model import State
from storeproof.reference.tables import Draft, Key, Row
from storeproof.spec.specification import Specification


def parts(footprints: Sequence[Footprint]) -> list[list[int]]:
    """The indexes of operations that share cells directly or through others, the smallest part first."""
    leader: dict[int | Cell, int | Cell] = {}

    def find(item: int | Cell) -> int | Cell:
        while leader.setdefault(item, item) != item:
            leader[item] = item = leader[leader[item]]
        return item

    for number, touched in enumerate(footprints):
        find(number)
        for cell in touched.touched:
            leader[find(cell)] = find(number)
    for cell in [item for item in leader if isinstance(item, tuple)]:
        whole = (cell[0], None)
        if whole in leader:
            leader[find(cell)] = find(whole)
    found: dict[int | Cell, list[int]] = {}
    for number in range(len(footprints)):
        found.setdefault(find(number), []).append(number)
    return sorted(found.values(), key=len)


def merged_order(history: History, orders: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """(part, position) of every operation, in one order that keeps each part's and respects all answers before calls.

    Each operation takes effect as early as its part's order lets it: at its own call, or at that of one before it in
    the part, which was called before this one was answered.
    """
    moments: list[tuple[int, int, int]] = []
    for part, order in enumerate(orders):
        moment = 0
        for position, index in enumerate(order):
            moment = max(moment, history[index].invoked)
            moments.append((moment, part, position))
    return [(part, position) for _moment, part, position in sorted(moments)]


def merged_state(specification: Specification, before: State, ends: Sequence[State]) -> State:
    """`before` with what each part changed."""
    draft = Draft(before)
    for end in ends:
        for relation, key in written(specification, before, end):
            row = _row(end, relation, key)
            if row is None:
                draft.delete(relation, key, len(key))
            else:
                draft.put(relation, key, row)
    return draft.tables


def _row(state: State, relation: str, key: Key) -> Row | None:
    return Draft(state).get(relation, key)
