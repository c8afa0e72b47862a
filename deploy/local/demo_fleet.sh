# shellcheck shell=bash
#
# The demo's servers, workers and feeders: starting them, waiting until they are ready, stopping.
#
# To be sourced by demo.sh after lib.sh and demo_build.sh. Expects DIR, IDENTITY, FEATURES, EVENTS,
# PROPOSITIONS, USERS, and the functions fed and quoted.

readonly WORKERS=(features-1 features-2 ranker-1 ranker-2 recorder)
readonly SHOP_USERS=1000 SHOP_PROPOSITIONS=500 SHOP_RATE=50 SHOP_REQUESTS=50
readonly SHOP_DAYS=7 SHOP_HISTORY=400000
# What rules would have shown is asked of placements with this behind their names.
readonly SHOP_TWINS=-rules
readonly READY_SECONDS=120 FEEDER_STOP_SECONDS=15
# A worker's own watchdog ends it after 30 s.
readonly WORKER_STOP_SECONDS=40 BROKEN_STOP_SECONDS=3

# Where each worker listens.
declare -A PORTS=()

# How many events are to come from the user's file.
EVENT_COUNT=

# The process started last; its end is waited for where it is the feeder.
child=

# ---------------------------------------------------------------- programs

# start_program NAME PROGRAM ARGUMENT...: with a log of its own for each run. Its pid is in $child.
start_program() {
    local name=$1 program=$2 log=$DIR/logs/$1.log
    shift 2
    [[ ! -e $log ]] || mv -f "$log" "$log.1"
    start_child "$DIR/run/$name.pid" "$log" "$DIR" "$BIN/$program" "$@" --config "$DIR/flotilla.yaml"
}

is_up() { # NAME
    recorded_pid "$DIR/run/$1.pid" >/dev/null
}

# What a program has said that is no mere news, else the end of its log.
program_excerpt() { # NAME
    local lines
    lines=$(grep -av '"level":"\(info\|debug\)"' "$DIR/logs/$1.log" 2>/dev/null | tail -n 4 | cut -c -400) || true
    printf '%s' "${lines:-$(log_excerpt "$DIR/logs/$1.log")}"
}

# flotilla: a command that is over in a moment; what it says goes into the log.
flotilla() { # ARGUMENT...
    local log=$DIR/logs/flotilla.log
    printf '$ flotilla %s\n' "$*" >>"$log"
    "$BIN/flotilla" "$@" --config "$DIR/flotilla.yaml" >>"$log" 2>&1 ||
        die "flotilla $* failed." "$(tail -n 1 "$log" | cut -c -400)" \
            "Remove the cause and run this again. All of it is in $log."
}

sql() {
    psql -Xqt -v ON_ERROR_STOP=1 "$POSTGRES_URL" "$@"
}

# ---------------------------------------------------------------- servers

check_features() {
    local said
    said=$("$BIN/flotilla" features check "$FEATURES" 2>&1) ||
        die "These feature definitions cannot be used." "$said" \
            "Correct them and run this again. What can be written: $(quoted "$ROOT/common/feature/features.md")"
    say "$(quoted "$FEATURES"): $said"
}

start_servers() {
    # A step that is interrupted stops what it has started itself.
    run_step "$HERE/stack.sh" up "$DIR/stack" || exit 1
    # shellcheck disable=SC1091
    . "$DIR/stack/env"
}

yaml_text() { # TEXT
    printf "'%s'" "${1//\'/\'\'}"
}

# Rules rank until a model is registered under this name. Each placement has a twin where they always
# do, in which nothing is logged: it tells what the model gains.
shop_placements() {
    local name twin hides=''
    # These need features that the user's own definitions may not have.
    [[ $FEATURES != "$HERE/shop.features.yaml" ]] ||
        hides='hide: [{event: dismiss, within: 30d}, {event: convert, within: 7d}], '
    printf 'placements:\n'
    for name in home genre search; do
        for twin in 'model: shop' 'log: 0'; do
            printf '  %s: {%s' "$name$([[ $twin == log* ]] && printf '%s' "$SHOP_TWINS")" "$twin"
            [[ $name != home ]] ||
                printf ', candidates: %d, %sdiversity: {attribute: brand, most: 2, first: 10}' \
                    "$SHOP_PROPOSITIONS" "$hides"
            printf '}\n'
        done
    done
}

