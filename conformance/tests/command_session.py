"""Runs the command in a process of its own, in a folder where report_stores can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from storeproof.conformance.schemafiles import schema

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


def storeproof(*arguments: str, folder: Path, timeout_s: float = 240, env: dict[str, str] | None = None) -> Ran:
    """`storeproof ARGUMENTS`, in `folder`."""
    command = [sys.executable, "-W", "error", "-m", "storeproof.conformance.cli", *arguments]
    found = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "PYTHONPATH": str(HERE), **(env or {})},
        check=False,
    )
    return Ran(found.returncode, found.stdout, found.stderr)


def unfit(name: str, value: object) -> list[str]:
    """What keeps a value from fitting a published schema."""
    return [error.message for error in _validator(name).iter_errors(cast(Any, value))]


def _validator(name: str) -> Validator:
    return Draft202012Validator(schema(name))
