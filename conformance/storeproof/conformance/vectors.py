"""The recorded programs that the specification ships, and the command that records them anew.

    python -m storeproof.conformance.vectors            writes spec/storeproof/spec/vectors
    python -m storeproof.conformance.vectors --check    fails where they are stale

They are chosen so that every rule of the model is exercised and every model mutant that a program can kill is killed.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from storeproof.conformance.programs import Call, Program
from storeproof.reference.recorder import read


@cache
def recorded_programs() -> tuple[tuple[str, Program], ...]:
    """(name, program) of every recorded vector, by name."""
    folder = files("storeproof.spec").joinpath("vectors")
    found: list[tuple[str, Program]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".ndjson"):
            vector = read(entry.read_text(encoding="utf-8").rstrip("\n").split("\n"))
            found.append((vector.name, tuple(Call(step.operation, step.args) for step in vector.entries)))
    return tuple(found)
