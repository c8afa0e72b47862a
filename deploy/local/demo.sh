#!/usr/bin/env bash
#
# Flotilla at work on this machine: Kafka, PostgreSQL, two `features` workers, two `ranker`s, a
# `recorder`; events become features, features a model, and requests become rankings while you
# watch. From a bare Debian 12, with root or sudo.
#
#   demo.sh                    a simulated shop: a week of history, a model trained on it, half of its
#                              users served by the model and half by rules, side by side; promoted
#                              once the clicks leave no doubt, then on without end
#   demo.sh --events FILE [--propositions FILE] [--users FILE] [--features FILE]
#                              your own JSON lines, as `flotilla send` takes them, all the way to a
#                              served model; without --features, definitions are made of the data
#   demo.sh --features FILE    with your own definitions of the shop's features
#
#   --dir DIR    where to keep everything (default: below ${XDG_STATE_HOME:-~/.local/state}/flotilla)
#   --detach     return when the model is served; leave everything running
#   --down       stop what runs, keep the data; with --dir only that one, else all of this checkout
#   --reset      the same, and remove the data
#   --help
#
# Ctrl-C stops everything that it has started and keeps the data: the next run goes on from there,
# in seconds. Several can run at the same time; each has ports and a directory of its own. One that
# was left running with --detach is taken over by the next run of the same.
#
# Your own files are sent once. The default directory belongs to their contents: the same ones again
# show what has been computed, changed ones begin anew, and so do those whose sending was broken
# off. (Sending events twice would count them twice: their ids protect a user's last 64 only.)

set -euo pipefail

# Nothing here asks anything. Settings of the caller's own fleet and server are not meant for these.
exec </dev/null
export LC_ALL=C.UTF-8
unset LANGUAGE "${!PG@}" "${!FLOTILLA_@}"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
ROOT=$(cd "$HERE/../.." && pwd -P)
readonly HERE ROOT
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$HERE/lib.sh"
# shellcheck source-path=SCRIPTDIR source=demo_build.sh
. "$HERE/demo_build.sh"
# shellcheck source-path=SCRIPTDIR source=demo_fleet.sh
. "$HERE/demo_fleet.sh"
# shellcheck source-path=SCRIPTDIR source=demo_learn.sh
. "$HERE/demo_learn.sh"
# shellcheck source-path=SCRIPTDIR source=demo_view.sh
. "$HERE/demo_view.sh"

readonly MOST_INSTANCES=50 LOCK_SECONDS=180

# The directory of this instance, and what is fed to it.
DIR=
FEATURES=$HERE/shop.features.yaml
EVENTS='' PROPOSITIONS='' USERS=''

verb=up
detach=
given_dir=
lock=

# ---------------------------------------------------------------- directories
#
# DIR/lock          held by the script at work there
# DIR/fed           whose data these are, and whether all of them were sent
# DIR/model         what became of the model: see demo_learn.sh
# DIR/report.html   the report on it
# DIR/flotilla.yaml settings of the programs
# DIR/stack         the servers: see stack.sh
# DIR/run, DIR/logs of the programs

# What every directory of this checkout begins with.
default_dir() {
    [[ -n ${XDG_STATE_HOME:-}${HOME:-} ]] ||
        die "Cannot tell where to keep the data." "Neither XDG_STATE_HOME nor HOME is set." \
            "Set HOME, or say --dir DIR."
    printf '%s/flotilla/demo-%s' "${XDG_STATE_HOME:-$HOME/.local/state}" "$(hash_of <<<"$ROOT")"
}

hash_of() {
    sha256sum | cut -c -10
}

# Whose data a directory holds. Names and places of the files do not matter, contents do.
identity() {
    local kind
    if [[ -z $EVENTS && $FEATURES == "$HERE/shop.features.yaml" ]]; then
        printf 'shop'
        return
    fi
    for kind in FEATURES EVENTS PROPOSITIONS USERS; do
        [[ -z ${!kind} ]] || printf '%s %s\n' "$kind" "$(sha256sum <"${!kind}")"
    done | hash_of
}

