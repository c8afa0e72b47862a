#!/usr/bin/env bash
#
# A real Kafka and a real PostgreSQL on this machine, for the demo and the tests.
#
#   stack.sh up DIR [--partitions N]   starts both; on the data in DIR if there are any
#   stack.sh down DIR                  stops both and keeps the data
#   stack.sh reset DIR                 stops both and removes everything it made, wherever it is
#   stack.sh status DIR                one line a server; exit status 0 if both run, 3 if not
#   stack.sh kafka-stop DIR            in good order
#   stack.sh kafka-kill DIR            with SIGKILL, as in a crash
#   stack.sh kafka-start DIR           on the same ports and data; a running one is left alone
#   stack.sh postgres-stop DIR         likewise, for PostgreSQL; kill means all its processes
#   stack.sh postgres-kill DIR
#   stack.sh postgres-start DIR
#
# up writes DIR/env, which a shell can source:
#   KAFKA_BROKERS POSTGRES_URL POSTGRES_RECORDER_URL KAFKA_PARTITIONS KAFKA_VERSION PGDATA ...
# The ports are free ones on 127.0.0.1; an up on old data takes the same ones unless they are
# taken now. Everything is in DIR, except PostgreSQL's data when root starts it in a directory
# that the user postgres cannot reach: then they are in TMPDIR (/var/tmp) and PGDATA says where.
#
# N is what Kafka gives topics that are created without a number of partitions (default 4).
#
# From the environment:
#   KAFKA_VERSION      what install.sh has installed (default 4.2.0, or that of the data in DIR)
#   KAFKA_HEAP         the most memory for Kafka's heap (default 512m)
#   KAFKA_PROPERTIES   more lines for Kafka's server.properties
#   KAFKA_LISTENERS    more listeners, which those lines explain: NAME://localhost:PORT,...
#   KAFKA_ADVERTISED   the same with the ports that clients have to take, where those are others
#   LOCAL_PG_FSYNC     off: faster, and safe against kills but not against the loss of power
#   POSTGRES_BIN       where PostgreSQL's programs are (default /usr/lib/postgresql/15/bin)
#   JAVA_HOME          a Java 17 or newer (default: the java in PATH)

set -euo pipefail

# The servers' messages are read, so they have to be in one language; and the caller's PostgreSQL
# settings are not meant for this server.
export LC_ALL=C.UTF-8
unset LANGUAGE "${!PG@}"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$HERE/lib.sh"
# shellcheck source-path=SCRIPTDIR source=kafka.sh
. "$HERE/kafka.sh"
# shellcheck source-path=SCRIPTDIR source=postgres.sh
. "$HERE/postgres.sh"

readonly START_SECONDS=90 LOCK_SECONDS=180

# What this run has started and has to stop again if it fails.
started=()
preparing=

# ---------------------------------------------------------------- what DIR/env says

readonly ENV_NAMES=(
    KAFKA_BROKERS KAFKA_PORT KAFKA_CONTROLLER_PORT KAFKA_PARTITIONS KAFKA_VERSION KAFKA_JARS
    KAFKA_LOG POSTGRES_URL POSTGRES_RECORDER_URL POSTGRES_PORT POSTGRES_LOG PGDATA STACK_DIR
)

# Replaces the file in one step: whoever sources it sees the old one or the new one.
write_env() {
    local name
    # The names below are read through ENV_NAMES.
    # shellcheck disable=SC2034
    {
        KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT
        KAFKA_LOG=$STACK_DIR/kafka/kafka.log
        POSTGRES_URL=postgresql://flotilla@127.0.0.1:$POSTGRES_PORT/flotilla
        POSTGRES_RECORDER_URL=postgresql://recorder@127.0.0.1:$POSTGRES_PORT/flotilla
        POSTGRES_LOG=$STACK_DIR/postgres/postgres.log
    }
    for name in "${ENV_NAMES[@]}"; do
        # Quoted only where a shell needs it: other programs like to read such files, too.
        if [[ ${!name} =~ ^[A-Za-z0-9_./:@-]*$ ]]; then
            printf '%s=%s\n' "$name" "${!name}"
        else
            printf '%s=%s\n' "$name" "${!name@Q}"
        fi
    done >"$STACK_DIR/env.new"
    mv -f "$STACK_DIR/env.new" "$STACK_DIR/env"
}

