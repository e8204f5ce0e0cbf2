"""What changed between two reports: statuses and kinds of evidence, and nothing that changes from seed to seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from storeproof.conformance.report import Report, reports_json
from storeproof.conformance.reportdiff import differences
from tests.command_session import Ran, storeproof
from tests.report_samples import failure, report, rule


def compared(folder: Path, before: Sequence[Report], after: Sequence[Report]) -> Ran:
    for name, reports in (("a.json", before), ("b.json", after)):
        (folder / name).write_text(reports_json(reports))
    return storeproof("diff", "a.json", "b.json", folder=folder)


def test_the_same_run_with_other_counts_is_no_difference(tmp_path: Path) -> None:
    before = report(failure(), rules=[rule("createRun.created", "failed", evidence={"vectors": 1})])
    after = report(rules=[rule("createRun.created", "failed", evidence={"vectors": 9})], duration_s=9.0)
    ran = compared(tmp_path, [before], [after])
    assert (ran.code, ran.out) == (0, "memory:\n  no difference\n"), ran


def test_every_change_is_a_line_and_the_worst_comes_first() -> None:
    before = report(
        verdict="conforms",
        rules=[
            rule("a.lost", "passed", evidence={"vectors": 1, "cuts": 2}),
            rule("a.broken", "passed"),
            rule("a.mended", "failed", level="SHOULD"),
            rule("a.untested", "passed"),
            rule("a.gone", "passed"),
        ],
    )
    after = report(
        rules=[
            rule("a.mended", "passed", level="SHOULD"),
            rule("a.lost", "passed", evidence={"vectors": 1, "histories": 2}),
            rule("a.untested", "untested", evidence={}),
            rule("a.broken", "failed"),
            rule("a.new", "passed"),
        ],
    )
    assert list(differences(before, after)) == [
        "the verdict was conforms, and is fails",
        "newly failing: a.broken (was passed)",
        "newly untested: a.untested (was passed)",
        "newly passing: a.mended (SHOULD) (was failed)",
        "no longer exercised by cuts: a.lost",
        "newly exercised by histories: a.lost",
        "no longer exercised by sequences, vectors: a.untested",
        "only in A: a.gone",
        "only in B: a.new",
    ]


def test_two_adapters_and_their_settings(tmp_path: Path) -> None:
    before, after = report(), report(target="sqlite:", environment={"profile": "thorough", "seed": "7"})
    ran = compared(tmp_path, [before], [after])
    assert ran.code == 0, ran
    assert ran.out.split("\n")[:3] == [
        "memory: and sqlite:", "  no difference", "  profile: quick in A, thorough in B",
    ]  # fmt: skip


def test_several_targets_are_compared_by_name(tmp_path: Path) -> None:
    first, second, third = report(), report(target="sqlite:"), report(target="postgresql:")
    ran = compared(tmp_path, [first, second], [second, third])
    assert ran.code == 1, ran
    assert ran.out == ("memory:\n  only in A: fails\nsqlite:\n  no difference\npostgresql:\n  only in B: fails\n")


@pytest.mark.parametrize("text", ["{}", "nonsense", None])
def test_what_is_no_report_is_told(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "a.json").write_text(reports_json([report()]))
    if text is not None:
        (tmp_path / "b.json").write_text(text)
    ran = storeproof("diff", "a.json", "b.json", folder=tmp_path)
    assert (ran.code, "b.json" in ran.err, ran.out, "Traceback" in ran.err) == (2, True, "", False), ran