# try_lock SECONDS: of DIR. Whoever removes a directory removes its lock as well: then the lock that
# was waited for is not the one that is there now.
try_lock() {
    while :; do
        can_make "$DIR/run" "$DIR/logs" ||
            die "Cannot keep anything in $DIR." "It cannot be made, or this user may not write to it." \
                "Choose another one with --dir."
        exec {lock}>"$DIR/lock"
        flock -w "$1" "$lock" || return 1
        [[ ! $DIR/lock -ef /proc/self/fd/$lock ]] || break
        exec {lock}>&-
    done
    record_self
}

# For --down.
record_self() {
    printf '%d %s\n' $$ "$(process_identity $$)" >"$DIR/run/demo.pid"
}

# Takes a directory that no other script is at work in.
enter() {
    local base n
    if [[ -n $given_dir ]]; then
        DIR=$given_dir
        try_lock 0 ||
            die "Cannot use $DIR." "Another demo.sh is at work there." \
                "Choose another --dir, or stop that one with Ctrl-C or --down."
        DIR=$(cd -- "$DIR" && pwd -P)
        remember_dir
        return
    fi
    base=$(default_dir)
    [[ $IDENTITY == shop ]] || base+=-$IDENTITY
    for ((n = 1; n <= MOST_INSTANCES; n++)); do
        DIR=$base
        ((n == 1)) || DIR=$base-$n
        ! try_lock 0 || return 0
    done
    die "Cannot start one more." "$MOST_INSTANCES of this checkout are running already." \
        "Stop them with --down."
}

# Nothing is ever mixed into, or removed from, somebody else's directory.
check_dir() {
    [[ ! -e $given_dir || -e $given_dir/lock && -d $given_dir/run ]] ||
        [[ -d $given_dir && -z $(ls -A -- "$given_dir") ]] ||
        die "Cannot use $given_dir." "Something else is in it." "Name a new directory, or an empty one."
}

# Where --down finds what --dir has put elsewhere: one path a line.
remember_dir() {
    local list
    list=$(default_dir).dirs
    mkdir -p "${list%/*}"
    grep -qsxF -- "$DIR" "$list" || printf '%s\n' "$DIR" >>"$list"
}

instances() {
    local base dir
    if [[ -n $given_dir ]]; then
        [[ ! -e $given_dir/lock || ! -d $given_dir/run ]] || (cd -- "$given_dir" && pwd -P)
        return
    fi
    base=$(default_dir)
    {
        printf '%s\n' "$base"*/
        cat "$base.dirs" 2>/dev/null || true
    } | while IFS= read -r dir; do
        [[ ! -e $dir/lock || ! -d $dir/run ]] || printf '%s\n' "${dir%/}"
    done | sort -u
}

# ---------------------------------------------------------------- what was fed

fed() {
    cat "$DIR/fed" 2>/dev/null || true
}

# The data that are there must be of the same files, and whole.
check_data() {
    local before whose='other files'
    before=$(fed)
    [[ $before != shop* ]] || whose='the simulated shop'
    case $before in
    '' | "$IDENTITY sent") ;;
    "$IDENTITY sending")
        say "the last sending of these data was broken off: beginning anew"
        stop_fleet
        remove_data
        mkdir -p "$DIR/run" "$DIR/logs"
        record_self
        ;;
    *)
        die "Cannot use $DIR." "The data in it are those of $whose." \
            "Choose another --dir, or remove those data: $(quoted "$0") --reset --dir $(quoted "$DIR")"
        ;;
    esac
}

# Everything but the lock, which is still held.
remove_data() {
    "$HERE/stack.sh" reset "$DIR/stack"
    rm -rf "$DIR/run" "$DIR/logs" "$DIR/set" "$DIR/set.journal"
    rm -f "$DIR/fed" "$DIR/flotilla.yaml" "$DIR/view.sql" "$DIR/model" "$DIR/report.html" "$DIR/suggested.yaml"
}

# ---------------------------------------------------------------- verbs

