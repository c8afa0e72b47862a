/* The reading half of artifact.h. */
#include "model/artifact.h"
#include "model/artifact_memory.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* Versions heard of, held or not: more are no registry's. */
enum { MAX_ENTRIES = 4096 };

/* A version that was heard of. */
struct entry {
    struct entry *next; /* heard of after this one */
    char model[MODEL_NAME_BYTES + 1];
    int64_t version;
    bool wanted;
    bool handed; /* to the caller, whole */
    bool let_go; /* nothing of it is kept */
    bool complete;
    uint8_t sha256[MODEL_SHA256_BYTES];
    int parts;
    int hashed; /* the first part that the sum does not have yet */
    bool *has;  /* for each part */
    size_t held_bytes;
    EVP_MD_CTX *sum;
    struct artifact *artifact; /* as far as it is there */
};

/* What a plan names. */
struct wish {
    struct wish *next;
    char model[MODEL_NAME_BYTES + 1];
    size_t count;
    int64_t versions[];
};

struct artifacts {
    struct entry *first;
    struct wish *wishes;
    size_t count;
    size_t spare_bytes;
    size_t bytes;
};

/* ---- Entries ---- */

/* Forgets what was gathered. */
static void empty(struct artifacts *a, struct entry *n)
{
    a->bytes -= n->held_bytes;
    artifact_free(n->artifact);
    free(n->has);
    EVP_MD_CTX_free(n->sum);
    n->artifact = NULL;
    n->has = NULL;
    n->sum = NULL;
    n->held_bytes = 0;
    n->parts = n->hashed = 0;
    n->handed = n->let_go = n->complete = false;
}

static void let_go(struct artifacts *a, struct entry *n)
{
    empty(a, n);
    n->let_go = true;
}

static struct entry **place_of(struct artifacts *a, struct str model, int64_t version)
{
    struct entry **at = &a->first;
    while (*at && ((*at)->version != version || !str_is(model, (*at)->model)))
        at = &(*at)->next;
    return at;
}

static void remove_entry(struct artifacts *a, struct entry **at)
{
    struct entry *n = *at;
    empty(a, n);
    *at = n->next;
    free(n);
    a->count--;
}

static bool is_wanted(const struct artifacts *a, const char *model, int64_t version)
{
    for (const struct wish *w = a->wishes; w; w = w->next)
        for (size_t i = 0; i < w->count && strcmp(w->model, model) == 0; i++)
            if (w->versions[i] == version)
                return true;
    return false;
}

static int add_entry(struct entry **out, struct artifacts *a, struct str model, int64_t version,
                     struct err *e)
{
    if (a->count == MAX_ENTRIES)
        return err_set(e, ERR_TOO_LARGE, "the topic has parts of more than %d versions",
                       MAX_ENTRIES);
    struct entry *n = calloc(1, sizeof *n), **at = place_of(a, model, version);
    if (!n)
        return err_nomem(e);
    memcpy(n->model, model.data, model.len);
    n->version = version;
    n->wanted = is_wanted(a, n->model, version);
    *at = n;
    a->count++;
    *out = n;
    return 0;
}

/* Of what nobody wants, the oldest goes first. */
static void trim(struct artifacts *a)
{
    size_t spare = 0;
    for (const struct entry *n = a->first; n; n = n->next)
        spare += n->wanted ? 0 : n->held_bytes;
    for (struct entry *n = a->first; n && spare > a->spare_bytes; n = n->next) {
        if (n->wanted || !n->held_bytes)
            continue;
        spare -= n->held_bytes;
        let_go(a, n);
    }
}

/* ---- Life ---- */

int artifacts_new(struct artifacts **out, size_t spare_bytes, struct err *e)
{
    struct artifacts *a = calloc(1, sizeof *a);
    if (!a)
        return err_nomem(e);
    a->spare_bytes = spare_bytes;
    *out = a;
    return 0;
}

