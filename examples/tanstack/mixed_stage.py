"""Where several clients meet a mixed fleet: each call goes to one of the two stores, and nobody is steered."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storeproof.conformance.programs import Arguments, Program
from storeproof.conformance.scheduling import Probe
from storeproof.reference.model import Outcome

if TYPE_CHECKING:
    from mixed_fleet import MixedTarget


class MixedClient:
    """One of several clients. See `stages.Client`."""

    def __init__(self, target: MixedTarget) -> None:
        self._target = target

    @property
    def store(self) -> Any:
        """Subscriptions are not for a mixture."""
        raise NotImplementedError

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """On either side."""
        return await self._target.beside_others(operation, args)

    async def answer(self, operation: str, args: Arguments) -> Outcome:
        """The same."""
        return await self.call(operation, args)


class MixedStage:
    """Uses the target, which is open. See `stages.Stage`."""

    def __init__(self, target: MixedTarget) -> None:
        self.sees = "calls"
        self.quick = False
        self.shared = True
        self.probe: Probe | None = None
        self._target = target
        self._client = MixedClient(target)

    async def open(self) -> None:
        """The target is."""

    async def close(self) -> None:
        """The target stays open."""

    @contextmanager
    def points(self) -> Generator[None]:
        """There are none."""
        yield

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """Empty tables, then the setup, routed as a program is."""
        await self._target.reset()
        return [await self._target.call(call.operation, call.args) for call in setup]

    def client(self, number: int) -> MixedClient:
        """The same for all."""
        return self._client

    @property
    def reader(self) -> MixedClient:
        """The same."""
        return self._client

    async def revive(self, number: int) -> None:
        """Nobody is cut off."""

    async def fingerprint(self) -> Hashable | None:
        """Nobody can tell."""
        return None
