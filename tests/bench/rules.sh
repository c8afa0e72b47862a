#!/usr/bin/env bash
#
# Measures answers by rules from a catalogue of 100,000 on one core: see rules.c. Prints the machine,
# the compiler and how it was built, then the figures, with a ratio to a bare scan of the same run.
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   CORE        the core to run on (default: 0)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

build_bench bench_rules

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_rules")
say_machine "${command[@]}"
"${command[@]}"
