#!/usr/bin/env bash
#
# Fuzzes what reads bytes of others: builds the programs of tests/fuzz with clang, and runs each
# for a while from the inputs in corpus/ and regressions/.
#
#   run.sh                 all targets, a minute each
#   run.sh TARGET...       some: conf, decode, features, framing, json, model, registry, schema
#   run.sh --seconds N     so long each (default 60)
#   run.sh --jobs N        so many at the same time (default 2)
#   run.sh --keep DIR      the inputs that are found along the way stay in DIR/TARGET, from where
#                          the next run with it goes on (default: they go with the run)
#   run.sh --list          the names of the targets
#
# Needs Debian 12 with what deploy/local/install.sh --tests installs. A line a target; the exit
# status is 1 if any found something, with the input that did it and the command that repeats it.
#
# Memory is limited: a single allocation over 140 MB, or over 300 MB in all, is a failure, as is an
# input that takes 10 s.
#
# From the environment:
#   BUILD_DIR   where to build (default: build-fuzz in the clone)
#   TMPDIR      where a run keeps its files

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FUZZ=$ROOT/tests/fuzz
BUILD_DIR=$(realpath -m -- "${BUILD_DIR:-$ROOT/build-fuzz}")
readonly ROOT FUZZ BUILD_DIR

# The largest value of a record (VALUE_MAX_MEMORY, 128 MiB) in one piece, and beside it what its
# decoding copies, libFuzzer and AddressSanitizer need.
readonly -a LIMITS=(-malloc_limit_mb=140 -rss_limit_mb=300 -timeout=10)
# Memory that was freed is kept from being used again, to find uses of it: 256 MB would hide what
# the program itself takes.
export ASAN_OPTIONS=quarantine_size_mb=16:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

say() {
    printf '%s\n' "$*" >&2
}

list() {
    local source
    for source in "$FUZZ"/fuzz_*.c; do
        basename "${source#"$FUZZ"/fuzz_}" .c
    done
}

# number TEXT OPTION
number() {
    [[ $1 =~ ^[1-9][0-9]{0,6}$ ]] || { say "run.sh: $2 needs a number, not \"$1\""; exit 2; }
    printf '%s' "$1"
}

build() {
    local lock log=$RUN_DIR/build.log
    local -a generator=()
    mkdir -p "$BUILD_DIR"
    exec {lock}>"$BUILD_DIR/.lock"
    flock "$lock"
    say "building in $BUILD_DIR ..."
    [[ -e $BUILD_DIR/CMakeCache.txt ]] || generator=(-G Ninja)
    if ! { cmake -S "$ROOT" -B "$BUILD_DIR" "${generator[@]}" -DCMAKE_C_COMPILER=clang -DFLOTILLA_FUZZ=ON \
        -DFLOTILLA_TESTS=ON && cmake --build "$BUILD_DIR" --target fuzz --parallel "$(nproc)"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        say "run.sh: the build failed; all of its output is in $log"
        return 1
    fi
    # A copy, which nobody builds anew while it runs.
    cp "$BUILD_DIR"/tests/fuzz/fuzz_* "$RUN_DIR" 2>/dev/null || true
    exec {lock}>&-
}

# value NAME LOG: one of libFuzzer's final figures.
value() {
    sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# How much of the program an input had reached at the beginning and at the end.
coverage() {
    sed -nE 's/^#[0-9]+\s+'"$1"'.* cov: ([0-9]+) .*/\1/p' "$2" | tail -n 1
}

# fuzz TARGET: in the foreground of a process of its own, which prints the target's line.
fuzz() {
    local target=$1 child status=0 log=$RUN_DIR/$1.log input command
    local -a options=("${LIMITS[@]}" -print_final_stats=1 -entropic_scale_per_exec_time=1)
    local -a folders=("${KEEP:-$RUN_DIR/grown}/$target" "$FUZZ/corpus/$target")
    mkdir -p "${folders[0]}" "$RUN_DIR/found"
    [[ ! -d $FUZZ/regressions/$target ]] || folders+=("$FUZZ/regressions/$target")
    [[ ! -e $FUZZ/$target.dict ]] || options+=("-dict=$FUZZ/$target.dict")
    "$RUN_DIR/fuzz_$target" "${options[@]}" "-max_total_time=$SECONDS_EACH" \
        "-artifact_prefix=$RUN_DIR/found/$target-" "${folders[@]}" >"$log" 2>&1 </dev/null &
    child=$!
    trap 'kill "$child" 2>/dev/null || true; wait; exit 143' TERM INT HUP
    wait "$child" || status=$?
    if ((status == 0)); then
        printf 'ok      %-9s %12s executions %8s/s %5s MB at most %6s places of the program reached, %s new\n' \
            "$target" "$(value number_of_executed_units "$log")" "$(value average_exec_per_sec "$log")" \
            "$(value peak_rss_mb "$log")" "$(coverage DONE "$log")" \
            "$(($(coverage DONE "$log") - $(coverage INITED "$log")))"
        return 0
    fi
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    command="ASAN_OPTIONS=$ASAN_OPTIONS $BUILD_DIR/tests/fuzz/fuzz_$target ${LIMITS[*]} ${input:-INPUT}"
    printf 'FAILED  %-9s %s\n' "$target" "ended with status $status: $log"
    sed -nE '/ERROR|Assertion|runtime error|SUMMARY/ s/^/    /p' "$log"
    printf '    input:   %s\n    again:   %s\n' "${input:-(none was written)}" "$command"
    printf '    to keep: put it, as small as it gets, into %s\n' "$FUZZ/regressions/$target"
    return 1
}

# A line on a terminal that says how far it is.
progress() {
    [[ -t 2 ]] || return 0
    local log text=
    for log in "$RUN_DIR"/*.log; do
        [[ $log != */build.log ]] || continue
        text+=" $(basename "$log" .log) $(sed -nE 's/^#([0-9]+)\s.*/\1/p' "$log" | tail -n 1)"
    done
    printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || printf 80) - 1))" \
        "$SECONDS s, executions:$text" >&2
}

