/* flotilla topics acls: the rights that programs need in Kafka. Asks no server. */
#include "ctl.h"
#include "grid.h"

#include "base/json.h"
#include "stream/rights.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 512 };

static bool is_asked(const struct ctl *c, const struct right *r)
{
    return c->arg_count == 0 || strcmp(c->args[0], r->program) == 0;
}

/* ---- For a person, and for a program ---- */

static void print_table(struct buf *b, const struct ctl *c)
{
    struct grid g;
    char name[NAME_BYTES];
    grid_start(&g, "PROGRAM,RESOURCE,NAME,PATTERN,OPERATION,FOR");
    for (const struct right *r = rights; r->program; r++) {
        if (!is_asked(c, r))
            continue;
        right_name(name, sizeof name, r, c->conf);
        grid_put(&g, "%s", r->program);
        grid_put(&g, "%s", right_resource(r));
        grid_put(&g, "%s", name);
        grid_put(&g, "%s", right_is_prefix(r) ? "prefixed" : "literal");
        grid_put(&g, "%s", r->operation);
        grid_put(&g, "%s", r->purpose);
    }
    grid_end(&g, b);
}

static void put_member(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_text(b, str_of(value));
}

static void print_json(struct buf *b, const struct ctl *c)
{
    char name[NAME_BYTES];
    for (const struct right *r = rights; r->program; r++) {
        if (!is_asked(c, r))
            continue;
        right_name(name, sizeof name, r, c->conf);
        buf_printf(b, "{\"program\":\"%s\",\"resource\":\"%s\"", r->program, right_resource(r));
        put_member(b, "name", name);
        put_member(b, "pattern", right_is_prefix(r) ? "prefixed" : "literal");
        put_member(b, "operation", r->operation);
        put_member(b, "for", r->purpose);
        buf_put_text(b, "}\n");
    }
}

/* ---- For a shell ---- */

static void put_quoted(struct buf *b, const char *text)
{
    buf_put_u8(b, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_put_text(b, "'\\''");
        else
            buf_put_u8(b, (uint8_t)*text);
    }
    buf_put_u8(b, '\'');
}

static bool is_same(const struct right *a, const struct right *b)
{
    return a->program && b->program && strcmp(a->program, b->program) == 0 && a->on == b->on &&
           strcmp(a->name, b->name) == 0;
}

/* One line a resource: its operations stand together in the table. */
static void print_commands(struct buf *b, const struct ctl *c)
{
    const char *given = ctl_option(c, "principal");
    char name[NAME_BYTES], principal[64];
    for (const struct right *r = rights; r->program; r++) {
        if (!is_asked(c, r))
            continue;
        snprintf(principal, sizeof principal, "User:%s%s",
                 strcmp(r->program, "flotilla") == 0 ? "" : "flotilla-", r->program);
        right_name(name, sizeof name, r, c->conf);
        buf_put_text(b, "kafka-acls.sh --bootstrap-server ");
        put_quoted(b, conf_text(c->conf, "kafka.brokers"));
        buf_put_text(b, " --command-config admin.properties --add --allow-principal ");
        put_quoted(b, given ? given : principal);
        buf_printf(b, " --operation %s", r->operation);
        for (; is_same(r, r + 1); r++)
            buf_printf(b, " --operation %s", r[1].operation);
        buf_printf(b, "%s --%s ", right_is_prefix(r) ? " --resource-pattern-type prefixed" : "",
                   right_resource(r));
        put_quoted(b, name);
        buf_put_u8(b, '\n');
    }
}

static enum ctl_status acls(const struct ctl *c, struct err *e)
{
    struct buf b = {0};
    const char *principal = ctl_option(c, "principal");
    if (c->arg_count && !right_has_program(c->args[0])) {
        err_set(e, ERR_INVALID, "there is no program %s: give features, recorder or flotilla",
                c->args[0]);
        return CTL_USAGE;
    }
    if (principal && !ctl_option(c, "commands")) {
        err_set(e, ERR_INVALID, "--principal needs --commands");
        return CTL_USAGE;
    }
    if (principal && !strchr(principal, ':')) {
        err_set(e, ERR_INVALID, "--principal is \"%s\": write User:NAME", principal);
        return CTL_USAGE;
    }
    if (ctl_option(c, "commands"))
        print_commands(&b, c);
    else if (ctl_option(c, "json"))
        print_json(&b, c);
    else
        print_table(&b, c);
    int rc = ctl_print(&b, e);
    buf_free(&b);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command topics_acls_command = {
    .name = "topics acls",
    .arguments = "[PROGRAM]",
    .least = 0,
    .most = 1,
    .purpose = "the rights (ACLs) in Kafka that a program needs: features, recorder, flotilla",
    .example = "flotilla topics acls features --commands --principal User:shop",
    .options = {{"commands", NULL, "as commands that give them, for Kafka's kafka-acls.sh"},
                {"principal", "TYPE:NAME",
                 "whom to give them; otherwise User:flotilla-features, User:flotilla-recorder, "
                 "User:flotilla"},
                {"json", NULL, "one JSON object a right"}},
    .run = acls,
};
