"""What a process of `command_session` does.

Imported once, by the server that these processes are forked from: the command and the specification are there when one
of them starts, which else takes longer than most of what the tests ask for.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path

from storeproof.conformance import cli, outputs, suite, verification, wireprocess
from storeproof.spec.loader import load

COMMAND = (cli, outputs, suite, verification, wireprocess, load())
"""Everything that the command imports when it has something to do."""


def run(arguments: tuple[str, ...], folder: Path, env: Mapping[str, str], out: Path, err: Path) -> None:
    """`storeproof ARGUMENTS` in `folder`, as a process of its own that writes to two files. Leaves by SystemExit."""
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(encoding=env.get("PYTHONIOENCODING", "utf-8"), errors=stream.errors)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [str(folder), *env["PYTHONPATH"].split(os.pathsep)]
    sys.argv = ["storeproof", *arguments]
    warnings.resetwarnings()
    warnings.simplefilter("error")
    try:
        cli.main()
    finally:
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # a process of multiprocessing leaves without them
