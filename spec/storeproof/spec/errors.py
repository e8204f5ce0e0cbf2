"""Every exception of the project: one root, its branches, and what a store may answer with.

An exception's docstring is its default message. This module knows nothing of the model or of any adapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue


class StoreproofError(Exception):
    """Something went wrong in Storeproof."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class SpecificationError(StoreproofError):
    """The specification is wrong."""


class ConformanceError(StoreproofError):
    """The store is wrong."""


class CannotTellError(StoreproofError):
    """The kit cannot tell whether the store is right."""


class StoreAnswerError(StoreproofError):
    """What a store may answer instead of a result; these three and no others (contract, rulings 5, 6 and 12)."""


class InvalidArgument(StoreAnswerError):
    """An argument breaks the operation's schema; nothing was changed.

    `field` is the path of the argument in wire names, such as `events[1].type` (ruling 21).
    """

    def __init__(self, field: str, message: str = "is not valid") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.problem = message


class LogConflict(StoreAnswerError):
    """The log has another length than the caller expected; nothing was appended.

    `existing` is the bare event at `attempted_index`, or None where the log ends before it (ruling 14).
    An event is an object, so None always means absent.
    """

    def __init__(self, run_id: str, attempted_index: int, existing: dict[str, JsonValue] | None = None) -> None:
        super().__init__(f"the log of run {run_id!r} does not end at index {attempted_index}")
        self.run_id = run_id
        self.attempted_index = attempted_index
        self.existing = existing


class StoreUnavailable(StoreAnswerError):
    """The storage failed; nothing is half done. The driver's error is the `__cause__` (ruling 12)."""

    def __init__(self, message: str | None = None, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
