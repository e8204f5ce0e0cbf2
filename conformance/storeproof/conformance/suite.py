"""The kit as tests of pytest: one item per rule group, made by one line in an author's test file.

    from storeproof.conformance import conformance_suite
    from my_package import make_store

    test_conformance = conformance_suite(make_store)

The items are test_conformance[claimRun], test_conformance[values] and so on; each is a run of the kit of its own, so
that -k, -x, --lf and distribution over processes need nothing from here. Knows nothing of the command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.claims import read_claim
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.report import FailureReport, Report
from storeproof.conformance.repro import save
from storeproof.conformance.targets import Target, made_by, resolve
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load
from storeproof.spec.specification import Specification


def conformance_suite(
    factory: str | Callable[[], Any],
    *,
    profile: str = "default",
    seed: int = 0,
    limit_s: float = 10.0,
    name: str | None = None,
    claim: str | Path | None = None,
) -> Callable[..., None]:
    """A parametrised test function, one item per rule group, that holds the store of `factory` to the contract.

    `factory` is called without arguments and gives an async context manager that yields an empty store (or a
    `Reopenable`, for a durable one); a target's name such as "sqlite:" will do as well. `seed` and `profile` give way
    to the options --storeproof-seed and --storeproof-profile; `limit_s` is seconds per operation. Failing programs are
    saved in .storeproof below pytest's root folder; `name`, by default `module:factory`, is the target's name there.
    `claim` is the path of a claim file: rules listed there may fail, and must. Raises UsageError for a bad one.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are {', '.join(PROFILES)}")
    target_name = factory if isinstance(factory, str) else name or _name_of(factory)

    claimed = None if claim is None else read_claim(Path(claim), load())

    @pytest.mark.parametrize("rules", rule_groups(load()))
    def test_conformance(rules: str, request: pytest.FixtureRequest) -> None:
        specification = load()
        options = request.config.option
        chosen: int | None = getattr(options, "storeproof_seed", None)
        used = seed if chosen is None else chosen
        tried = PROFILES[getattr(options, "storeproof_profile", None) or profile]
        target = (
            resolve(factory, specification, limit_s)
            if isinstance(factory, str)
            else made_by(factory, target_name, specification, limit_s)
        )
        on_failure = _saver(target, used, specification, request.config.rootpath)
        report = verify(target, specification, tried, seed=used, rules=(rules,), on_failure=on_failure, claim=claimed)
        problem = _problem(report, specification)
        if problem:
            # Not an assertion: what pytest would show of the frames here says nothing about the store.
            pytest.fail(problem, pytrace=False)

    return test_conformance


def rule_groups(specification: Specification) -> list[str]:
    """Operations, then the kinds of cross-cutting promises: the first parts of all rule ids."""
    return list(dict.fromkeys(rule.split(".")[0] for rule in specification.rules))


def _saver(
    target: Target, seed: int, specification: Specification, root: Path
) -> Callable[[FailureReport], FailureReport]:
    def saved(failure: FailureReport) -> FailureReport:
        try:
            path = save(failure, target.name, seed, root / ".storeproof", specification)
        except OSError:
            return failure  # the printed failure has the program; a read-only folder is no defect of the store
        return failure.model_copy(update={"repro": str(path)})

    return saved


def _problem(report: Report, specification: Specification) -> str | None:
    """None where every rule that applies was exercised and right, those that should hold included."""
    parts = [failure_text(failure, specification, report.target) for failure in report.failures]
    untested = [rule.id for rule in report.rules if rule.status == "untested"]
    if report.error:
        parts.append(f"storeproof cannot tell: {report.error}")
    elif untested:
        parts.append(f"never exercised, which is no pass: {', '.join(untested)}")
    parts += report.claim.problems if report.claim else []
    if not parts:
        return None
    settings = f"profile {report.environment['profile']}, seed {report.environment['seed']}"
    return "\n\n".join([*parts, f"storeproof: {report.target}, {settings}"])


def _name_of(factory: Callable[[], Any]) -> str:
    named = getattr(factory, "__wrapped__", factory)
    return f"{getattr(named, '__module__', '?')}:{getattr(named, '__qualname__', type(factory).__qualname__)}"
