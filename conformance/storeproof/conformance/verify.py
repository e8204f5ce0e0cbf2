"""Runs every check on one target and makes the report. The one entry for the command, the pytest suite and selftest."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version

from storeproof.conformance.checks import CHECKS
from storeproof.conformance.claims import Claim
from storeproof.conformance.claimverdicts import claim_report, claimed
from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.conformance.known import Known
from storeproof.conformance.profiles import Profile
from storeproof.conformance.report import FailureReport, Report, RuleReport, verdict_of
from storeproof.conformance.runner import Runner
from storeproof.conformance.session import Progress, Session
from storeproof.conformance.targets import Target
from storeproof.reference.model import Model
from storeproof.spec.specification import Rule, Specification


def verify(
    target: Target,
    specification: Specification,
    profile: Profile,
    *,
    seed: int,
    rules: Iterable[str] = (),
    checks: Iterable[str] = tuple(CHECKS),
    progress: Progress | None = None,
    on_failure: Callable[[FailureReport], FailureReport] | None = None,
    share: slice = slice(None),
    claim: Claim | None = None,
) -> Report:
    """The report of one run. `rules` selects (all, where empty); `on_failure` may save a repro file and note its name;
    `share` are the pieces of each check that are run; `claim` lists what is known to fail.

    Raises UsageError for a rule that does not exist. What goes wrong outside the store becomes a report with the
    verdict unknown, so that several targets can be verified one after the other and nothing found so far is lost.
    """
    selected = selection(specification, rules)
    started = time.monotonic()
    runner = Runner(target, Model(specification))
    session = Session(runner, profile, seed, selected, progress, on_failure, share=share)
    if claim is not None:
        session.known = Known(claim.listed, claim.programs)
    error = None
    environment = {"profile": profile.name, "seed": str(seed), **_versions(specification)}
    try:
        runner.open()
        environment |= target.environment()
        for name in checks:
            CHECKS[name](session)
    except HarnessError as problem:
        error = str(problem)
    finally:
        error = _closed(runner) or error
    return _report(session, environment, time.monotonic() - started, error, claim)


def selection(specification: Specification, rules: Iterable[str]) -> frozenset[str] | None:
    """The ids asked for: of a rule, or of an operation for all of its rules. None means all."""
    chosen: set[str] = set()
    for name in rules:
        found = {rule for rule in specification.rules if rule == name or rule.startswith(f"{name}.")}
        if not found:
            raise UsageError(f"no rule {name!r}; `storeproof rules` lists them all")
        chosen |= found
    return frozenset(chosen) or None


def _closed(runner: Runner) -> str | None:
    try:
        runner.close()
    except HarnessError as problem:
        return str(problem)
    return None


def _report(
    session: Session, environment: dict[str, str], duration_s: float, error: str | None, claim: Claim | None
) -> Report:
    session.known.settle(session.failures)
    failed = {rule for failure in session.failures for rule in failure.rules}
    reports = [
        _rule_report(session, rule, failed) for rule in session.specification.rules.values() if session.wants(rule.id)
    ]
    if session.selected is not None:
        environment["selected rules"] = " ".join(sorted(session.selected))
    if session.left_out:
        environment["left out"] = f"{session.left_out} calls with NaN or an infinity, which JSON has no words for"
    claim_said = None
    if claim is not None:
        reports = claimed(session, claim, reports, ended=error is None and not session.full)
        claim_said = claim_report(session, claim, reports, opened=error is None)
        environment["expected failures"] = " ".join(sorted(claim.expected)) or "none"
    verdict = "fails" if claim_said and claim_said.problems else verdict_of(reports)
    return Report(
        target=session.runner.target.name,
        verdict="unknown" if error and verdict != "fails" else verdict,
        rules=reports,
        # Those that decide first; of equal ones in the order in which they were found.
        failures=sorted(session.failures, key=lambda failure: not session.grave(failure.rules)),
        expected=session.known.failures,
        claim=claim_said,
        pairs=list(session.pairs.values()),
        programs=dict(session.programs),
        cut_points=session.cut_points,
        outages=dict(session.outages),
        skipped=dict(session.skipped),
        environment=environment,
        duration_s=round(duration_s, 3),
        error=error,
    )


def _rule_report(session: Session, rule: Rule, failed: set[str]) -> RuleReport:
    evidence = {check: count for check, count in sorted(session.evidence[rule.id].items()) if count}
    because = _not_applicable(session, rule)
    return RuleReport(
        id=rule.id,
        operation=rule.operation,
        level=session.level(rule.id),
        status="failed" if rule.id in failed else "not-applicable" if because else "passed" if evidence else "untested",
        evidence=evidence,
        says=rule.says,
        because=because,
    )


def _not_applicable(session: Session, rule: Rule) -> str | None:
    if rule.checked_by == "nothing":
        return rule.because
    capabilities = session.capabilities
    if rule.capability and rule.capability not in capabilities:
        return f"the store is not {rule.capability}"
    if rule.operation == "subscribeEvents" and "subscribe" not in capabilities:
        return "the store does not offer subscribeEvents, which is optional"
    return session.runner.target.hidden.get(rule.id)


def _versions(specification: Specification) -> dict[str, str]:
    found = {"specification": specification.revision, "python": platform.python_version()}
    for name in ("storeproof", "hypothesis", "pydantic"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
