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
BUILD_DIR=${BUILD_DIR:-$ROOT/build-bench}

generator=()
[[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DFLOTILLA_TESTS=ON -DFLOTILLA_BENCH=ON \
    >/dev/null
cmake --build "$BUILD_DIR" --target bench_rules >/dev/null

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_rules")
# Without a type of its own a build has the one that CMakeLists.txt sets.
type=$(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$BUILD_DIR/CMakeCache.txt")
printf '%s, %s, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(cc --version | head -n 1)" \
    "${type:-RelWithDebInfo}"
printf '$ %s\n' "${command[*]}"
"${command[@]}"
