#!/usr/bin/env bash
#
# Measures reading vectors on one core: see vectors.c. Prints the machine, the compiler and how it
# was built, then a line for each way: microseconds a request, nanoseconds a vector and a value.
#
#   vectors.sh                     all of it
#   vectors.sh WAY [CANDIDATES]    one way alone, by its name in the table: still 24
#   vectors.sh --profile [WAY [CANDIDATES]]
#                                  the share of the time of reading that each function takes, by perf
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   CORE        the core to run on (default: 0)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD_DIR=${BUILD_DIR:-$ROOT/build-bench}

profile=
if [[ ${1:-} == --profile ]]; then
    profile=yes
    shift
    command -v perf >/dev/null || {
        printf 'vectors.sh: --profile needs perf, of the package linux-perf.\n' >&2
        exit 1
    }
fi

generator=()
[[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DFLOTILLA_TESTS=ON -DFLOTILLA_BENCH=ON \
    >/dev/null
cmake --build "$BUILD_DIR" --target bench_vectors >/dev/null

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_vectors" "$@")
# Without a type of its own a build has the one that CMakeLists.txt sets.
type=$(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$BUILD_DIR/CMakeCache.txt")
printf '%s, %s, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(cc --version | head -n 1)" \
    "${type:-RelWithDebInfo}"
printf '$ %s\n' "${command[*]}"
if [[ -z $profile ]]; then
    "${command[@]}"
    exit
fi
record=$(mktemp)
trap 'rm -f -- "$record"' EXIT
perf record -q -F 5000 --call-graph fp -o "$record" "${command[@]}"
# Setting up is left out: only what was called by the reading of a request counts.
perf report -i "$record" --no-children -g none --parent '^vectors_read$|^replay_request$' \
    --exclude-other --percentage relative --sort sym 2>/dev/null | grep -v '^#' | grep -v '^$' |
    head -n 30
