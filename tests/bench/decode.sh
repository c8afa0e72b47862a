#!/usr/bin/env bash
#
# Measures decoding and encoding on one core: see decode.c. Prints the machine, the compiler and how
# it was built, then a line for each way: bytes and nanoseconds a record, and ratios to the others
# in the same run.
#
#   decode.sh           all of it
#   decode.sh NAME      one way alone, by its name in the table, for a profiler
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   CORE        the core to run on (default: 0)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

build_bench bench_decode

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_decode" "$@")
say_machine "${command[@]}"
"${command[@]}"
