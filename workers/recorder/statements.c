#include "recorder/statements.h"

const char statements_session[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET enable_material = off; SET jit = off; SET temp_buffers = '64MB'";

/* The columns of a table from the i-th on, with a text before each and commas between them. */
static void put_columns(struct buf *sql, const struct sink *s, int i, const char *before)
{
    for (int first = i; i < s->column_count; i++)
        buf_printf(sql, "%s%s\"%s\"", i > first ? ", " : "", before, s->columns[i].name);
}

static void put_merge(struct buf *sql, const struct sink *s, bool removing)
{
    buf_printf(sql, "MERGE INTO %s AS t USING batch_%s AS b ON ", s->table, s->table);
    for (int i = 0; i < s->key_columns; i++)
        buf_printf(sql, "%st.\"%s\" = b.\"%s\"", i ? " AND " : "", s->columns[i].name,
                   s->columns[i].name);
    if (removing)
        buf_printf(sql, " WHEN MATCHED AND b.%s THEN DELETE", s->removed);
    buf_put_text(sql, " WHEN MATCHED THEN UPDATE SET ");
    for (int i = s->key_columns; i < s->column_count; i++)
        buf_printf(sql, "%s\"%s\" = b.\"%s\"", i > s->key_columns ? ", " : "", s->columns[i].name,
                   s->columns[i].name);
    if (removing)
        buf_printf(sql, " WHEN NOT MATCHED AND b.%s THEN DO NOTHING", s->removed);
    buf_put_text(sql, " WHEN NOT MATCHED THEN INSERT (");
    put_columns(sql, s, 0, "");
    buf_put_text(sql, ") VALUES (");
    put_columns(sql, s, 0, "b.");
    buf_put(sql, ")", 2);
}

void statements_make(struct statements *out, const struct sink *s)
{
    bool merges = s->mode == SINK_LATEST;
    buf_printf(&out->copy, "COPY %s%s (", merges ? "batch_" : "", s->table);
    put_columns(&out->copy, s, 0, "");
    buf_put_text(&out->copy, ") FROM STDIN (FORMAT binary)");
    buf_put_u8(&out->copy, 0);
    if (!merges)
        return;
    buf_printf(&out->prepare, "CREATE TEMPORARY TABLE batch_%s (LIKE %s) ON COMMIT DELETE ROWS",
               s->table, s->table);
    buf_put_u8(&out->prepare, 0);
    put_merge(&out->merge, s, false);
    if (s->removed)
        put_merge(&out->removing, s, true);
}

void statements_free(struct statements *t)
{
    buf_free(&t->prepare);
    buf_free(&t->copy);
    buf_free(&t->merge);
    buf_free(&t->removing);
}
