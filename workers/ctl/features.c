/* flotilla features check | list: definitions, without any server. */
#include "ctl.h"

#include "base/json.h"
#include "feature/fingerprint.h"

#include <stdio.h>

static int load(struct feature_set **out, const struct ctl *c, struct err *e)
{
    return feature_set_load(out, c->arg_count ? c->args[0] : conf_text(c->conf, "features.file"),
                            e);
}

static enum ctl_status check(const struct ctl *c, struct err *e)
{
    struct feature_set *set = NULL;
    int rc = load(&set, c, e);
    if (rc)
        return rc == ERR_INVALID ? CTL_WRONG : CTL_FAILED;
    size_t user = 0, shared = 0;
    for (size_t i = 0; i < set->scope_count; i++) {
        user += set->scopes[i].has_user;
        shared += !set->scopes[i].has_user && !set->scopes[i].is_total;
    }
    printf("%zu features, %zu values, %zu scopes (%zu in the user's record, %zu shared), made of "
           "%zu events\n",
           set->feature_count, set->output_count, user + shared, user, shared, set->event_count);
    feature_set_free(set);
    return CTL_OK;
}

const struct command features_check_command = {
    .name = "features check",
    .arguments = "[FILE]",
    .most = 1,
    .purpose = "check feature definitions (default: the setting features.file)",
    .example = "flotilla features check features.yaml",
    .run = check,
};

static void print_json(struct buf *b, const struct feature_set *set, const struct feature *f)
{
    char fingerprint[2 * FINGERPRINT_BYTES + 1];
    fingerprint_text(fingerprint, f->fingerprint);
    buf_put_text(b, "{\"name\":");
    json_put_text(b, str_of(f->name));
    buf_put_text(b, ",\"scope\":");
    json_put_text(b, str_of(f->scope_text));
    buf_printf(b, ",\"kind\":\"%s\",\"values\":[", feature_kind_name(f->kind));
    for (size_t o = f->first_output; o < set->output_count && set->outputs[o].feature == f; o++) {
        if (o > f->first_output)
            buf_put_u8(b, ',');
        json_put_text(b, str_of(set->outputs[o].name));
    }
    buf_printf(b, "],\"fingerprint\":\"%s\",\"definition\":", fingerprint);
    feature_canonical(b, f, set->outputs);
    buf_put_text(b, "}\n");
}

static void print_row(struct buf *b, const struct feature *f)
{
    char fingerprint[2 * FINGERPRINT_BYTES + 1];
    struct buf windows = {0};
    fingerprint_text(fingerprint, f->fingerprint);
    for (size_t i = 0; i < f->window_count; i++)
        buf_printf(&windows, "%s%s", i ? " " : "", f->windows[i].text);
    buf_printf(b, "%-24s %-32s %-10s %-20.*s %s\n", f->name, f->scope_text,
               feature_kind_name(f->kind), STR_ARG(buf_str(&windows)), fingerprint);
    b->failed |= windows.failed;
    buf_free(&windows);
}

static enum ctl_status list(const struct ctl *c, struct err *e)
{
    struct feature_set *set = NULL;
    struct buf b = {0};
    int rc = load(&set, c, e);
    if (rc)
        return rc == ERR_INVALID ? CTL_WRONG : CTL_FAILED;
    if (!ctl_option(c, "json"))
        buf_printf(&b, "%-24s %-32s %-10s %-20s %s\n", "NAME", "SCOPE", "KIND", "WINDOWS",
                   "FINGERPRINT");
    for (size_t i = 0; i < set->feature_count; i++) {
        if (ctl_option(c, "json"))
            print_json(&b, set, &set->features[i]);
        else
            print_row(&b, &set->features[i]);
    }
    rc = ctl_print(&b, e);
    buf_free(&b);
    feature_set_free(set);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command features_list_command = {
    .name = "features list",
    .arguments = "[FILE]",
    .most = 1,
    .purpose = "list features with scope, kind, windows and fingerprint",
    .example = "flotilla features list features.yaml --json",
    .options = {{"json", NULL, "one JSON object a line, with values and canonical definition"}},
    .run = list,
};
