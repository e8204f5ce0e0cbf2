"""Lines in and lines out of file descriptors, each way with a thread of its own, for an event loop that never waits.

Threads and not asyncio's pipes: those refuse files, and make a terminal non-blocking for everybody who shares it.
Knows nothing of what a line says.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

CHUNK = 1 << 16
"""Bytes asked for in one read."""


class LineReader:
    """The lines of a descriptor, without their ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        threading.Thread(target=self._read, name="wire input", daemon=True).start()

    def end(self) -> None:
        """No more lines than those which were read."""
        self._chunks.put_nowait(b"")

    async def lines(self) -> AsyncIterator[bytes]:
        """Every line up to the end of the input; the last one needs no line break."""
        rest: list[bytes] = []
        while chunk := await self._chunks.get():
            first, *others = chunk.split(b"\n")
            rest.append(first)
            for other in others:
                yield b"".join(rest)
                rest = [other]
        if last := b"".join(rest):
            yield last

    def _read(self) -> None:
        chunk = b"first"
        while chunk:
            try:
                chunk = os.read(self._descriptor, CHUNK)
            except OSError:  # the other side is gone in an unusual way: nothing more will come
                chunk = b""
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: nobody wants any more
                return


class LineWriter:
    """Writes in the order of the calls. Who never reads holds up nobody but themselves."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` becomes the writer's own."""
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.broken = asyncio.Event()
        """Set when nobody reads any more."""
        self._thread = threading.Thread(target=self._write, name="wire output", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Returns at once."""
        self._lines.put(line)

    async def close(self, patience_s: float) -> None:
        """Ends when everything is written, or nobody reads, or after so many seconds."""
        self._lines.put(None)
        await asyncio.to_thread(self._thread.join, patience_s)

    def _write(self) -> None:
        ended = False
        while not ended:
            lines = [self._lines.get()]
            while not self._lines.empty():
                lines.append(self._lines.get())
            ended = lines[-1] is None
            if not self._written(b"".join(line for line in lines if line is not None)):
                break
        os.close(self._descriptor)

    def _written(self, data: bytes) -> bool:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self.broken.set)
            return False
        return True
