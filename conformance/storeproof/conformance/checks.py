"""The checks of one client: recorded vectors, generated sequences, bad arguments, values, ids, clocks, reopening.

Each check is a function of a Session and says by its name in `CHECKS` which promises it exercises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from itertools import cycle

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from storeproof.conformance import clock, idprograms, valueprograms
from storeproof.conformance.choices import HypothesisChoices, RandomChoices
from storeproof.conformance.cutchecks import check_cuts
from storeproof.conformance.faultchecks import check_faults
from storeproof.conformance.generation import draw_program, weighted_operations
from storeproof.conformance.loadchecks import check_histories
from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.conformance.racechecks import check_interleavings
from storeproof.conformance.refusals import crossing_programs, refused_program
from storeproof.conformance.relevance import BY_SEQUENCES, concerns
from storeproof.conformance.session import Session
from storeproof.conformance.subscriptionchecks import check_subscription_races
from storeproof.conformance.subscriptions import check_subscriptions
from storeproof.conformance.vectors import every_recorded_program, recorded_programs
from storeproof.spec.errors import CannotTellError
from storeproof.spec.values import MAX_INTEGER

LENGTHS = (8, 16, 4, 24)
MOST_FORGOTTEN = 3
"""Programs that may fail when the store is opened again, which may take a new process each time."""
ENOUGH = 5
"""A rule exercised so often by generated programs no longer attracts them."""


def check_vectors(session: Session) -> None:
    """The recorded programs: every rule of the model at least once, the same ones on every store."""
    recorded = (*(program for _name, program in every_recorded_program()), *session.known.programs)
    programs = [program for program in recorded if concerns(session.model, program, session.selected)]
    programs = session.share_of(programs)
    for index, program in enumerate(programs):
        if session.full:
            return
        session.exercise(program, "vectors")
        session.tell("vectors", index + 1, len(programs))


def check_sequences(session: Session) -> None:
    """Generated programs, a share for every operation, steered to its rules that were exercised least."""
    operations = [name for name, operation in session.specification.operations.items() if operation.executable]
    operations = [name for name in operations if session.wants(*_rules_of(session, name))]
    own = session.share_of(operations)
    for index, operation in enumerate(own):
        if not session.full:
            search(session, operation, session.profile.programs)
            search_listed(session, operation, session.profile.programs)
        session.tell("sequences", index + 1, len(own))
    if not operations and session.wants(*BY_SEQUENCES) and session.share_of([None]):
        _search(session, None, [frozenset()], session.profile.programs, session.seed)
        session.tell("sequences", 1, 1)


def search(session: Session, operation: str, examples: int) -> None:
    """Runs `examples` programs that Hypothesis draws around one operation.

    Two thirds are attracted by one rule of the operation each, the last third by those that were exercised least. The
    latter are settled before it begins: Hypothesis refuses a strategy that changes between examples.
    """
    rules = sorted(_rules_of(session, operation) - session.known.rules)
    goals = [frozenset({rule}) for rule in rules] or [frozenset[str]()]
    _search(session, operation, goals, examples - examples // 3, session.seed)
    rare = frozenset(rule for rule in rules if session.evidence[rule]["sequences"] < ENOUGH)
    _search(session, operation, [rare], examples // 3, session.seed + 1)


def search_listed(session: Session, operation: str, examples: int) -> None:
    """Looks for failures of an operation's rules that are known to fail and were not seen to, one rule at a time."""
    for rule in sorted(_rules_of(session, operation) & session.known.rules):
        if not session.seen_failing(rule):
            _search(session, operation, [frozenset({rule})], examples, session.seed + 2, rule)


