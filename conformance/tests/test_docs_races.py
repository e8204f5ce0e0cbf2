"""The pages about races as a newcomer follows them: what they show is what comes out, what they say is so."""

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cuts import CutExploration, explore_cuts
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.factorystage import FactoryStage
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.targets import resolve
from storeproof.conformance.verify import verify
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests import races_page

pytestmark = pytest.mark.races


ROOT = races_page.DOCS.parent


def module_of(path: Path, monkeypatch: Any) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, path.stem, module)
    specification.loader.exec_module(module)
    return module


def test_reports_timelines_and_picture_are_what_the_page_s_commands_give(tmp_path: Path) -> None:
    texts, picture = races_page.made(tmp_path)
    page = races_page.PAGE.read_text(encoding="utf-8")
    assert races_page.written(page, texts) == page, "python -m tests.races_page writes it anew"
    assert races_page.PICTURE.read_text(encoding="utf-8") == picture, "python -m tests.races_page writes it anew"
    explained = races_page.storeproof(tmp_path, "rules", "claims.exclusive")
    assert explained.returncode == 0
    assert "handed to two owners" in " ".join(explained.stdout.split())


def test_the_store_of_the_page_is_right_for_one_client(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "one_row.py"
    path.write_text(races_page.snippet("file: one_row.py"), encoding="utf-8")
    module_of(path, monkeypatch)
    specification = load()
    target = resolve("one_row:make_store", specification)
    report = verify(target, specification, PROFILES["quick"], seed=1, checks=("vectors",))
    assert report.error is None
    assert report.failures == []
    assert sum(rule.evidence.get("vectors", 0) for rule in report.rules) > 1_000


def test_the_mended_store_survives_every_cut(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "one_row.py"
    mended = races_page.snippet("file: one_row.py") + "\n\n" + races_page.snippet("append: one_row.py")
    path.write_text(mended, encoding="utf-8")
    module = module_of(path, monkeypatch)
    specification = load()
    claim = next(call for call in INSTANCES if call.operation == "claimRun")

    async def cut() -> CutExploration:
        stage = FactoryStage("one_row:make_store", module.make_store, specification, 10.0)
        await stage.open()
        try:
            with stage.points():
                scenario = Scenario(WORLDS["waiting"], ((claim,),))
                return await explore_cuts(stage, Model(specification), scenario, Readings())
        finally:
            await stage.close()

    found = asyncio.run(cut())
    assert (found.complete, found.wrong, found.skipped) == (True, None, None)
    # BEGIN IMMEDIATE, select, replace, COMMIT
    assert (found.points["before"], found.points["after"], found.points["answered"]) == (4, 4, 1)


def test_statements_of_the_postgres_factory_are_seen_and_nothing_is_left(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "my_postgres_store.py"
    path.write_text(races_page.snippet("file: my_postgres_store.py", ROOT / "docs/write-an-adapter.md"), "utf-8")
    module = module_of(path, monkeypatch)
    before = schemas()

    async def opened() -> tuple[str, bool, list[str]]:
        async with module.make_store():  # the target's own store is still open when several clients meet
            stage = FactoryStage("my_postgres_store:make_store", module.make_store, load(), 10.0)
            await stage.open()
            during = schemas()
            await stage.close()
        return stage.sees, stage.shared, during

    sees, shared, during = asyncio.run(opened())
    assert (sees, shared) == ("statements", False)
    assert len(during) == len(before) + 2
    assert schemas() == before


def test_the_pages_are_built_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "<svg" in (tmp_path / "two-winners.svg").read_text(encoding="utf-8")
    assert "No run, timer or bucket" in (tmp_path / "races.html").read_text(encoding="utf-8")


def schemas() -> list[str]:
    with psycopg.connect(embedded_url(), autocommit=True) as connection:
        found = connection.execute("select nspname from pg_namespace where nspname like 'test\\_%' order by 1")
        return [name for (name,) in found.fetchall()]
