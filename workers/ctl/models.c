#include "models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int model_version_parse(int64_t *out, const char *text, int64_t least, struct err *e)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!*text || *end || errno || *out < least)
        return err_set(e, ERR_INVALID, "\"%s\" is no version: give a whole number from %lld", text,
                       (long long)least);
    return 0;
}

void model_put_duties(struct buf *out, const struct rollout_plan *plan, int64_t version)
{
    const char *between = "";
    if (!plan || version < 1)
        return;
    if (plan->champion == version) {
        buf_put_text(out, "champion");
        between = ", ";
    }
    if (plan->previous == version) {
        buf_printf(out, "%sprevious", between);
        between = ", ";
    }
    for (size_t i = 0; i < plan->challengers.count; i++) {
        const struct challenger *c = &plan->challengers.items[i];
        if (c->version != version)
            continue;
        buf_printf(out, "%s%.*s (%.*s)", between, STR_ARG(c->name), STR_ARG(c->mode));
        between = ", ";
    }
}

const char *model_version_text(char text[32], int64_t version)
{
    if (version > 0)
        snprintf(text, 32, "version %lld", (long long)version);
    else
        snprintf(text, 32, "rules");
    return text;
}
