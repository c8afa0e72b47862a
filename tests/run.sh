#!/usr/bin/env bash
#
# Runs Flotilla's tests on Debian 12, from nothing but a clone: installs what is missing, builds,
# and tests against a Kafka and a PostgreSQL of its own, which it stops and removes at its end.
#
#   run.sh              all tests
#   run.sh NAME...      those that have one of NAME in their name: test_features, tombstone, ...
#   run.sh --list       the names
#
# A line a test; the output of a failed one is shown, and the logs of the servers and workers stay
# where it says. The last line is `N passed, N failed, N skipped`; the exit status is 1 if any
# failed. Several runs at the same time, in one clone as well, do not meet.
#
# From the environment:
#   BUILD_DIR      where to build (default: build in the clone)
#   SHARED_DIR     where the data sets are (default: shared beside the clone); tests that need one
#                  that is not there are skipped
#   SEED           repeats a random test with the seed that it printed
#   KAFKA_VERSION  see deploy/local/install.sh
#   TMPDIR         where servers, logs and a copy of the programs are kept while it runs

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD_DIR=$(realpath -m -- "${BUILD_DIR:-$ROOT/build}")
readonly ROOT BUILD_DIR
# shellcheck source-path=SCRIPTDIR source=../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"

# quiet COMMAND...: shows what a step printed only if it fails.
quiet() {
    if ! "$@" >>"$RUN_DIR/logs/build.log" 2>&1 </dev/null; then
        tail -n 40 "$RUN_DIR/logs/build.log" >&2
        say "run.sh: this failed: $*" "All of its output is in $RUN_DIR/logs/build.log"
        return 1
    fi
}

# Prints the Python that has what tests/requirements.txt lists, and Debian's YAML.
python() {
    local directory
    directory=$(test_python)
    [[ -x $directory/bin/python ]] ||
        die "The Python of the tests is not there." "Nobody has made $directory yet." \
            "Run deploy/local/install.sh --tests."
    printf '%s' "$directory/bin/python"
}

# One build at a time in a directory. Each run tests a copy of its own, which nobody builds anew.
build() {
    local lock
    mkdir -p "$BUILD_DIR"
    exec {lock}>"$BUILD_DIR/.lock"
    flock "$lock"
    say "building in $BUILD_DIR ..."
    local -a generator=()
    [[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
    quiet cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DFLOTILLA_TESTS=ON
    quiet cmake --build "$BUILD_DIR" --parallel "$(nproc)"
    quiet cmake --install "$BUILD_DIR" --prefix "$RUN_DIR/installed"
    mkdir "$RUN_DIR/unit"
    find "$BUILD_DIR/tests" -maxdepth 1 -type f \( -name 'test_*' -o -name '*_probe' \) -executable \
        -exec cp -t "$RUN_DIR/unit" {} +
    exec {lock}>&-
}

# What is worth reading after a failure stays.
clean_up() {
    local status=$?
    if ((status == 0)); then
        rm -rf "$RUN_DIR"
    else
        rm -rf "$RUN_DIR/installed" "$RUN_DIR/unit"
    fi
}

# The tests stop their servers first.
tests=
stop_tests() {
    [[ -n $tests ]] || return 0
    kill "$tests" 2>/dev/null || true
    wait "$tests" || true
}

main() {
    local interpreter status=0
    case ${1:-} in
    -h | --help)
        # The text at the top of this file, without the first line.
        sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
        return 0
        ;;
    --list)
        interpreter=$(python)
        exec "$interpreter" "$ROOT/tests/support/suite.py" "$@"
        ;;
    esac
    "$ROOT/deploy/local/install.sh" --tests </dev/null
    interpreter=$(python)
    RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/flotilla-tests.XXXXXXXX")
    mkdir "$RUN_DIR/logs"
    trap clean_up EXIT
    trap 'stop_tests; exit 130' INT
    trap 'stop_tests; exit 143' TERM HUP
    build
    export BIN_DIR=$RUN_DIR/installed/bin UNIT_DIR=$RUN_DIR/unit LOG_DIR=$RUN_DIR/logs
    export SHARED_DIR=${SHARED_DIR:-$ROOT/../shared} PYTHONDONTWRITEBYTECODE=1
    # In the background, because a trap waits for a command in the foreground to end.
    "$interpreter" "$ROOT/tests/support/suite.py" "$@" </dev/null &
    tests=$!
    wait "$tests" || status=$?
    tests=
    return "$status"
}

main "$@"
