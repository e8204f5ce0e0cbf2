"""What became of a claim in one run: which listed rules were seen failing, which are stale, what else does not hold.

A rule that is listed and was right in everything that could show its failure is stale, and that fails: whoever reads
the claim file next must be able to trust it. Where only chance shows a failure, not seeing it proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storeproof.conformance.catalogue import WORLDS
from storeproof.conformance.claims import Claim
from storeproof.conformance.report import ClaimReport, ExpectedRule, RuleReport
from storeproof.conformance.session import Session
from storeproof.conformance.subscriptionscenes import LIVE, ONCE, UNSUBSCRIBED

STALE = "expected to fail, but passed: remove it from the claim file"
NOT_SEEN = "expected to fail, and not seen failing this time, which proves nothing: {why}"

_RACES = frozenset({"interleavings", "cuts"})
"""Checks whose rules are about several clients or about crashes."""


def claimed(session: Session, claim: Claim, rules: Sequence[RuleReport], ended: bool) -> list[RuleReport]:
    """The rules with what the claim makes of them; `ended`: whether the run came to its end."""
    named = {rule for failure in (*session.known.failures, *session.failures) for rule in failure.rules}
    return [_claimed(session, claim, rule, named, ended) if rule.id in claim.expected else rule for rule in rules]


def claim_report(session: Session, claim: Claim, rules: Sequence[RuleReport], opened: bool) -> ClaimReport:
    """The part of the report about the claim; what the target offers is known once it was `opened`."""
    return ClaimReport(
        adapter=claim.adapter,
        capabilities=list(claim.capabilities),
        expected=[
            ExpectedRule(rule=rule.id, **claim.expected[rule.id].model_dump(exclude={"repro"}))
            for rule in rules
            if rule.id in claim.expected
        ],
        problems=list(_problems(session, claim, rules, opened)),
    )


def _problems(session: Session, claim: Claim, rules: Sequence[RuleReport], opened: bool) -> Iterator[str]:
    for rule in rules:
        if rule.status == "stale":
            yield f"{rule.id}: {STALE}"
    if opened:
        for name in sorted(session.capabilities.difference(claim.capabilities)):
            yield f"the store offers {name!r}, which is not claimed: add it to the claim file"
        for name in sorted(set(claim.capabilities).difference(session.capabilities)):
            yield f"{name!r} is claimed, and the store does not offer it"


def _claimed(session: Session, claim: Claim, rule: RuleReport, named: set[str], ended: bool) -> RuleReport:
    if rule.id in named:
        return rule.model_copy(update={"status": "expected-failure", "because": claim.expected[rule.id].reason})
    if rule.status != "passed":
        return rule
    why = None if ended else "the run ended before everything was tried"
    why = why or _left_to_chance(session, rule)
    if why:
        return rule.model_copy(update={"status": "expected-failure", "because": NOT_SEEN.format(why=why)})
    return rule.model_copy(update={"status": "stale", "because": STALE})


def _left_to_chance(session: Session, rule: RuleReport) -> str | None:
    """Why a failure of the rule need not have come; None where everything that could show it was tried."""
    checked_by = session.specification.rules[rule.id].checked_by
    if checked_by not in _RACES and rule.id not in (ONCE, LIVE, UNSUBSCRIBED, "retry.converges"):
        return None
    if not _RACES.intersection(rule.evidence):
        return "the store's statements are not seen, so that races come by chance"
    if session.profile.worlds < len(WORLDS):
        return f"the profile {session.profile.name} does not explore all pairs in all setups"
    if any(not pair.complete for pair in session.pairs.values()):
        return "not all interleavings were explored"
    return None
