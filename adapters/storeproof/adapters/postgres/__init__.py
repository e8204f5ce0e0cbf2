"""The Postgres adapter: `PostgresStore` over a URL or an application's SQLAlchemy engine."""

from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres.store import PostgresStore

__all__ = ["PostgresStore", "TableNames"]
