#!/usr/bin/env bash
#
# Installs what is missing to build Flotilla and to run it with a Kafka and a PostgreSQL of its own,
# on Debian 12. Needs root, or sudo, for the Debian packages only.
#
#   install.sh            what the build and the local servers need
#   install.sh --tests    also what the tests need
#
# Kafka comes from Maven Central, through Maven and its settings, into
# ${XDG_CACHE_HOME:-~/.cache}/flotilla/kafka-VERSION. The tests' Kafka clients stand beside it: those
# of Java come the same way (tests/support/java/pom.xml), those of Python from PyPI, through pip and
# its settings (tests/requirements.txt). When nothing is missing, nothing is asked of the network and
# it is done at once. Two runs at a time do not harm each other.
#
# From the environment:
#   KAFKA_VERSION   default 4.2.0; 3.9.1 works as well, and both can be installed

set -euo pipefail

export LC_ALL=C.UTF-8

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$HERE/lib.sh"

readonly BUILD_PACKAGES=(
    gcc cmake ninja-build pkg-config librdkafka-dev libpq-dev libcurl4-openssl-dev libcmocka-dev
    libyaml-dev libjansson-dev libmicrohttpd-dev libssl-dev libxxhash-dev libutf8proc-dev
    libhdf5-dev libxgboost-dev tzdata
    ca-certificates
)
readonly SERVER_PACKAGES=(
    openjdk-17-jre-headless maven postgresql-15 postgresql-client-15 util-linux procps curl kcat
)
readonly TEST_PACKAGES=(
    python3 python3-yaml python3-venv clang clang-format libclang-rt-14-dev valgrind libavro-dev
    python3-h5py python3-sklearn chromium faketime openssl openjdk-17-jdk-headless
)
readonly LOCK_SECONDS=600

log=

# ---------------------------------------------------------------- running a step

# logged COMMAND...: keeps what a step prints for the case that it fails.
logged() {
    if [[ -z $log ]]; then
        log=$(mktemp "${TMPDIR:-/tmp}/flotilla-install.XXXXXXXX.log")
        chmod 600 "$log"
    fi
    printf '$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# ---------------------------------------------------------------- Debian packages

# Prints those of the given packages that are not installed.
missing_packages() {
    local name status
    local -A installed=()
    # One question for all of them; for names it has never heard of it complains and fails.
    while read -r status name; do
        [[ $status != installed ]] || installed[$name]=1
    done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null)
    for name; do
        [[ -n ${installed[$name]-} ]] || printf '%s\n' "$name"
    done
}

check_can_install() { # PACKAGE...
    type -P apt-get >/dev/null ||
        die "Cannot install what is missing: $*" "This system has no apt-get." \
            "Install the packages of this system that provide them, then run this again."
    ((EUID == 0)) || type -P sudo >/dev/null ||
        die "Cannot install what is missing: $*" "This is not root, and there is no sudo." \
            "Have root run: apt-get install --no-install-recommends $*"
}

# Debian's PostgreSQL makes a cluster and starts it when it is installed. Nobody needs that one
# here; but where PostgreSQL is in use already, its settings are not ours to change.
prevent_system_cluster() {
    local directory=/etc/postgresql-common/createcluster.d
    [[ -n $(missing_packages postgresql-common) && ! -e $directory/flotilla.conf ]] || return 0
    say "telling Debian to make no PostgreSQL cluster of its own ($directory/flotilla.conf)"
    logged as_root mkdir -p "$directory"
    logged as_root tee "$directory/flotilla.conf" <<'CONF'
# Flotilla starts its own servers; remove this file to get a system cluster with the next version.
create_main_cluster = false
CONF
}

# apt-get waits for dpkg's lock itself, but not for the lock on its lists: so this does.
update_lists() {
    local deadline=$((SECONDS + LOCK_SECONDS)) before
    while :; do
        before=$(wc -c <"$log")
        ! logged apt_get update || return 0
        tail -c "+$((before + 1))" "$log" | grep -q 'Could not get lock' || return 1
        ((SECONDS < deadline)) || return 1
        sleep 2
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o "DPkg::Lock::Timeout=$LOCK_SECONDS" "$@"
}

install_packages() { # PACKAGE...
    local -a missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} > 0)) || return 0
    check_can_install "${missing[@]}"
    prevent_system_cluster
    say "reading the lists of Debian packages ..."
    logged true
    update_lists ||
        die "The lists of Debian packages could not be read." "$(log_excerpt "$log")" \
            "Check the network and apt's settings, then run this again. All of it is in $log."
    say "installing ${#missing[@]} Debian packages: ${missing[*]} ..."
    logged apt_get install --no-install-recommends "${missing[@]}" ||
        die "Debian packages could not be installed." "$(log_excerpt "$log")" \
            "Remove the cause and run this again. All of it is in $log."
}

# ---------------------------------------------------------------- what is fetched

