# shellcheck shell=bash
#
# One PostgreSQL server on loopback, without a socket file.
#
# To be sourced after lib.sh. Expects STACK_DIR, and POSTGRES_PORT and PGDATA as DIR/env names them.
# Its log and its record are in STACK_DIR/postgres; so are its data, unless the user it runs as
# cannot get there.
#
# PostgreSQL refuses to run as root. Started by root it runs as the user postgres, started by
# anyone else as that user. Whoever can connect to its port can log in as anyone: it is for
# machines where all users may see its data.

readonly POSTGRES_BIN=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
readonly POSTGRES_STOP_SECONDS=20

# Stands before a command that has to run as the server's user. It execs: the pid stays the same.
postgres_as=()
((EUID != 0)) || postgres_as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
readonly postgres_as

postgres_title() {
    printf 'PostgreSQL'
}

postgres_choose_ports() {
    POSTGRES_PORT=$(free_port)
}

postgres_ports_are_free() {
    port_is_free "$POSTGRES_PORT"
}

postgres_check_installed() {
    [[ -x $POSTGRES_BIN/postgres ]] ||
        die "PostgreSQL is not installed." "There is no $POSTGRES_BIN/postgres." \
            "Run ${BASH_SOURCE[0]%/*}/install.sh first, or set POSTGRES_BIN to where it is."
    ((EUID != 0)) || id postgres >/dev/null 2>&1 ||
        die "PostgreSQL cannot be started by root." \
            "It refuses to run as root, and there is no user postgres to run it as." \
            "Run ${BASH_SOURCE[0]%/*}/install.sh first, or run this as another user."
}

# Sets PGDATA to a place that the server's user can reach. STACK_DIR may well be in root's home.
postgres_choose_data() {
    local home=$STACK_DIR/postgres base
    mkdir -p "$home"
    chmod 755 "$home"
    if "${postgres_as[@]}" test -x "$home"; then
        PGDATA=$home/data
        return 0
    fi
    for base in "${TMPDIR:-/var/tmp}" /var/tmp; do
        if "${postgres_as[@]}" test -x "$base" && home=$(mktemp -d "$base/flotilla-postgres.XXXXXXXX"); then
            chmod 755 "$home"
            PGDATA=$home/data
            return 0
        fi
    done
    die "No place for PostgreSQL's data." \
        "The user postgres can reach neither $STACK_DIR nor ${TMPDIR:-/var/tmp}." \
        "Choose another directory, or set TMPDIR to one that everyone may enter."
}

# Makes an empty database cluster, once. It gets its name last, so what is there is complete.
postgres_prepare() {
    local log=$STACK_DIR/postgres/initdb.log new=$PGDATA.new
    [[ ! -e $PGDATA ]] || return 0
    rm -rf "$new"
    mkdir -m 700 "$new"
    ((EUID != 0)) || chown postgres:postgres "$new"
    if ! (cd / && "${postgres_as[@]}" "$POSTGRES_BIN/initdb" --pgdata="$new" --username=postgres \
        --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions) \
        >"$log" 2>&1; then
        die "PostgreSQL could not make an empty cluster in $PGDATA." "$(log_excerpt "$log")" \
            "Check the free space and the rights; all of it is in $log."
    fi
    mv -T "$new" "$PGDATA"
}

postgres_launch() {
    local log=$STACK_DIR/postgres/postgres.log fsync=${LOCAL_PG_FSYNC:-on}
    [[ ! -e $log ]] || mv -f "$log" "$log.1"
    # fsync and full_page_writes guard against the loss of power, synchronous_commit against the
    # loss of the server. Tests kill the server, so that one stays on whatever fsync is.
    start_detached "$STACK_DIR/postgres/pid" "$log" / \
        "${postgres_as[@]}" "$POSTGRES_BIN/postgres" -D "$PGDATA" -p "$POSTGRES_PORT" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c "fsync=$fsync" -c "full_page_writes=$fsync" -c synchronous_commit=on \
        -c logging_collector=off -c 'log_line_prefix=%m [%p] %q%u@%d '
}

# The server itself writes when it is ready, below its pid, into its lock file.
postgres_is_ready() {
    local -a line
    { mapfile -t line <"$PGDATA/postmaster.pid"; } 2>/dev/null || return 1
    [[ ${line[0]-} == "$(recorded_pid "$STACK_DIR/postgres/pid")" && ${line[7]-} == ready* ]]
}

# Roles and database, each unless it is there. recorder may log in and nothing more: what it may
# read and write is the schema's business.
postgres_create_database() {
    local log=$STACK_DIR/postgres/create.log
    "$POSTGRES_BIN/psql" -Xq -v ON_ERROR_STOP=1 >"$log" 2>&1 \
        "host=127.0.0.1 port=$POSTGRES_PORT user=postgres dbname=postgres" <<'SQL' ||
SELECT 'CREATE ROLE flotilla LOGIN CREATEROLE'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flotilla') \gexec
SELECT 'CREATE ROLE recorder LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recorder') \gexec
SELECT 'CREATE DATABASE flotilla OWNER flotilla'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'flotilla') \gexec
SQL
        die "PostgreSQL could not create the database flotilla." "$(log_excerpt "$log")" \
            "Read $STACK_DIR/postgres/postgres.log, then run this again."
}

postgres_stop() {
    # SIGINT is its fast shutdown: it ends the sessions instead of waiting for them.
    stop_recorded "$STACK_DIR/postgres/pid" INT "$POSTGRES_STOP_SECONDS" || postgres_kill
}

# Kills the whole server at once. Its processes are in sessions of their own, so there is no group
# to signal, and without the postmaster a busy one would finish what it does.
postgres_kill() {
    local record=$STACK_DIR/postgres/pid pid
    local -a children=()
    if pid=$(recorded_pid "$record"); then
        # A stopped postmaster neither starts nor buries processes: the list stays true.
        kill -STOP "$pid"
        postgres_wait_stopped "$pid"
        mapfile -t children < <(pgrep -P "$pid")
        kill -KILL "$pid" "${children[@]}" 2>/dev/null || true
        wait_until_gone 10 "$pid" "${children[@]}" || return 1
        # The next postmaster would take a dead one that nobody has reaped yet for a live one. All
        # its processes are known to be gone, so the lock may go, too.
        rm -f "$PGDATA/postmaster.pid"
    fi
    rm -f "$record"
}

postgres_wait_stopped() { # PID
    local stat
    for _ in {1..100}; do
        { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
        [[ ${stat##*) } != T* ]] || return 0
        sleep 0.01
    done
}

postgres_remove_data() {
    # Only what postgres_choose_data made: PGDATA is read from a file that anyone may have edited.
    case ${PGDATA:-} in
    "$STACK_DIR/postgres/data") ;;
    */flotilla-postgres.????????/data) rm -rf "${PGDATA%/data}" ;;
    esac
    rm -rf "$STACK_DIR/postgres"
}
