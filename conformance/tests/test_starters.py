"""`storeproof init`: the project runs at once, says what is missing, and conforms once it is filled in."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from storeproof.conformance.claims import read_claim
from storeproof.conformance.starters import methods, rendered
from storeproof.spec.loader import load
from tests.command_session import storeproof


def test_the_project_runs_at_once_and_says_what_is_missing(tmp_path: Path) -> None:
    made = storeproof("init", "acme-store", folder=tmp_path)
    assert made.code == 0, made
    assert {line.strip() for line in made.out.splitlines()} == {f"acme-store/{name}" for name in rendered("acme_store")}
    folder = tmp_path / "acme-store"
    ran = storeproof("verify", "acme_store:make_store", "--rule", "claimRun", "--seed", "0", folder=folder)
    assert (ran.code, "Traceback" in ran.err) == (1, False), ran
    told = " ".join(ran.out.split())
    assert "claimRun is not written yet; `storeproof rules claimRun` says what it does" in told
    suite = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "claimRun"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (suite.returncode, "1 failed" in suite.stdout) == (1, True), suite.stdout


def test_it_conforms_when_its_methods_are_written(tmp_path: Path) -> None:
    storeproof("init", "acme-store", folder=tmp_path)
    store = tmp_path / "acme-store" / "acme_store.py"
    text = store.read_text(encoding="utf-8").replace("class AcmeStore:", "class AcmeStore(MemoryStore):")
    text = text.replace(
        "from storeproof.spec import",
        "from storeproof.adapters.memory import MemoryStore\nfrom storeproof.spec import",
        1,
    )
    text, count = re.subn(
        r"(    async def (\w+)\((?:.|\n)*?\) -> .*:\n        \"\"\".*\"\"\"\n        args = checked\((?:.|\n)*?\)\n)"
        r"        raise not_written\(.*\)\n",
        r"\1        return await getattr(super(), '\2')(**dict(args))\n",
        text,
    )
    assert count == len(list(methods(load()))) == 24
    store.write_text(text, encoding="utf-8")
    ran = storeproof(
        "verify", "acme_store:make_store", "--rule", "createRun", "--seed", "0", folder=tmp_path / "acme-store"
    )
    assert ran.code == 0, ran


def test_the_claim_file_claims_what_the_skeleton_offers(tmp_path: Path) -> None:
    storeproof("init", "acme-store", folder=tmp_path)
    claim = read_claim(tmp_path / "acme-store" / "claim.toml", load())
    assert (claim.adapter, claim.capabilities, claim.expected) == ("acme_store", [], {})


def test_the_skeleton_has_every_method_and_its_files_are_well_formed() -> None:
    files = rendered("acme_store")
    executable = [name for name, operation in load().operations.items() if operation.executable]
    assert sorted(method.operation for method in methods(load())) == sorted(executable)
    assert all(f'not_written("{name}", args)' in files["acme_store.py"] for name in executable)
    assert max(len(line) for line in files["acme_store.py"].splitlines()) <= 120
    assert tomllib.loads(files["pyproject.toml"])["project"]["name"] == "acme-store"
    assert "${{ github.event_name == 'schedule'" in files[".github/workflows/conformance.yml"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("full", "is there already"),
        ("file", "is there already"),
        ("1-store", "makes no name"),
        ("class", "makes no name"),
    ],
)
def test_what_must_not_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    ran = storeproof("init", name, folder=tmp_path)
    assert (ran.code, said in " ".join(ran.err.split()), "Traceback" in ran.err) == (2, True, False), ran
    assert sorted(tmp_path.rglob("*")) == before
