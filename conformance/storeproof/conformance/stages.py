"""Where several clients meet one store: a store for each of them, a way back to a setup, and who waits for whom.

A client of a durable store has a store object of its own, as a process of its own would; otherwise all share one. Knows
no driver and no adapter; `databasestages` has those of the reference adapters.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from storeproof.conformance.programs import Arguments, Program
from storeproof.conformance.scheduling import Probe
from storeproof.reference.model import Outcome

CLIENTS = 3
"""The most clients that meet."""


class Client(Protocol):
    """A store as one client has it: a PythonStore, or a WireStore."""

    @property
    def store(self) -> Any:
        """What scenes of subscriptions call."""
        ...

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """The outcome of one call, within the limit of time."""
        ...

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """The outcome of one call that somebody else may hold up on purpose."""
        ...


class Stage(Protocol):
    """A store that several clients use at once. Opened once; `prepare` comes before every run."""

    sees: str
    """`statements` where each of them is a scheduling point, `calls` where only whole calls are."""
    quick: bool
    """Whether `prepare` is quick enough to be called some ten thousand times."""
    shared: bool
    """Whether all clients use one store object."""

    async def open(self) -> None:
        """Opens a store for each client and one that sets up and reads."""
        ...

    async def close(self) -> None:
        """Closes them."""
        ...

    def points(self) -> AbstractContextManager[None]:
        """While it is open, statements are scheduling points."""
        ...

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """The state after `setup` on an empty store; the answers to those of its last calls that were made for it.

        `keep`: the state will be asked for again, also as the beginning of a longer setup.
        """
        ...

    def client(self, number: int) -> Client:
        """The store of a client."""
        ...

    @property
    def probe(self) -> Probe | None:
        """Whether a session waits for another's lock, where such waiting is possible."""
        ...

    @property
    def reader(self) -> Client:
        """The store that sets up and reads."""
        ...

    async def revive(self, number: int) -> None:
        """A new store for a client that was cut off, once nothing of the old one is under way any more."""
        ...

    async def fingerprint(self) -> Hashable | None:
        """Equal only for equal content, so that equal content need not be read twice; None where nobody can tell."""
        ...