# fetch WHAT DIRECTORY COMMAND...: has COMMAND... WORK make WORK/complete, which then becomes the
# directory: that is complete or not there at all.
fetch() {
    local what=$1 target=$2 work lock
    shift 2
    [[ ! -e $target ]] || return 0
    mkdir -p "${target%/*}"
    exec {lock}>"${target%/*}/lock"
    # Another run may be fetching the same; then there is nothing left to do afterwards.
    flock -w "$LOCK_SECONDS" "$lock" ||
        die "$what: not fetched." "Another install.sh has been at it for $LOCK_SECONDS s." \
            "See with ps what it does, end it if it hangs, and run this again."
    if [[ ! -e $target ]]; then
        say "fetching $what ..."
        work=$(mktemp -d "${target%/*}/fetching.XXXXXXXX")
        # shellcheck disable=SC2064 # The name of now is meant.
        trap "rm -rf ${work@Q}" EXIT
        "$@" "$work"
        mv -T "$work/complete" "$target"
        rm -rf "$work"
        trap - EXIT
    fi
    exec {lock}>&-
}

# Maven says first what is wrong and then at length how to ask it for more.
maven_error() {
    local lines
    lines=$(grep -ao '\[ERROR\] ..*' "$log" | head -n 1 | cut -c 9-600) || true
    printf '%s' "${lines:-$(log_excerpt "$log")}"
}

# copy_jars WHAT WORK: all that the Maven project WORK/pom.xml depends on.
copy_jars() {
    # Without --update-snapshots it would not ask again for what was not found a while ago.
    logged mvn --batch-mode --quiet --strict-checksums --update-snapshots --file "$2/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        "-DoutputDirectory=$2/complete" ||
        die "$1 could not be fetched." "$(maven_error)" \
            "Check that the version exists and that Maven reaches Maven Central or a mirror of it"$'\n'"(~/.m2/settings.xml), then run this again. All of it is in $log."
}

# ---------------------------------------------------------------- Kafka

# A Maven project that depends on nothing but the server and its tools.
write_project() { # VERSION
    local logging=
    # Kafka 3 brings the binding for its logging, Kafka 4 does not. It stands first, so that its
    # Log4j is taken and the two match.
    [[ $1 == 3.* ]] || logging="
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.3</version>
    </dependency>"
    cat <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>flotilla</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>$logging
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$1</version>
    </dependency>
  </dependencies>
</project>
POM
}

make_kafka_jars() { # VERSION WORK
    write_project "$1" >"$2/pom.xml"
    copy_jars "Kafka $1" "$2"
}

install_kafka() { # VERSION
    local target
    target=$(kafka_jars "$1")
    fetch "Kafka $1 through Maven, about 55 MB" "$target" make_kafka_jars "$1"
}

# ---------------------------------------------------------------- the tests' Kafka clients

make_java_client_jars() { # WORK
    cp "$TESTS/support/java/pom.xml" "$1/pom.xml"
    copy_jars "The tests' Java client" "$1"
}

# An environment may be moved, but for its scripts: those have the place where they were made in
# their first line, and nobody needs them. YAML stays Debian's.
make_python() { # WORK
    logged /usr/bin/python3 -m venv --system-site-packages "$1/complete" ||
        die "The tests' Python environment could not be made." "$(log_excerpt "$log")" \
            "Remove the cause and run this again. All of it is in $log."
    logged "$1/complete/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --no-deps --only-binary :all: --requirement "$TESTS/requirements.txt" ||
        die "The tests' Python packages could not be fetched." "$(log_excerpt "$log")" \
            "Check that pip reaches PyPI or a mirror of it (pip config list) and that this system's"$'\n'"Python has wheels of these versions, then run this again. All of it is in $log."
    find "$1/complete/bin" -type f -delete
}

install_clients() {
    local target
    target=$(java_client_jars)
    fetch "the tests' Java client through Maven, about 25 MB" "$target" make_java_client_jars
    target=$(test_python)
    fetch "the tests' Python client through pip, about 20 MB" "$target" make_python
}

# ---------------------------------------------------------------- the command line

main() {
    local version=${KAFKA_VERSION:-$KAFKA_DEFAULT_VERSION}
    local -a packages=("${BUILD_PACKAGES[@]}" "${SERVER_PACKAGES[@]}")
    case "$#:${1:-}" in
    0:) ;;
    1:--tests) packages+=("${TEST_PACKAGES[@]}") ;;
    1:-h | 1:--help)
        # The text at the top of this file, without the first line.
        sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}"
        return 0
        ;;
    *) die "\"$*\" is not expected here." "The only option is --tests." \
        "Run ${0} --help to read more." ;;
    esac
    check_kafka_version "$version"
    install_packages "${packages[@]}"
    install_kafka "$version"
    [[ ${1:-} != --tests ]] || install_clients
    [[ -z $log ]] || rm -f "$log"
    say "all there: ${#packages[@]} Debian packages, Kafka $version ($(elapsed))"
}

main "$@"
