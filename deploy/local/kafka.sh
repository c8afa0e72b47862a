# shellcheck shell=bash
#
# One Kafka server in KRaft mode, broker and controller in one process, on loopback.
#
# To be sourced after lib.sh. Expects STACK_DIR, and KAFKA_VERSION, KAFKA_JARS, KAFKA_PORT,
# KAFKA_CONTROLLER_PORT and KAFKA_PARTITIONS as DIR/env names them. Everything it writes is in
# STACK_DIR/kafka: server.properties, data, kafka.log (and kafka.log.1 of the run before), pid.
# KAFKA_CLUSTER_ID makes it one of several nodes, which KAFKA_PROPERTIES then has to say more of.

readonly KAFKA_STOP_SECONDS=30

kafka_title() {
    printf 'Kafka %s' "$KAFKA_VERSION"
}

kafka_choose_ports() {
    KAFKA_PORT=$(free_port)
    KAFKA_CONTROLLER_PORT=$(free_port)
    while ((KAFKA_CONTROLLER_PORT == KAFKA_PORT)); do
        KAFKA_CONTROLLER_PORT=$(free_port)
    done
}

kafka_ports_are_free() {
    port_is_free "$KAFKA_PORT" && port_is_free "$KAFKA_CONTROLLER_PORT"
}

kafka_check_installed() {
    [[ -e $KAFKA_JARS/kafka_2.13-$KAFKA_VERSION.jar ]] ||
        die "Kafka $KAFKA_VERSION is not installed." "$KAFKA_JARS does not have its jars." \
            "Run KAFKA_VERSION=$KAFKA_VERSION ${BASH_SOURCE[0]%/*}/install.sh first."
    [[ -n $(type -P "$(kafka_java)") ]] ||
        die "Java is not installed." "There is no $(kafka_java)." \
            "Run ${BASH_SOURCE[0]%/*}/install.sh first, or point JAVA_HOME to a Java 17."
}

kafka_java() {
    printf '%s' "${JAVA_HOME:+$JAVA_HOME/bin/}java"
}

# kafka_run COMMAND... -- MAIN_CLASS ARGUMENT...: runs a class of Kafka's through COMMAND.
kafka_run() {
    local -a through=()
    while [[ $1 != -- ]]; do
        through+=("$1")
        shift
    done
    shift
    # The native parts of its codecs are unpacked into java.io.tmpdir and stay there after a kill,
    # so that is a directory of our own.
    "${through[@]}" "$(kafka_java)" "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseG1GC -Xshare:auto \
        -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        "-Djava.io.tmpdir=$STACK_DIR/kafka/tmp" \
        -Dlog4j2.configurationFile=log4j2.properties -Dlog4j.configuration=file:log4j.properties \
        -cp "$KAFKA_JARS/*" "$@"
}

# Paths in this file are relative to STACK_DIR/kafka, where the server runs: a properties file is
# read as Latin-1 and log.dirs as a comma-separated list, so not every path could be written here.
kafka_write_properties() {
    local advertised=${KAFKA_ADVERTISED:-${KAFKA_LISTENERS:-}}
    cat >"$STACK_DIR/kafka/server.properties" <<PROPERTIES
node.id=1
process.roles=broker,controller
listeners=BROKER://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT${KAFKA_LISTENERS:+,$KAFKA_LISTENERS}
advertised.listeners=BROKER://127.0.0.1:$KAFKA_PORT${advertised:+,$advertised}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
log.dirs=data

# Topics are created on purpose, with the number of partitions they need.
auto.create.topics.enable=false
num.partitions=$KAFKA_PARTITIONS
log.retention.hours=-1

# One node can hold one replica; few partitions of the internal topics start faster.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4

# Tests must not wait for members that will not come, nor long for those that died.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# After a kill the controller refuses the restarted broker until the session of the dead one has
# ended: with the default, 9 s, every start after a kill takes 12 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Sized for a laptop. The cleaner takes its buffer, 128 MB by default, from the heap at start.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=33554432
${KAFKA_PROPERTIES:+
# From KAFKA_PROPERTIES; what stands later wins.
$KAFKA_PROPERTIES}
PROPERTIES
}

# Kafka 4 logs with Log4j 2, Kafka 3 with Log4j 1; each reads its own file and ignores the other.
kafka_write_logging() {
    cat >"$STACK_DIR/kafka/log4j2.properties" <<'LOG4J2'
rootLogger.level = info
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d %-5p %m (%c)%n
# Every object lists its whole configuration, which is in server.properties already.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
LOG4J2
    cat >"$STACK_DIR/kafka/log4j.properties" <<'LOG4J'
log4j.rootLogger = INFO, stdout
log4j.appender.stdout = org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout = org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern = %d %-5p %m (%c)%n
# Every object lists its whole configuration, which is in server.properties already.
log4j.logger.org.apache.kafka.common.config = WARN
log4j.logger.kafka.server.KafkaConfig = WARN
LOG4J
}

kafka_write_configuration() {
    mkdir -p "$STACK_DIR/kafka/tmp"
    kafka_write_properties
    kafka_write_logging
}

# Makes an empty log, once. The file "formatted" is written last: without it, a format was
# interrupted and is done again.
kafka_prepare() {
    local home=$STACK_DIR/kafka id status=0
    [[ ! -e $home/formatted ]] || return 0
    kafka_write_configuration
    rm -rf "$home/data"
    # 16 random bytes in URL-safe Base64; without "-", which could be taken for an option.
    id=${KAFKA_CLUSTER_ID:-$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB')}
    id=${id%==}
    (cd "$home" && kafka_run -- kafka.tools.StorageTool format \
        --cluster-id "$id" --config server.properties) >"$home/format.log" 2>&1 || status=$?
    # Ctrl-C and an ordinary kill need no explanation.
    ((status != 130 && status != 143)) || exit "$status"
    if ((status != 0)); then
        die "$(kafka_title) could not make an empty log in $home." \
            "$(log_excerpt "$home/format.log")" \
            "Check KAFKA_PROPERTIES and the free space; all of it is in $home/format.log."
    fi
    printf '%s\n' "$id" >"$home/formatted"
}

kafka_launch() {
    local home=$STACK_DIR/kafka
    kafka_write_configuration
    rm -rf "${home:?}/tmp/"*
    # A log of its own for each run: readiness and failure are read from it.
    [[ ! -e $home/kafka.log ]] || mv -f "$home/kafka.log" "$home/kafka.log.1"
    kafka_run start_detached "$home/pid" "$home/kafka.log" "$home" -- \
        kafka.Kafka server.properties
}

kafka_is_ready() {
    grep -qsF 'Kafka Server started (' "$STACK_DIR/kafka/kafka.log"
}

kafka_stop() {
    stop_recorded "$STACK_DIR/kafka/pid" TERM "$KAFKA_STOP_SECONDS" || kafka_kill
}

kafka_kill() {
    stop_recorded "$STACK_DIR/kafka/pid" KILL 10
}

kafka_remove_data() {
    rm -rf "$STACK_DIR/kafka"
}
