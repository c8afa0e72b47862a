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
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

profile=
if [[ ${1:-} == --profile ]]; then
    profile=yes
    shift
    command -v perf >/dev/null || {
        printf 'vectors.sh: --profile needs perf, of the package linux-perf.\n' >&2
        exit 1
    }
fi

build_bench bench_vectors

command=(taskset -c "${CORE:-0}" "$BUILD_DIR/tests/bench_vectors" "$@")
say_machine "${command[@]}"
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
