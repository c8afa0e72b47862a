#include "serde/registry_references.h"

#include <stdlib.h>

enum visit { NOT_YET, BEING_VISITED, DONE };

struct fetched {
    struct registry_reference at; /* of the schema itself: nothing */
    struct registry_answer answer;
    uint8_t refers_to[REGISTRY_ANSWER_MAX_REFERENCES]; /* numbers in `all` */
    enum visit visit;
    int depth; /* of what it refers to, itself included */
};

struct references {
    struct arena arena;
    struct fetched all[REFERENCES_MAX_COUNT + 1]; /* the schema itself is the first */
    size_t known, fetched;                        /* those from `fetched` on are still missing */
    struct str order[REFERENCES_MAX_COUNT + 1];
    size_t ordered;
    size_t bytes;
};

struct references *references_new(void)
{
    struct references *r = calloc(1, sizeof *r);
    if (r)
        r->known = 1;
    return r;
}

void references_free(struct references *r)
{
    if (!r)
        return;
    arena_free(&r->arena);
    free(r);
}

/* The number of what is referred to, which may have been known before. */
static int number_of(struct references *r, const struct registry_reference *to, uint8_t *number,
                     struct err *e)
{
    size_t i = 1;
    while (i < r->known &&
           !(r->all[i].at.version == to->version && str_equal(r->all[i].at.subject, to->subject)))
        i++;
    if (i > REFERENCES_MAX_COUNT)
        return err_set(e, ERR_SCHEMA, "the schema has more than %d references, with theirs",
                       REFERENCES_MAX_COUNT);
    if (i == r->known)
        r->all[r->known++].at = *to;
    *number = (uint8_t)i;
    return 0;
}

int references_add(struct references *r, struct str body, struct err *e)
{
    struct fetched *f = &r->all[r->fetched];
    int rc = registry_answer_schema(&f->answer, body, &r->arena, e);
    if (rc)
        return rc;
    if (!str_is(f->answer.type, "AVRO"))
        return err_set(e, ERR_SCHEMA, "the schema is of type %.*s: only AVRO can be read",
                       (int)(f->answer.type.len < 40 ? f->answer.type.len : 40),
                       f->answer.type.data);
    r->bytes += f->answer.text.len;
    if (r->bytes > REFERENCES_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "the schema has more than %d bytes, with its references",
                       REFERENCES_MAX_BYTES);
    for (size_t i = 0; i < f->answer.reference_count && !rc; i++)
        rc = number_of(r, &f->answer.references[i], &f->refers_to[i], e);
    if (!rc)
        r->fetched++;
    return rc;
}

const struct registry_reference *references_next(const struct references *r)
{
    return r->fetched && r->fetched < r->known ? &r->all[r->fetched].at : NULL;
}

/* Depth first; recursion is bounded by the number of schemas. */
static int visit(struct references *r, struct fetched *f, struct err *e)
{
    if (f->visit == DONE)
        return 0;
    if (f->visit == BEING_VISITED)
        return err_set(e, ERR_SCHEMA, "subject %.100s version %d refers to itself, over others",
                       f->at.subject.data, (int)f->at.version);
    f->visit = BEING_VISITED;
    f->depth = 1;
    for (size_t i = 0; i < f->answer.reference_count; i++) {
        struct fetched *to = &r->all[f->refers_to[i]];
        int rc = visit(r, to, e);
        if (rc)
            return rc;
        if (f->depth <= to->depth)
            f->depth = to->depth + 1;
    }
    if (f->depth > REFERENCES_MAX_DEPTH + 1)
        return err_set(e, ERR_SCHEMA, "references of the schema go deeper than %d",
                       REFERENCES_MAX_DEPTH);
    f->visit = DONE;
    r->order[r->ordered++] = f->answer.text;
    return 0;
}

int references_order(struct references *r, const struct str **texts, size_t *count, struct err *e)
{
    int rc = visit(r, &r->all[0], e);
    if (rc)
        return rc;
    *texts = r->order;
    *count = r->ordered;
    return 0;
}

size_t references_bytes(const struct references *r)
{
    return r->bytes;
}
