/* flotilla dead-letters replay: records that could not be used, repaired and sent again. */
#include "ctl.h"
#include "grid.h"
#include "letter_replay.h"
#include "lines.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { STANDARD_LIMIT_S = 10, MOST_LIMIT_S = 3600 };

struct command_run {
    const struct ctl *ctl;
    struct letter_filter filter;
    struct db *db;
    struct letter_replay replay;
    struct replay_count count;
    struct progress progress;
};

static void on_each(void *arg, int64_t done)
{
    struct command_run *r = arg;
    progress_show(&r->progress, done, done, r->count.due);
}

static void on_said(void *arg, const struct letter_place *p, const char *text)
{
    const struct command_run *r = arg;
    char place[LETTER_PLACE_BYTES];
    fprintf(stderr, "%s%s: %s\n", r->progress.shown ? "\r\033[K" : "", letter_place_print(place, p),
            text);
}

/* ---- Asking ---- */

static int confirm(const struct command_run *r, struct err *e)
{
    char n[HUMAN_BYTES], answer[16] = "";
    if (ctl_option(r->ctl, "yes") || ctl_option(r->ctl, "dry-run"))
        return 0;
    if (!isatty(STDIN_FILENO))
        return err_set(e, ERR_INVALID,
                       "%s dead letters would be sent again: --yes does it, --dry-run tries it out",
                       human_count(n, r->count.due + r->count.unsettled));
    fprintf(stderr, "send %s dead letters again%s? [y/N] ",
            human_count(n, r->count.due + r->count.unsettled),
            r->replay.repair.command ? ", repaired" : ", as they are");
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y'))
        return 0;
    return err_set(e, ERR_ABORTED, "nothing was sent");
}

/* ---- Telling ---- */

static void put_count(struct buf *b, int64_t n, const char *what)
{
    char text[HUMAN_BYTES];
    if (n)
        buf_printf(b, ", %s %s", human_count(text, n), what);
}

static void report(const struct command_run *r, double seconds)
{
    const struct replay_told *t = &r->replay.told;
    char sent[HUMAN_BYTES];
    struct buf b = {0};
    struct err ignored;
    bool dry = ctl_option(r->ctl, "dry-run");
    int64_t would = r->count.due - t->left - t->failed - t->cut;
    buf_printf(&b, "%s %s in %.1f s", human_count(sent, dry ? would : t->sent),
               dry ? "would be sent" : "sent", seconds);
    put_count(&b, t->left, "left by the repair command");
    put_count(&b, t->failed, "failed");
    put_count(&b, t->cut, "not sent, since only a part of them was kept");
    put_count(&b, r->count.sent, "already replayed");
    put_count(&b, t->taken, "taken by another replay");
    put_count(&b, t->found, "of an earlier replay found to be sent");
    put_count(&b, t->not_sent, "of an earlier replay found not to be sent");
    buf_put_u8(&b, '\n');
    ctl_print(&b, &ignored);
    buf_free(&b);
}

/* ---- The command ---- */

static int prepare(struct command_run *r, struct err *e)
{
    int64_t limit_s = 0;
    int rc = ctl_number(&limit_s, r->ctl, "edit-timeout", STANDARD_LIMIT_S, 1, MOST_LIMIT_S, e);
    if (!rc)
        rc = letter_filter_read(&r->filter, r->ctl, clock_now_ms(), e);
    if (!rc)
        rc = letters_open(&r->db, r->ctl, e);
    if (!rc)
        rc = letter_replay_init(&r->replay, r->ctl, r->db, &r->filter, e);
    if (rc)
        return rc;
    r->replay.repair = (struct repair){ctl_option(r->ctl, "edit"), limit_s * 1000};
    r->replay.each = on_each;
    r->replay.say = on_said;
    r->replay.arg = r;
    return letter_replay_count(&r->replay, &r->count, e);
}

static int run(struct command_run *r, struct err *e)
{
    if (!r->count.due && !r->count.unsettled) {
        report(r, 0);
        return 0;
    }
    int rc = confirm(r, e);
    if (rc)
        return rc;
    int64_t started_us = clock_monotonic_us();
    progress_start(&r->progress, "dead letters");
    rc = ctl_option(r->ctl, "dry-run") ? letter_replay_rehearse(&r->replay, e)
                                       : letter_replay_run(&r->replay, e);
    progress_end(&r->progress);
    report(r, (double)(clock_monotonic_us() - started_us) / 1e6);
    if (!rc && r->replay.told.failed)
        rc = err_set(e, ERR_INVALID,
                     "some failed: `flotilla dead-letters list --filter "
                     "state=left` names them");
    return rc;
}

static enum ctl_status replay(const struct ctl *c, struct err *e)
{
    struct command_run r = {.ctl = c};
    int rc = prepare(&r, e);
    enum ctl_status wrong = rc == ERR_INVALID ? CTL_USAGE : CTL_FAILED;
    if (!rc) {
        bool may = ctl_option(c, "yes") || ctl_option(c, "dry-run") || isatty(STDIN_FILENO);
        rc = run(&r, e);
        wrong = may ? CTL_FAILED : CTL_USAGE;
    }
    if (!rc)
        *e = (struct err){0}; /* of what was tried again and went well */
    letter_replay_free(&r.replay);
    letter_filter_free(&r.filter);
    db_free(r.db);
    return rc ? wrong : CTL_OK;
}

const struct command dead_letters_replay_command = {
    .name = "dead-letters replay",
    .arguments = "",
    .purpose = "send records that could not be used again, as they are or repaired, once each",
    .example =
        "flotilla dead-letters replay --filter reason=unknown_schema\n"
        "         flotilla dead-letters replay --filter 'detail~field value' --edit 'jq -c "
        "\".value |= tonumber\"'\n\n"
        "The repair command gets a record's value on its standard input and prints what is to be "
        "sent in its\n"
        "place. Status 0 sends it, 65 leaves it alone; any other, or a signal, is a failure. Key "
        "and headers stay\n"
        "as they were; the header flotilla-replay is added. Its environment has DEAD_LETTER_TOPIC, "
        "_PARTITION,\n"
        "_OFFSET, _REASON, _DETAIL, _WORKER, _TIMESTAMP, _HEADERS (JSON), _KEY_BASE64, _HAS_VALUE "
        "(yes or no); what\n"
        "there is none of, and what is over 100 kB, is not there.\n\n"
        "A replay that is killed or interrupted is taken up by the next one. A second one at the "
        "same time ends the\n"
        "first. What is left can be tried again; what was sent is never sent again. The role "
        "flotilla_operator has the\n"
        "rights. In users and propositions the last record of a key is the one that stays: do not "
        "replay what was\n"
        "written anew meanwhile.\n\n" LETTER_FILTER_HELP,
    .options = {{"filter", "CONDITION", "only those; may be given several times: see below"},
                {"edit", "COMMAND", "repairs each value, run by /bin/sh -c; see below"},
                {"edit-timeout", "SECONDS", "how long it may take for one (10)"},
                {"dry-run", NULL, "repair and tell, but send nothing and note nothing"},
                {"yes", NULL, "do not ask"}},
    .run = replay,
};
