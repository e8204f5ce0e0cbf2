"""What claims owe for the rows they left out: for each a writer of that row in flight (rulings 2 and 15).

The writer is another operation that overlaps the claim in real time. Whatever it answered, it excuses the rows that it
may write by its arguments: a delivery that had dropped the timer when it met another one, and undid that, was on that
very row while a claim passed the row over. So does an operation without an answer.

Another claim over rows may write any, but what it looked at and did not return was not in flight. Such a one excuses
what it wrote at its own place in the order, before the claim or after it. So a path of the search carries what claims
placed so far still owe, and what claims to come are excused already. A path on which nobody can pay any more is given
up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from storeproof.conformance.footprints import Footprint, RowKey
from storeproof.conformance.picks import Omission
from storeproof.conformance.relation import Successor


class Ledger(NamedTuple):
    """Of one path. `owed`: (claim, what it left out and nobody wrote so far); `excused`: (claim to come, row written
    by an operation that overlaps it)."""

    owed: frozenset[tuple[int, Omission]]
    excused: frozenset[tuple[int, RowKey]]


NOTHING = Ledger(frozenset(), frozenset())


class Omissions:
    """The claims among some operations, and who overlaps them. Operations are indexes, sets of them bits of a number.

    `overlapping`: each claim with the operations it overlaps; `excusing`: those that excuse whatever they may write.
    """

    def __init__(
        self, footprints: Sequence[Footprint], overlapping: dict[int, list[int]], excusing: Sequence[bool]
    ) -> None:
        self._footprints = footprints
        self._claims = {claim: [one for one in others if not excusing[one]] for claim, others in overlapping.items()}
        self._excusing = {claim: [one for one in others if excusing[one]] for claim, others in overlapping.items()}
        self._watching: dict[int, list[int]] = {}
        for claim, others in self._claims.items():
            for other in others:
                self._watching.setdefault(other, []).append(claim)

    def settled(self, ledger: Ledger, done: int, index: int, successor: Successor) -> Ledger:
        """The ledger once `index` is placed after `done`: it pays with what it wrote, and owes what it left out."""
        owed, excused = ledger
        watching = self._watching.get(index, ())
        writes = successor.writes if watching else frozenset[RowKey]()
        if writes:
            owed = frozenset(debt for debt in owed if debt[0] not in watching or debt[1].rows.isdisjoint(writes))
            coming = [claim for claim in watching if not done >> claim & 1]
            excused |= {(claim, row) for claim in coming for row in writes if self._footprints[claim].touches(row)}
        if index in self._claims:
            unpaid = [one for one in successor.omitted if not any((index, row) in excused for row in one.rows)]
            owed |= {(index, one) for one in unpaid if not self._writers(self._excusing[index], one)}
            excused = frozenset(item for item in excused if item[0] != index)
        return Ledger(owed, excused) if owed or excused else NOTHING

    def hopeless(self, ledger: Ledger, done: int) -> list[tuple[int, Omission]]:
        """What is owed and cannot be paid by any operation that is to come after `done`."""
        return [
            (claim, omission)
            for claim, omission in ledger.owed
            if not self._writers((other for other in self._claims[claim] if not done >> other & 1), omission)
        ]

    def _writers(self, others: Iterable[int], omission: Omission) -> bool:
        return any(self._footprints[other].may_write(row) for other in others for row in omission.rows)
