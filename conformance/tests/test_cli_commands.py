"""`storeproof rules`, `replay`, `migrate` and the options of the command itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from storeproof.spec.loader import load
from tests.command_session import storeproof

QUICK = ("--profile", "quick", "--seed", "3")


def test_the_version(tmp_path: Path) -> None:
    ran = storeproof("--version", folder=tmp_path)
    assert (ran.code, "specification revision 1" in ran.out) == (0, True)


def test_an_unknown_command(tmp_path: Path) -> None:
    assert storeproof("nonsense", folder=tmp_path).code == 2


def test_all_rules(tmp_path: Path) -> None:
    ran = storeproof("rules", folder=tmp_path)
    lines = {line.strip().split("  ")[0] for line in ran.out.split("\n")}
    assert ran.code == 0
    assert load().rules.keys() <= lines


def test_everything_about_one_rule(tmp_path: Path) -> None:
    ran = storeproof("rules", "claimRun.claimed", folder=tmp_path)
    rule = load().rules["claimRun.claimed"]
    assert ran.code == 0
    assert all(text in ran.out for text in (rule.says, rule.why, rule.level, rule.source, "=newLease(args)", "vectors"))


def test_rules_of_an_operation_and_of_a_prefix(tmp_path: Path) -> None:
    for name in ("claimRun", "claimR", "values."):
        ran = storeproof("rules", name, folder=tmp_path)
        shown = {rule for rule in load().rules if f"  {rule}  " in ran.out}
        assert (ran.code, shown) == (0, {rule for rule in load().rules if rule.startswith(name)})


def test_an_unknown_rule_and_what_is_near_it(tmp_path: Path) -> None:
    ran = storeproof("rules", "claimRun.clamied", folder=tmp_path)
    assert (ran.code, "claimRun.claimed" in ran.err, ran.out) == (2, True, "")


def test_replay_says_whether_it_still_fails(tmp_path: Path) -> None:
    storeproof("verify", "report_stores:Steals", *QUICK, "--rule", "claimRun", folder=tmp_path)
    file = str(sorted((tmp_path / ".storeproof").glob("claimRun.leased-*.json"))[0].relative_to(tmp_path))
    again = storeproof("replay", file, folder=tmp_path)
    assert (again.code, "it still fails" in again.out, "broke claimRun.leased" in again.out) == (1, True, True), again
    good = storeproof("replay", file, "--target", "memory:", folder=tmp_path)
    assert (good.code, "it no longer fails" in good.out) == (0, True), good
    other = storeproof("replay", file, "--target", "report_stores:Exits", folder=tmp_path)
    assert (other.code, "but otherwise than when it was saved" in other.out) == (1, True), other


def test_replay_of_a_scene_runs_the_scene_again(tmp_path: Path) -> None:
    scene = {
        "format": "storeproof-repro/1", "storeproof": "0", "specification": "1", "target": "memory:", "seed": 1,
        "check": "subscriptions", "rules": ["subscribeEvents.live"], "message": "m", "program": [], "python": "",
        "expected": "e", "actual": "a", "step": 0, "wrong_after": None,
    }  # fmt: skip
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    ran = storeproof("replay", "scene.json", folder=tmp_path)
    assert (ran.code, "it no longer fails" in ran.out) == (0, True), ran


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("no json", "holds no JSON"),
        ("[" * 100_000, "no repro file"),
        ('{"format": "storeproof-report/1"}', "no repro file"),
        ("[]", "no repro file"),
    ],
    ids=["missing", "no json", "deep", "another format", "a list"],
)
def test_replay_of_a_bad_file(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "bad.json").write_text(text)
    ran = storeproof("replay", "bad.json", folder=tmp_path)
    assert (ran.code, said in ran.err, "Traceback" in ran.err) == (2, True, False), ran


def test_migrate_a_file(tmp_path: Path) -> None:
    missing = storeproof("migrate", "sqlite:a.db", "--check", folder=tmp_path)
    assert (missing.code, (tmp_path / "a.db").exists()) == (2, False), missing
    first = storeproof("migrate", "sqlite:a.db", folder=tmp_path)
    assert (first.code, "applied 0000_" in first.out) == (0, True), first
    second = storeproof("migrate", "sqlite:a.db", folder=tmp_path)
    assert (second.code, "nothing to do" in second.out) == (0, True), second
    assert storeproof("migrate", "sqlite:a.db", "--check", folder=tmp_path).code == 0


def test_check_of_a_file_without_tables_changes_nothing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    ran = storeproof("migrate", "sqlite:empty.db", "--check", folder=tmp_path)
    assert (ran.code, "is missing" in ran.out) == (1, True), ran
    with sqlite3.connect(tmp_path / "empty.db") as connection:
        assert connection.execute("select count(*) from sqlite_master").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("url", ["sqlite:a.db", "postgresql:"])
def test_sql_is_printed_and_nothing_touched(tmp_path: Path, url: str) -> None:
    ran = storeproof("migrate", url, "--sql", folder=tmp_path)
    assert (ran.code, ran.out.lower().count("create table") >= 7, list(tmp_path.iterdir())) == (0, True, [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("mysql://x",), 2),
        (("sqlite:a.db", "--schema", "s"), 2),
        (("sqlite:a.db", "--sql", "--check"), 2),
        (("sqlite:text.db",), 3),
    ],
)
def test_migrate_with_bad_input(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    (tmp_path / "text.db").write_text("no database at all\n" * 100)
    ran = storeproof("migrate", *arguments, folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err, ran.out) == (code, False, ""), ran
