"""The target `stdio:COMMAND`: a program in any language, put to the test over its standard input and output.

The kit sees the program from outside only: calls, answers, events, and that it dies when it is killed.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from typing import Any

from storeproof.conformance.addresses import without_password
from storeproof.conformance.failures import UsageError
from storeproof.conformance.programs import Arguments
from storeproof.conformance.wireclient import PATIENCE_S, WireClient
from storeproof.conformance.wireintroduction import Introduction
from storeproof.conformance.wirestage import WireStage
from storeproof.conformance.wirestore import WireStore
from storeproof.reference.model import Outcome

PREFIX = "stdio:"
KNOWN_CAPABILITIES = frozenset({"durable", "subscribe"})
_UNSEEN = "a subscriber is another process here: what its callback does is not the store's business"


class WireTarget:
    """A program that is started once, and again whenever its store is opened again. See `targets.Target`."""

    def __init__(self, name: str, command: list[str], limit_s: float, patience_s: float = PATIENCE_S) -> None:
        """`command`: the program and its arguments; `patience_s`: seconds for starting, emptying and ending it."""
        self.name = f"{PREFIX}{shown_command(name.removeprefix(PREFIX))}"
        self.capabilities: frozenset[str] = frozenset()
        self.hidden: Mapping[str, str] = {
            "subscribeEvents.failing-callback": _UNSEEN,
            "subscribeEvents.own-copies": _UNSEEN,
        }
        self.elsewhere = False
        self.limit_s = limit_s
        self._command = command
        self._patience_s = patience_s
        self._client: WireClient | None = None
        self._wire: WireStore | None = None
        self._introduction: Introduction | None = None

    async def open(self) -> None:
        """Starts the program; raises ProtocolError where it does not introduce itself."""
        introduction = await self.start()
        self.capabilities = introduction.capabilities & KNOWN_CAPABILITIES
        self.elsewhere = introduction.revision is None

    async def close(self) -> None:
        """Ends the program as the protocol says, and takes away what is left of it."""
        client, self._client, self._wire = self._client, None, None
        if client is not None:
            try:
                await client.shut_down()
            finally:
                await client.close()

    async def reset(self) -> None:
        """An empty store."""
        await self.client.reset()

    async def reopen(self) -> None:
        """A new process, after the old one has ended by itself."""
        await self.close()
        await self.start()

    async def start(self) -> Introduction:
        """A new process; the old one must be gone."""
        assert self._client is None
        self._client = WireClient(self._command, self.limit_s, self._patience_s)
        self._introduction = await self._client.start()
        self._wire = WireStore(self._client, self._introduction)
        return self._introduction

    async def kill(self) -> None:
        """SIGKILL; requests in flight that had no answer by then raise Killed. `start` comes next."""
        client, self._client, self._wire = self.client, None, None
        try:
            await client.kill()
        finally:
            await client.close()

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call in wire form; NOT_CARRIED where JSON has no words for its arguments."""
        return await self.wire.call(operation, args)

    @property
    def client(self) -> WireClient:
        """The process that runs."""
        assert self._client is not None, "open() comes first"
        return self._client

    @property
    def wire(self) -> WireStore:
        """The store behind it."""
        assert self._wire is not None, "open() comes first"
        return self._wire

    @property
    def store(self) -> Any:
        """What scenes of subscriptions call."""
        return self.wire.store

    def environment(self) -> dict[str, str]:
        """What the program says of itself."""
        said = self._introduction
        assert said is not None, "open() comes first"
        found = {"command": self.name.removeprefix(PREFIX), "store": said.name, "version": said.version}
        if said.revision is None:
            return {**found, "written against": "no revision, so what is SHOULD for stores written elsewhere is SHOULD"}
        return {**found, "written against": f"revision {said.revision}"}

    def stage(self) -> WireStage:
        """Clients with many requests in flight to this one process."""
        return WireStage(self)

    def faults(self) -> None:
        """The process is killed by the check `cuts`; what is below it, the kit does not know."""


def wire_target(name: str, limit_s: float) -> WireTarget:
    """The target of `stdio:COMMAND`; raises UsageError where that is no command that can be found."""
    try:
        command = shlex.split(name.removeprefix(PREFIX))
    except ValueError as error:
        raise UsageError(f"{PREFIX}COMMAND is split as a shell does: {error}") from error
    if not command:
        raise UsageError(f"{PREFIX} needs a command, such as '{PREFIX}node store.mjs'")
    if shutil.which(command[0]) is None:
        raise UsageError(f"no command {command[0]!r} here that can be executed")
    return WireTarget(name, command, limit_s)


def shown_command(command: str) -> str:
    """The command as it may be shown and saved: without the passwords of addresses in it."""
    return " ".join(without_password(word) for word in command.split(" "))
