"""JUnit XML of reports: a test suite per target, a test case per rule. A rule never exercised is a failure there too.

Not a skip: a skip reads as green in every tool, and an untested rule is not known to hold. Only a rule that does not
apply to the store is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.report import Report, RuleReport, verdict_text
from storeproof.spec.specification import Specification

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 has no form at all for these, not even an escaped one."""


def junit_xml(reports: Sequence[Report], specification: Specification) -> str:
    """The text of the file."""
    root = Element("testsuites", name="storeproof")
    for report in reports:
        _suite(root, report, specification)
    indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(root, encoding='unicode')}\n"


def _suite(root: Element, report: Report, specification: Specification) -> None:
    suite = SubElement(root, "testsuite", name=_clean(report.target), time=f"{report.duration_s:.3f}")
    properties = SubElement(suite, "properties")
    for name, value in {"verdict": verdict_text(report), **report.environment}.items():
        SubElement(properties, "property", name=name, value=_clean(value))
    for rule in report.rules:
        case = SubElement(
            suite, "testcase", classname=_clean(f"{report.target} {rule.operation or 'all'}"), name=rule.id
        )
        _outcome(case, rule, report, specification)
    for problem in report.claim.problems if report.claim else ():
        case = SubElement(suite, "testcase", classname=_clean(report.target), name="the claim file")
        SubElement(case, "failure", type="claim", message=_clean(problem))
    if report.error:
        case = SubElement(suite, "testcase", classname=_clean(report.target), name="the run itself")
        SubElement(case, "error", type="unknown", message=_clean(report.error))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))


def _outcome(case: Element, rule: RuleReport, report: Report, specification: Specification) -> None:
    if rule.status == "failed":
        found = [failure for failure in report.failures if rule.id in failure.rules]
        failed = SubElement(case, "failure", type=rule.level, message=_clean(rule.says))
        failed.text = _clean("\n\n".join(failure_text(failure, specification, report.target) for failure in found))
    elif rule.status == "stale":
        SubElement(case, "failure", type=rule.status, message=_clean(f"{rule.id}: {rule.because}"))
    elif rule.status == "expected-failure":
        # JUnit has no other word for it: a skip with its reason, and never a bare pass.
        SubElement(case, "skipped", message=_clean(f"expected failure: {rule.because}"))
    elif rule.status in ("untested", "unknown"):
        SubElement(case, "failure", type=rule.status, message=f"{rule.id} was never exercised")
    elif rule.status == "not-applicable":
        SubElement(case, "skipped", message=_clean(f"not applicable: {rule.because}"))


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
