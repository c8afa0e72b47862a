#!/usr/bin/env bash
#
# Proves on RankLens what training is worth, with the real commands: see ranklens.py. Prints NDCG@10
# of the last 20 % by time for five seeds with the project's own definitions, then with those of
# `flotilla features suggest` and the standard settings of `flotilla train`, beside the baselines.
#
#   ranklens.sh [--seeds N] [--only own|suggested] [--keep DIR]
#
# From the environment:
#   BUILD_DIR    where to build (default: build-bench in the clone)
#   SHARED_DIR   where data/ranklens is (default: shared beside the clone)
#   TMPDIR       where the sets are made (100 MB)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SHARED_DIR=${SHARED_DIR:-$ROOT/../shared}
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

[[ -e $SHARED_DIR/data/ranklens/events.jsonl.gz ]] ||
    die "There is nothing to train on." \
        "$SHARED_DIR has no data/ranklens/events.jsonl.gz." \
        "Set SHARED_DIR to the directory that has it."

build_bench program_ctl
build_bench bench_ranklens
say_machine tests/bench/ranklens.sh "$@"
BIN_DIR=$BUILD_DIR/workers PROGRAMS=$BUILD_DIR/tests DATA=$SHARED_DIR/data/ranklens \
    python3 "$ROOT/tests/bench/ranklens.py" "$@"
