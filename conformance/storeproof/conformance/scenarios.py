"""A scenario: what several clients do to one store, after a setup. The plain JSON value behind races and cuts.

With no clients it is a sequential program. Knows nothing of how a scenario is run; the order of the clients' statements
is a schedule, which `scheduling` chooses and a repro file keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from storeproof.conformance.programs import Call, Program, as_python, from_json, to_json


@dataclass(frozen=True, slots=True)
class Scenario:
    """`setup` runs alone and first; then every client runs its own calls one after the other, beside the others."""

    setup: Program
    clients: tuple[Program, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """`{"setup": [step …], "clients": [[step …] …]}`, steps as in a program's JSON form."""
        return {"setup": to_json(self.setup), "clients": [to_json(client) for client in self.clients]}

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call of the scenario: the setup's, then each client's."""
        return (*self.setup, *self.meeting)

    @property
    def meeting(self) -> tuple[Call, ...]:
        """Every client's calls."""
        return tuple(call for client in self.clients for call in client)

    @property
    def width(self) -> int:
        """How many calls the clients make between them."""
        return sum(map(len, self.clients))

    def as_python(self) -> str:
        """The scenario as Python, the clients as coroutines to be run at the same time."""
        parts = [as_python(self.setup)] if self.setup else []
        for number, client in enumerate(self.clients):
            body = "\n".join(f"    {call.as_python()}" for call in client)
            parts.append(f"async def client_{name_of(number).lower()}():\n{body}")
        return "\n".join(parts)


def scenario_from_json(data: dict[str, Any]) -> Scenario:
    """The scenario of its JSON form; raises KeyError and ValueError as `programs.from_json` does."""
    return Scenario(from_json(data["setup"]), tuple(from_json(client) for client in data["clients"]))


def name_of(client: int) -> str:
    """Clients are called A, B, C … in every text."""
    return chr(ord("A") + client)
