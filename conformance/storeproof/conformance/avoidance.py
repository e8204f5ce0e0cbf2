"""Keeps programs and scenarios away from rules that are known to fail, so that one defect does not hide the rest.

Told by the model alone: a call is left out where one of the rules that decide it in that state is avoided. Where
nothing is avoided everything stays as it is. Knows no claim file and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.conformance.runner import Closing, expected_step
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Model, State

MOST_ORDERS = 200
"""Orders of a scenario's calls that are looked through; of one with more, whole operations are left out instead."""


@dataclass(frozen=True, slots=True)
class Avoidance:
    """Leaves out whatever exercises one of `rules`."""

    model: Model
    rules: frozenset[str]

    def without(self, *rules: str) -> Avoidance:
        """The same, but these rules are not avoided."""
        return Avoidance(self.model, self.rules - {*rules})

    def program(self, program: Program) -> Program:
        """The program without its calls that exercise an avoided rule; those after them are judged without them."""
        return self._kept([self.model.initial()], program) if self.rules else program

    def closing(self, closing: Closing) -> Closing:
        """The closing steps without those that exercise an avoided rule."""
        if not self.rules:
            return closing

        def kept(model: Model, state: State, program: Program) -> Program:
            return self._kept([state], closing(model, state, program))

        return kept

    def reading(self, states: Sequence[State], calls: Program) -> Program:
        """The calls that exercise no avoided rule, whichever of the states they begin in."""
        return self._kept(states, calls) if self.rules else calls

    def scenarios(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """Those whose clients exercise no avoided rule in any order of their calls; of their setups what does not."""
        if not self.rules:
            return list(scenarios)
        spared = (Scenario(self.program(each.setup), each.clients) for each in scenarios)
        return [each for each in spared if not self._meets(each)]

    def spares(self, scenario: Scenario) -> bool:
        """Whether nothing of a scenario exercises an avoided rule."""
        return self.scenarios([scenario]) == [scenario]

    def load(self, scenario: Scenario) -> Scenario:
        """A scenario of too many calls to look through their orders, without the operations of avoided rules."""
        operations = {rule.split(".")[0] for rule in self.rules}
        clients = (tuple(call for call in client if call.operation not in operations) for client in scenario.clients)
        return Scenario(self.program(scenario.setup), tuple(filter(None, clients))) if self.rules else scenario

    def _kept(self, states: Sequence[State], program: Program) -> Program:
        kept: list[Call] = []
        for call in program:
            if call.operation != REOPEN:
                steps = [expected_step(self.model, state, call) for state in states]
                if not self.rules.isdisjoint(chain.from_iterable(step.rules for step in steps)):
                    continue
                states = [step.state for step in steps]
            kept.append(call)
        return tuple(kept)

    def _meets(self, scenario: Scenario) -> bool:
        state = self.model.initial()
        for call in scenario.setup:
            state = expected_step(self.model, state, call).state
        for number, order in enumerate(_orders(scenario.clients)):
            if number == MOST_ORDERS or self._kept([state], order) != order:
                return True
        return False


def _orders(clients: Sequence[Program]) -> Iterator[Program]:
    """Every order of the calls in which each client's own stay in theirs."""
    left = [client for client in clients if client]
    if not left:
        yield ()
    for place, client in enumerate(left):
        for rest in _orders([*left[:place], client[1:], *left[place + 1 :]]):
            yield (client[0], *rest)
