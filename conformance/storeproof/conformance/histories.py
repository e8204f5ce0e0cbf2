"""What several clients saw of one store: calls and answers in one order, and the moments of a run in detail.

A History is what the linearizability checker judges; Moments are for people. Neither holds a clock's time: only the
order of things counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from storeproof.conformance.programs import Call
from storeproof.reference.model import Outcome


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one client. `invoked` and `returned` are positions in the order of all calls and answers.

    Without an answer (`outcome` is None) the operation is indeterminate: it may have taken effect at any moment after
    its call, or never. Where `returned` is given nevertheless, it was over then, done or not: its client was dead.
    """

    client: int
    call: Call
    invoked: int
    returned: int | None = None
    outcome: Outcome | None = None

    def precedes(self, other: Operation) -> bool:
        """Whether it was over before the other began."""
        return self.returned is not None and self.returned < other.invoked


History: TypeAlias = tuple[Operation, ...]
"""The operations of all clients, by `invoked`; those of one client do not overlap."""

MomentKind: TypeAlias = Literal["call", "statement", "blocked", "sleep", "answer", "cut", "lost"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline: what a client did there.

    `text` is the call as Python, the statement's SQL in one line (or COMMIT), the answer as text, or how it was cut.
    A `blocked` moment says that the statement before it, of the same client, waits for another client's lock; a `lost`
    one that its connection broke before the answer.
    """

    client: int
    kind: MomentKind
    text: str
