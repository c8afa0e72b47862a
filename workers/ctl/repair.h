/*
 * The command that repairs the value of a dead letter: run by /bin/sh, the value on its standard
 * input, what is to be sent on its standard output.
 *
 * One thread. Monotonic clock.
 */
#pragma once

#include "letters.h"

enum {
    REPAIR_MAX_BYTES = 16 * 1024 * 1024, /* of a repaired value */
    REPAIR_LEAVES = 65, /* the exit status that says: leave this one, all is well */
};

struct repair {
    const char *command;
    int64_t limit_ms;
};

enum repair_end {
    REPAIR_DONE,
    REPAIR_LEFT,   /* by its own decision */
    REPAIR_FAILED, /* any other status, a signal, too slow, too much */
};

struct repaired {
    enum repair_end end;
    struct buf value; /* owned, as is the next */
    struct buf said;  /* on standard error; the first of it */
    char note[160];   /* why it was left; "" where it was not */
};

/*
 * Runs the command in a process group of its own, which is killed when the time is over or the user
 * asks to stop. Its environment says which letter it is: see repair.c. Fails with ERR_ABORTED
 * (asked to stop), ERR_IO (it cannot be started), ERR_NOMEM. out is to be given to repaired_free()
 * in any case.
 */
int repair_run(struct repaired *out, const struct repair *r, const struct letter *l, struct err *e);
void repaired_free(struct repaired *r);