# Reads DIR/env, but keeps the STACK_DIR of now: the directory may have been moved.
read_env() {
    local directory=$STACK_DIR
    # shellcheck disable=SC1091
    . "$STACK_DIR/env"
    if [[ $PGDATA == "$STACK_DIR/postgres/data" ]]; then PGDATA=$directory/postgres/data; fi
    STACK_DIR=$directory
}

# ---------------------------------------------------------------- one server

is_running() { # kafka|postgres
    recorded_pid "$STACK_DIR/$1/pid" >/dev/null
}

# launch SERVER: starts it without waiting. Whoever fails later stops it again.
launch() {
    started+=("$1")
    "$1_launch"
}

wait_until_ready() { # SERVER
    local deadline=$((SECONDS + START_SECONDS))
    until "$1_is_ready"; do
        is_running "$1" || return 1
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# start SERVER keep|move: waits until it is ready, launches it first if it does not run yet. With
# "move" it gets other ports when somebody else was faster to take its own.
start() {
    local server=$1 ports=$2 title
    title=$("${server}_title")
    is_running "$server" || launch "$server"
    for _ in {1..5}; do
        if wait_until_ready "$server"; then
            say "$title is up on $(address "$server") ($(elapsed))"
            return 0
        fi
        grep -qs 'Address already in use' "$STACK_DIR/$server/$server.log" || break
        [[ $ports == move ]] || break
        "${server}_choose_ports"
        write_env
        launch "$server"
    done
    explain_failure "$server" "$title"
}

address() { # SERVER
    case $1 in
    kafka) printf '127.0.0.1:%s' "$KAFKA_PORT" ;;
    postgres) printf '127.0.0.1:%s' "$POSTGRES_PORT" ;;
    esac
}

explain_failure() { # SERVER TITLE
    local log=$STACK_DIR/$1/$1.log why
    why=$(log_excerpt "$log")
    if is_running "$1"; then why="It was not ready after $START_SECONDS s. Its log says:"$'\n'$why; fi
    die "$2 did not start on $(address "$1")." "$why" \
        "Read $log, remove the cause and run this again."$'\n'"If the data themselves are broken: ${0} reset ${STACK_DIR@Q}"
}

stop() { # SERVER stop|kill
    local title pid
    title=$("$1_title")
    pid=$(recorded_pid "$STACK_DIR/$1/pid") || return 0
    if ! kill -0 "$pid" 2>/dev/null && is_running "$1"; then
        die "Cannot stop $title." "Process $pid belongs to another user." "Run this as that user."
    fi
    "$1_$2" || die "$title did not stop." "Process $pid is still there after SIGKILL." \
        "See with ps what it waits for; as a rule that is a disk that does not answer."
    if [[ $2 == kill ]]; then say "$title was killed"; else say "$title has stopped"; fi
}

# ---------------------------------------------------------------- verbs

# Settles what this stack is: what DIR/env says, else new ports and the version asked for.
settle() { # PARTITIONS, or nothing
    local version=${KAFKA_VERSION:-} new=
    if [[ -e $STACK_DIR/env ]]; then
        read_env
        [[ -z $version || $version == "$KAFKA_VERSION" ]] ||
            die "Cannot start Kafka $version in $STACK_DIR." \
                "Its data were written by Kafka $KAFKA_VERSION." \
                "Unset KAFKA_VERSION, take another directory, or run ${0} reset ${STACK_DIR@Q}"
    else
        new=yes
        KAFKA_VERSION=${version:-$KAFKA_DEFAULT_VERSION}
        KAFKA_PARTITIONS=4
    fi
    KAFKA_PARTITIONS=${1:-$KAFKA_PARTITIONS}
    KAFKA_JARS=$(kafka_jars "$KAFKA_VERSION")
    kafka_check_installed
    postgres_check_installed
    [[ -n $new ]] || return 0
    kafka_choose_ports
    postgres_choose_ports
    postgres_choose_data
}

# Takes other ports for a server that is not running and whose ports somebody else has taken.
move_if_taken() { # SERVER
    local before
    is_running "$1" || "$1_ports_are_free" || {
        before=$(address "$1")
        "$1_choose_ports"
        say "$("$1_title") moves from $before, which is taken, to $(address "$1")"
    }
}

up() { # PARTITIONS, or nothing
    check_kafka_version "${KAFKA_VERSION:-$KAFKA_DEFAULT_VERSION}"
    settle "$1"
    trap stop_what_was_started EXIT
    move_if_taken kafka
    move_if_taken postgres
    # Before anything starts: whatever happens from here on, down and reset find it all.
    write_env
    # Both take about a second the first time, mostly of one processor each.
    kafka_prepare &
    preparing=$!
    postgres_prepare
    wait "$preparing" || exit 1
    preparing=
    # Kafka takes longest, so it starts first and PostgreSQL meanwhile.
    is_running kafka || launch kafka
    start postgres move
    postgres_create_database
    start kafka move
    write_env
    trap - EXIT
}

