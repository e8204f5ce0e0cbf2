"""What is known about values at one place of the model, because of the guards before it.

Facts are immutable and keyed by path (`run`, `run.lease`); None stands for a place that cannot be reached. This module
knows nothing of expressions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from storeproof.spec.shapes import Type, union


@dataclass(frozen=True, slots=True)
class Facts:
    """`present` says of an optional field whether it is there; `types` narrows what a path's schema says."""

    present: Mapping[str, bool] = field(default_factory=dict[str, bool])
    types: Mapping[str, Type] = field(default_factory=dict[str, Type])

    def with_presence(self, path: str | None, there: bool) -> Facts:
        return self if path is None else replace(self, present={**self.present, path: there})

    def with_type(self, path: str | None, type_: Type) -> Facts:
        return self if path is None else replace(self, types={**self.types, path: type_})

    def moved(self, path: str, to: str, without: frozenset[str]) -> Facts:
        """These facts and the ones about `path`'s fields once more as facts about `to`, except for some fields."""

        def target(known: str) -> str | None:
            rest = known[len(path) + 1 :] if known.startswith(f"{path}.") else ""
            return f"{to}.{rest}" if rest and rest.partition(".")[0] not in without else None

        present = {new: there for known, there in self.present.items() if (new := target(known))}
        types = {new: type_ for known, type_ in self.types.items() if (new := target(known))}
        return Facts({**self.present, **present}, {**self.types, **types})


Known: TypeAlias = Facts | None
"""Facts, or None where the place cannot be reached."""


def either(left: Known, right: Known) -> Known:
    """What is known where one or the other holds."""
    if left is None or right is None:
        return left or right
    present = {path: there for path, there in left.present.items() if right.present.get(path) is there}
    types = {path: union([type_, right.types[path]]) for path, type_ in left.types.items() if path in right.types}
    return Facts(present, types)
