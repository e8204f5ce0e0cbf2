"""Judges one encounter: is there an order of its operations that the contract allows, and if not, which rules break?

The answers and the reading at the end are one history; the checker looks for its order. Knows no scheduler.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.closing import names_of, short_closing
from storeproof.conformance.encounters import READER, Encounter, read
from storeproof.conformance.footprints import meets
from storeproof.conformance.histories import History, Operation
from storeproof.conformance.judgement import Judgement, decisive_rule, disordered, judge, misordered, show_outcome
from storeproof.conformance.linearizability import Illegal, Linearizable, Unknown, check, final_states
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.roworders import in_another_order, mended
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Model, Returned, State
from storeproof.reference.tables import freeze
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.values import MAX_INTEGER

LINEARIZABLE = "atomic.linearizable"
SNAPSHOTS = frozenset({"loadExecution", "getRunTimeline"})
CLAIMS = frozenset({"claimRun", "claimStaleRuns", "claimDueTimers", "claimDueScheduleBuckets"})

MOST_FREEING = 8
"""Operations beside claims of which every set is tried, whether they freed what was claimed twice."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """An encounter that no order explains. `order` is the longest legal beginning, as indexes into `history`."""

    rules: tuple[str, ...]
    message: str
    expected: str
    actual: str
    history: History
    order: tuple[int, ...]
    reading: bool
    """Whether it was the reading at the end that fits nowhere."""
    stuck: Operation | None = None
    """What fits nowhere, where it is one operation."""
    alone: Judgement | None = None
    """What is wrong with its answer after `order`, whoever else was at work."""
    disordered: bool = False
    """Whether it answered the right rows in a wrong order."""


Verdict = Linearizable | Wrong | Unknown


class Closing(NamedTuple):
    """The reading of a state: everything that the calls of a scenario may have touched."""

    key: Hashable
    program: Program


@dataclass(slots=True)
class Readings:
    """What was read of one stage already. The same content is read once: answers follow from nothing else."""

    right: set[Hashable] = field(default_factory=set[Hashable])
    """Contents that were found to be a state of the model."""
    avoidance: Avoidance | None = None
    """What keeps the reading away from rules that are known to fail."""
    last: int = MAX_INTEGER - 1
    """The time of the last claims: everything is due then."""
    writers: Program | None = None
    """Where each call is dear, the calls that met: only what one of them may have written is read. A race loses or
    brings back what one of its calls writes. What a call does beyond that sequences show, if it does it alone too.
    """
    _programs: dict[Hashable, Program] = field(default_factory=dict[Hashable, Program])

    def closing(self, model: Model, state: State, scenario: Scenario, others: Sequence[State] = ()) -> Closing:
        """The steps that read a state in which a scenario ended; it may have ended in others as well."""
        key = names_of(scenario.calls)
        whole = (freeze(state), tuple(map(freeze, others)), key)
        if whole not in self._programs:
            calls = self.seeing(model, short_closing(model, state, scenario.calls, self.last))
            self._programs[whole] = self.avoidance.reading((state, *others), calls) if self.avoidance else calls
        return Closing(key, self._programs[whole])

    def seeing(self, model: Model, reading: Program) -> Program:
        """Of the steps those that may show what the writers wrote; all where nobody said who wrote."""
        if self.writers is None:
            return reading
        specification = model.specification
        return tuple(step for step in reading if any(meets(specification, call, step) for call in self.writers))


@dataclass(slots=True)
class Judge:
    """Judges the encounters of one scenario; what looks the same is judged once."""

    model: Model
    stage: Stage
    scenario: Scenario
    start: State
    readings: Readings
    _known: dict[Hashable, Verdict] = field(default_factory=dict[Hashable, Verdict])

    async def judged(self, encounter: Encounter) -> Verdict:
        """The verdict; reads the state of the stage where it has to."""
        seen = encounter.seen
        if encounter.content is not None and seen in self._known:
            return self._known[seen]
        verdict = await self._judged(encounter.history, encounter.content)
        self._known[seen] = verdict
        return verdict

    async def _judged(self, history: History, content: Hashable | None) -> Verdict:
        finals = final_states(self.model, self.start, history)
        if finals == []:
            ordered = self._in_order(history)
            if isinstance(ordered, Wrong):
                return ordered
            history, finals = ordered, final_states(self.model, self.start, ordered)
        if isinstance(finals, Unknown):
            return finals
        for final in finals:  # several where an operation has no answer
            closing = self.readings.closing(self.model, final.state, self.scenario)
            if content is not None and (content, freeze(final.state), closing.key) in self.readings.right:
                return final
        others = [final.state for final in finals[1:]]
        closing = self.readings.closing(self.model, finals[0].state, self.scenario, others)
        known = (content, freeze(finals[0].state), closing.key)
        after = 1 + max((each.returned or each.invoked for each in history), default=0)
        whole = history + await read(self.stage, closing.program, after)
        found = check(self.model, self.start, whole)
        if isinstance(found, Illegal):
            return self._wrong(whole, found)
        if isinstance(found, Linearizable) and len(finals) == 1:
            self.readings.right.add(known)
        return found

    def _in_order(self, history: History) -> History | Wrong:
        """What is wrong with an illegal history, but for an order of rows that is known to be wrong: one client is
        answered so too, and everything else would be hidden. If that is all, the history with its rows in order.
        """
        avoided = self.readings.avoidance.rules if self.readings.avoidance else frozenset[str]()
        reordered = in_another_order(self.model, self.start, history)
        if reordered is not None:
            ordered, moved = reordered
            told = [self._wrong(history, each) for each in moved]
            new = [each for each in told if not each.alone or not avoided.issuperset(each.alone.rules)]
            return new[0] if new else ordered
        history = mended(self.model, self.start, history, avoided)
        found = check(self.model, self.start, history)
        assert isinstance(found, Illegal)
        return self._wrong(history, found)

    def _wrong(self, history: History, found: Illegal) -> Wrong:
        stuck = history[found.stuck]
        reading = stuck.client == READER
        assert stuck.outcome is not None
        judgement = judge(self.model, found.state, stuck.call, found.expected, stuck.outcome)
        of_order = disordered(self.model, found.state, stuck.call, found.expected, stuck.outcome)
        what = "no order of these operations gives these answers: "
        rules = [*self._specific(history, found, stuck), LINEARIZABLE, *self._operations(history, found, stuck)]
        if reading and judgement and misordered(self.model, judgement.rules):  # nobody was at work: that is no race
            what, rules = "", [*judgement.rules]
        what += "reading the state afterwards, " if reading else ""
        why = judgement.message if judgement else "nothing excuses the rows that were left out"
        return Wrong(
            tuple(dict.fromkeys(rules)),
            f"{what}{stuck.call.as_python()}: {why}",
            show_outcome(found.expected.outcome),
            show_outcome(stuck.outcome),
            history,
            found.order,
            reading,
            stuck,
            judgement,
            of_order,
        )

    def _specific(self, history: History, found: Illegal, stuck: Operation) -> list[str]:
        rules: list[str] = []
        if stuck.call.operation in SNAPSHOTS and stuck.client != READER and self._torn(history, stuck):
            rules.append("reads.snapshot")
        if _two_owners(history) and not _handed_on(self.model, self.start, history):
            rules.append("claims.exclusive")
        omission = f"{stuck.call.operation}.omission"
        if found.omitted and stuck.client != READER and omission in self.model.specification.rules:
            rules.append(omission)
        judgement = stuck.outcome and judge(self.model, found.state, stuck.call, found.expected, stuck.outcome)
        if judgement:
            rules += [rule for rule in judgement.rules if rule.startswith("answers.")]
        return rules

    def _torn(self, history: History, stuck: Operation) -> bool:
        """Whether run and events fit apart, each at some moment of the read."""
        whole = stuck.outcome.value if isinstance(stuck.outcome, Returned) else None
        if not is_object(whole) or not {"run", "events"} <= whole.keys():
            return False
        run = {"runId": stuck.call.args["runId"]}
        reads = [
            replace(stuck, call=Call(name, run), outcome=Returned(whole[field]))
            for name, field in (("loadRun", "run"), ("readEvents", "events"))
        ]
        apart: list[Operation] = []
        for each in history:
            apart += reads if each is stuck else [each] if each.client != READER else []
        found = check(self.model, self.start, tuple(apart))
        return isinstance(found, Linearizable) or (isinstance(found, Illegal) and apart[found.stuck] not in reads)

    def _operations(self, history: History, found: Illegal, stuck: Operation) -> list[str]:
        """The rules that should have decided: of the operation that fits nowhere, else of the clients' operations."""
        specification = self.model.specification
        first = [] if stuck.client == READER else [decisive_rule(specification, stuck.call.operation, found.expected)]
        state = self.start
        for index in found.order:
            operation = history[index]
            step = self.model.step(state, operation.call.operation, operation.call.args)
            if operation.client != READER and step.state is not state:
                first.append(decisive_rule(specification, operation.call.operation, step))
            state = step.state
        return first