prepare_servers() {
    cat >"$DIR/flotilla.yaml" <<YAML
# Written by demo.sh, anew at each start.
kafka.brokers: $KAFKA_BROKERS
kafka.partitions: $KAFKA_PARTITIONS
postgres.url: $(yaml_text "$POSTGRES_URL")
features.file: $(yaml_text "$FEATURES")
YAML
    if [[ -z $EVENTS ]]; then
        shop_placements
    else
        printf 'placements:\n  default: {model: own, candidates: 500}\n'
    fi >>"$DIR/flotilla.yaml"
    flotilla topics create
    flotilla migrate
    sql -c 'GRANT flotilla_recorder TO recorder' 2>>"$DIR/logs/flotilla.log" ||
        die "The role recorder was not given its rights." "$(tail -n 1 "$DIR/logs/flotilla.log")" \
            "Read $POSTGRES_LOG, then run this again."
    say "topics and tables are there ($(elapsed))"
}

# ---------------------------------------------------------------- workers

start_workers() {
    local name
    # Those that --detach has left running may be of an older build, or have other definitions.
    stop_programs
    for name in "${WORKERS[@]}"; do
        case $name in
        features-*) start_program "$name" flotilla-features --set "instance=$name" ;;
        ranker-*) start_program "$name" flotilla-ranker --set "instance=$name" ;;
        recorder) start_program "$name" flotilla-recorder --set "instance=$name" \
            --set "postgres.url=$POSTGRES_RECORDER_URL" ;;
        esac
        # They may outlive this script, and bash would report their end.
        disown "$child"
    done
    for name in "${WORKERS[@]}"; do
        wait_until_worker_is_ready "$name"
    done
}

worker_port() { # NAME: empty while it is not listening
    sed -n '/"event":"starting"/ { s/.*"http_port":\([0-9]*\).*/\1/p; q }' "$DIR/logs/$1.log"
}

# ask NAME PATH: prints the answer; fails unless it is 200.
ask() {
    curl -s --fail-with-body --noproxy '*' --max-time 2 "http://127.0.0.1:${PORTS[$1]}$2"
}

wait_until_worker_is_ready() { # NAME
    local name=$1 deadline=$((SECONDS + READY_SECONDS)) told=$SECONDS why='not listening yet'
    while :; do
        PORTS[$name]=$(worker_port "$name")
        if [[ -n ${PORTS[$name]} ]] && why=$(ask "$name" /readyz); then
            say "$name is ready on 127.0.0.1:${PORTS[$name]} ($(elapsed))"
            return 0
        fi
        is_up "$name" || worker_ended "$name"
        ((SECONDS < deadline)) ||
            die "$name is not ready after $READY_SECONDS s." "It says: ${why:-nothing}" \
                "Read its log, remove the cause and run this again: $DIR/logs/$name.log"
        if ((SECONDS - told >= 3)); then
            say "waiting for $name: ${why:-no answer}"
            told=$SECONDS
        fi
        sleep 0.1
    done
}

worker_ended() { # NAME
    die "$1 has ended." "$(program_excerpt "$1")" \
        "Remove the cause and run this again. All of its log: $DIR/logs/$1.log"
}

# Whatever ends while nobody asked it to is said.
check_fleet() {
    local name
    for name in "${WORKERS[@]}"; do
        is_up "$name" || worker_ended "$name"
    done
    for name in kafka postgres; do
        recorded_pid "$DIR/stack/$name/pid" >/dev/null ||
            die "$name has ended." "$(log_excerpt "$DIR/stack/$name/$name.log")" \
                "Remove the cause and run this again. All of its log: $DIR/stack/$name/$name.log"
    done
}

# ---------------------------------------------------------------- feeding

