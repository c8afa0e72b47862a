#include "backfill/intake_repeats.h"

#include "base/buf.h"
#include "base/table.h"
#include "feature/user_record.h"

#include <stdlib.h>

struct repeats {
    struct table *users; /* source and user id to a record of nothing but ids */
    struct buf key, ids;
};

int repeats_new(struct repeats **out, struct err *e)
{
    struct repeats *r = calloc(1, sizeof *r);
    if (!r || !(r->users = table_new())) {
        free(r);
        return err_nomem(e);
    }
    *out = r;
    return 0;
}

void repeats_free(struct repeats *r)
{
    if (!r)
        return;
    table_free(r->users);
    buf_free(&r->key);
    buf_free(&r->ids);
    free(r);
}

int repeats_check(struct repeats *r, int32_t source, struct str user_id, struct str event_id,
                  bool *is_repeat, struct err *e)
{
    buf_reset(&r->key);
    buf_put_zigzag(&r->key, source);
    buf_put_str(&r->key, user_id);
    uint32_t id = buf_ok(&r->key) ? table_insert(r->users, buf_str(&r->key)) : TABLE_NONE;
    if (id == TABLE_NONE)
        return err_nomem(e);
    struct user_record seen;
    int rc = user_record_open(&seen, table_value(table_get(r->users, id)), e);
    if (rc || (*is_repeat = user_record_has_id(&seen, event_id)))
        return rc;
    buf_reset(&r->ids);
    user_record_put_ids(&r->ids, &seen, event_id);
    return buf_ok(&r->ids) && table_set(r->users, id, buf_str(&r->ids)) ? 0 : err_nomem(e);
}
