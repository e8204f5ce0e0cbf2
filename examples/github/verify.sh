#!/usr/bin/env bash
# One step of CI. By day the same seed every time: a red check is about the change. At night a new one, which explores;
# it is printed, and `--seed` repeats it.
set -euo pipefail
profile=${PROFILE:-}
seed=${SEED:-}
if [ "${NIGHT:-false}" = true ]; then
  profile=${profile:-thorough}
else
  profile=${profile:-default}
  seed=${seed:-0}
fi
mkdir -p storeproof-report
read -r -a more <<<"${ARGUMENTS:-}"
storeproof verify "$TARGET" --profile "$profile" ${seed:+--seed "$seed"} \
  --json storeproof-report/report.json --junit storeproof-report/report.xml \
  --html storeproof-report/report.html --markdown storeproof-report/report.md \
  "${more[@]}" && code=0 || code=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f storeproof-report/report.md ]; then
  cat storeproof-report/report.md >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
