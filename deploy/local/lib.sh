# shellcheck shell=bash
#
# What the scripts of the local stack share: messages, ports, detached processes.
#
# To be sourced by bash 5.1 or newer. Defines functions and constants, runs nothing.

readonly BEGAN_US=${EPOCHREALTIME/[.,]/}

# What Kafka is installed and started when KAFKA_VERSION says nothing.
readonly KAFKA_DEFAULT_VERSION=4.2.0

# Where the tests are; what they need beyond the servers is said there.
readonly TESTS=${BASH_SOURCE[0]%/*}/../../tests

# ---------------------------------------------------------------- messages

# Progress goes to stderr, so that stdout stays free for what a caller wants to read.
say() {
    printf '%s\n' "$*" >&2
}

# die WHAT WHY WHAT_TO_DO: ends the script with status 1. Each text may have several lines.
die() {
    local name=${0##*/}
    {
        printf '%s: %s\n' "$name" "$1"
        printf '  why:  %s\n' "${2//$'\n'/$'\n'        }"
        printf '  do:   %s\n' "${3//$'\n'/$'\n'        }"
    } >&2
    exit 1
}

# log_excerpt FILE: the lines most likely to say what went wrong, at most twelve, cut at 200 columns.
log_excerpt() {
    local lines
    # Servers end their log with an orderly farewell; the reason stands before it.
    lines=$(grep -avE ' (INFO|DEBUG) ' "$1" 2>/dev/null |
        grep -aE 'ERROR|FATAL|PANIC|Exception|[Ee]rror:|could not' | tail -n 6) || true
    [[ -n $lines ]] || lines=$(tail -n 12 "$1" 2>/dev/null) || true
    printf '%s\n' "${lines:-(its log is empty)}" | cut -c -200
}

# How long this script has been running: "2.7 s".
elapsed() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - BEGAN_US + 50000) / 100000))
    printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

# ---------------------------------------------------------------- what install.sh fetches
#
# Each in a directory of its own, named by what decides its contents.

in_cache() { # NAME: prints a path
    [[ -n ${XDG_CACHE_HOME:-}${HOME:-} ]] ||
        die "Cannot tell where $1 is kept." "Neither XDG_CACHE_HOME nor HOME is set." \
            "Set HOME and run this again."
    printf '%s/flotilla/%s' "${XDG_CACHE_HOME:-$HOME/.cache}" "$1"
}

kafka_jars() { # VERSION: prints the directory of its jars
    in_cache "kafka-$1"
}

# Prints the directory of the tests' Python environment. It holds on to the version of the system's
# Python, so a new one of those gets a new environment.
test_python() {
    local hash
    hash=$({ readlink -f /usr/bin/python3 && cat "$TESTS/requirements.txt"; } | sha256sum)
    in_cache "python-${hash:0:12}"
}

# Prints the directory of the jars that a Java application with Avro has; for the tests.
java_client_jars() {
    local hash
    hash=$(sha256sum <"$TESTS/support/java/pom.xml")
    in_cache "java-client-${hash:0:12}"
}

check_kafka_version() { # VERSION
    # It becomes part of paths and of a Maven project, so only the expected form may pass.
    [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
        die "KAFKA_VERSION is \"$1\"." "That is not of the form 4.2.0." \
            "Unset it for $KAFKA_DEFAULT_VERSION, or name a released version."
}

# ---------------------------------------------------------------- ports

port_is_free() { # PORT
    # A refused connection is the kernel's word that nobody listens. The subshell closes it again.
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a loopback port nobody listens on now. Somebody else may still be faster, so whoever uses
# it must try another one when binding fails. The range lies below the one that the kernel takes
# the local ends of outgoing connections from.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + SRANDOM % 12000))
        if port_is_free "$port"; then
            printf '%d' "$port"
            return 0
        fi
    done
    die "No free port on 127.0.0.1." "100 random ports between 20000 and 31999 are all taken." \
        "End what listens on them (ss -ltnp shows it) and run this again."
}

# ---------------------------------------------------------------- processes
#
# A record is a file with the pid, the start time and the boot of a process we started. The kernel
# gives pids out again, but never with the same start time: so what a record names is either the
# process we started or nothing, and nobody else's process is ever signalled.

# process_identity PID: prints start time and boot; fails when the process is gone. A zombie is
# gone: it holds no port and no file, and in a container it may never be reaped. But while other
# threads of a killed process are still dying, they hold all of its ports and files.
process_identity() {
    local stat boot
    local -a field
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The second field is the program's name in brackets and may hold anything: count from its end.
    read -ra field <<<"${stat##*) }"
    [[ ${field[0]} != [ZX] ]] || ((field[17] > 1)) || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    printf '%s %s' "${field[19]}" "$boot"
}

# recorded_pid RECORD: prints the pid when the recorded process still runs, fails otherwise.
recorded_pid() {
    local pid identity
    { read -r pid identity <"$1"; } 2>/dev/null || return 1
    # A process that ended before it could be recorded has no identity.
    [[ -n $identity && $(process_identity "$pid") == "$identity" ]] || return 1
    printf '%d' "$pid"
}

close_inherited_files() {
    local fd
    # A server that keeps the caller's pipe or lock open would make the caller wait for it forever.
    for fd in "/proc/$BASHPID/fd/"*; do
        fd=${fd##*/}
        # 255 is where bash itself reads the script from; it is closed by the coming exec anyway.
        if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
    done
}

# start_child RECORD LOG DIRECTORY COMMAND...: starts a program in a session of its own, so that
# Ctrl-C in the terminal does not reach it, and records it. Its pid is in $child, for `wait`. It
# records itself before it becomes the program: a Ctrl-C at this moment ends it, or finds its record.
start_child() {
    local record=$1 log=$2 directory=$3 self
    shift 3
    rm -f "$record"
    # In a script's background job, setsid execs instead of forking: the pid stays the same.
    (
        self=$BASHPID
        printf '%d %s\n' "$self" "$(process_identity "$self")" >"$record.new"
        mv "$record.new" "$record"
        cd "$directory" || exit
        close_inherited_files
        exec setsid "$@"
    ) </dev/null >>"$log" 2>&1 &
    child=$!
    while [[ ! -e $record ]] && kill -0 "$child" 2>/dev/null; do
        sleep 0.01
    done
}

# start_detached RECORD LOG DIRECTORY COMMAND...: the same for a server that is to outlive the
# script: bash would otherwise report its end.
start_detached() {
    local child
    start_child "$@"
    disown "$child"
}

# wait_until_gone SECONDS PID...: fails when one is still there after that time.
wait_until_gone() {
    local deadline=$((SECONDS + $1)) pid
    shift
    for pid; do
        while process_identity "$pid" >/dev/null; do
            ((SECONDS <= deadline)) || return 1
            sleep 0.02
        done
    done
}

# stop_recorded RECORD SIGNAL SECONDS: fails when the process is still there after that time.
stop_recorded() {
    local pid
    if pid=$(recorded_pid "$1"); then
        kill "-$2" "$pid" 2>/dev/null || true
        # A server that a test has paused would not notice.
        kill -CONT "$pid" 2>/dev/null || true
        wait_until_gone "$3" "$pid" || return 1
    fi
    rm -f "$1"
}
