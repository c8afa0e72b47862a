#!/usr/bin/env bash
#
# Flotilla under fire: real servers, workers that are killed, frozen and cut off by a schedule that a
# seed gives, and after every round the recomputation of every value, every total and every row.
#
#   run.sh                    20 rounds of all kinds of faults
#   run.sh --rounds N         so many
#   run.sh --seed S           the same rounds as an earlier run; with --rounds 1 the round of that seed
#   run.sh --faults GLOB,...  only those: 'worker-*,kafka-kill'
#   run.sh --faults failpoints [--all] [--seed S]
#                             dies at every failpoint of the source, one after the other, instead of
#                             by chance; --all: at several passages of each
#   run.sh --list             the faults, and what they need
#   run.sh --keep             keeps the logs of rounds in which nothing was wrong as well
#
# It installs what is missing and builds in build-crash, with failpoints. A line a round, at the end a
# table. A round in which anything differed prints what, its logs stay, and a command that repeats
# it. The exit status is 1 then.
#
# From the environment: CRASH_BUILD_DIR (default: build-crash in the clone), KAFKA_VERSION, TMPDIR.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT
# shellcheck source-path=SCRIPTDIR source=../../deploy/local/lib.sh
. "$ROOT/deploy/local/lib.sh"

# Logs of what failed, or was to be kept, stay; those of good rounds are gone by now.
clean_up() {
    local status=$?
    rm -rf "$BIN_DIR"
    if ((status == 0)) && [[ -z $keep ]]; then
        rm -rf "$RUN_DIR"
    else
        say "logs are in $LOG_DIR"
    fi
}

# Python stops its servers first.
driver=
keep=
stop_driver() {
    [[ -n $driver ]] || return 0
    kill "$driver" 2>/dev/null || true
    wait "$driver" || true
}

# The arguments without `--faults failpoints`.
without_faults() {
    arguments=()
    while (($# > 0)); do
        case $1 in
        --faults) shift ;;
        *) arguments+=("$1") ;;
        esac
        shift
    done
}

main() {
    local python script=crash.py status=0
    local -a arguments=("$@")
    [[ " $* " != *" --keep "* ]] || keep=yes
    case " $* " in
    *" -h "* | *" --help "*)
        # The text at the top of this file, without the first line.
        sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
        return 0
        ;;
    *" --faults failpoints "*)
        script=tour.py
        without_faults "$@"
        ;;
    esac
    "$ROOT/deploy/local/install.sh" --tests </dev/null
    python=$(test_python)/bin/python
    export PYTHONDONTWRITEBYTECODE=1
    RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/flotilla-crash.XXXXXXXX")
    export BIN_DIR=$RUN_DIR/bin LOG_DIR=$RUN_DIR/logs
    mkdir "$BIN_DIR" "$LOG_DIR"
    trap clean_up EXIT
    if [[ " $* " != *" --list "* ]]; then
        say "building, with failpoints ..."
        "$python" "$ROOT/tests/support/failpoint_build.py" "$BIN_DIR"
    fi
    trap 'stop_driver; exit 130' INT
    trap 'stop_driver; exit 143' TERM HUP
    # In the background, because a trap waits for a command in the foreground to end.
    "$python" "$ROOT/tests/crash/$script" "${arguments[@]}" </dev/null &
    driver=$!
    wait "$driver" || status=$?
    driver=
    return "$status"
}

main "$@"
