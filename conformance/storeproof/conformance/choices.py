"""Where a generated program's choices come from: Hypothesis, or a seeded random generator where only speed counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """What the generator asks for. The first element of a sequence is the simplest; shrinking goes towards it."""

    def among(self, options: Sequence[T]) -> T:
        """One of the options."""
        ...

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred cases."""
        ...


class RandomChoices:
    """Choices of a seeded generator: the same seed gives the same program, on every machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def among(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self._random.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred cases."""
        return self._random.randrange(100) < percent


@lru_cache(maxsize=256)
def _index(size: int) -> st.SearchStrategy[int]:
    # Making a strategy costs more than drawing from it, and only the size of the pool matters.
    return st.integers(0, size - 1)


class HypothesisChoices:
    """Choices drawn by Hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def among(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self._draw(_index(len(options)))]

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred cases."""
        return self._draw(_index(100)) >= 100 - percent
