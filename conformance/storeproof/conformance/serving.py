"""`storeproof serve`: takes hold of the process's streams, opens the store, serves, and leaves nothing behind.

Standard output belongs to the protocol; whatever else is printed in this process, by C code too, goes to standard
error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from storeproof.conformance.offers import Offer, offer
from storeproof.conformance.wireserver import PATIENCE_S, WireServer
from storeproof.conformance.wirestreams import LineReader, LineWriter
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that was asked to end by SIGTERM, as a shell tells it."""


def serve_target(name: str, *, schema: str | None, reset: bool) -> int:
    """The exit code: 0 when the client has left. Raises UsageError and HarnessError before anything is served."""
    specification = load()
    offered = offer(name, specification, schema=schema, reset=reset)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return asyncio.run(_serve(offered, specification, source, sink))


async def _serve(offered: Offer, specification: Specification, source: int, sink: int) -> int:
    serving = asyncio.current_task()
    assert serving is not None
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        serving.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    writer = LineWriter(sink)
    try:
        try:
            await offered.open()
            await WireServer(offered, specification, LineReader(source), writer).run()
        finally:
            await offered.close()
            await writer.close(0 if terminated else PATIENCE_S)
    except asyncio.CancelledError:
        if not terminated:
            raise
    return TERMINATED if terminated else 0