clear_progress() {
    [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# run TARGET...: JOBS at the same time, each from the end of another.
run() {
    local target pid ended alive status failed=0
    local -a waiting=("$@")
    local -A running=()
    trap 'kill "${!running[@]}" 2>/dev/null || true; wait; exit 143' TERM INT HUP
    while ((${#waiting[@]} + ${#running[@]})); do
        while ((${#waiting[@]} && ${#running[@]} < JOBS)); do
            target=${waiting[0]}
            waiting=("${waiting[@]:1}")
            fuzz "$target" >"$RUN_DIR/$target.line" &
            running[$!]=$target
        done
        ended=
        while [[ -z $ended ]]; do
            progress
            sleep 0.5
            alive=" $(jobs -pr | tr '\n' ' ') "
            for pid in "${!running[@]}"; do
                [[ $alive == *" $pid "* ]] || ended=$pid
            done
        done
        status=0
        wait "$ended" || status=$?
        clear_progress
        cat "$RUN_DIR/${running[$ended]}.line"
        ((status == 0)) || failed=1
        unset "running[$ended]"
    done
    return "$failed"
}

# What is worth looking at after a failure stays.
clean_up() {
    local status=$?
    clear_progress
    ((status == 1)) || rm -rf "$RUN_DIR"
}

main() {
    local target status=0
    local -a targets=()
    SECONDS_EACH=60 JOBS=2 KEEP=
    while (($#)); do
        case $1 in
        -h | --help)
            sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
            return 0
            ;;
        --list) list; return 0 ;;
        --seconds) SECONDS_EACH=$(number "${2:-}" "$1"); shift ;;
        --jobs) JOBS=$(number "${2:-}" "$1"); shift ;;
        --keep)
            [[ -n ${2:-} ]] || { say "run.sh: --keep needs a directory"; return 2; }
            KEEP=$(realpath -m -- "$2")
            shift
            ;;
        *)
            [[ $'\n'$(list)$'\n' == *$'\n'"$1"$'\n'* ]] || { say "run.sh: there is no target \"$1\": see --list"; return 2; }
            targets+=("$1")
            ;;
        esac
        shift
    done
    ((${#targets[@]})) || mapfile -t targets < <(list)
    RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/flotilla-fuzz.XXXXXXXX")
    trap clean_up EXIT
    build
    run "${targets[@]}" || status=$?
    return "$status"
}

main "$@"
