#!/usr/bin/env bash
#
# Measures how fast `flotilla backfill` makes a training set: RankLens, the 20 values of
# vectors.yaml, on one core. What was read lies sorted in a journal before that, as where Kafka has
# been read; how long that took is said, too. Of several runs each is printed, then the median.
#
#   backfill.sh [EVENTS]            RankLens's events.jsonl.gz (default: below SHARED_DIR, or
#                                   `shared` beside the clone)
#   backfill.sh --profile [EVENTS]  the share of the time that each function takes, by perf
#
# From the environment:
#   BUILD_DIR   where to build (default: build-bench in the clone)
#   CORE        the core to run on (default: 0)
#   RUNS        how often (default: 5)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$ROOT/tests/bench/lib.sh"

profile=
if [[ ${1:-} == --profile ]]; then
    profile=yes
    shift
    command -v perf >/dev/null || {
        printf 'backfill.sh: --profile needs perf, of the package linux-perf.\n' >&2
        exit 1
    }
fi
events=${1:-${SHARED_DIR:-$ROOT/../shared}/data/ranklens/events.jsonl.gz}
[[ -r $events ]] || {
    printf 'backfill.sh: %s cannot be read: give the path of events.jsonl.gz of RankLens.\n' \
        "$events" >&2
    exit 1
}

build_bench program_ctl
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
python3 "$ROOT/tests/oracle/ranklens_to_stream.py" "$events" >"$folder/ranklens.jsonl"

# The set is made anew each time, from the same journal. Every request is used.
command=(taskset -c "${CORE:-0}" "$BUILD_DIR/workers/flotilla" backfill --out "$folder/set"
    --features "$ROOT/tests/bench/vectors.yaml" --stream "$folder/ranklens.jsonl" --incomplete
    --keep-journal)
say_machine "${command[@]}"
"${command[@]}" | grep -E '^(read|used|rows|time)'
if [[ -n $profile ]]; then
    rm -rf -- "$folder/set"
    perf record -q -F 5000 -g -o "$folder/perf" "${command[@]}" >/dev/null
    perf report -i "$folder/perf" --no-children -g none --percentage relative --sort sym \
        2>/dev/null | grep -v '^#' | grep -v '^$' | head -n 40
    exit
fi

# Vectors a second of the clock, and of the processor: on a machine with other work these differ.
rates=()
TIMEFORMAT='%U %S'
for ((run = 1; run <= ${RUNS:-5}; run++)); do
    rm -rf -- "$folder/set"
    used=$({ time "${command[@]}" >"$folder/said"; } 2>&1)
    rate=$(sed -n 's/^time .*: \([0-9,]*\) vectors a second$/\1/p' "$folder/said" | tr -d ,)
    rows=$(sed -n 's/^rows *\([0-9,]*\),.*/\1/p' "$folder/said" | tr -d ,)
    awk -v run="$run" -v rate="$rate" -v rows="$rows" -v used="$used" 'BEGIN {
        split(used, seconds, " ")
        cpu = seconds[1] + seconds[2]
        printf "run %d: %d vectors a second; %d a second of the processor (%.2f s)\n", run, rate,
            rows / cpu, cpu
    }'
    rates+=("$rate")
done
printf '%s\n' "${rates[@]}" | sort -n | awk '{ rate[NR] = $1 } END {
    printf "median: %d vectors a second; wanted 1000000: %.2f of it\n", rate[int((NR + 1) / 2)],
        rate[int((NR + 1) / 2)] / 1000000
}'
