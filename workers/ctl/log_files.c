#include "log_files.h"

/* In the order in which they are read. */
static const struct {
    const char *option;
    enum entry_kind kind;
} files[LOG_FILES] = {
    {"stream", ENTRY_KINDS}, {"users", ENTRY_USER},       {"propositions", ENTRY_PROPOSITION},
    {"events", ENTRY_EVENT}, {"requests", ENTRY_REQUEST}, {"scored", ENTRY_SCORED},
};

int log_files_find(const struct ctl *c, struct log_file *out, size_t *count, struct err *e)
{
    const char *stream = ctl_option(c, "stream");
    if (!stream == !ctl_option(c, "events") || (stream && ctl_option(c, "requests")))
        return err_set(e, ERR_INVALID,
                       "give either --stream or --events, and --requests only with --events");
    *count = 0;
    for (size_t i = 0; i < LOG_FILES; i++) {
        bool may_be_given = command_option(c->command, files[i].option) >= 0;
        const char *path = may_be_given ? ctl_option(c, files[i].option) : NULL;
        if (path)
            out[(*count)++] = (struct log_file){path, files[i].kind};
    }
    return 0;
}

static int read_file(const struct log_file *file, log_files_line *each, void *arg, struct err *e)
{
    struct lines l = {0};
    struct str line;
    bool more = true;
    int rc = lines_open(&l, file->path, e);
    while (!rc && more && !ctl_stopping()) {
        rc = lines_next(&l, &line, &more, e);
        if (!rc && more)
            rc = each(arg, file->kind, line, &l, e);
    }
    lines_close(&l);
    return rc;
}

int log_files_read(const struct ctl *c, log_files_line *each, void *arg, struct err *e)
{
    struct log_file found[LOG_FILES];
    size_t count = 0;
    int rc = log_files_find(c, found, &count, e);
    for (size_t i = 0; i < count && !rc; i++)
        rc = read_file(&found[i], each, arg, e);
    return rc;
}
