"""The recorded programs that the specification ships, and the command that records them anew.

    python -m storeproof.conformance.vectors            writes spec/storeproof/spec/vectors
    python -m storeproof.conformance.vectors --check    fails where they are stale

They are chosen so that every rule of the model is exercised and every model mutant that a program can kill is killed,
and so that every operation refuses something for each of its arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from storeproof.conformance.constants import model_mutants
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.recording import made_vectors
from storeproof.conformance.refusalvectors import refusal_vectors
from storeproof.conformance.runner import refusing_rule
from storeproof.conformance.survivors import survivors
from storeproof.reference.model import Model, Raised
from storeproof.reference.recorder import Entry, is_refusal, read, record
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification


def recorded_programs() -> tuple[tuple[str, Program], ...]:
    """(name, program) of every recorded vector whose arguments all fit their schemas, by name."""
    return tuple(item for item in every_recorded_program() if not any(call.refused for call in item[1]))


@cache
def every_recorded_program() -> tuple[tuple[str, Program], ...]:
    """(name, program) of every recorded vector, by name; also those in which calls have to be refused."""
    specification = load()
    found: list[tuple[str, Program]] = []
    for _, text in sorted(recorded_files().items()):
        vector = read(text.rstrip("\n").split("\n"))
        found.append((vector.name, tuple(_call(specification, step) for step in vector.entries)))
    return tuple(found)


def _call(specification: Specification, entry: Entry) -> Call:
    if is_refusal(specification, entry):
        assert isinstance(entry.outcome, Raised), f"{entry.rules} promises a refusal"
        return Call(entry.operation, entry.args, refused=entry.outcome.data["fields"][0])
    return Call(entry.operation, entry.args)


def recorded_files() -> dict[str, str]:
    """{file name: its text} of the vectors that are shipped."""
    folder = files("storeproof.spec").joinpath("vectors")
    entries = folder.iterdir() if folder.is_dir() else ()
    return {entry.name: entry.read_text(encoding="utf-8") for entry in entries if entry.name.endswith(".ndjson")}


def made_files() -> dict[str, str]:
    """{file name: its text} of the vectors as the model and its mutants ask for them now. Takes a minute."""
    specification = load()
    model = Model(specification)
    known = survivors()
    programs = made_vectors(model, [mutant for mutant in model_mutants(specification.data) if mutant.id not in known])
    programs |= refusal_vectors(model)
    return {
        f"{name}.ndjson": "".join(f"{line}\n" for line in record(model, name, map(_recordable, program)))
        for name, program in programs.items()
    }


def _recordable(call: Call) -> dict[str, Any]:
    plain = {"op": call.operation, "args": call.args}
    return plain | ({"refused": {"field": call.refused, "rule": refusing_rule(call)}} if call.refused else {})


def main(arguments: Sequence[str]) -> int:
    """The command: 0 when all is written or current, 1 when something is stale, 2 for an unknown argument."""
    if arguments not in ([], ["--check"]):
        print("python -m storeproof.conformance.vectors [--check]")
        return 2
    made = made_files()
    if arguments:
        recorded = recorded_files()
        stale = sorted(name for name in made.keys() | recorded.keys() if made.get(name) != recorded.get(name))
        print(f"stale: {', '.join(stale)}; run this command without --check" if stale else "the vectors are current")
        return 1 if stale else 0
    folder = Path(str(files("storeproof.spec"))) / "vectors"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.ndjson"):
        path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(made)} vectors, {sum(len(text.encode()) for text in made.values()):,} bytes, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
