"""Which rules a cut breaks, and how to say it: the verdict on an encounter with a cut, told as what it means.

The checker only knows that no order of the operations fits. Knows no store and no scheduler.
"""

from __future__ import annotations

from dataclasses import replace

from storeproof.conformance.encounters import READER
from storeproof.conformance.histories import History
from storeproof.conformance.judgement import decisive_rule, show_outcome
from storeproof.conformance.linearizability import Linearizable, check
from storeproof.conformance.points import Cut
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario, name_of
from storeproof.reference.model import Model, State

CUT = "atomic.cut"
ACKNOWLEDGED = "atomic.acknowledged"
CONVERGES = "retry.converges"


def blamed(model: Model, start: State, scenario: Scenario, cut: Cut, wrong: Wrong, how: str | None = None) -> Wrong:
    """The same, with the rules in front that a cut breaks, and with the cut in the message; `how` says it otherwise."""
    retry = len(scenario.clients)
    retried = any(operation.client == retry for operation in wrong.history)
    rules = list(wrong.rules)
    heard = not indeterminate(wrong.history[-1])
    if cut.when == "answered" or (heard and _forgotten(model, start, scenario, cut, wrong)):
        rules[:0] = [ACKNOWLEDGED]
    elif retried:
        rules[:0] = [CONVERGES, CUT]
    elif cut.when != "lost" or wrong.reading:
        rules[:0] = [CUT]
    if len(scenario.clients) == 1 and rules[0] in (ACKNOWLEDGED, CONVERGES, CUT):
        rules.remove(LINEARIZABLE)  # nobody was there to overlap with
    rules += _decisive(model, start, cut, wrong)
    problem = wrong.message.removeprefix("no order of these operations gives these answers: ")
    who = name_of(cut.client)
    how = (
        how
        or {
            "before": f"{who} dies before its statement {cut.at + 1}",
            "after": f"{who} dies after its statement {cut.at + 1}",
            "lost": f"the answer to statement {cut.at + 1} of {who} is lost with its connection",
            "answered": f"{who} dies after the answer to its call {cut.at + 1}",
        }[cut.when]
    )
    again = ", and the call is made again" if retried else ""
    return replace(wrong, rules=tuple(dict.fromkeys(rules)), message=f"{how}{again}: {problem}")


def unanswered(model: Model, start: State, history: History, tries: int) -> Wrong:
    """What is wrong where the last call of a history answers StoreUnavailable however often it is made."""
    last = history[-1]
    assert last.outcome is not None
    expected = model.step(start, last.call.operation, last.call.args).outcome
    message = f"{last.call.as_python()}: StoreUnavailable, {tries} times"
    return Wrong((LINEARIZABLE,), message, show_outcome(expected), show_outcome(last.outcome), history, (), False)


def _forgotten(model: Model, start: State, scenario: Scenario, cut: Cut, wrong: Wrong) -> bool:
    """Whether the history is right if one answer was never given: then what had been answered was lost."""
    own = [place for place, operation in enumerate(wrong.history) if operation.client == cut.client]
    for place, operation in enumerate(wrong.history):
        answered = 0 <= operation.client < len(scenario.clients) and not indeterminate(operation)
        # An answer that is wrong by itself fits too once it is taken away.
        if not answered or (place == own[-1] and cut.when != "answered") or not (wrong.reading or place in own):
            continue
        without = replace(operation, returned=None, outcome=None)
        history = (*wrong.history[:place], without, *wrong.history[place + 1 :])
        if isinstance(check(model, start, history), Linearizable):
            return True
    return False


def _decisive(model: Model, start: State, cut: Cut, wrong: Wrong) -> list[str]:
    """The rule of the operation that was cut, in the state it should have found."""
    own = max(place for place, operation in enumerate(wrong.history) if operation.client == cut.client)
    state = start
    for place in wrong.order:
        call = wrong.history[place].call
        if wrong.history[place].client == READER or place == own:
            break
        state = model.step(state, call.operation, call.args).state
    call = wrong.history[own].call
    return [decisive_rule(model.specification, call.operation, model.step(state, call.operation, call.args))]