# The end of a start that failed or was interrupted.
stop_what_was_started() {
    local server
    [[ -z $preparing ]] || wait "$preparing" || true
    for server in "${started[@]}"; do
        stop "$server" stop
    done
}

# stop_both: at the same time, because each takes a moment.
stop_both() {
    local kafka
    stop kafka stop &
    kafka=$!
    stop postgres stop
    wait "$kafka"
}

# restart SERVER: after a stop or a kill, for those who already know its address.
restart() {
    is_running "$1" || "$1_ports_are_free" ||
        die "$("$1_title") cannot start on $(address "$1")." \
            "That port, or one beside it, has been taken by another program." \
            "End what listens there (ss -ltnp shows it), or run ${0} up ${STACK_DIR@Q}, which takes other ports."
    trap stop_what_was_started EXIT
    start "$1" keep
    trap - EXIT
}

status() {
    local server pid all=0
    for server in kafka postgres; do
        if pid=$(recorded_pid "$STACK_DIR/$server/pid"); then
            printf '%-8s  running  %s  pid %d\n' "$server" "$(address "$server")" "$pid"
        else
            printf '%-8s  stopped  %s\n' "$server" "$(address "$server")"
            all=3
        fi
    done
    return "$all"
}

reset() {
    stop_both
    kafka_remove_data
    postgres_remove_data
    rm -f "$STACK_DIR/env" "$STACK_DIR/env.new" "$STACK_DIR/lock"
    # Whatever else is in it is not ours.
    rmdir "$STACK_DIR" 2>/dev/null || true
}

# ---------------------------------------------------------------- the command line

usage() { # STATUS
    # The text at the top of this file, without the first line.
    sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
    exit "$1"
}

misuse() { # WHAT
    die "$1" "This is not how it is called." "Run ${0} --help to see how."
}

# One verb at a time in one directory. The lock ends with this process; the servers do not have it.
take_lock() {
    local lock
    [[ -w $STACK_DIR ]] ||
        die "Cannot work on $STACK_DIR." "This user may not write to it." \
            "Run this as the user who started the stack."
    exec {lock}>"$STACK_DIR/lock"
    flock -w "$LOCK_SECONDS" "$lock" ||
        die "Cannot work on $STACK_DIR." \
            "Another stack.sh has been at work there for $LOCK_SECONDS s." \
            "See with ps what it does, end it if it hangs, and run this again."
}

# Sets STACK_DIR. Where there is no stack, there is nothing to stop or to remove: that is no error.
enter() { # VERB DIR
    if [[ $1 == up ]]; then
        mkdir -p -- "$2" 2>/dev/null ||
            die "Cannot keep a stack in $2." "That directory cannot be made." "Choose another one."
    elif [[ ! -e $2/env ]]; then
        [[ ! $1 =~ ^(down|reset)$ ]] || exit 0
        die "There is no stack in $2." "The file env, which up writes, is missing." \
            "Run ${0} up ${2@Q} first."
    fi
    STACK_DIR=$(cd -- "$2" && pwd -P)
}

main() {
    local verb=${1:-} directory=${2:-} partitions=
    case $verb in
    -h | --help) usage 0 ;;
    up | down | reset | status) ;;
    kafka-start | kafka-stop | kafka-kill) ;;
    postgres-start | postgres-stop | postgres-kill) ;;
    *) misuse "There is no verb \"$verb\"." ;;
    esac
    [[ -n $directory ]] || misuse "$verb needs a directory."
    shift 2
    if [[ $verb == up && ${1:-} == --partitions ]]; then
        partitions=${2:-}
        [[ $partitions =~ ^[1-9][0-9]{0,3}$ ]] || misuse "--partitions takes a number from 1 to 9999."
        shift 2
    fi
    (($# == 0)) || misuse "\"$1\" is not expected here."

    # An EXIT trap runs on these too, then.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    enter "$verb" "$directory"
    [[ $verb == status ]] || take_lock
    [[ $verb == up ]] || read_env
    case $verb in
    up) up "$partitions" ;;
    down) stop_both ;;
    reset) reset ;;
    status) status ;;
    *-start) restart "${verb%-start}" ;;
    *) stop "${verb%-*}" "${verb#*-}" ;;
    esac
}

main "$@"
