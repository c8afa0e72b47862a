/* Where what `flotilla train` has made goes: files, the registry, the terminal; and the end of it
 * all. */
#include "train_parts.h"

#include "report_print.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROW = 80, WIDE = 120, OPEN_DIRECTORIES = 16 };

int train_temporary(struct train *t, struct err *e)
{
    static const char name[] = "/flotilla-train-XXXXXX", set[] = "/set";
    const char *parent = getenv("TMPDIR");
    parent = parent && *parent ? parent : "/tmp";
    size_t n = strlen(parent) + sizeof name;
    t->temporary = malloc(n);
    t->temporary_set = malloc(n + sizeof set);
    if (!t->temporary || !t->temporary_set)
        return err_nomem(e);
    snprintf(t->temporary, n, "%s%s", parent, name);
    if (mkdtemp(t->temporary)) {
        snprintf(t->temporary_set, n + sizeof set, "%s%s", t->temporary, set);
        return 0;
    }
    err_set(e, ERR_IO, "cannot make a directory for the training set in %s: %s; or give --work DIR",
            parent, strerror(errno));
    free(t->temporary);
    t->temporary = NULL;
    return ERR_IO;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static int write_html(struct train *t, struct err *e)
{
    const char *path = ctl_option(t->ctl, "report");
    struct buf page = {0};
    if (!path)
        return 0;
    model_report_html(t->report, &page);
    int rc = train_write_file(path, &page, e);
    buf_free(&page);
    return rc;
}

static int print_report(struct train *t, struct err *e)
{
    struct winsize size;
    bool is_terminal = isatty(STDOUT_FILENO) != 0;
    int width = is_terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= NARROW
                    ? size.ws_col
                    : NARROW;
    buf_put_text(&t->text, "\n");
    model_report_print(t->report, width < WIDE ? width : WIDE, is_terminal && !getenv("NO_COLOR"),
                       &t->text);
    return ctl_print(&t->text, e);
}

static int say_next(struct train *t, bool has_report, struct err *e)
{
    const char *report = ctl_option(t->ctl, "report"), *out = ctl_option(t->ctl, "out");
    struct buf *b = &t->text;
    long long version = (long long)t->data.version;
    buf_put_text(b, "\n");
    if (*t->fit->no_calibration)
        buf_printf(b, "not calibrated: %s\n", t->fit->no_calibration);
    if (t->fit->was_stopped)
        buf_printf(b,
                   "stopped when asked, after %zu trials: this is the best of them, and not "
                   "registered; --trials %zu gives the same\n",
                   t->fit->trial_count, t->fit->trial_count);
    if (out)
        buf_printf(b, "model file: %s\n", out);
    if (report && has_report)
        buf_printf(b, "report: %s\n", report);
    if (version)
        buf_printf(b,
                   "registered %s version %lld; nobody is served by it yet\n"
                   "next: flotilla models plan %s --challenger "
                   "name=new,version=%lld,mode=canary,share=0.05   (a twentieth of the users)\n"
                   "  or: flotilla models promote %s %lld   (everybody)\n",
                   t->model, version, t->model, version, t->model, version);
    return ctl_print(b, e);
}

/* The registry was there when all began, and is not any more: hours of work are not thrown away. */
static int keep(struct train *t, int why, struct err *e)
{
    struct buf path = {0};
    struct err ignored;
    buf_printf(&path, "%s.unregistered.ubj", t->model);
    buf_put_u8(&path, 0);
    if (buf_ok(&path) && !train_write_file((const char *)path.data, &t->fit->bytes, &ignored))
        err_wrap(e, "the model is kept in %s, as it could not be registered",
                 (const char *)path.data);
    buf_free(&path);
    return why;
}

int train_publish(struct train *t, struct err *e)
{
    const char *out = ctl_option(t->ctl, "out");
    struct err ignored;
    int rc = out ? train_write_file(out, &t->fit->bytes, e) : 0;
    if (rc)
        return rc;
    if ((rc = train_register(t, e)))
        return out ? rc : keep(t, rc, e);
    rc = print_report(t, e);
    if (!rc)
        rc = write_html(t, e);
    if (!rc)
        return say_next(t, true, e);
    /* What is registered stays so, whatever becomes of the report: a person must know. */
    say_next(t, false, &ignored);
    return t->data.version
               ? err_wrap(e, "version %lld of %s is registered, its report is not there",
                          (long long)t->data.version, t->model)
               : rc;
}

void train_finish(struct train *t)
{
    model_report_free(t->report);
    judged_free(&t->judged);
    fit_free(t->fit);
    feature_set_free(t->definitions);
    set_free(t->set);
    free(t->trials);
    free(t->rows);
    buf_free(&t->parameters);
    buf_free(&t->labels);
    buf_free(&t->calibration);
    buf_free(&t->text);
    buf_free(&t->trial_texts);
    if (t->temporary)
        nftw(t->temporary, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
    free(t->temporary);
    free(t->temporary_set);
}
