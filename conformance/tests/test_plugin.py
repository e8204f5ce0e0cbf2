"""The pytest way: an author's file of a few lines, run as an author runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from storeproof.conformance.suite import conformance_suite, rule_groups
from storeproof.spec.loader import load

pytest_plugins = ["pytester"]

AUTHOR = """
from storeproof.conformance import conformance_suite
from storeproof.adapters.memory import MemoryStore

{store}
test_conformance = conformance_suite({factory}, profile="quick")
"""
BROKEN = """
class Broken(MemoryStore):
    async def delete_run(self, *, run_id, reason):
        pass
"""
STRICT = ("--strict-markers", "-W", "error", "-p", "no:cacheprovider")


def author(pytester: pytest.Pytester, store: str = "", factory: str = "MemoryStore") -> None:
    text = AUTHOR.format(store=store, factory=factory)
    assert len([line for line in text.split("\n") if line and line not in store]) <= 8
    pytester.makepyfile(test_store=text)


def test_one_item_per_group(pytester: pytest.Pytester) -> None:
    author(pytester)
    ran = pytester.runpytest_subprocess("--collect-only", "-q", *STRICT)
    groups = rule_groups(load())
    assert [line for line in ran.outlines if "::" in line] == [f"test_store.py::test_conformance[{g}]" for g in groups]
    assert len(groups) == 25 + 10


def test_a_good_store(pytester: pytest.Pytester) -> None:
    author(pytester)
    ran = pytester.runpytest_subprocess("-k", "claimRun or values or durability or subscribeEvents", *STRICT)
    ran.assert_outcomes(passed=4, deselected=31)
    assert not (pytester.path / ".storeproof").exists()


def test_a_broken_store(pytester: pytest.Pytester) -> None:
    author(pytester, BROKEN, "Broken")
    ran = pytester.runpytest_subprocess("-k", "deleteRun or loadRunState", *STRICT)
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(
        ["broke deleteRun.deleted*", "The program*", "*await store.delete_run(*", "*storeproof replay *", "*seed 0*"]
    )
    assert "Traceback" not in ran.stdout.str()
    assert list((pytester.path / ".storeproof").glob("deleteRun.deleted-*.json"))


def test_first_failure_and_last_failed(pytester: pytest.Pytester) -> None:
    author(pytester, BROKEN, "Broken")
    selected = ("-k", "deleteRun or loadRunState")
    ran = pytester.runpytest_subprocess("-x", *selected, "--strict-markers", "-W", "error")
    assert ran.parseoutcomes()["failed"] == 1
    again = pytester.runpytest_subprocess("--lf", "--collect-only", "-q", "--strict-markers")
    assert [line for line in again.outlines if "::" in line] == ["test_store.py::test_conformance[deleteRun]"]


def test_over_several_processes(pytester: pytest.Pytester) -> None:
    author(pytester)
    ran = pytester.runpytest_subprocess("-n", "2", "-k", "createRun or loadRun", *STRICT)
    ran.assert_outcomes(passed=3)


def test_options_win(pytester: pytest.Pytester) -> None:
    author(pytester, "def make():\n    raise RuntimeError('no container')\n", "make")
    options = ("--storeproof-seed", "11", "--storeproof-profile", "default")
    ran = pytester.runpytest_subprocess("-k", "deleteRun", *options, *STRICT)
    ran.stdout.fnmatch_lines(["*profile default, seed 11*"])
    bad = pytester.runpytest_subprocess("--storeproof-profile", "huge")
    assert bad.ret == 4


def test_a_factory_that_fails_is_told_in_one_line(pytester: pytest.Pytester) -> None:
    author(pytester, "def make():\n    raise RuntimeError('no container')\n", "make")
    ran = pytester.runpytest_subprocess("-k", "claimRun", *STRICT)
    ran.assert_outcomes(failed=1, deselected=34)
    ran.stdout.fnmatch_lines(["*cannot tell: test_store:make: the factory failed: RuntimeError: no container*"])


def test_targets_by_name(pytester: pytest.Pytester) -> None:
    author(pytester, factory="'sqlite::memory:'")
    pytester.runpytest_subprocess("-k", "loadRunState", *STRICT).assert_outcomes(passed=1, deselected=34)


def test_the_plugin_is_inert() -> None:
    """In a process that has it, nothing of the kit or of what it needs is loaded."""
    program = (
        "import sys, storeproof.conformance.plugin\n"
        "heavy = {'hypothesis', 'jsonschema', 'rich', 'typer', 'pydantic', 'pytest', 'storeproof.conformance.suite'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_unknown_profile_is_told_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="no profile 'huge'"):
        conformance_suite("memory:", profile="huge")


def test_a_claim_file(pytester: pytest.Pytester) -> None:
    """Listed and failing passes; listed and passing, or a bad file, fails and says so."""
    claim = 'adapter = "a"\ncapabilities = ["subscribe"]\n[expected-failures]\n"{}" = {{ reason = "known" }}\n'
    pytester.makefile(".toml", claim=claim.format("deleteRun.deleted"), bad=claim.format("deleteRun.delete"))
    careful = BROKEN.replace("pass", "await MemoryStore().delete_run(run_id=run_id, reason=reason)")
    author(pytester, careful, 'Broken, claim="claim.toml"')
    pytester.runpytest_subprocess("-k", "deleteRun", *STRICT).assert_outcomes(passed=1, deselected=34)
    author(pytester, factory='MemoryStore, claim="claim.toml"')
    stale = pytester.runpytest_subprocess("-k", "deleteRun", *STRICT)
    stale.assert_outcomes(failed=1, deselected=34)
    stale.stdout.fnmatch_lines(["*deleteRun.deleted: expected to fail, but passed*"])
    author(pytester, factory='MemoryStore, claim="bad.toml"')
    bad = pytester.runpytest_subprocess(*STRICT)
    bad.assert_outcomes(errors=1)
    bad.stdout.fnmatch_lines(["*no rule 'deleteRun.delete'; near it: deleteRun.deleted*"])
