#!/usr/bin/env bash
#
# Measures the features worker: each figure can be asked for by its name, all are measured if none
# is named. See features.py; servers are its own.
#
#   features.sh [FIGURE...] [--rounds N] [--events N] ...      features.sh --help has all of them
#
# From the environment:
#   BUILD_DIR    where to build (default: build-bench in the clone)
#   SHARED_DIR   where bench_a is (default: shared beside the clone)
#   TMPDIR       where the servers keep their data

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SHARED_DIR=${SHARED_DIR:-$ROOT/../shared}
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

[[ -e $SHARED_DIR/bench_a/gen.c ]] ||
    die "There is nothing to measure on." \
        "$SHARED_DIR has no bench_a/gen.c, which makes the events." \
        "Set SHARED_DIR to the directory that has it."

"$ROOT/deploy/local/install.sh" --tests
build_bench ""
cc -O2 -o "$BUILD_DIR/tests/bench_a_events" "$SHARED_DIR/bench_a/gen.c" -lrdkafka -lm
say_machine tests/bench/features.sh "$@"
BIN_DIR=$BUILD_DIR/workers GENERATOR=$BUILD_DIR/tests/bench_a_events PROGRAMS=$BUILD_DIR/tests \
    "$(test_python)/bin/python" "$ROOT/tests/bench/features.py" "$@"
