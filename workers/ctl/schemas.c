/* flotilla schemas list | check: what stands on topics, and whether a producer's own schema can be
 * read; without any server. */
#include "ctl.h"
#include "grid.h"

#include "base/file.h"
#include "stream/topics.h"

#include <stdio.h>

static enum ctl_status list(const struct ctl *c, struct err *e)
{
    struct buf b = {0};
    struct grid g = {0};
    grid_start(&g, "TOPIC,SCHEMA,FINGERPRINT,WHAT");
    for (size_t i = 0; topics[i]; i++) {
        const struct record_type *type = topics[i]->type;
        grid_put(&g, "%s", conf_topic(c->conf, topics[i]->name));
        grid_put(&g, "%s.avsc", type->name);
        grid_put(&g, "%016llx", (unsigned long long)codec_fingerprint(c->codec, type));
        grid_put(&g, "%s", topics[i]->what);
    }
    grid_end(&g, &b);
    int rc = ctl_print(&b, e);
    buf_free(&b);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command schemas_list_command = {
    .name = "schemas list",
    .arguments = "",
    .purpose = "list topics with their schema and its fingerprint (CRC-64-AVRO)",
    .example = "flotilla schemas list",
    .run = list,
};

static int read_schema(struct schema **out, const char *path, struct err *e)
{
    struct buf file = {0};
    int rc = file_read(&file, path, SCHEMA_MAX_BYTES, e);
    struct str text = buf_str(&file);
    if (!rc && (rc = schema_parse(out, &text, 1, e)))
        err_wrap(e, "%s", path);
    buf_free(&file);
    return rc;
}

static enum ctl_status check(const struct ctl *c, struct err *e)
{
    const struct topic *t = topics_find(c->conf, c->args[0]);
    const char *path = c->args[1];
    struct schema *writer = NULL;
    struct plan *plan = NULL;
    if (!t) {
        err_set(e, ERR_INVALID, "there is no topic %s: see flotilla schemas list", c->args[0]);
        return CTL_USAGE;
    }
    int rc = read_schema(&writer, path, e);
    if (!rc)
        rc = plan_new(&plan, schema_root(writer), codec_schema(c->codec, t->type), e);
    const char *refusal = rc ? NULL : plan_refusal(plan);
    if (!rc && refusal)
        err_set(e, ERR_SCHEMA, "%s: records written with it would become dead letters: %s", path,
                refusal);
    else if (!rc)
        printf("every record written with %s (fingerprint %016llx) can be read from topic %s\n",
               path, (unsigned long long)schema_fingerprint(writer), conf_topic(c->conf, t->name));
    plan_free(plan);
    schema_free(writer);
    return refusal || rc == ERR_SCHEMA ? CTL_WRONG : rc ? CTL_FAILED : CTL_OK;
}

const struct command schemas_check_command = {
    .name = "schemas check",
    .arguments = "TOPIC FILE",
    .least = 2,
    .most = 2,
    .purpose =
        "check that records written with an Avro schema of one's own can be read from a topic",
    .example = "flotilla schemas check events our_event.avsc",
    .run = check,
};
