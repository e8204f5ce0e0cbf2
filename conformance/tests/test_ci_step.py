"""The CI step: what it runs by day and at night, and that its exit code is the command's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEP = ROOT / "examples" / "github" / "verify.sh"
RECORDING = """#!/usr/bin/env bash
printf '%s\\n' "$@" >seen
for word in "$@"; do case $word in *.md) echo '# summary' >"$word" ;; esac; done
exit ${CODE:-0}
"""


def ran(folder: Path, **given: str) -> tuple[int, list[str]]:
    """The exit code, and the words the command was called with."""
    command = folder / "bin" / "storeproof"
    command.parent.mkdir(exist_ok=True)
    command.write_text(RECORDING, encoding="utf-8")
    command.chmod(0o755)
    env = {"PATH": f"{command.parent}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": "summary.md", **given}
    done = subprocess.run(["bash", str(STEP)], cwd=folder, env=env, check=False, timeout=60)
    return done.returncode, (folder / "seen").read_text(encoding="utf-8").split("\n")


def test_by_day_the_seed_is_fixed(tmp_path: Path) -> None:
    code, words = ran(
        tmp_path, TARGET="stdio:node my store.mjs", NIGHT="false", ARGUMENTS="--claim a.toml --rule values"
    )
    assert code == 0
    assert words[:6] == ["verify", "stdio:node my store.mjs", "--profile", "default", "--seed", "0"]
    assert words[-5:-1] == ["--claim", "a.toml", "--rule", "values"]
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == "# summary\n"


def test_at_night_there_is_none(tmp_path: Path) -> None:
    _, words = ran(tmp_path, TARGET="a:b", NIGHT="true")
    assert words[:4] == ["verify", "a:b", "--profile", "thorough"]
    assert "--seed" not in words


@pytest.mark.parametrize("code", ["1", "3"])
def test_the_exit_code_is_the_commands_and_the_summary_is_written_all_the_same(tmp_path: Path, code: str) -> None:
    assert ran(tmp_path, TARGET="a:b", CODE=code)[0] == int(code)
    assert (tmp_path / "summary.md").exists()


def test_a_choice_goes_before_the_default(tmp_path: Path) -> None:
    _, words = ran(tmp_path, TARGET="a:b", NIGHT="true", PROFILE="quick", SEED="7")
    assert words[:6] == ["verify", "a:b", "--profile", "quick", "--seed", "7"]


def test_the_command_takes_what_the_step_says(tmp_path: Path) -> None:
    command = tmp_path / "real" / "storeproof"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m storeproof.conformance.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    env = {"PATH": f"{command.parent}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": "summary.md"}
    given = {"TARGET": "memory:", "PROFILE": "quick", "ARGUMENTS": "--rule loadRun"}
    done = subprocess.run(["bash", str(STEP)], cwd=tmp_path, env={**env, **given}, check=False, timeout=240)
    assert done.returncode == 0
    made = {path.name for path in (tmp_path / "storeproof-report").iterdir()}
    assert made == {"report.json", "report.xml", "report.html", "report.md"}
    assert "memory" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_the_action_hands_over_what_the_script_reads() -> None:
    action = (ROOT / "examples" / "github" / "action.yml").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{?([A-Z]+)\b", STEP.read_text(encoding="utf-8")))
    assert {name for name in read if not name.startswith("GITHUB")} <= set(re.findall(r"^ +([A-Z]+): ", action, re.M))