def _search(
    session: Session,
    operation: str | None,
    goals: list[frozenset[str]],
    examples: int,
    seed_: int,
    sought: str | None = None,
) -> None:
    avoided = session.known.rules - {sought}
    weighted = weighted_operations(session.specification, operation)
    trouble: list[CannotTellError] = []

    @st.composite
    def programs(draw: st.DrawFn) -> Program:
        choices = HypothesisChoices(draw)
        return draw_program(choices, session.model, weighted, choices.among(LENGTHS), choices.among(goals), avoided)

    # Only generation: minimise.py shrinks, so that a failure is explained once and the search goes on for other ones.
    @seed(seed_)
    @settings(
        max_examples=max(examples, 1),
        database=None,
        derandomize=False,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(programs())
    def drawn(program: Program) -> None:
        if session.full or trouble or (sought and session.seen_failing(sought)):
            return
        try:
            session.exercise(program, "sequences", spared=sought is None)
        except CannotTellError as error:
            trouble.append(error)  # not through Hypothesis, which would run the program again and find it flaky

    drawn()
    if trouble:
        raise trouble[0]


def check_arguments(session: Session) -> None:
    """Every bad call of every operation: refused, naming the field, and the state is as it was."""
    operations = [name for name, operation in session.specification.operations.items() if operation.executable]
    operations = session.share_of(operations)
    for index, operation in enumerate(operations):
        if session.full:
            return
        if session.wants(f"{operation}.arguments", "arguments.unkeepable", *_rules_of(session, operation)):
            session.exercise(refused_program(session.specification, operation), "arguments")
            for program in crossing_programs(session.specification, operation):
                session.exercise(program, "arguments")
        session.tell("arguments", index + 1, len(operations))


def check_values(session: Session) -> None:
    """Values that must come back equal, through every place that takes them."""
    plain, plain_text = valueprograms.value_program("plain"), valueprograms.text_program("plain")
    trials = [Trial("values.json", valueprograms.value_program(value), plain) for value in valueprograms.JSON_VALUES]
    trials += [Trial("values.numbers", valueprograms.value_program(value), plain) for value in valueprograms.NUMBERS]
    trials += [Trial("values.text", valueprograms.text_program(text), plain_text) for text in valueprograms.STRINGS]
    large, small = valueprograms.times_program(MAX_INTEGER - 10, MAX_INTEGER), valueprograms.times_program(90, 100)
    trials.append(Trial("values.times", large, small))
    trials.append(Trial("values.size", valueprograms.size_program(), plain))
    _exercise_all(session, "values", trials)


def check_ids(session: Session) -> None:
    """Ids that careless stores take for each other, side by side."""
    plain = idprograms.pair_program(("x", "x"), ("y", "y"))
    trials = [Trial("ids.opaque", program, plain) for program in idprograms.id_programs()]
    trials += [
        Trial("ids.kinds", program, idprograms.kinds_program("x", "y")) for program in idprograms.kinds_programs()
    ]
    trials.append(Trial("ids.length", idprograms.id_length_program(("x",)), idprograms.id_length_program(("y",))))
    trials.append(Trial("ids.length", idprograms.id_length_program(), idprograms.id_length_program(("y",))))
    trials += [Trial("ids.order", program, plain) for program, plain in idprograms.order_programs()]
    _exercise_all(session, "ids", trials)


def check_clock(session: Session) -> None:
    """The recorded programs with all times moved: every answer moves with them. Each takes the next offsets in turn."""
    programs = [program for _name, program in recorded_programs() if clock.movable(program)]
    offsets = cycle(clock.CLOCK_OFFSETS)
    trials = [
        Trial("clock.given", clock.moved(session.specification, program, next(offsets)), program)
        for program in programs
        for _ in range(session.profile.clocks)
    ]
    _exercise_all(session, "clock", trials)


def check_durability(session: Session) -> None:
    """Programs in which the store is closed and reopened, before the end and in the middle."""
    if "durable" not in session.capabilities:
        return
    weighted = weighted_operations(session.specification, None)
    seeds = range(session.seed * 1_000, session.seed * 1_000 + session.profile.programs // 3)
    avoided = session.known.rules
    programs = [draw_program(RandomChoices(each), session.model, weighted, 12, avoided=avoided) for each in seeds]
    programs += [program for _name, program in recorded_programs()]
    trials = [Trial("durability.reopened", with_reopenings(program), program) for program in programs]
    _exercise_all(session, "durability", trials, MOST_FORGOTTEN)


def with_reopenings(program: Program) -> Program:
    """The program with the store reopened in the middle and before its state is read."""
    middle = len(program) // 2
    reopen = Call(REOPEN, {})
    return (*program[:middle], reopen, *program[middle:], reopen)


@dataclass(frozen=True, slots=True)
class Trial:
    """A program that puts a promise to the test, and the same without what is special about it."""

    promise: str
    program: Program
    baseline: Program


def _exercise_all(session: Session, check: str, trials: Sequence[Trial], most_wrong: int | None = None) -> None:
    """Runs the trials. Where `most_wrong` failed and the promise was seen to be broken, nothing new is expected:
    what fails for another reason says nothing about the promise.
    """
    wanted = session.share_of([trial for trial in trials if session.wants(trial.promise)])
    wrong = 0
    for index, trial in enumerate(wanted):
        enough = most_wrong is not None and wrong >= most_wrong and session.seen_failing(trial.promise)
        if session.full or enough:
            return
        wrong += session.exercise(trial.program, check, trial.promise, trial.baseline).mismatch is not None
        session.tell(check, index + 1, len(wanted))


def _rules_of(session: Session, operation: str) -> Set[str]:
    rules = session.specification.operations[operation].rules
    return {rule.id for rule in rules if rule.checked_by is None}


CHECKS: dict[str, Callable[[Session], None]] = {
    "vectors": check_vectors,
    "arguments": check_arguments,
    "values": check_values,
    "ids": check_ids,
    "clock": check_clock,
    "durability": check_durability,
    "subscriptions": check_subscriptions,
    "sequences": check_sequences,
    "interleavings": check_interleavings,
    "cuts": check_cuts,
    "faults": check_faults,
    "histories": check_histories,
    "subscription-races": check_subscription_races,
}
"""In the order in which they run: the quick and enumerated ones first."""
