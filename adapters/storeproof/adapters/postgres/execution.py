"""Running an operation's statement until it decides. Knows the rows' `kind` and no operation."""

from __future__ import annotations

from collections.abc import Mapping

from storeproof.adapters.postgres.connections import Connections, Row
from storeproof.adapters.postgres.failures import Changed, attempted


async def read(connections: Connections, name: str, statement: str, parameters: Mapping[str, object]) -> list[Row]:
    """The rows of a statement that writes nothing. `name` is the operation, for messages. Raises StoreUnavailable."""

    async def work() -> list[Row]:
        return await connections.run(statement, parameters)

    return await attempted(name, work, reads=True)


async def write(connections: Connections, name: str, statement: str, parameters: Mapping[str, object]) -> list[Row]:
    """The rows of a statement that is a whole operation. Raises StoreUnavailable."""

    async def work() -> list[Row]:
        return await connections.run(statement, parameters)

    return await attempted(name, work, reads=False)


async def decide(connections: Connections, name: str, statement: str, parameters: Mapping[str, object]) -> Row | None:
    """The one row of a statement that says in `kind` how it went, or None; again while it says `changed`.

    Raises StoreUnavailable.
    """

    async def work() -> Row | None:
        rows = await connections.run(statement, parameters)
        if rows and rows[0]["kind"] == "changed":
            raise Changed
        return rows[0] if rows else None

    return await attempted(name, work, reads=False)
