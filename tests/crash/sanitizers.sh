#!/usr/bin/env bash
#
# Runs Flotilla's tests under the tools that watch memory and threads.
#
#   sanitizers.sh thread [NAME...]       ThreadSanitizer
#   sanitizers.sh address [NAME...]      AddressSanitizer, LeakSanitizer, UndefinedBehaviorSanitizer
#   sanitizers.sh valgrind [NAME...]     valgrind's memcheck; ten times as slow, and patient
#   sanitizers.sh allocations [OPTION...] [NAME...]
#                                        unit tests with one allocation failing, for each way to one
#                                        (allocations.py)
#
# NAME is part of the name of a test, as for tests/run.sh; without one, all unit tests and the tests
# of workers on real servers. Whatever a tool reports of a unit test, a worker or a command is
# printed at the end, whether a test has failed by it or not; a worker that a test kills reports
# nothing. The last line but those is `N passed, N failed, N skipped`; the exit status is 1 if
# anything failed or was reported.
#
# What is no fault of ours, because a library is not built with a sanitizer, is listed in *.supp,
# each with its reason.
#
# From the environment: BUILD_DIR (default: build-thread, build-sanitize or build in the clone),
# SHARED_DIR, SEED, TEST_PATIENCE (how many times longer the tests wait), TMPDIR.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE=$ROOT/tests/crash
readonly ROOT HERE
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"

readonly -a WORKERS=(test_features. test_recorder. test_ranker_ test_ctl. test_dead_letters. test_models.)

# build SANITIZERS: "" for none.
build() {
    local output
    mkdir -p "$BUILD_DIR"
    exec {lock}>"$BUILD_DIR/.lock"
    flock "$lock"
    say "building in $BUILD_DIR ..."
    output=$({ cmake -S "$ROOT" -B "$BUILD_DIR" -G Ninja -DFLOTILLA_TESTS=ON "-DFLOTILLA_SANITIZE=$1" &&
        cmake --build "$BUILD_DIR" --parallel "$(nproc)"; } 2>&1) ||
        die "Building failed." "$(tail -n 20 <<<"$output")" "Mend it and run this again."
    # Each run tests a copy of its own, which nobody builds anew.
    mkdir "$RUN_DIR/bin" "$RUN_DIR/unit"
    cp "$BUILD_DIR"/workers/flotilla* "$RUN_DIR/bin"
    find "$BUILD_DIR/tests" -maxdepth 1 -type f \( -name 'test_*' -o -name '*_probe' \) -executable \
        -exec cp -t "$RUN_DIR/unit" {} +
    exec {lock}>&-
}

# wrap DIRECTORY COMMAND...: each of its programs becomes a script that runs it by COMMAND.
wrap() {
    local directory=$1 program command
    shift
    printf -v command '%q ' "$@"
    mkdir "$directory/real"
    for program in "$directory"/*; do
        [[ -f $program ]] || continue
        mv "$program" "$directory/real"
        printf '#!/bin/sh\nexec %s %q "$@"\n' "$command" "$directory/real/${program##*/}" >"$program"
        chmod +x "$program"
    done
}

use_thread() {
    build thread
    export TSAN_OPTIONS="suppressions=$HERE/thread.supp log_path=$REPORTS/thread exitcode=66 history_size=4"
    export SANITIZER=thread TEST_PATIENCE=${TEST_PATIENCE:-3}
}

use_address() {
    build address,undefined
    export ASAN_OPTIONS="log_path=$REPORTS/address detect_leaks=1 exitcode=66"
    export LSAN_OPTIONS="suppressions=$HERE/leak.supp print_suppressions=0"
    export UBSAN_OPTIONS="log_path=$REPORTS/undefined print_stacktrace=1"
    export SANITIZER=address TEST_PATIENCE=${TEST_PATIENCE:-2}
}

use_valgrind() {
    local -a memcheck=(valgrind --quiet "--log-file=$REPORTS/valgrind.%p" --leak-check=full
        --errors-for-leak-kinds=definite --show-leak-kinds=definite --num-callers=30 --vgdb=no
        "--suppressions=$HERE/valgrind.supp")
    type -P valgrind >/dev/null || die "There is no valgrind." "It is not installed." "Run deploy/local/install.sh --tests."
    build ""
    wrap "$RUN_DIR/bin" "${memcheck[@]}"
    wrap "$RUN_DIR/unit" "${memcheck[@]}"
    export SANITIZER=valgrind TEST_PATIENCE=${TEST_PATIENCE:-10}
}

# Prints what the tools have reported; fails if it is anything.
tell_reports() {
    local report count=0
    for report in "$REPORTS"/*; do
        [[ -s $report ]] || continue
        count=$((count + 1))
        printf '\n-- %s\n' "${report##*/}"
        head -n 80 "$report"
    done
    printf '%d reports\n' "$count"
    ((count == 0))
}

clean_up() {
    local status=$?
    rm -rf "${RUN_DIR:?}/bin" "${RUN_DIR:?}/unit"
    if ((status == 0)); then rm -rf "$RUN_DIR"; else say "logs and reports are in $RUN_DIR"; fi
}

# The tests stop their servers first.
tests=
stop_tests() {
    [[ -n $tests ]] || return 0
    kill "$tests" 2>/dev/null || true
    wait "$tests" || true
}

run_tests() { # NAME...
    local status=0
    local -a names=("$@")
    if ((${#names[@]} == 0)); then
        mapfile -t names < <(unit_names)
        names+=("${WORKERS[@]}")
    fi
    "$interpreter" "$ROOT/tests/support/suite.py" "${names[@]}" </dev/null &
    tests=$!
    wait "$tests" || status=$?
    tests=
    tell_reports || status=1
    return "$status"
}

unit_names() {
    local source
    for source in "$ROOT"/tests/unit/test_*.c; do
        basename "$source" c
    done
}

main() {
    local kind=${1:-} default interpreter
    case $kind in
    thread) default=build-thread ;;
    address | allocations) default=build-sanitize ;;
    valgrind) default=build ;;
    *)
        # The text at the top of this file, without the first line.
        sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
        [[ $kind =~ ^(-h|--help)$ ]] || exit 2
        return 0
        ;;
    esac
    shift
    "$ROOT/deploy/local/install.sh" --tests </dev/null
    interpreter=$(test_python)/bin/python
    BUILD_DIR=$(realpath -m -- "${BUILD_DIR:-$ROOT/$default}")
    RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/flotilla-$kind.XXXXXXXX")
    REPORTS=$RUN_DIR/reports
    mkdir "$RUN_DIR/logs" "$REPORTS"
    trap clean_up EXIT
    trap 'stop_tests; exit 130' INT
    trap 'stop_tests; exit 143' TERM HUP
    export BIN_DIR=$RUN_DIR/bin UNIT_DIR=$RUN_DIR/unit LOG_DIR=$RUN_DIR/logs PYTHONDONTWRITEBYTECODE=1
    export SHARED_DIR=${SHARED_DIR:-$ROOT/../shared}
    if [[ $kind == allocations ]]; then
        build address,undefined
        "$interpreter" "$HERE/allocations.py" "$@"
        return
    fi
    "use_$kind"
    run_tests "$@"
}

main "$@"
