"""The checks of several clients over the wire: histories of many requests in flight, and processes killed.

Told and counted as on any other stage; `wireload` and `wirekills` say what is run.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from storeproof.conformance.encounterload import Load, drawn_loads
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.footprints import meets
from storeproof.conformance.programs import Call
from storeproof.conformance.racechecks import wanted
from storeproof.conformance.racefailures import FEW
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import CLAIMS, SNAPSHOTS
from storeproof.conformance.races import Tried, after, drawn_scenarios, pair_scenarios, reading_scenarios
from storeproof.conformance.relation import written
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import MOST_SHRINKING_S, Session
from storeproof.conformance.wirecopies import OVER_ALL_ROWS
from storeproof.conformance.wirekills import Round, drawn_rounds, struck
from storeproof.conformance.wireload import again, crowd
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Model, Outcome
from storeproof.reference.tables import freeze
from storeproof.spec.values import MAX_INTEGER

HISTORIES = "histories"
CUTS = "cuts"
TRIES_AGAIN = 25
"""Repetitions of a smaller scenario before it counts as right."""
TRIES_NARROWING, MOST_NARROWING_S = 100, 120.0
"""The same where the smaller scenario is two calls of many, which few of the pairs show, and those seldom; and seconds
for all of it.
"""
LOAD_TRIES = 3
PAIRS_A_READING, MOST_READING, MORE_READING, COPIES_READING = 7, 40, 8, 48
"""One read comes to so many pairs, and they are so many at most. Run and log beside two writes are read so many times
as often as a pair is repeated, up to so often: they are torn in few of a hundred.
"""
MORE_ORDERED, MORE_CLAIMING = 3, 5
"""Two calls that do not commute are repeated so many times as often as others; more often if one of them is a claim
over all rows, because the copies run one after the other then, where nothing makes a window longer.
"""
MORE_REORDERED = 7
"""So many further crowds has a claim that takes other rows only because the other call changed their order, until that
is told. A store may take the order from its snapshot and the rows as they are when it locks them; Postgres was met at
it in one of 150 to 600 copies.
"""
KILLS_A_STORY = 10
"""So many kills come to one more failure that may be told, beyond the second: a store that forgets forgets everything,
and each failure takes long to be made small, because processes take long to start.
"""
KILLS_AGAIN = 4
"""How often a smaller scenario is tried whose process is killed."""


class Crowd(NamedTuple):
    """So many copies of a scenario; `then` so many, once a failure was `told` by that rule of that operation."""

    scenario: Scenario
    copies: int
    told: tuple[str, str] | None = None
    then: int = 0


def check_wire_histories(session: Session, stage: WireStage) -> None:
    """Pairs that may meet in a row, all of them or the likeliest, many times each; then more operations, then loads."""
    source = random.Random(session.seed)
    loads = [session.avoidance.load(each) for each in drawn_loads(session.seed, session.profile.loads)]
    todo: list[Crowd | Scenario] = [*_crowds(session, source), *loads]
    findings = RaceFindings(session, HISTORIES)
    for index, each in enumerate(todo):
        more = True
        while more:
            if findings.enough:
                return
            found = _met(session, stage, findings, each, source)
            require_verdict("a history", found.unknown)
            session.skip(HISTORIES, found.skipped)
            findings.exercised(found.rules)
            scenario = each.scenario if isinstance(each, Crowd) else each
            new = found.wrong is not None and _tell(session, stage, findings, scenario, found)
            # What was new ended its crowd: once more, for what the other copies may show.
            more = new and isinstance(each, Crowd)
        session.tell(HISTORIES, index + 1, len(todo))


def _met(
    session: Session, stage: WireStage, findings: RaceFindings, each: Crowd | Scenario, source: random.Random
) -> Load:
    """What the copies of a crowd came to, or the repetitions of a load."""
    model, avoidance = session.model, session.reading_avoidance
    if not isinstance(each, Crowd):
        return session.runner.wait(again(stage, model, each, LOAD_TRIES, source, avoidance=avoidance))
    number = each.then if each.told and findings.has_told(*each.told) else each.copies
    if not number:
        return Load()
    known = partial(_is_known, findings)
    return session.runner.wait(crowd(stage, model, each.scenario, number, source, avoidance, known))


def _is_known(findings: RaceFindings, found: Load) -> bool:
    seen = tried(found)
    return seen is not None and findings.known(seen) is not None


def _crowds(session: Session, source: random.Random) -> list[Crowd]:
    """In any order."""
    profile = session.profile
    pairs = [each for each in pair_scenarios(session.model, profile.worlds) if _suspicious(session, each)]
    pairs = _likeliest(session.model, pairs, profile.pairs or len(pairs), source)
    reading = [each for each in reading_scenarios() if wanted(session, each)]
    torn = [each for each in reading if each.clients[0][-1].operation in SNAPSHOTS]
    looks = [each for each in reading if each not in torn]
    thirds = [each for each in drawn_scenarios(session.seed, profile.thirds // 20) if wanted(session, each)]
    most = min(MOST_READING, (profile.pairs or len(pairs)) // PAIRS_A_READING)
    torn, looks = (source.sample(each, min(len(each), most)) for each in (torn, looks))
    spared, copies = session.avoidance.scenarios, profile.copies
    crowds = [Crowd(each, copies) for each in spared([*looks, *thirds])]
    for each in spared(torn):
        told = "reads.snapshot", each.clients[0][-1].operation
        crowds.append(Crowd(each, max(copies, min(copies * MORE_READING, COPIES_READING)), told, copies))
    for each in spared(pairs):
        crowds.append(Crowd(each, copies * _chances(session.model, each)))
        claim = _claim(each)
        if claim and _reordered(session.model, each, claim):
            told = f"{claim.operation}.omission", claim.operation
            crowds += [Crowd(each, copies * MORE_CLAIMING, told)] * MORE_REORDERED
    source.shuffle(crowds)
    return crowds


def check_wire_cuts(session: Session, stage: WireStage) -> None:
    """A few requests in flight, and the process killed at a drawn moment."""
    findings, races = RaceFindings(session, CUTS), RaceFindings(session, HISTORIES)
    drawn = drawn_rounds(session.model, session.seed, session.profile.kills)
    rounds = [each for each in drawn if session.avoidance.spares(each.scenario)]
    most = max(2, len(rounds) // KILLS_A_STORY)
    for index, each in enumerate(rounds):
        if findings.enough or findings.stories >= most:
            return
        found = session.runner.wait(struck(stage, session.model, each, session.reading_avoidance))
        require_verdict("what a killed process left", found.unknown)
        session.skip(CUTS, found.skipped)
        session.cut_points += found.cuts
        findings.exercised(found.rules)
        told = found.wrong is not None and findings.told_before(found.wrong)
        if found.wrong is not None and not told and not _is_race(session, stage, races, each.scenario):
            findings.add(found.wrong, partial(_killed_again, session, stage, each))
        session.tell(CUTS, index + 1, len(rounds))


def _is_race(session: Session, stage: WireStage, races: RaceFindings, scenario: Scenario) -> bool:
    """Whether the clients are answered wrongly without a kill too, which is told then."""
    if len(scenario.clients) == 1:
        return False
    source, avoidance = random.Random(session.seed), session.reading_avoidance
    raced = session.runner.wait(again(stage, session.model, scenario, TRIES_AGAIN, source, avoidance=avoidance))
    if raced.wrong is not None:
        _tell(session, stage, races, scenario, raced)
    return raced.wrong is not None


def _killed_again(session: Session, stage: WireStage, like: Round, smaller: Scenario) -> Tried | None:
    for attempt in range(KILLS_AGAIN):
        found = session.runner.wait(struck(stage, session.model, like.of(smaller, attempt), session.reading_avoidance))
        if found.wrong is not None:
            return found.wrong
    return None


def _suspicious(session: Session, scenario: Scenario) -> bool:
    """Whether one operation may write a row that the other looks at."""
    one, other = scenario.clients[0][0], scenario.clients[1][0]
    specification = session.specification
    return wanted(session, scenario) and (meets(specification, one, other) or meets(specification, other, one))


def _likeliest(model: Model, pairs: Sequence[Scenario], number: int, source: random.Random) -> list[Scenario]:
    """So many in the order of suspicion: the same call twice, then the same operation, because there claims, creations
    and compare-and-swap break. Of a sample they are half, as far as there are enough, so that none of them is left out
    by chance where the number allows it. Of the others, each two operations come once; then those pairs in which both
    calls do something, then the rest.
    """
    idle = {id(pair): _idle(model, pair) for pair in pairs}
    shuffled = sorted(source.sample(pairs, len(pairs)), key=lambda pair: (_unlikeness(pair), idle[id(pair)]))
    same = [each for each in shuffled if _unlikeness(each) < 2]
    seen: Counter[frozenset[str]] = Counter()
    turns: list[tuple[tuple[int, int], Scenario]] = []
    for each in shuffled[len(same) :]:
        operations = frozenset(client[0].operation for client in each.clients)
        turn = seen[operations]
        turns.append(((idle[id(each)], turn) if turn else (-1, 0), each))
        seen[operations] += 1
    others = [each for _, each in sorted(turns, key=itemgetter(0))]
    kept = same[: max(number // 2, number - len(others))]
    return [*kept, *others[: number - len(kept)]]


def _idle(model: Model, pair: Scenario) -> int:
    """How many of the two calls change nothing, whichever comes first."""
    start = after(model, pair.setup)
    changing: set[int] = set()
    for order in ((0, 1), (1, 0)):
        state = start
        for number in order:
            (call,) = pair.clients[number]
            found = model.step(state, call.operation, call.args).state
            changing |= {number} if found is not state else set()
            state = found
    return len(pair.clients) - len(changing)


def _chances(model: Model, pair: Scenario) -> int:
    """How many times as often as others a pair is repeated."""
    if _commute(model, pair):
        return 1
    return MORE_CLAIMING if _claim(pair) else MORE_ORDERED


def _claim(pair: Scenario) -> Call | None:
    """The claim over all rows. None where there is none; nor of two, which meet in everything that is due."""
    claims = [call for call in pair.meeting if call.operation in CLAIMS and call.operation in OVER_ALL_ROWS]
    return claims[0] if len(claims) == 1 else None


def _reordered(model: Model, pair: Scenario, claim: Call) -> bool:
    """Whether the claim takes other rows after the other call, and without a limit it takes the same."""
    [other] = [call for call in pair.meeting if call is not claim]
    start = after(model, pair.setup)
    states = start, model.step(start, other.operation, other.args).state

    def differs(limit: int) -> bool:
        args = {**claim.args, "limit": limit}
        first, later = (model.step(state, claim.operation, args).state for state in states)
        return written(model.specification, states[0], first) != written(model.specification, states[1], later)

    return differs(claim.args["limit"]) and not differs(MAX_INTEGER)


def _commute(model: Model, pair: Scenario) -> bool:
    """Whether both calls answer the same and leave the same, whichever comes first."""
    seen: list[tuple[Outcome, Outcome, Hashable]] = []
    for order in ((0, 1), (1, 0)):
        state, outcomes = after(model, pair.setup), list[Outcome]()
        for number in order:
            (call,) = pair.clients[number]
            step = model.step(state, call.operation, call.args)
            state, outcomes = step.state, [*outcomes, step.outcome]
        seen.append((outcomes[order[0]], outcomes[order[1]], freeze(state)))
    return seen[0] == seen[1]


def _unlikeness(pair: Scenario) -> int:
    one, other = pair.clients[0][0], pair.clients[1][0]
    return 0 if one == other else 1 if one.operation == other.operation else 2


def _tell(session: Session, stage: WireStage, findings: RaceFindings, scenario: Scenario, found: Load) -> bool:
    """Whether it was new and is told now, or shows for the first time that an order is wrong, behind which more may be.
    It is made small by running it again and again; where it does not come again at all, it is told as it was seen.
    """
    seen, orders = tried(found), len(session.misordered)
    assert seen is not None
    if findings.told_before(seen) or findings.told_as_sequence(seen):
        return len(session.misordered) > orders
    source, few, rule = random.Random(session.seed), scenario.width <= FEW, seen.wrong.rules[0]
    tries, most_s = (TRIES_AGAIN, MOST_SHRINKING_S) if few else (TRIES_NARROWING, MOST_NARROWING_S)

    def once_more(smaller: Scenario) -> Tried | None:
        # What else these calls show may come more often, and has perhaps been told.
        running = again(stage, session.model, smaller, tries, source, 1, session.reading_avoidance, rule)
        return tried(session.runner.wait(running))

    # Of many calls the whole comes again less often than two of them do, and takes longer.
    alone = once_more(scenario) if few else None
    until = time.monotonic() + most_s
    findings.add(alone or seen, lambda smaller: once_more(smaller) if time.monotonic() < until else None)
    return findings.known(seen) is not None


def tried(found: Load) -> Tried | None:
    """What is wrong in a load, if anything."""
    if found.wrong is None or found.scenario is None or found.encounter is None:
        return None
    return Tried(found.scenario, found.wrong, found.encounter)
