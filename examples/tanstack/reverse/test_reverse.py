"""The published TanStack Workflow runtime on this project's stores: installs it, compiles the tests, runs them.

`make tanstack-reverse`. Needs Node 20 with npm; Postgres is the server STOREPROOF_PG_URL names, or the embedded one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from storeproof.conformance.embedded import URL_VARIABLE, embedded_url

HERE = Path(__file__).parent
ADAPTERS = ("memory", "sqlite", "postgres")


def test_every_path_of_the_runtime_on_every_adapter() -> None:
    environment = {
        **os.environ,
        URL_VARIABLE: embedded_url(),
        "STOREPROOF": str(Path(sys.executable).with_name("storeproof")),
    }
    _npm(environment, "ci", "--no-audit", "--no-fund")
    said = _npm(environment, "test")
    for adapter in ADAPTERS:
        assert f"# Subtest: {adapter}\n" in said
    assert "\n# fail 0\n" in said
    assert "\n# skipped 0\n" in said


def _npm(environment: dict[str, str], *arguments: str) -> str:
    ran = subprocess.run(
        ["npm", *arguments], cwd=HERE, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
