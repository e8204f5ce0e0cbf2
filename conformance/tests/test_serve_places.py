"""`storeproof serve`: where a store's data are, who may empty them, and what another process sees."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from storeproof.conformance.embedded import URL_VARIABLE, embedded_url
from tests.command_session import storeproof
from tests.wire_session import serving

RUN = {"runId": "r", "workflowId": "w", "input": None, "now": 5}


@pytest.fixture
def schema() -> Generator[str]:
    """A name for a schema, with a quote in it; whatever it names goes in the end."""
    name = f'serve "{secrets.token_hex(4)}'
    yield name
    with psycopg.connect(embedded_url(), autocommit=True) as connection:
        quoted = name.replace('"', '""')
        connection.execute(f'drop schema if exists "{quoted}" cascade'.encode())


def _schemas() -> set[str]:
    with psycopg.connect(embedded_url()) as connection:
        return {name for (name,) in connection.execute("select nspname from pg_namespace").fetchall()}


def _survives(*place: str, folder: Path) -> None:
    """A killed process's data are there for the next, until it is reset."""
    with serving(*place, folder=folder, initialize=False) as session:
        capabilities = session.ask("initialize", protocol=1)["capabilities"]
        assert capabilities == ["durable", "subscribe"]
        created = session.ask("createRun", **RUN)
        session.process.kill()
        session.left()
    with serving(*place, folder=folder) as session:
        assert session.ask("loadRun", runId="r") == created["run"]
        assert session.ask("reset") is None
        assert session.ask("loadRun", runId="r") is None
        assert session.ask("shutdown") is None
        assert session.left() == 0


def test_a_named_file_outlives_its_process(tmp_path: Path) -> None:
    _survives("sqlite:store.sqlite", folder=tmp_path)


def test_a_named_schema_outlives_its_process(tmp_path: Path, schema: str) -> None:
    _survives(embedded_url(), "--schema", schema, folder=tmp_path)


def test_what_does_not_survive_is_not_called_durable(tmp_path: Path) -> None:
    for target in ("memory:", "sqlite:", "sqlite::memory:"):
        with serving(target, folder=tmp_path, initialize=False) as session:
            assert session.ask("initialize", protocol=1)["capabilities"] == ["subscribe"]
            assert session.ask("createRun", **RUN)["kind"] == "created"
            assert session.ask("shutdown") is None
            assert session.left() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"stderr.txt"}


def test_a_server_without_a_schema_gets_one_that_goes(tmp_path: Path) -> None:
    before = _schemas()
    with serving(embedded_url(), folder=tmp_path, initialize=False) as session:
        assert session.ask("initialize", protocol=1)["capabilities"] == ["subscribe"]
        assert len(_schemas() - before) == 1
        session.end_input()
        assert session.left() == 0
    assert _schemas() == before


def test_other_peoples_data_are_refused(tmp_path: Path, schema: str) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as connection:
        connection.execute("create table orders (id)")
    ran = storeproof("serve", "sqlite:theirs.sqlite", folder=tmp_path)
    assert (ran.code, ran.out, "exists and is not the kit's" in ran.err) == (2, "", True)
    assert storeproof("migrate", embedded_url(), "--schema", schema, folder=tmp_path).code == 0
    ran = storeproof("serve", embedded_url(), "--schema", schema, folder=tmp_path)
    assert (ran.code, ran.out, "exists and is not the kit's" in ran.err) == (2, "", True)
    ran = storeproof("serve", "postgresql:", "--schema", schema, folder=tmp_path, env={URL_VARIABLE: embedded_url()})
    assert (ran.code, ran.out) == (2, "")


def _serves_without_reset(*place: str, folder: Path) -> None:
    for found in (None, {"runId": "r"}):
        with serving(*place, "--no-reset", folder=folder, initialize=False) as session:
            assert session.ask("initialize", protocol=1)["capabilities"] == ["durable", "subscribe"]
            run = session.ask("loadRun", runId="r")
            assert run is None if found is None else run["runId"] == "r"
            session.ask("createRun", **RUN)
            assert session.ask("reset")["code"] == -32601
            assert session.ask("loadRun", runId="r")["runId"] == "r"


def test_an_applications_file_is_served_and_never_emptied(tmp_path: Path) -> None:
    assert storeproof("migrate", "sqlite:app.sqlite", folder=tmp_path).code == 0
    _serves_without_reset("sqlite:app.sqlite", folder=tmp_path)


def test_an_applications_schema_is_served_and_never_emptied(tmp_path: Path, schema: str) -> None:
    assert storeproof("migrate", embedded_url(), "--schema", schema, folder=tmp_path).code == 0
    _serves_without_reset(embedded_url(), "--schema", schema, folder=tmp_path)


def test_an_applications_database_must_be_complete(tmp_path: Path, schema: str) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.sqlite")) as connection:
        connection.execute("create table orders (id)")
    for place in (("sqlite:empty.sqlite",), (embedded_url(), "--schema", schema)):
        ran = storeproof("serve", *place, "--no-reset", folder=tmp_path)
        assert (ran.code, ran.out, "storeproof migrate" in ran.err) == (3, "", True)
    assert schema not in _schemas()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("no_such_module:factory",),
        ("sqlite://file",),
        ("sqlite:missing/file",),
        ("memory:", "--schema", "s"),
        ("memory:", "--no-reset"),
        ("model:", "--no-reset"),
        ("postgresql:", "--no-reset"),
        ("postgresql:", "--schema", "s"),
        ("postgresql://nobody@localhost/nothing", "--schema", ""),
        ("sqlite:missing.sqlite", "--no-reset"),
    ],
)
def test_what_means_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = storeproof("serve", *arguments, folder=tmp_path, env={URL_VARIABLE: ""})
    assert (ran.code, ran.out, "Traceback" in ran.err) == (2, "", False), ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    address = "postgresql://nobody:secret@localhost:1/nothing"
    for more in ((), ("--schema", "s"), ("--no-reset",)):
        ran = storeproof("serve", address, *more, folder=tmp_path)
        assert (ran.code, ran.out, "Traceback" in ran.err, "secret" in ran.err) == (3, "", False, False), ran.err
