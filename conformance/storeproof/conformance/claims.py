"""A claim file: what an adapter says of itself, and which rules are known to fail on it, each with its reason.

    adapter = "my_store"
    capabilities = ["durable", "subscribe"]

    [expected-failures]
    "claimRun.leased" = { reason = "the lease is compared in seconds", issue = "https://example.com/issues/7" }

Where only a generated program showed the failure, its repro file can be kept beside the claim (`repro = "FILE"`) and is
run like a recorded one. Knows no run: `avoidance` keeps programs away from the listed rules, `claimverdicts` says what
became of them.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError
from storeproof.conformance.failures import UsageError
from storeproof.conformance.portable import printable
from storeproof.conformance.programs import REOPEN, Program
from storeproof.conformance.repro import load as load_repro
from storeproof.conformance.repro import program_of
from storeproof.spec.specification import Rule, Specification

Capability: TypeAlias = Literal["durable", "subscribe"]
_Said: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
SUBSCRIBE = "subscribeEvents"


class _Table(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class ExpectedFailure(_Table):
    """Why a rule is known to fail, in words that are not empty, where that is tracked, and a repro file that shows it.

    The file's path is relative to the claim file.
    """

    reason: _Said
    issue: _Said | None = None
    repro: _Said | None = None


class Claim(_Table):
    """The content of a claim file."""

    adapter: _Said
    capabilities: list[Capability]
    expected: dict[str, ExpectedFailure] = Field(default={}, alias="expected-failures")
    _programs: tuple[Program, ...] = PrivateAttr(default=())

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs of the repro files that it names."""
        return self._programs

    @property
    def listed(self) -> frozenset[str]:
        """The ids of the rules that are expected to fail."""
        return frozenset(self.expected)

    def with_programs(self, programs: Sequence[Program]) -> Claim:
        """The same claim with the programs of its repro files."""
        made = self.model_copy()
        made._programs = tuple(programs)
        return made


def read_claim(path: Path, specification: Specification) -> Claim:
    """The claim of a file; raises UsageError for one that cannot be read, says too much, or cannot be checked."""
    try:
        claim = Claim.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path} is no claim file: {where}: {printable(first['msg'])}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no claim file: {printable(str(error))}") from error
    programs: list[Program] = []
    for name, entry in claim.expected.items():
        problem = _uncheckable(claim, name, specification)
        if problem:
            raise UsageError(f"{path}: {problem}")
        if entry.repro:
            programs.append(_program(claim, name, path.parent / entry.repro, specification))
    return claim.with_programs(programs)


def _program(claim: Claim, name: str, file: Path, specification: Specification) -> Program:
    repro = load_repro(file, specification)
    program = program_of(repro, file)
    if name not in repro.rules:
        raise UsageError(f"{file} is about {', '.join(repro.rules)}, and not about {name}")
    if repro.clients or not program:
        raise UsageError(f"{file} is no program of one client; races and scenes are looked for in every run")
    if "durable" not in claim.capabilities and any(call.operation == REOPEN for call in program):
        raise UsageError(f"{file} reopens the store, for which the capability 'durable' has to be claimed")
    return program


def _uncheckable(claim: Claim, name: str, specification: Specification) -> str | None:
    """Why an entry could never be found true or stale."""
    rule = specification.rules.get(name)
    if rule is None:
        near = difflib.get_close_matches(name, specification.rules, n=3, cutoff=0.5)
        nearby = f"; near it: {', '.join(near)}" if near else ""
        return f"no rule {name!r}{nearby}; `storeproof rules` lists them all"
    if rule.checked_by == "nothing":
        return f"{name} cannot be expected to fail: no check exercises it ({rule.because})"
    needed = capability_of(rule)
    if needed and needed not in claim.capabilities:
        return f"{name} cannot be expected to fail: it needs the capability {needed!r}, which is not claimed"
    return None


def capability_of(rule: Rule) -> str | None:
    """What a store must offer for the rule to concern it."""
    return rule.capability or ("subscribe" if rule.operation == SUBSCRIBE else None)
