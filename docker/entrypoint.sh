#!/usr/bin/env bash
# Gives a container's command the same environment that `eval "$(fvi env)"` gives a shell. The servers are those that
# FVI_DATABASE_URL and FVI_REDIS_URL name; missing schemas and tables are made on the way.
set -euo pipefail
exports="$(fvi env)"
eval "$exports"
exec "$@"