void artifacts_free(struct artifacts *a)
{
    if (!a)
        return;
    while (a->first)
        remove_entry(a, &a->first);
    for (struct wish *w = a->wishes, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    free(a);
}

/* ---- Wishes ---- */

static void update_wanted(struct artifacts *a, const char *model)
{
    for (struct entry *n = a->first; n; n = n->next) {
        if (strcmp(n->model, model) != 0)
            continue;
        bool before = n->wanted;
        n->wanted = is_wanted(a, n->model, n->version);
        /* Handed over for a plan that is gone: for the next plan that names it, it is needed again.
         */
        if (before && !n->wanted && n->handed)
            let_go(a, n);
    }
    trim(a);
}

int artifacts_want(struct artifacts *a, struct str model, const int64_t *versions, size_t count,
                   struct err *e)
{
    if (model.len > MODEL_NAME_BYTES)
        return 0; /* There can be no part of it. */
    struct wish *w = calloc(1, sizeof *w + count * sizeof *versions), **at = &a->wishes;
    if (!w)
        return err_nomem(e);
    memcpy(w->model, model.data, model.len);
    w->count = count;
    if (count)
        memcpy(w->versions, versions, count * sizeof *versions);
    while (*at && strcmp((*at)->model, w->model) != 0)
        at = &(*at)->next;
    w->next = *at ? (*at)->next : NULL;
    free(*at);
    *at = w;
    update_wanted(a, w->model);
    return 0;
}

/* ---- Parts ---- */

static int check_part(const struct model_artifact *r, struct str model, int64_t version, int part,
                      struct err *e)
{
    if (!str_equal(r->model, model) || r->version != version || r->part != part)
        return err_set(e, ERR_CORRUPT, "the record is not the one that its key names");
    if (r->parts > ARTIFACT_MAX_PARTS)
        return err_set(e, ERR_TOO_LARGE, "%d parts are more than %d", (int)r->parts,
                       ARTIFACT_MAX_PARTS);
    bool is_last = part == r->parts - 1;
    if (part >= r->parts || r->sha256.len != MODEL_SHA256_BYTES ||
        r->bytes.len > ARTIFACT_PART_BYTES || r->bytes.len == 0 ||
        (!is_last && r->bytes.len != ARTIFACT_PART_BYTES))
        return err_set(e, ERR_CORRUPT, "part %d of %d with %zu bytes and a SHA-256 of %zu is none",
                       part, (int)r->parts, r->bytes.len, r->sha256.len);
    return 0;
}

/* Ready for the first part of this sum. */
static int begin(struct artifacts *a, struct entry *n, const struct model_artifact *r,
                 struct err *e)
{
    size_t room = (size_t)r->parts * ARTIFACT_PART_BYTES;
    empty(a, n);
    struct artifact *t = n->artifact = calloc(1, sizeof *t);
    struct artifact_memory *memory = t ? t->memory = calloc(1, sizeof *memory) : NULL;
    /* Memory is only taken where bytes are written. */
    bool good = memory && (memory->bytes = malloc(room)) &&
                (n->has = calloc((size_t)r->parts, sizeof *n->has)) &&
                (n->sum = EVP_MD_CTX_new()) && EVP_DigestInit_ex(n->sum, EVP_sha256(), NULL);
    if (!good) {
        empty(a, n);
        return err_nomem(e);
    }
    memcpy(n->sha256, r->sha256.data, sizeof n->sha256);
    n->parts = r->parts;
    t->parts.name = arena_copy(&memory->arena, r->model);
    t->parts.version = r->version;
    return t->parts.name.data ? 0 : err_nomem(e);
}

/* What the first part has beside bytes. */
static int take_description(struct model_parts *to, struct arena *a, const struct model_artifact *r,
                            struct err *e)
{
    size_t count = r->features.count;
    to->sha256 = arena_copy(a, r->sha256);
    to->fingerprints = arena_copy(a, r->fingerprints);
    to->canary_rows = arena_copy(a, r->canary_rows);
    to->canary_margins = arena_copy(a, r->canary_margins);
    to->calibration = arena_copy(a, r->calibration);
    to->features.items = arena_alloc(a, count * sizeof *to->features.items + 1);
    bool good = to->sha256.data && to->fingerprints.data && to->canary_rows.data &&
                to->canary_margins.data && to->features.items;
    for (to->features.count = 0; good && to->features.count < count; to->features.count++) {
        struct str *name = &to->features.items[to->features.count];
        *name = arena_copy(a, r->features.items[to->features.count]);
        good = name->data;
    }
    return good ? 0 : err_nomem(e);
}

/* Adds to the sum what is in order. */
static int hash(struct entry *n, struct err *e)
{
    const struct model_parts *p = &n->artifact->parts;
    uint8_t sum[EVP_MAX_MD_SIZE];
    for (; n->hashed < n->parts && n->has[n->hashed]; n->hashed++) {
        size_t at = (size_t)n->hashed * ARTIFACT_PART_BYTES;
        size_t left = n->hashed == n->parts - 1 ? p->bytes.len - at : (size_t)ARTIFACT_PART_BYTES;
        if (!EVP_DigestUpdate(n->sum, n->artifact->memory->bytes + at, left))
            return err_nomem(e);
    }
    if (n->hashed < n->parts)
        return 0;
    if (!EVP_DigestFinal_ex(n->sum, sum, NULL))
        return err_nomem(e);
    n->complete = memcmp(sum, n->sha256, sizeof n->sha256) == 0;
    return n->complete ? 0
                       : err_set(e, ERR_CORRUPT,
                                 "the SHA-256 of its %zu bytes is not the one that its parts name",
                                 p->bytes.len);
}

static int add_part(struct artifacts *a, struct entry *n, const struct model_artifact *r,
                    struct err *e)
{
    struct artifact_memory *memory = n->artifact->memory;
    size_t at = (size_t)r->part * ARTIFACT_PART_BYTES;
    int rc = r->part == 0 ? take_description(&n->artifact->parts, &memory->arena, r, e) : 0;
    if (rc)
        return rc;
    memcpy(memory->bytes + at, r->bytes.data, r->bytes.len);
    n->has[r->part] = true;
    size_t took = r->bytes.len + r->canary_rows.len + r->fingerprints.len + r->calibration.len;
    n->held_bytes += took;
    a->bytes += took;
    if (r->part == r->parts - 1)
        n->artifact->parts.bytes = str_bytes(memory->bytes, at + r->bytes.len);
    return hash(n, e);
}

static int take_part(struct artifacts *a, struct str model, int64_t version, int part,
                     const struct model_artifact *record, struct err *e)
{
    struct entry *n = *place_of(a, model, version);
    int rc = check_part(record, model, version, part, e);
    if (!rc && !n)
        rc = add_entry(&n, a, model, version, e);
    if (rc || n->let_go)
        return rc;
    if (n->parts != record->parts || memcmp(n->sha256, record->sha256.data, sizeof n->sha256) != 0)
        rc = begin(a, n, record, e);
    if (!rc && !n->handed && !n->has[part])
        rc = add_part(a, n, record, e);
    if (rc)
        remove_entry(a, place_of(a, model, version));
    return rc;
}

int artifacts_take(struct artifacts *a, struct str key, const struct model_artifact *record,
                   struct err *e)
{
    struct str model;
    int64_t version;
    int part;
    if (!artifact_parse_key(key, &model, &version, &part))
        return err_set(e, ERR_CORRUPT, "the key is not model, version and part of an artifact");
    if (!record) {
        struct entry **at = place_of(a, model, version);
        if (*at)
            remove_entry(a, at);
        return 0;
    }
    int rc = take_part(a, model, version, part, record, e);
    if (rc)
        err_wrap(e, "%.*s version %lld", STR_ARG(model), (long long)version);
    trim(a);
    return rc;
}

/* ---- What is there ---- */

struct artifact *artifacts_next(struct artifacts *a)
{
    for (struct entry *n = a->first; n; n = n->next) {
        if (!n->wanted || !n->complete || n->handed)
            continue;
        struct artifact *whole = n->artifact;
        n->artifact = NULL;
        n->handed = true;
        a->bytes -= n->held_bytes;
        n->held_bytes = 0;
        return whole;
    }
    return NULL;
}

bool artifacts_lost(const struct artifacts *a)
{
    for (const struct entry *n = a->first; n; n = n->next)
        if (n->wanted && n->let_go)
            return true;
    return false;
}

void artifacts_retry(struct artifacts *a, struct str model, int64_t version)
{
    struct entry *n = *place_of(a, model, version);
    if (n)
        let_go(a, n);
}

void artifacts_again(struct artifacts *a)
{
    for (struct entry *n = a->first; n; n = n->next)
        if (n->wanted && n->let_go)
            empty(a, n);
}

size_t artifacts_bytes(const struct artifacts *a)
{
    return a->bytes;
}
