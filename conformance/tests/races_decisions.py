"""What an author decides in Python who reads rows first and writes them later. Knows no database."""

from pydantic import MISSING
from storeproof.spec import types as t

TERMINAL = ("finished", "errored", "aborted")


def claimable(run: t.Run, owner: str, now: int) -> bool:
    """Whether claimRun may hand the run to `owner` at `now`."""
    return run.status not in TERMINAL and (
        run.lease is MISSING or run.lease.owner == owner or run.lease.expires_at <= now
    )


def takes_signal(run: t.Run, delivery: t.SignalDelivery) -> bool:
    """Whether a wait of the run accepts the signal."""
    waits: list[t.SignalWait] = [] if run.waiting_for is MISSING else [run.waiting_for]
    if run.awaiting is not MISSING:
        waits += [wait for wait in run.awaiting if isinstance(wait, t.SignalAwaitable)]
    steps = {delivery.step_id} - {MISSING}
    return any(wait.signal_name == delivery.name and len(steps | ({wait.step_id} - {MISSING})) <= 1 for wait in waits)


def takes_approval(run: t.Run, approval: t.Approval) -> bool:
    """Whether the run waits for the approval."""
    waits: list[t.ApprovalWait] = [] if run.pending_approval is MISSING else [run.pending_approval]
    if run.awaiting is not MISSING:
        waits += [wait for wait in run.awaiting if isinstance(wait, t.ApprovalAwaitable)]
    return any(wait.approval_id == approval.approval_id for wait in waits)