# Everything that there is before users come: the user's files, or the shop's history.
feed() {
    local what='the history was'
    if [[ -n $EVENTS ]]; then
        what='these files were'
        EVENT_COUNT=$(grep -ac '' "$EVENTS") || true
    fi
    if [[ $(fed) == *' sent' ]]; then
        tell "$what sent before, and not sent again" ""
        return
    fi
    printf '%s sending\n' "$IDENTITY" >"$DIR/fed"
    if [[ -z $EVENTS ]]; then
        say "the history of a shop: $SHOP_USERS users, $SHOP_PROPOSITIONS propositions, $SHOP_DAYS days, $(number "$SHOP_HISTORY") events"
        start_program feeder flotilla simulate --users "$SHOP_USERS" --propositions "$SHOP_PROPOSITIONS" \
            --days "$SHOP_DAYS" --events "$SHOP_HISTORY"
        wait_for_feeder /dev/null
        printf '%s sent\n' "$IDENTITY" >"$DIR/fed"
        return
    fi
    # Attributes first: events are seen with those that are known when they come.
    [[ -z $USERS ]] || send_and_wait users "$USERS"
    [[ -z $PROPOSITIONS ]] || send_and_wait propositions "$PROPOSITIONS"
    tell "sending events: $(number "$EVENT_COUNT") from $(quoted "$EVENTS")" ""
    start_program feeder flotilla send events "$EVENTS"
}

# From here on users come, and see what is ranked for them.
open_shop() {
    tell "" "the shop opens: $SHOP_REQUESTS requests/s, whose users see what is answered and click by their true" \
        "tastes, and $SHOP_RATE events/s of others" ""
    start_program feeder flotilla simulate --users "$SHOP_USERS" --propositions "$SHOP_PROPOSITIONS" \
        --rate "$SHOP_RATE" --requests "$SHOP_REQUESTS" --twins "$SHOP_TWINS"
}

send_and_wait() { # TOPIC FILE
    local topic=$1 file=$2
    say "sending $topic: $(number "$(grep -ac '' "$file")") from $(quoted "$file")"
    start_program feeder flotilla send "$topic" "$file"
    wait_for_feeder "$file"
}

# wait_for_feeder FILE: that it reads.
wait_for_feeder() {
    local file=$1 told=$SECONDS
    while is_up feeder; do
        check_fleet
        if ((SECONDS - told >= 3)); then
            say "  $(progress_of "$child" "$file")"
            told=$SECONDS
        fi
        sleep 0.1
    done
    take_end_of_feeder
}

# progress_of PID FILE: how much of the file the process has read.
progress_of() {
    local fd position size
    size=$(stat -c %s "$2")
    for fd in "/proc/$1/fd/"*; do
        [[ $fd -ef $2 ]] || continue
        { read -r _ position <"/proc/$1/fdinfo/${fd##*/}"; } 2>/dev/null || continue
        printf '%d %%' $((size ? 100 * position / size : 100))
        return
    done
    printf 'nearly all'
}

# The feeder has ended: well, or the demo ends with its reason.
take_end_of_feeder() {
    local status=0
    wait "$child" || status=$?
    rm -f "$DIR/run/feeder.pid"
    ((status == 0)) ||
        die "Not everything could be sent." "$(program_excerpt feeder)" \
            "Correct the file if it is named above, and run this again: it begins anew then. Log: $DIR/logs/feeder.log"
    say "  $(tail -n 1 "$DIR/logs/feeder.log")"
}

# ---------------------------------------------------------------- stopping

# stop_program NAME SECONDS
stop_program() {
    stop_recorded "$DIR/run/$1.pid" TERM "$2" || {
        say "$1 did not stop within $2 s and is killed"
        stop_recorded "$DIR/run/$1.pid" KILL 10 || say "$1 is still there after SIGKILL"
    }
}

stop_programs() {
    local name seconds=$WORKER_STOP_SECONDS
    local -a stopping=()
    # Without Kafka nothing that they could finish is worth waiting for.
    recorded_pid "$DIR/stack/kafka/pid" >/dev/null || seconds=$BROKEN_STOP_SECONDS
    stop_program feeder $((seconds < FEEDER_STOP_SECONDS ? seconds : FEEDER_STOP_SECONDS))
    # At the same time, because each takes a moment.
    for name in "${WORKERS[@]}"; do
        stop_program "$name" "$seconds" &
        stopping+=($!)
    done
    wait "${stopping[@]}"
}

stop_fleet() {
    stop_programs
    "$HERE/stack.sh" down "$DIR/stack"
}

# The same in a shell of its own: the one that ends after a Ctrl-C may still have it to deal with.
stop_fleet_afresh() {
    # shellcheck disable=SC2016 # for the other shell to expand
    bash -c 'set -uo pipefail
        HERE=$1 DIR=$2
        . "$HERE/lib.sh"
        . "$HERE/demo_fleet.sh"
        stop_fleet' stop "$HERE" "$DIR"
}
