"""Runs a command beside a Postgres server that it finds in STOREPROOF_PG_URL: the one that is named there already,
else one from a wheel, which lives as long as the command.

    python examples/tanstack/with_postgres.py storeproof replay examples/tanstack/findings/FILE
"""

from __future__ import annotations

import os
import subprocess
import sys

from storeproof.conformance.embedded import URL_VARIABLE, embedded_url


def main(command: list[str]) -> int:
    """The command's exit status."""
    if not command:
        print(__doc__)
        return 2
    environment = dict(os.environ)
    if URL_VARIABLE not in environment:
        # Killed processes lose nothing by it; only a server that loses its power does.
        environment |= {URL_VARIABLE: embedded_url(), "PGOPTIONS": "-c synchronous_commit=off"}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
