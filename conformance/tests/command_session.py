"""Runs the command in a process of its own, in a folder where report_stores can be imported."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from storeproof.conformance.schemafiles import schema
from tests import command_process

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


def storeproof(*arguments: str, folder: Path, timeout_s: float = 240, env: dict[str, str] | None = None) -> Ran:
    """`storeproof ARGUMENTS`, in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), **(env or {})}
    with TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = _forked().Process(target=command_process.run, args=(arguments, folder, environment, out, err))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"storeproof {' '.join(arguments)} took longer than {timeout_s:g} s")
        return Ran(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@cache
def _forked() -> ForkServerContext:
    """Where processes are forked from, one server for all tests of this process: nothing of a test is in it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([command_process.__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE.parent))  # the server knows no other way to the tests
        forkserver.ensure_running()
    return context


def unfit(name: str, value: object) -> list[str]:
    """What keeps a value from fitting a published schema."""
    return [error.message for error in _validator(name).iter_errors(cast(Any, value))]


def strictly(text: str) -> Any:
    """As a JSON reader of another language: no NaN, no lone surrogate."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(text, parse_constant=refuse)
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


def _validator(name: str) -> Validator:
    return Draft202012Validator(schema(name))
