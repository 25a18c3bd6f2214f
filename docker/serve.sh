#!/usr/bin/env bash
# Serves the newest Bento, once there is one: the first run of the pipeline builds it.
set -euo pipefail
until bentoml get fvi:latest >/dev/null 2>&1; do
    echo "There is no Bento yet. Run the pipeline once: docker compose run --rm run"
    sleep 15
done
# a proxy keeps connections for longer than the five seconds after which an idle one is closed else, in its face
exec bentoml serve fvi:latest --host 0.0.0.0 --port 3000 --timeout-keep-alive 75
