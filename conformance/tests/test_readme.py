"""The README as a newcomer follows it: its files are written as they stand, its commands typed, its snippets run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psycopg
from storeproof.conformance.embedded import embedded_url

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def snippet(mark: str) -> str:
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no snippet marked {mark!r}"
    return found.group(1)


def typed(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_author_path_from_nothing_to_a_replayed_failure(tmp_path: Path) -> None:
    store = tmp_path / "my_store.py"
    store.write_text(snippet("file: my_store.py"), encoding="utf-8")
    suite = snippet("file: test_my_store.py")
    assert len([line for line in suite.splitlines() if line]) <= 8
    (tmp_path / "test_my_store.py").write_text(suite, encoding="utf-8")

    assert "    storeproof verify my_store:make_store\n" in README
    assert (Path(__file__).resolve().parents[2] / "docs/assets/report-race.png").read_bytes()[:4] == b"\x89PNG"
    verify = ("storeproof.conformance.cli", "verify", "my_store:make_store", "--profile", "quick", "--seed", "1")
    right = typed(tmp_path, *verify)
    assert right.returncode == 0, right.stdout + right.stderr

    store.write_text(store.read_text(encoding="utf-8") + "\n\n" + snippet("append: my_store.py"), encoding="utf-8")
    broken = typed(tmp_path, *verify)
    assert broken.returncode == 1
    assert "claimRun.leased" in broken.stdout or "claimRun.claimed" in broken.stdout
    assert "broke atomic" not in broken.stdout, "what is wrong for one client is no race"
    assert "Traceback" not in broken.stdout + broken.stderr
    repro = re.search(r"storeproof replay (\S+\.json)", broken.stdout)
    assert repro, broken.stdout
    rule = re.search(r"storeproof rules (\S+)", broken.stdout)
    assert rule, broken.stdout

    explained = typed(tmp_path, "storeproof.conformance.cli", "rules", rule.group(1))
    assert explained.returncode == 0
    assert rule.group(1) in explained.stdout
    assert typed(tmp_path, "storeproof.conformance.cli", "replay", repro.group(1)).returncode == 1
    elsewhere = typed(tmp_path, "storeproof.conformance.cli", "replay", repro.group(1), "--target", "memory:")
    assert elsewhere.returncode == 0, elsewhere.stdout + elsewhere.stderr

    suite_run = typed(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-k", "claimRun")
    assert suite_run.returncode == 1
    assert "1 failed" in suite_run.stdout


def test_the_adapter_snippet_runs_on_a_real_server() -> None:
    names: dict[str, Any] = {"url": embedded_url(), "now_ms": 1_700_000_000_000}
    body = textwrap.indent(snippet("run: postgres").replace("workflow", "readme_workflow"), "    ")
    body = body.replace("readme_workflow_id", "workflow_id")
    exec(f"async def main():\n{body}", names)
    try:
        asyncio.run(names["main"]())
    finally:
        with psycopg.connect(embedded_url(), autocommit=True) as connection:
            connection.execute("drop schema readme_workflow cascade")
