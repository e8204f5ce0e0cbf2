"""The kit's own exceptions: when it cannot tell, and when it was asked for something that is not there."""

from __future__ import annotations

from storeproof.spec.errors import CannotTellError


class UsageError(CannotTellError):
    """The command was asked for something it does not have."""


class HarnessError(CannotTellError):
    """Something outside the store failed, so that nothing can be said about it."""
