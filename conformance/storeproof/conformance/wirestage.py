"""The stage of a program behind the wire: all clients share one process, with many requests in flight.

Nothing inside is seen and nobody is steered: what `sees` as whole calls, real concurrency alone is evidence for.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storeproof.conformance.programs import Program
from storeproof.conformance.scheduling import Probe
from storeproof.conformance.wirestore import WireStore
from storeproof.reference.model import Outcome

if TYPE_CHECKING:
    from storeproof.conformance.wiretarget import WireTarget


class WireStage:
    """Uses the target's own process. See `stages.Stage`."""

    def __init__(self, target: WireTarget) -> None:
        self.sees = "calls"
        self.quick = False
        self.shared = True
        self.probe: Probe | None = None
        self.target = target

    async def open(self) -> None:
        """The program runs already."""

    async def close(self) -> None:
        """The program goes on."""

    @contextmanager
    def points(self) -> Generator[None]:
        """There are none."""
        yield

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """Empties the store; all of the setup is called."""
        await self.target.reset()
        return [await self.target.call(call.operation, call.args) for call in setup]

    def client(self, number: int) -> WireStore:
        """The same for all."""
        return self.target.wire

    @property
    def reader(self) -> WireStore:
        """The same."""
        return self.target.wire

    async def revive(self, number: int) -> None:
        """Nobody is cut off: a process dies with all of its clients."""

    async def fingerprint(self) -> Hashable | None:
        """Nobody can tell."""
        return None
