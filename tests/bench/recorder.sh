#!/usr/bin/env bash
#
# Measures the recorder against PostgreSQL's own COPY of the very same rows: see recorder.py. The
# servers are its own, with fsync on, as in production.
#
#   recorder.sh [--rows N] [--rounds N] [--shape once|again|often] [--set NAME=VALUE] [--profile]
#
# --profile records both sides by perf during one round and says where their time goes.
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   TMPDIR      where the servers keep their data: what is measured depends on its disk

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"
# shellcheck source=lib.sh
. "$ROOT/tests/bench/lib.sh"

"$ROOT/deploy/local/install.sh" --tests
build_bench
say_machine tests/bench/recorder.sh "$@"
BIN_DIR=$BUILD_DIR/workers BENCH_DIR=$BUILD_DIR/tests LOCAL_PG_FSYNC=on \
    "$(test_python)/bin/python" "$ROOT/tests/bench/recorder.py" "$@"