def _states(model: Model, start: State, operations: History) -> list[State]:
    finals = final_states(model, start, operations)
    return [] if isinstance(finals, Unknown) else [final.state for final in finals]


def _two_owners(history: History) -> bool:
    """Whether two owners were handed one row while the first one's lease still held."""
    taken = [claim for operation in history if operation.client != READER for claim in _handed(operation)]
    for (row, owner, now, until), (other_row, other, other_now, other_until) in combinations(taken, 2):
        if row == other_row and owner != other and other_now < until and now < other_until:
            return True
    return False


def _handed_on(model: Model, start: State, history: History) -> bool:
    """Whether the claims are right if the other operations, whatever they answered, freed what was claimed twice.

    Beside more of them than can be tried, as in a load, it may be so: the rule is named where it is broken for certain.
    """
    seen = [operation for operation in history if operation.client != READER]
    freeing = [operation for operation in seen if operation.call.operation not in CLAIMS]
    if not freeing:
        return False
    if len(freeing) > MOST_FREEING:
        return True
    free = tuple(replace(each, outcome=None) if each in freeing else each for each in seen)
    return bool(_states(model, start, free))


def _handed(operation: Operation) -> list[tuple[str, str, int, int]]:
    """(row, owner, from, until) of each row that a claim was given."""
    call, outcome = operation.call, operation.outcome
    if call.operation not in CLAIMS or not isinstance(outcome, Returned) or outcome.value is None:
        return []
    args = call.args
    until = args["now"] + args["leaseMs"]
    if call.operation == "claimRun":
        claimed = is_object(outcome.value) and outcome.value.get("kind") == "claimed"
        keys = [f"run {args['runId']}"] if claimed else []
    else:
        keys = [row for item in outcome.value if (row := _row(item))] if is_array(outcome.value) else []
    return [(key, args["leaseOwner"], args["now"], until) for key in keys]


def _row(item: Any) -> str | None:
    """None for what has another shape, which is wrong whoever got it. Fields beyond the shape say nothing."""
    if not is_object(item):
        return None
    run = item.get("run")
    if is_object(run):
        return f"run {run.get('runId')}"
    if "bucketId" in item:
        return f"bucket {item.get('scheduleId')!r} {item['bucketId']}"
    return f"timer {item.get('runId')!r} {item.get('signalId')!r}"
