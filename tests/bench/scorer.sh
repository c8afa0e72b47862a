#!/usr/bin/env bash
#
# Measures scoring on one core: see scorer.c. Prints the machine, the compiler and how it was built,
# then for each model a line for each number of candidates and path: microseconds, ratios to XGBoost
# in the same run, and how many margins differ from XGBoost's in a bit.
#
#   scorer.sh           all models
#   scorer.sh N         the N-th model alone, from 1
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   CORE        the core to run on (default: 0)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

build_bench bench_scorer

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_scorer" "$@")
say_machine "${command[@]}"
"${command[@]}"
