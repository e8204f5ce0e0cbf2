"""A failed race as a picture: the timeline of its clients and the states of the model, from what a report holds."""

from __future__ import annotations

from storeproof.conformance.histories import Moment
from storeproof.conformance.report import FailureReport
from storeproof.conformance.timelinesvg import timeline_svg


def picture(failure: FailureReport, salt: str = "") -> str:
    """One self-contained SVG; the failure has moments. `salt`: where it stands, on a page that has several."""
    moments = [Moment(each.client, each.kind, each.text) for each in failure.moments]
    lanes = 1 + max(moment.client for moment in moments)
    return timeline_svg(moments, lanes, failure.states, f"{failure.rules[0]}: {failure.message}", salt)
