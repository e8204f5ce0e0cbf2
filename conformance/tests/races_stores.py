"""Every store on a database that breaks under concurrency or a crash, and the right ones that are merely unusual."""

from tests.races import Racy
from tests.races_postgres_deliveries import DELIVERIES as POSTGRES_DELIVERIES
from tests.races_postgres_faults import FAULTS as POSTGRES_FAULTS
from tests.races_postgres_leases import LEASES as POSTGRES_LEASES
from tests.races_postgres_log import LOG as POSTGRES_LOG
from tests.races_postgres_queues import QUEUES as POSTGRES_QUEUES
from tests.races_postgres_runs import RUNS as POSTGRES_RUNS
from tests.races_sqlite_deliveries import DELIVERIES as SQLITE_DELIVERIES
from tests.races_sqlite_faults import FAULTS as SQLITE_FAULTS
from tests.races_sqlite_leases import LEASES as SQLITE_LEASES
from tests.races_sqlite_log import LOG as SQLITE_LOG
from tests.races_sqlite_queues import QUEUES as SQLITE_QUEUES
from tests.races_sqlite_runs import RUNS as SQLITE_RUNS

__all__ = ["RACY"]

RACY: tuple[Racy, ...] = (
    *(*POSTGRES_RUNS, *POSTGRES_LEASES, *POSTGRES_DELIVERIES, *POSTGRES_LOG, *POSTGRES_QUEUES, *POSTGRES_FAULTS),
    *(*SQLITE_RUNS, *SQLITE_LEASES, *SQLITE_DELIVERIES, *SQLITE_LOG, *SQLITE_QUEUES, *SQLITE_FAULTS),
)
