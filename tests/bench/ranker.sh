#!/usr/bin/env bash
#
# Measures the ranker end to end on RankLens: requests per CPU-second, latency over a bare echo of
# the same requests through the same broker, click to ranking. See ranker.py; servers are its own.
#
#   ranker.sh [--requests N] [--rounds N] [--seconds S] [--clicks N] [--rate N] [--trees N]
#
# From the environment:
#   BUILD_DIR    where to build (default: build-bench in the clone)
#   SHARED_DIR   where the data sets are (default: shared beside the clone)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD_DIR=${BUILD_DIR:-$ROOT/build-bench}
SHARED_DIR=${SHARED_DIR:-$ROOT/../shared}
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"

"$ROOT/deploy/local/install.sh" --tests
generator=()
[[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DFLOTILLA_TESTS=ON -DFLOTILLA_BENCH=ON \
    >/dev/null
cmake --build "$BUILD_DIR" >/dev/null

printf '%s, %s processors, %s\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(cc --version | head -n 1)"
printf '$ tests/bench/ranker.sh %s\n' "$*"
BIN_DIR=$BUILD_DIR/workers TRAFFIC=$BUILD_DIR/tests/bench_traffic \
    "$(test_python)/bin/python" "$ROOT/tests/bench/ranker.py" \
    --ranklens "$SHARED_DIR/data/ranklens/events.jsonl.gz" "$@"
