#include "serde/registry_questions.h"

#include "base/table.h"

#include <stdlib.h>

struct questions {
    struct table *table; /* of pointers, by what is asked for */
    struct question_list lists[QUESTION_STATES];
    size_t bytes;
    struct buf key; /* of the last search */
};

struct questions *questions_new(void)
{
    struct questions *q = calloc(1, sizeof *q);
    if (!q || !(q->table = table_new())) {
        free(q);
        return NULL;
    }
    return q;
}

void questions_free(struct questions *q)
{
    if (!q)
        return;
    for (int state = 0; state < QUESTION_STATES; state++)
        while (q->lists[state].oldest)
            questions_forget(q, q->lists[state].oldest);
    table_free(q->table);
    buf_free(&q->key);
    free(q);
}

static void unlink_from(struct questions *q, struct question *x)
{
    struct question_list *l = &q->lists[x->state];
    *(x->older ? &x->older->newer : &l->oldest) = x->newer;
    *(x->newer ? &x->newer->older : &l->newest) = x->older;
    l->count--;
    if (x->state == QUESTION_ANSWERED)
        q->bytes -= x->bytes;
}

static void link_to(struct questions *q, struct question *x, enum question_state state)
{
    struct question_list *l = &q->lists[state];
    x->state = state;
    x->older = l->newest;
    x->newer = NULL;
    *(l->newest ? &l->newest->newer : &l->oldest) = x;
    l->newest = x;
    l->count++;
    if (state == QUESTION_ANSWERED)
        q->bytes += x->bytes;
}

static bool is_full(const struct questions *q)
{
    return q->lists[QUESTION_OPEN].count >= QUESTIONS_MAX_OPEN;
}

bool questions_move(struct questions *q, struct question *x, enum question_state state)
{
    /* What is under way has its place in the queue already: it can always go back. */
    if (state == QUESTION_OPEN && x->state == QUESTION_REFUSED && is_full(q))
        return false;
    unlink_from(q, x);
    link_to(q, x, state);
    if (q->lists[QUESTION_REFUSED].count > QUESTIONS_MAX_REFUSED)
        questions_forget(q, q->lists[QUESTION_REFUSED].oldest);
    return true;
}

static void free_question(struct question *x)
{
    if (!x)
        return;
    schema_free(x->schema);
    references_free(x->references);
    free(x->subject);
    free((char *)x->text.data);
    free(x->why);
    free(x);
}

void questions_forget(struct questions *q, struct question *x)
{
    unlink_from(q, x);
    table_remove(q->table, x->number);
    free_question(x);
}

/* A kind, then an id, or a subject and a text. */
static struct str key_of(struct questions *q, uint32_t id, const char *subject, struct str text)
{
    buf_reset(&q->key);
    buf_put_u8(&q->key, subject ? 's' : 'i');
    if (subject) {
        buf_put(&q->key, subject, strlen(subject) + 1);
        buf_put_str(&q->key, text);
    } else {
        buf_put(&q->key, &id, sizeof id);
    }
    return buf_str(&q->key);
}

static struct question *make(uint32_t id, const char *subject, struct str text)
{
    struct question *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->id = id;
    if (!subject)
        return x;
    char *copy = malloc(text.len + 1);
    x->subject = strdup(subject);
    if (!copy || !x->subject) {
        free(copy);
        free_question(x);
        return NULL;
    }
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    x->text = str_bytes(copy, text.len);
    return x;
}

static int add(struct questions *q, struct question **out, struct question *x, struct str key,
               struct err *e)
{
    if (!x)
        return err_nomem(e);
    x->number = table_insert(q->table, key);
    if (x->number == TABLE_NONE) {
        free_question(x);
        return err_nomem(e);
    }
    if (!table_set(q->table, x->number, str_bytes(&x, sizeof x))) {
        table_remove(q->table, x->number);
        free_question(x);
        return err_nomem(e);
    }
    link_to(q, x, QUESTION_OPEN);
    *out = x;
    return 0;
}

int questions_find(struct questions *q, struct question **out, uint32_t id, const char *subject,
                   struct str text, struct err *e)
{
    *out = NULL;
    struct str key = key_of(q, id, subject, text);
    if (!buf_ok(&q->key))
        return err_nomem(e);
    uint32_t number = table_find(q->table, key);
    if (number != TABLE_NONE) {
        memcpy(out, table_value(table_get(q->table, number)).data, sizeof *out);
        return 0;
    }
    return is_full(q) ? 0 : add(q, out, make(id, subject, text), key, e);
}

const struct question_list *questions_in(const struct questions *q, enum question_state state)
{
    return &q->lists[state];
}

size_t questions_bytes(const struct questions *q)
{
    return q->bytes;
}

struct question *questions_due(const struct questions *q, int64_t now_ms, int64_t *due_ms)
{
    *due_ms = INT64_MAX;
    for (struct question *x = q->lists[QUESTION_OPEN].oldest; x; x = x->newer) {
        if (x->again_ms <= now_ms) {
            *due_ms = now_ms;
            return x;
        }
        if (x->again_ms < *due_ms)
            *due_ms = x->again_ms;
    }
    return NULL;
}
