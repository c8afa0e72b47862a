#include "topic_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Kafka's own default. Less is not enough for what the workers send at once: a batch, which has up
 * to 1,000,000 bytes (batch.size) and counts as one message. */
#define KAFKA_MAX_MESSAGE_BYTES "1048588"

struct finding {
    void (*each)(void *arg, const char *problem, const char *remedy);
    void *arg;
    const char *name;
    int count;
};

void topics_facts_init(struct topics_facts *f, const struct conf *conf)
{
    *f = (struct topics_facts){0};
    for (; topics[f->count] && f->count < MAX_TOPICS; f->count++)
        f->list[f->count] = (struct topic_facts){.topic = topics[f->count],
                                                 .name = conf_topic(conf, topics[f->count]->name)};
}

static const struct topic_facts *facts_of(const struct topics_facts *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->list[i].topic->name, name) == 0)
            return &f->list[i];
    return NULL;
}

int topics_wanted_partitions(const struct topics_facts *f, size_t i, const struct conf *conf)
{
    const struct topic *t = f->list[i].topic;
    const struct topic_facts *model = t->like ? facts_of(f, t->like) : NULL;
    return model && model->exists ? model->partitions : topic_partitions(t, conf);
}

static void found(struct finding *to, const char *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void found(struct finding *to, const char *problem, const char *format, ...)
{
    char remedy[512];
    va_list args;
    va_start(args, format);
    vsnprintf(remedy, sizeof remedy, format, args);
    va_end(args);
    to->each(to->arg, problem, remedy);
    to->count++;
}

static void check_partitions(struct finding *to, const struct topics_facts *f, size_t i,
                             const struct conf *conf)
{
    const struct topic_facts *t = &f->list[i];
    int wanted = topics_wanted_partitions(f, i, conf);
    char problem[256];
    if (t->partitions == wanted)
        return;
    if (t->topic->like) {
        const struct topic_facts *model = facts_of(f, t->topic->like);
        snprintf(problem, sizeof problem, "%d partitions, but %s has %d", t->partitions,
                 model->exists ? model->name : "the setting kafka.partitions", wanted);
    } else if (t->topic->partitions) {
        snprintf(problem, sizeof problem, "%d partitions, needed is %d", t->partitions, wanted);
    } else {
        snprintf(problem, sizeof problem, "%d partitions, but the setting kafka.partitions is %d",
                 t->partitions, wanted);
        found(to, problem, "set kafka.partitions to %d, if that is what you want", t->partitions);
        return;
    }
    found(to, problem, "%s", TOPICS_MAKE_ANEW);
}

static void check_config(struct finding *to, const char *config, const char *is, const char *needed,
                         bool fine)
{
    char problem[256];
    if (fine)
        return;
    snprintf(problem, sizeof problem, "%s is %s, needed is %s", config, *is ? is : "not known",
             needed);
    found(to, problem,
          "kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s",
          to->name, config, needed);
}

int topics_check(const struct topics_facts *f, size_t i, const struct conf *conf,
                 void (*each)(void *arg, const char *problem, const char *remedy), void *arg)
{
    const struct topic_facts *t = &f->list[i];
    struct finding to = {each, arg, t->name, 0};
    if (!t->exists) {
        found(&to, "is not there", "run `flotilla topics create`");
        return to.count;
    }
    const char *policy = topic_config(t->topic, "cleanup.policy");
    const char *largest = topic_config(t->topic, "max.message.bytes");
    if (!largest && !t->topic->record)
        largest = KAFKA_MAX_MESSAGE_BYTES;
    check_partitions(&to, f, i, conf);
    if (policy)
        check_config(&to, "cleanup.policy", t->cleanup_policy, policy,
                     strcmp(policy, t->cleanup_policy) == 0);
    if (largest) {
        char is[24];
        snprintf(is, sizeof is, "%lld", (long long)t->max_message_bytes);
        check_config(&to, "max.message.bytes", is, largest,
                     t->max_message_bytes >= strtoll(largest, NULL, 10));
    }
    return to.count;
}
