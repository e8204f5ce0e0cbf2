"""A wire program on a real Postgres server: the store of that name in `races_stores`, with a pool of four connections.

    python wire_postgres.py NAME

Offered by the server side of the protocol, so that what the client finds in it comes from the database alone.
"""

from __future__ import annotations

import asyncio
import os
import sys

from storeproof.conformance.offers import StoreOffer
from storeproof.conformance.wireserver import PATIENCE_S, WireServer
from storeproof.conformance.wirestreams import LineReader, LineWriter
from tests.race_stages import SPECIFICATION, racy, target


async def serve(name: str) -> None:
    offered = StoreOffer(target("postgresql", racy("postgresql", name).store), SPECIFICATION)
    writer = LineWriter(os.dup(1))
    try:
        await offered.open()
        await WireServer(offered, SPECIFICATION, LineReader(os.dup(0)), writer).run()
    finally:
        await offered.close()
        await writer.close(PATIENCE_S)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
