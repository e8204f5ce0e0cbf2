"""Claim files: what is listed and fails is expected, what is listed and passes is stale; nothing hides behind it."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.choices import RandomChoices
from storeproof.conformance.claims import Claim, read_claim
from storeproof.conformance.failures import UsageError
from storeproof.conformance.generation import draw_program, weighted_operations
from storeproof.conformance.known import Known
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import Call
from storeproof.conformance.report import Report, verdict_text
from storeproof.conformance.repro import save
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.targets import StoreTarget
from storeproof.conformance.verify import verify
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests import claim_stores
from tests.broken_runs import CreateTouchesExisting as TouchesExisting
from tests.command_session import Ran, storeproof, unfit
from tests.race_stages import racy, target

SPECIFICATION = load()
SMALL = Profile("small", 6, 60)
FOR_ONE = ("vectors", "sequences")


def claim_of(*rules: str, capabilities: tuple[str, ...] = ("subscribe",)) -> Claim:
    listed = {rule: {"reason": "known", "issue": "https://example.com/1"} for rule in rules}
    return Claim.model_validate({"adapter": "a", "capabilities": list(capabilities), "expected-failures": listed})


def run(store: type[Any], claim: Claim | None, rules: tuple[str, ...], checks: tuple[str, ...] = FOR_ONE) -> Report:
    target = StoreTarget(store.__name__, lambda: _context(store), SPECIFICATION)
    return verify(target, SPECIFICATION, SMALL, seed=5, rules=rules, checks=checks, claim=claim)


def _context(store: type[Any]) -> Any:
    return nullcontext(store())


CLAIM_RUN = tuple(
    rule.id for rule in SPECIFICATION.operations["claimRun"].rules if rule.kind != "promise"
)  # what FOR_ONE exercises


def test_a_listed_rule_that_fails_is_expected() -> None:
    without = run(claim_stores.Steals, None, CLAIM_RUN)
    assert (without.verdict, [each.rules[0] for each in without.failures]) == ("fails", ["claimRun.leased"])
    report = run(claim_stores.Steals, claim_of("claimRun.leased"), CLAIM_RUN)
    assert (report.verdict, report.failures, report.error) == ("conforms", [], None)
    assert verdict_text(report) == "conforms except 1 expected failure (selected rules only)"
    assert [(rule.status, rule.because) for rule in report.rules if rule.id == "claimRun.leased"] == [
        ("expected-failure", "known")
    ]
    assert [each.rules[0] for each in report.expected] == ["claimRun.leased"]
    assert report.environment["expected failures"] == "claimRun.leased"
    assert {rule.status for rule in report.rules if rule.id != "claimRun.leased"} == {"passed"}
    assert unfit("report", json.loads(json.dumps(report.model_dump()))) == []


def test_a_listed_rule_that_passes_is_stale() -> None:
    report = run(claim_stores.Repaired, claim_of("claimRun.leased"), CLAIM_RUN)
    assert (report.verdict, report.failures, report.expected) == ("fails", [], [])
    assert [rule.id for rule in report.rules if rule.status == "stale"] == ["claimRun.leased"]
    assert report.claim is not None
    assert report.claim.problems == ["claimRun.leased: expected to fail, but passed: remove it from the claim file"]


def test_what_is_not_listed_fails_and_alone() -> None:
    report = run(claim_stores.StealsAndRevives, claim_of("claimRun.leased"), CLAIM_RUN)
    assert (report.verdict, [each.rules[0] for each in report.failures]) == ("fails", ["claimRun.terminal"])
    assert [rule.id for rule in report.rules if rule.status == "failed"] == ["claimRun.terminal"]
    both = run(claim_stores.StealsAndRevives, claim_of("claimRun.leased", "claimRun.terminal"), CLAIM_RUN)
    assert verdict_text(both) == "conforms except 2 expected failures (selected rules only)"


def test_a_listed_rule_that_is_right_by_now_excuses_no_other() -> None:
    """`perhaps claimRun.leased` stands in a failure whose program is right without its calls: that is no proof."""
    report = run(claim_stores.Revives, claim_of("claimRun.leased"), CLAIM_RUN)
    assert (report.verdict, report.failures[0].rules[0]) == ("fails", "claimRun.terminal")
    assert "claimRun.leased" not in {each.rules[0] for each in report.expected}


def _exercised(store: type[Any], program: tuple[Call, ...], listed: frozenset[str]) -> Session:
    runner = Runner(StoreTarget("s", lambda: _context(store), SPECIFICATION), Model(SPECIFICATION))
    runner.open()
    try:
        session = Session(runner, SMALL, 0, known=Known(listed))
        session.exercise(program, "vectors")
    finally:
        runner.close()
    return session


def test_a_second_defect_shows_behind_the_first() -> None:
    """The state of the program is read in the end: first by listRuns, which fails, and then by claims of timers."""
    program = (
        Call("createRun", {"runId": "a", "workflowId": "w", "input": None, "now": 0}),
        Call("scheduleTimer", {"runId": "a", "workflowId": "w", "wakeAt": 5, "signalId": "t", "now": 1}),
    )
    store = claim_stores.ListsNothingAndForgetsTimers
    hidden = _exercised(store, program, frozenset())
    assert [each.rules[0] for each in hidden.failures] == ["listRuns.listed"]
    found = _exercised(store, program, frozenset({"listRuns.listed"}))
    assert [each.rules[0] for each in found.known.failures] == ["listRuns.listed"]
    assert [each.rules[0] for each in found.failures] == ["claimDueTimers.claimed"]
    alone = _exercised(claim_stores.ListsNothing, program, frozenset({"listRuns.listed"}))
    assert (alone.failures, len(alone.known.failures)) == ([], 1)


def test_drawn_programs_keep_away_from_listed_rules() -> None:
    model, avoided = Model(SPECIFICATION), frozenset({"claimRun.leased", "listRuns.order"})
    weighted = weighted_operations(SPECIFICATION, "claimRun")
    exercised: Counter[str] = Counter()
    for seed in range(60):
        state = model.initial()
        for call in draw_program(RandomChoices(seed), model, weighted, 16, avoided=avoided):
            step = model.step(state, call.operation, call.args)
            state = step.state
            exercised.update(step.rules)
    assert exercised.keys().isdisjoint(avoided)
    assert min(exercised[rule] for rule in ("claimRun.claimed", "claimRun.not-found")) >= 20


def test_races_keep_away_from_listed_rules() -> None:
    """Also where only one order of the calls exercises them, and in the setup."""
    avoidance = Avoidance(Model(SPECIFICATION), frozenset({"claimRun.leased"}))
    claims = [Call("claimRun", {"runId": "r", "leaseOwner": owner, "leaseMs": 5, "now": 10}) for owner in "op"]
    create = Call("createRun", {"runId": "r", "workflowId": "w", "input": None, "now": 0})
    load = Call("loadRun", {"runId": "r"})
    assert avoidance.scenarios([Scenario((create,), ((claims[0],), (claims[1],)))]) == []
    assert avoidance.scenarios([Scenario((), ((create, claims[0]), (claims[1],)))]) == []
    assert avoidance.scenarios([Scenario((create, *claims), ((load,), (claims[0],)))]) == [
        Scenario((create, claims[0]), ((load,), (claims[0],)))
    ]
    assert not avoidance.spares(Scenario((create, *claims), ((load,), (load,))))
    whole = Scenario((create, *claims), ((load, claims[0]), (claims[1],)))
    assert avoidance.load(whole) == Scenario((create, claims[0]), ((load,),))
    assert Avoidance(avoidance.model, frozenset()).load(whole) == whole


@pytest.mark.parametrize("capabilities", [(), ("subscribe", "durable")])
def test_capabilities_have_to_be_those_of_the_store(capabilities: tuple[str, ...]) -> None:
    report = run(claim_stores.Repaired, claim_of(capabilities=capabilities), ("createRun",), ("vectors",))
    assert report.claim is not None
    assert report.verdict == "fails"
    said = "'durable' is claimed" if capabilities else "offers 'subscribe', which is not claimed"
    assert [said in problem for problem in report.claim.problems] == [True]


def test_a_run_that_ended_early_calls_nothing_stale() -> None:
    tiny = Profile("tiny", 2, 20, most_failures=1)
    target = StoreTarget("s", lambda: _context(claim_stores.Steals), SPECIFICATION)
    report = verify(target, SPECIFICATION, tiny, seed=5, checks=("vectors",), claim=claim_of("upsertSchedule.created"))
    status = {rule.id: rule for rule in report.rules}
    assert (report.verdict, len(report.failures)) == ("fails", 1)
    assert status["upsertSchedule.created"].status in ("expected-failure", "untested")
    assert report.claim is not None
    assert report.claim.problems == []


GOOD = 'adapter = "a"\ncapabilities = ["subscribe"]\n'
LISTED = f"{GOOD}[expected-failures]\n"
FIELD = "expected-failures.claimRun.leased"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LISTED + '"claimRun.leasd" = { reason = "x" }', "no rule 'claimRun.leasd'; near it: claimRun"),
        (LISTED + '"claimRun" = { reason = "x" }', "no rule 'claimRun'"),
        (LISTED + '"claimRun.leased" = { reason = " " }', f"{FIELD}.reason"),
        (LISTED + '"claimRun.leased" = {}', f"{FIELD}.reason: Field required"),
        (LISTED + '"claimRun.leased" = { reason = "x", why = "y" }', f"{FIELD}.why: Extra inputs"),
        (LISTED + '"claimRun.leased" = "x"', FIELD),
        (LISTED + '"claimRun.leased" = { reason = "x" }\n"claimRun.leased" = { reason = "x" }', "overwrite"),
        (LISTED + '"upsertSchedule.spec-kept" = { reason = "x" }', "no check exercises it"),
        (LISTED + '"atomic.cut" = { reason = "x" }', "needs the capability 'durable'"),
        (GOOD + "expected = 5", "expected: Extra inputs"),
        ("capabilities = []", "adapter: Field required"),
        ('adapter = "a"', "capabilities: Field required"),
        ('adapter = "a"\ncapabilities = ["fast"]', "capabilities.0"),
        ("adapter = ", "is no claim file"),
        ('adapter = "\ud800"', "is no claim file"),
    ],
)
def test_a_bad_claim_file_starts_nothing(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "claim.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match=r"claim\.toml") as raised:
        read_claim(path, SPECIFICATION)
    assert said in str(raised.value)


def _verified(tmp_path: Path, store: str, text: str, *more: str) -> Ran:
    (tmp_path / "claim.toml").write_text(text)
    options = ("--profile", "quick", "--seed", "3", "--rule", "claimRun.leased", "--rule", "claimRun.terminal")
    return storeproof("verify", store, *options, "--claim", "claim.toml", *more, folder=tmp_path)


LEASED = LISTED + '"claimRun.leased" = { reason = "compared in seconds", issue = "issue 7" }'


def test_the_command_says_what_is_expected(tmp_path: Path) -> None:
    ran = _verified(tmp_path, "claim_stores:Steals", LEASED, "--junit", "r.xml")
    assert ran.code == 0, ran
    assert "claim_stores:Steals  conforms except 1 expected failure" in ran.out
    assert "expected failure claimRun.leased: compared in seconds (issue 7)" in ran.out
    assert "What to do" not in ran.out
    assert "expected failure: compared in seconds" in (tmp_path / "r.xml").read_text()


def test_the_command_fails_for_a_stale_entry_and_for_another_rule(tmp_path: Path) -> None:
    stale = _verified(tmp_path, "claim_stores:Repaired", LEASED, "--junit", "r.xml")
    assert (stale.code, "the claim file: claimRun.leased: expected to fail, but passed" in stale.out) == (1, True), (
        stale
    )
    assert 'type="stale"' in (tmp_path / "r.xml").read_text()
    other = _verified(tmp_path, "claim_stores:StealsAndRevives", LEASED)
    assert (other.code, "broke claimRun.terminal" in other.out, "broke claimRun.leased" in other.out) == (
        1,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("memory:", "--claim", "none.toml"), "none.toml cannot be read"),
        (("memory:", "sqlite:", "--claim", "claim.toml"), "name one target"),
        (("--claim", "claim.toml"), "name one target"),
    ],
)
def test_a_claim_is_about_one_adapter(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "claim.toml").write_text(GOOD)
    ran = storeproof("verify", *arguments, folder=tmp_path)
    assert (ran.code, said in ran.err, ran.out) == (2, True, ""), ran


def test_a_repro_file_shows_what_recorded_programs_do_not(tmp_path: Path) -> None:
    """Creating a run again at a later time is in no recorded program, and one drawn program rarely does it."""
    creations = tuple(Call("createRun", {"runId": "a", "workflowId": "w", "input": 1, "now": now}) for now in (0, 5))
    found = _exercised(TouchesExisting, creations, frozenset())
    assert [each.rules[0] for each in found.failures] == ["createRun.existing"]
    file = save(found.failures[0], "s", 0, tmp_path, SPECIFICATION)
    entry = f'"createRun.existing" = {{ reason = "known", repro = "{file.name}" }}'
    (tmp_path / "claim.toml").write_text(LISTED + entry)
    claim = read_claim(tmp_path / "claim.toml", SPECIFICATION)
    [program] = claim.programs
    assert [call.operation for call in program] == ["createRun", "createRun"]
    rules = ("createRun.existing", "createRun.created")
    report = run(TouchesExisting, claim, rules, ("vectors",))
    assert verdict_text(report) == "conforms except 1 expected failure (selected rules only)"
    assert run(TouchesExisting, claim_of("createRun.existing"), rules, ("vectors",)).verdict == "fails"
    assert run(claim_stores.Repaired, claim, rules, ("vectors",)).verdict == "fails"


UNFIT: list[tuple[str, dict[str, Any], str]] = [
    ("createRun.created", {}, "is about createRun.existing, and not about createRun.created"),
    ("createRun.existing", {"clients": [[{"op": "loadRun", "args": {"runId": "a"}}]]}, "no program of one client"),
    ("createRun.existing", {"program": []}, "no program of one client"),
    ("createRun.existing", {"program": [{"op": "reopen", "args": {}}]}, "the capability 'durable'"),
    ("createRun.existing", {"format": "x"}, "is no repro file"),
]


@pytest.mark.parametrize(("rule", "changed", "said"), UNFIT)
def test_a_repro_file_has_to_fit(tmp_path: Path, rule: str, changed: dict[str, Any], said: str) -> None:
    creations = tuple(Call("createRun", {"runId": "a", "workflowId": "w", "input": 1, "now": now}) for now in (0, 5))
    file = save(_exercised(TouchesExisting, creations, frozenset()).failures[0], "s", 0, tmp_path, SPECIFICATION)
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    (tmp_path / "claim.toml").write_text(f'{LISTED}"{rule}" = {{ reason = "known", repro = "{file.name}" }}')
    with pytest.raises(UsageError) as raised:
        read_claim(tmp_path / "claim.toml", SPECIFICATION)
    assert said in str(raised.value)


def _raced(store: type[Any] | None, worlds: int = 1) -> Report:
    return verify(
        target("sqlite", store),
        SPECIFICATION,
        Profile("races", 1, 20, worlds=worlds),
        seed=1,
        rules=("claims.exclusive",),
        checks=("interleavings",),
        claim=claim_of("claims.exclusive", capabilities=("subscribe", "durable")),
    )


def test_a_race_that_is_listed_is_expected() -> None:
    report = _raced(racy("sqlite", "ClaimTwoWinners").store)
    assert verdict_text(report) == "conforms except 1 expected failure (selected rules only)"
    assert [(each.rules[0], bool(each.moments)) for each in report.expected] == [("claims.exclusive", True)]


def test_a_race_that_was_not_seen_is_stale_only_where_all_was_explored() -> None:
    part = _raced(None)
    [rule] = part.rules
    assert (rule.status, "does not explore all pairs" in str(rule.because)) == ("expected-failure", True)
    whole = _raced(None, worlds=3)
    assert (whole.verdict, [rule.status for rule in whole.rules]) == ("fails", ["stale"])


def test_what_only_chance_shows_is_never_stale() -> None:
    profile = Profile("races", 1, 20, worlds=3, loads=1)
    report = verify(
        StoreTarget("s", lambda: _context(claim_stores.Repaired), SPECIFICATION),
        SPECIFICATION,
        profile,
        seed=1,
        rules=("claims.exclusive",),
        checks=("histories",),
        claim=claim_of("claims.exclusive"),
    )
    [rule] = report.rules
    assert (rule.status, "races come by chance" in str(rule.because)) == ("expected-failure", True)
    assert verdict_text(report).startswith("conforms except 1 expected failure")
