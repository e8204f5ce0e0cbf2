"""Repro files: one failing program with all that is needed to run it again, here or on another machine.

`schema/repro.schema.json` describes the file; values that not every JSON reader takes are written as `portable` says.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from storeproof.conformance.failures import UsageError
from storeproof.conformance.pictures import picture
from storeproof.conformance.portable import printable, restored
from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.conformance.report import FailureReport, Part, RunCut, RunMoment, RunStep, Text
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.versions import kit_version
from storeproof.spec.specification import Specification


class Repro(Part):
    """A failing program, what was expected of it, and where it failed."""

    format: Literal["storeproof-repro/1"] = "storeproof-repro/1"
    storeproof: str = Field(description="The version of the conformance kit that found the failure.")
    specification: str = Field(description="The revision of the specification it judged by.")
    target: str = Field(description="The target that failed; a password in it is masked.")
    seed: int = Field(description="The seed of the run.")
    check: str = Field(description="The check that found the failure.")
    rules: list[str] = Field(description="The ids of the rules it breaks, the likeliest first.", min_length=1)
    message: Text = Field(description="What was wrong, in words.")
    program: list[RunStep] = Field(description="The program; empty for a scene of the check of subscriptions.")
    python: str = Field(description="The program as Python calls on a store named `store`.")
    expected: Text = Field(description="What the contract expects where the program fails.")
    actual: Text = Field(description="What the store answered there.")
    step: int = Field(description="The step, counted from 1, that failed; beyond the program: while reading the state.")
    wrong_after: int | None = Field(description="After which step, counted from 1, the state was wrong already.")
    clients: list[list[RunStep]] = Field(
        default=[], description="For a race or a cut: what each client calls, after `program`, which is the setup."
    )
    schedule: list[int] = Field(
        default=[], description="Which client made each step, counted from 0: the interleaving that fails."
    )
    cut: RunCut | None = Field(default=None, description="Where a client died, if one did.")
    moments: list[RunMoment] = Field(default=[], description="What happened in this interleaving, in order.")
    states: list[Text] = Field(
        default=[], description="The longest order that the contract allows, and what each operation does to the state."
    )


def save(failure: FailureReport, target: str, seed: int, folder: Path, specification: Specification) -> Path:
    """Writes the repro file of a failure, and the picture of a race beside it. Raises OSError.

    The same failure has the same name.
    """
    text = repro_text(failure, target, seed, specification.revision, kit_version())
    identity = [target, failure.rules, failure.program, *([failure.clients] if failure.clients else [])]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{failure.rules[0]}-{digest}.json"
    path.write_text(text, encoding="utf-8")
    if failure.moments:
        path.with_suffix(".svg").write_text(picture(failure), encoding="utf-8")
    return path


def repro_text(failure: FailureReport, target: str, seed: int, revision: str, version: str) -> str:
    """The text of the repro file; `revision` of the specification and `version` of the kit are those of the run."""
    shared = {name: getattr(failure, name) for name in _SHARED}
    repro = Repro(storeproof=version, specification=revision, target=target, seed=seed, **shared)
    return json.dumps(repro.model_dump(), indent=1, allow_nan=False) + "\n"


def load(path: Path, specification: Specification) -> Repro:
    """The content of a repro file; raises UsageError for a file that is none, or of another contract."""
    try:
        repro = Repro.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path} is no repro file: {where}: {printable(first['msg'])}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no repro file: it holds no JSON: {error}") from error
    for step in (*repro.program, *(step for client in repro.clients for step in client)):
        if step.op != REOPEN and step.op not in specification.operations:
            raise UsageError(f"{path}: this revision of the specification has no operation {step.op!r}")
    scenario_of(repro, path)
    return repro


def program_of(repro: Repro, path: Path | None = None) -> Program:
    """The program of a repro; raises UsageError where a value in it is none."""
    return _calls(repro.program, path)


def scenario_of(repro: Repro, path: Path | None = None) -> Scenario:
    """The program as a setup, with the clients; raises UsageError where a value in it is none."""
    return Scenario(program_of(repro, path), tuple(_calls(client, path) for client in repro.clients))


def _calls(steps: list[RunStep], path: Path | None) -> Program:
    try:
        return tuple(Call(step.op, restored(step.args), step.refused) for step in steps)
    except ValueError as error:
        raise UsageError(f"{path or 'the repro file'}: {error}") from error


_SHARED = (
    *("check", "rules", "message", "program", "python", "expected", "actual", "step", "wrong_after"),
    *("clients", "schedule", "cut", "moments", "states"),
)
