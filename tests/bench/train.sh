#!/usr/bin/env bash
#
# Measures training: its time against XGBoost's library alone on the same rows, and the memory of
# `flotilla train` over that of the rows as floats. See train.py. Prints the machine and the command.
#
#   train.sh [--rows N] [--rounds N] [--threads N] [--large N] [--only time|memory]
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   TMPDIR      where the sets are made (2 GB)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

build_bench bench_train
build_bench program_ctl
say_machine tests/bench/train.sh "$@"
BIN_DIR=$BUILD_DIR/workers PROGRAMS=$BUILD_DIR/tests \
    python3 "$ROOT/tests/bench/train.py" "$@"
