"""The kit's own exceptions: when it cannot tell, and when it was asked for something that is not there."""

from __future__ import annotations

from storeproof.spec.errors import CannotTellError


class UsageError(CannotTellError):
    """The command was asked for something it does not have."""


class HarnessError(CannotTellError):
    """Something outside the store failed, so that nothing can be said about it."""


def require_verdict(what: str, unknown: str | None, skipped: str | None = None) -> None:
    """Raises HarnessError where there is no verdict on `what`: the checker gave up, or the setup was wrong."""
    if unknown is not None:
        raise HarnessError(f"the checker could not judge {what} within its budget: {unknown}")
    if skipped is not None:
        raise HarnessError(
            f"{what} could not be tried, because the store is wrong already without it: {skipped}; "
            "`storeproof verify` tells that by its own rule"
        )
