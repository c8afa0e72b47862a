#include "base/settings.h"

#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define MINUTE_MS 60000
#define DAY_MS    (24 * 60 * (int64_t)MINUTE_MS)

const struct setting settings[SETTINGS] = {
    {"instance", SETTING_TEXT, "", 0, 0,
     "name of this copy, unique in its worker and the same after a restart: a static member of its "
     "group, so that a "
     "restart moves no partitions. Empty: a new name at each start"},
    {"kafka.brokers", SETTING_TEXT, "127.0.0.1:9092", 0, 0,
     "host:port of one or more brokers, comma-separated"},
    {"kafka.prefix", SETTING_TEXT, "", 0, 0,
     "put before every topic, group and transaction name: several fleets, one cluster"},
    {"kafka.partitions", SETTING_INTEGER, "4", 1, 10000,
     "of the topics that `flotilla topics create` makes"},
    {"kafka.replication", SETTING_INTEGER, "1", 1, 100,
     "copies of each partition, for `flotilla topics create`"},
    {"postgres.url", SETTING_TEXT, "postgresql://127.0.0.1:5432/flotilla", 0, 0,
     "connection URI or key=value string of libpq; over a network, end it with "
     "?sslmode=verify-full&sslrootcert=FILE"},
    {"postgres.timeout_ms", SETTING_INTEGER, "15000", 1000, 600000,
     "a PostgreSQL that answers nothing for so long counts as away"},
    {"features.file", SETTING_TEXT, "features.yaml", 0, 0, "feature definitions"},
    {"schemas.dir", SETTING_TEXT, "", 0, 0,
     "directory of Avro schemas (*.avsc) that producers use, for records in single-object "
     "encoding; "
     "empty: only Flotilla's own"},
    {"schema_registry.url", SETTING_TEXT, "", 0, 0,
     "http(s)://host:port of a schema registry (Confluent's REST API) that producers use, and then "
     "this fleet as well; of several, comma-separated, the next is asked when one is away; empty: "
     "none"},
    {"schema_registry.user", SETTING_TEXT, "", 0, 0,
     "for basic authentication; a user in the URL comes first"},
    {"schema_registry.password", SETTING_TEXT, "", 0, 0, "of that user"},
    {"schema_registry.ca_file", SETTING_TEXT, "", 0, 0,
     "PEM file of those who may sign the registry's certificate; empty: those of the system"},
    {"schema_registry.certificate_file", SETTING_TEXT, "", 0, 0,
     "PEM file of the certificate that is shown to the registry; empty: none"},
    {"schema_registry.key_file", SETTING_TEXT, "", 0, 0,
     "PEM file of its key; empty: it is in the same file"},
    {"schema_registry.timeout_ms", SETTING_INTEGER, "5000", 100, 600000,
     "a registry that does not answer a request in so long counts as away"},
    {"schema_registry.register", SETTING_INTEGER, "1", 0, 1,
     "1: schemas of what is written are registered; 0: they are only looked up, and somebody else "
     "registers them before"},
    {"dead_letters.max_share", SETTING_DECIMAL, "0", 0, 1,
     "a partition of whose last 1,000 records more than this share became dead letters is not read "
     "further, and the worker is not ready: 0.05 is 5 %. 0: never"},
    {"http.address", SETTING_TEXT, "127.0.0.1", 0, 0,
     "where /metrics, /healthz, /readyz and /status listen"},
    {"http.port", SETTING_INTEGER, "0", 0, 65535, "0: any free one, logged at start"},
    {"log.level", SETTING_TEXT, "info", 0, 0, "debug, info, warn or error"},
    {"commit_interval_ms", SETTING_INTEGER, "100", 1, MINUTE_MS, "time between transactions"},
    {"max_commit_interval_ms", SETTING_INTEGER, "1000", 1, MINUTE_MS,
     "time between transactions while far behind"},
    {"publish_interval_ms", SETTING_INTEGER, "1000", 0, DAY_MS,
     "a touched key is published so long after it was first touched, however often it was touched "
     "since"},
    {"checkpoint_interval_ms", SETTING_INTEGER, "30000", 0, DAY_MS,
     "a user's state is written so long after it first changed"},
    {"shared_checkpoint_interval_ms", SETTING_INTEGER, "1000", 0, DAY_MS,
     "the same for the keys of shared scopes"},
    {"max_clock_skew_ms", SETTING_INTEGER, "300000", 0, DAY_MS,
     "an event further ahead of its Kafka timestamp is a dead letter"},
    {"max_keys_per_user", SETTING_INTEGER, "256", 1, 65535, "keys that a user keeps in one scope"},
    {"recorder.batch_rows", SETTING_INTEGER, "200000", 1, 1000000,
     "rows in one PostgreSQL transaction, at most; fewer where they take it a second"},
    {"recorder.batch_interval_ms", SETTING_INTEGER, "200", 1, MINUTE_MS,
     "time that rows wait for others, at most"},
    {"recorder.database", SETTING_TEXT, "", 0, 0,
     "identity of a database that may take over from the one that was recorded in before; the "
     "recorder says which when it refuses one"},
    {"ranker.budget_ms", SETTING_INTEGER, "10000", 1, DAY_MS,
     "for a request without a deadline: what has waited half of it is ranked by rules, what has "
     "waited longer is refused (degraded: overload)"},
    {"ranker.max_candidates", SETTING_INTEGER, "10000", 1, 1000000,
     "a request with more is refused (degraded: too_large)"},
    {"ranker.refresh_interval_ms", SETTING_INTEGER, "60000", 1000, DAY_MS,
     "every proposition's rules score is computed again within so long, whatever changed"},
    {"topics.events", SETTING_TEXT, "events", 0, 0, "names of the topics, after the prefix"},
    {"topics.users", SETTING_TEXT, "users", 0, 0, ""},
    {"topics.propositions", SETTING_TEXT, "propositions", 0, 0, ""},
    {"topics.feature.deltas", SETTING_TEXT, "feature.deltas", 0, 0, ""},
    {"topics.feature.totals", SETTING_TEXT, "feature.totals", 0, 0, ""},
    {"topics.state.user", SETTING_TEXT, "state.user", 0, 0, ""},
    {"topics.state.shared", SETTING_TEXT, "state.shared", 0, 0, ""},
    {"topics.features", SETTING_TEXT, "features", 0, 0, ""},
    {"topics.rank.requests", SETTING_TEXT, "rank.requests", 0, 0, ""},
    {"topics.rankings", SETTING_TEXT, "rankings", 0, 0, ""},
    {"topics.score.log", SETTING_TEXT, "score.log", 0, 0, ""},
    {"topics.models", SETTING_TEXT, "models", 0, 0, ""},
    {"topics.model.artifacts", SETTING_TEXT, "model.artifacts", 0, 0, ""},
    {"topics.dead-letters", SETTING_TEXT, "dead-letters", 0, 0, ""},
};

static int check_decimal(const struct setting *s, const char *value, struct err *e)
{
    double number;
    if (!number_parse(&number, value) || number < (double)s->least || number > (double)s->most)
        return err_set(e, ERR_INVALID, "%s is \"%s\": give a number from %lld to %lld", s->name,
                       value, (long long)s->least, (long long)s->most);
    return 0;
}

int setting_check(const struct setting *s, const char *value, struct err *e)
{
    if (s->type == SETTING_DECIMAL)
        return check_decimal(s, value, e);
    if (s->type != SETTING_INTEGER)
        return 0;
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    /* strtoll also takes space before the number. */
    if (!*value || isspace((unsigned char)*value) || *end || errno || number < s->least ||
        number > s->most)
        return err_set(e, ERR_INVALID, "%s is \"%s\": give a whole number from %lld to %lld",
                       s->name, value, (long long)s->least, (long long)s->most);
    return 0;
}