up() {
    [[ -z $given_dir ]] || check_dir
    IDENTITY=$(identity)
    "$HERE/install.sh"
    build
    enter
    check_data
    trap finish EXIT
    say "everything is kept in $DIR"
    [[ -z $EVENTS ]] || suggest_features
    check_features
    start_servers
    prepare_servers
    start_workers
    explain
    feed
    if [[ -n $EVENTS ]]; then
        watch until_taken_in
        learn
        serve_own
    else
        learn
        start_canary
        open_shop
        watch until_decided
    fi
    if [[ -n $detach ]]; then
        trap - EXIT
        say "it goes on running; stop it with: $(quoted "$0") --down$(dir_option)"
    else
        watch for_ever
    fi
}

# The end of everything but a successful --detach: nothing stays running.
finish() {
    local status=$?
    set +e
    trap '' INT TERM HUP PIPE
    end_step
    tell "" "stopping ..."
    stop_fleet_afresh
    rm -f "$DIR/run/demo.pid"
    if [[ -e $DIR/stack/env ]]; then
        tell "everything has stopped; the data are kept in $DIR" \
            "  go on:   run it again" \
            "  remove:  $(quoted "$0") --reset$(dir_option)"
    fi
    exit "$status"
}

dir_option() {
    [[ -z $given_dir ]] || printf ' --dir %s' "$(quoted "$DIR")"
}

down() {
    local -a all
    local pid
    mapfile -t all < <(instances)
    for DIR in "${all[@]}"; do
        # The script that is at work there stops everything itself.
        if pid=$(recorded_pid "$DIR/run/demo.pid"); then
            say "ending demo.sh, process $pid ..."
            kill -TERM "$pid" 2>/dev/null || true
        fi
        try_lock "$LOCK_SECONDS" ||
            die "Cannot stop what runs in $DIR." \
                "Another demo.sh has been at work there for $LOCK_SECONDS s." \
                "See with ps what it does, end it if it hangs, and run this again."
        stop_fleet
        if [[ $verb == reset ]]; then
            remove_data
            rm -f "$DIR/lock"
            rmdir -- "$DIR" 2>/dev/null || true
            say "removed $DIR"
        else
            rm -f "$DIR/run/demo.pid"
            say "stopped; the data are kept in $DIR"
        fi
        exec {lock}>&-
    done
    ((${#all[@]} > 0)) || say "there is nothing of it here${given_dir:+: $given_dir}"
    [[ $verb != reset || -n $given_dir ]] || rm -f "$(default_dir).dirs"
}

# ---------------------------------------------------------------- the command line

misuse() { # WHAT
    die "$1" "This is not how it is called." "Run $(quoted "$0") --help to see how."
}

# file_option VARIABLE OPTION FILE: the caller's relative path becomes an absolute one.
file_option() {
    local -n variable=$1
    [[ -f $3 && -r $3 ]] ||
        die "$2 $3 cannot be used." "There is no such file, it is no regular one, or it may not be read." \
            "Name a file; a relative path starts in $PWD."
    # shellcheck disable=SC2034 # It is another name of the caller's.
    variable=$(realpath -- "$3")
}

read_command_line() {
    local needs_value='^--(features|events|propositions|users|dir)$'
    while (($# > 0)); do
        [[ ! $1 =~ $needs_value || -n ${2:-} ]] || misuse "$1 needs a value."
        case $1 in
        --features) file_option FEATURES "$1" "$2" ;;
        --events) file_option EVENTS "$1" "$2" ;;
        --propositions) file_option PROPOSITIONS "$1" "$2" ;;
        --users) file_option USERS "$1" "$2" ;;
        --dir) given_dir=$(realpath -m -- "$2") ;;
        --detach) detach=yes ;;
        --down | --reset) verb=${1#--} ;;
        -h | --help)
            # The text at the top of this file, without the first line.
            sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) misuse "\"$1\" is not expected here." ;;
        esac
        if [[ $1 =~ $needs_value ]]; then shift; fi
        shift
    done
    # Without definitions, some are made of the events.
    [[ -z $EVENTS || $FEATURES != "$HERE/shop.features.yaml" ]] || FEATURES=
    [[ -n $EVENTS || -z $PROPOSITIONS$USERS ]] ||
        misuse "--propositions and --users need --events."
}

main() {
    read_command_line "$@"
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    trap 'exit 141' PIPE
    case $verb in
    up) up ;;
    *) down ;;
    esac
}

main "$@"
