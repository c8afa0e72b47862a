#!/usr/bin/env bash
#
# Measures the ranker end to end on RankLens: requests per CPU-second, latency over a bare echo of
# the same requests through the same broker, click to ranking. See ranker.py; servers are its own.
#
#   ranker.sh [--requests N] [--rounds N] [--seconds S] [--clicks N] [--rate N] [--trees N]
#             [--users N] [--propositions N]
#
# From the environment:
#   BUILD_DIR    where to build (default: build-bench in the clone)
#   SHARED_DIR   where the data sets are (default: shared beside the clone)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SHARED_DIR=${SHARED_DIR:-$ROOT/../shared}
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"
# shellcheck source=lib.sh
. "$ROOT/tests/bench/lib.sh"

"$ROOT/deploy/local/install.sh" --tests
build_bench
say_machine tests/bench/ranker.sh "$@"
BIN_DIR=$BUILD_DIR/workers TRAFFIC=$BUILD_DIR/tests/bench_traffic \
    "$(test_python)/bin/python" "$ROOT/tests/bench/ranker.py" \
    --ranklens "$SHARED_DIR/data/ranklens/events.jsonl.gz" "$@"
