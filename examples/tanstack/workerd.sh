#!/bin/sh
# What miniflare starts in place of workerd: leaves the process's number in $STOREPROOF_WORKERD_PID and becomes workerd.
echo $$ >"$STOREPROOF_WORKERD_PID"
exec "$STOREPROOF_WORKERD" "$@"
