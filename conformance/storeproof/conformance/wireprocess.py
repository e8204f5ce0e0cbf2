"""A program as a child process: bytes in, bytes out, the last of its standard error, and a sure end.

Each has a process group of its own, which is killed with it on every path, so that nothing it started is left behind.
Knows no message of the protocol.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from storeproof.conformance.failures import HarnessError

MOST_STDERR = 8_192
"""Bytes of standard error that are kept."""
MOST_STDERR_LINES = 12
DRAIN_S = 5.0
"""Seconds in which the pipes of a process that has ended must end too; somebody else may hold them."""
_TICK_S = 0.005

_running: set[WireProcess] = set()


class WireProcess:
    """One run of a program. `received` gets what it writes, in pieces; `ended` is called when there is no more."""

    def __init__(self, command: Sequence[str], received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._command = list(command)
        self._received = received
        self._ended = ended
        self._tail = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._input: asyncio.WriteTransport | None = None
        self._outputs: list[asyncio.ReadTransport] = []
        self._pipes = 0

    async def start(self) -> None:
        """Starts it; raises HarnessError where the system cannot."""
        loop = asyncio.get_running_loop()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise HarnessError(f"{self._command[0]} could not be started: {error.strerror or error}") from error
        _running.add(self)
        process = self._process
        for pipe, received, ended in (
            (process.stdout, self._received, self._ended),
            (process.stderr, self._complained, _nothing),
        ):
            self._pipes += 1
            output, _ = await loop.connect_read_pipe(_reading(received, ended, self._pipe_ended), pipe)
            self._outputs.append(output)
        self._input, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)

    def write(self, data: bytes) -> None:
        """Writes, or keeps for later what the program does not read yet. What nobody can read any more is dropped."""
        if self._input is not None and not self._input.is_closing():
            self._input.write(data)

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        lines = self._tail.decode("utf-8", "replace").split("\n")
        if len(self._tail) >= MOST_STDERR:
            lines = lines[1:]  # the first one has lost its beginning
        return "\n".join(lines[-MOST_STDERR_LINES - 1 :]).strip()

    async def ends_within(self, patience_s: float) -> bool:
        """Whether it ends by itself in so many seconds, and with it its pipes."""
        until = time.monotonic() + patience_s
        while self.status is None and time.monotonic() < until:
            await asyncio.sleep(_TICK_S)
        if self.status is None:
            return False
        await self._drained(min(patience_s, DRAIN_S))
        return True

    async def kill(self) -> None:
        """SIGKILL for the whole group. What it had written before is received first."""
        self._strike()
        if self._process is not None and await self.ends_within(DRAIN_S):
            await self._drained(DRAIN_S)

    async def close(self) -> None:
        """Takes away the process, its group and the pipes."""
        self._strike()
        if self._process is not None:
            await self.ends_within(DRAIN_S)
            self._process.wait()
        if self._input is not None and not self._input.is_closing():
            self._input.abort()
        for output in self._outputs:
            output.close()
        _running.discard(self)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _strike(self) -> None:
        """Kills the group. A leader that has ended does not matter: the group may have outlived it."""
        if self._process is not None and self in _running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _drained(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while self._pipes and time.monotonic() < until:
            await asyncio.sleep(_TICK_S)

    def _complained(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-MOST_STDERR:]

    def _pipe_ended(self) -> None:
        self._pipes -= 1


def _nothing() -> None:
    """What is done when standard error ends."""


def _reading(
    received: Callable[[bytes], None], ended: Callable[[], None], gone: Callable[[], None]
) -> Callable[[], asyncio.Protocol]:
    class Reading(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            gone()
            ended()

    return Reading


@atexit.register
def _kill_all() -> None:
    for process in tuple(_running):
        process._strike()  # pyright: ignore[reportPrivateUsage]
