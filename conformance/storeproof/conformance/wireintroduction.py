"""What a program says of itself in answer to `initialize`, and what is wrong with such an answer (docs/wire.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storeproof.conformance.wire import PROTOCOL
from storeproof.spec.jsonvalues import is_array, is_object


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a program says of itself. `revision`: of the specification it was written against, None for elsewhere."""

    name: str
    version: str
    revision: str | None
    capabilities: frozenset[str]
    subscribe_delay_ms: float

    @classmethod
    def of(cls, said: dict[str, Any]) -> Introduction:
        """That of an answer with which nothing is wrong."""
        return cls(
            said["name"],
            said["version"],
            said.get("specRevision"),
            frozenset(said["capabilities"]),
            said.get("subscribeDelayMs", 0),
        )


def problem_of(said: Any) -> str | None:
    """What keeps an answer to initialize from being an introduction, in words; None where nothing does."""
    if not is_object(said):
        return "an object was expected"
    if said.get("protocol") != PROTOCOL or isinstance(said["protocol"], bool):
        return f"this kit speaks protocol {PROTOCOL}"
    if not all(isinstance(said.get(name), str) for name in ("name", "version")):
        return "name and version are strings"
    if not isinstance(said.get("specRevision", ""), str | None):
        return "specRevision is a string"
    capabilities = said.get("capabilities")
    if not is_array(capabilities) or not all(isinstance(each, str) for each in capabilities):
        return "capabilities is a list of strings"
    delay = said.get("subscribeDelayMs", 0)
    if not isinstance(delay, int | float) or isinstance(delay, bool) or delay < 0:
        return "subscribeDelayMs is a number of milliseconds"
    return None
