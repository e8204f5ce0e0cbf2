"""Every hand-broken store, and a few right ones that are merely unusual. `storeproof selftest` reads both lists."""

from tests.broken import Broken
from tests.broken_answers import ANSWERS
from tests.broken_arguments import ARGUMENTS
from tests.broken_deliveries import DELIVERIES
from tests.broken_ids import IDS
from tests.broken_leases import LEASES
from tests.broken_lists import LISTS
from tests.broken_log import LOG
from tests.broken_marks import MARKS
from tests.broken_runs import RUNS
from tests.broken_schedules import SCHEDULES
from tests.broken_subscriptions import SUBSCRIPTIONS
from tests.broken_timers import TIMERS
from tests.broken_values import VALUES
from tests.unusual_stores import UNUSUAL

__all__ = ["BROKEN", "UNUSUAL"]

BROKEN: tuple[Broken, ...] = (
    *(*RUNS, *MARKS, *LOG, *LEASES, *TIMERS, *DELIVERIES, *SCHEDULES, *LISTS),
    *(*VALUES, *IDS, *ARGUMENTS, *ANSWERS, *SUBSCRIPTIONS),
)
