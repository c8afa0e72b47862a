#include "model/scorer_parts.h"

#include <assert.h>
#include <string.h>

static const struct scorer_kernel *const kernels[SCORER_PATHS] = {
    [SCORER_PLAIN] = &scorer_plain,
#if defined(__x86_64__)
    [SCORER_AVX2] = &scorer_avx2,
    [SCORER_AVX512] = &scorer_avx512,
#endif
};

bool scorer_can(enum scorer_path path)
{
    return kernels[path] && kernels[path]->can();
}

enum scorer_path scorer_best(void)
{
    int path = SCORER_PATHS - 1;
    while (!scorer_can((enum scorer_path)path))
        path--;
    return (enum scorer_path)path;
}

const char *scorer_path_name(enum scorer_path path)
{
    static const char *const names[SCORER_PATHS] = {"plain", "avx2", "avx512"};
    return names[path];
}

int scorer_new(struct scorer **out, const struct ensemble *m, const bool *shared, struct err *e)
{
    return scorer_prepare(out, m, shared, e);
}

void scorer_free(struct scorer *s)
{
    if (s)
        free(s->raw);
}

size_t scorer_bytes(const struct scorer *s)
{
    return s->bytes;
}

/* ------------------------------------------------------------ scratch */

int scorer_scratch_new(struct scorer_scratch **out, struct err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < WIDTHS; i++)
        bytes += SLOTS * ((size_t)32 << i);
    struct scorer_scratch *w = calloc(1, sizeof *w);
    if (!w || !(w->slot_memory = memory_get(bytes))) {
        free(w);
        return err_nomem(e);
    }
    struct memory memory = memory_of(w->slot_memory);
    for (size_t i = 0; i < WIDTHS; i++) {
        size_t width = (size_t)32 << i;
        w->slots[i] = memory_take(&memory, SLOTS * width);
        memset(w->slots[i], 0, SLOTS * width);
        for (size_t leaf = 0; leaf < STEP_LEAVES; leaf++)
            memset(w->slots[i] + (SLOT_CONSTANT + leaf) * width, (int)leaf, width);
    }
    *out = w;
    return 0;
}

void scorer_scratch_free(struct scorer_scratch *w)
{
    if (!w)
        return;
    free(w->memory);
    free(w->slot_memory);
    free(w);
}

/* Gives the parts of a scratch their places for a scorer; returns how much memory that takes. Each
 * part may be written a register past its end. */
static size_t lay_out(struct scorer_scratch *w, const struct scorer *s, struct memory *at)
{
    struct program *p = &w->program;
    size_t short_steps = s->short_steps + 64;
    p->shorts.column = memory_take(at, short_steps);
    p->shorts.rank = memory_take(at, short_steps);
    p->shorts.low = memory_take(at, short_steps);
    p->shorts.high = memory_take(at, short_steps);
    p->shorts.to = memory_take(at, short_steps);
    p->steps = memory_take(at, s->steps * sizeof *p->steps);
    p->branches = memory_take(at, s->steps * sizeof *p->branches);
    p->leaves = memory_take(at, (s->leaves + 64) * sizeof *p->leaves);
    p->trees = memory_take(at, s->tree_count * sizeof *p->trees);
    p->chunks = memory_take(at, (s->tree_count / CHUNK_TREES + 1) * sizeof *p->chunks);
    w->shared = memory_take(at, s->shared.columns + BYTE_COLUMNS);
    w->columns = memory_take(at, s->varying.columns * WIDTH_MOST);
    w->looked_up = memory_take(at, s->lookups + 64);
    return at->used;
}

static int grow(struct scorer_scratch *w, const struct scorer *s, struct err *e)
{
    struct memory measured = {0};
    size_t bytes = lay_out(w, s, &measured);
    if (bytes > w->size) {
        free(w->memory);
        w->size = 0;
        w->memory = memory_get(bytes);
        if (!w->memory)
            return err_nomem(e);
        /* Bytes of candidates that are not there are compared as well. */
        memset(w->memory, 0, bytes + ALIGNMENT);
        w->size = bytes;
    }
    struct memory memory = memory_of(w->memory);
    lay_out(w, s, &memory);
    return 0;
}

/* ------------------------------------------------------------ scoring */

int scorer_specialise(const struct scorer *s, struct scorer_scratch *w, enum scorer_path path,
                      const float *row, struct err *e)
{
    assert(scorer_can(path));
    w->scorer = NULL;
    int rc = grow(w, s, e);
    if (rc)
        return rc;
    memset(w->shared, 0, s->shared.columns + BYTE_COLUMNS);
    for (size_t i = 0; i < s->shared.count; i++) {
        const struct scale *scale = &s->shared.all[i];
        float x = row[scale->column];
        uint8_t rank = scale_rank(scale, x);
        w->shared[scale->low] = rank;
        w->shared[scale->high] = x != x ? UINT8_MAX : rank;
    }
    struct program *p = &w->program;
    p->shorts.count = p->step_count = p->branch_count = p->leaf_count = 0;
    kernels[path]->specialise(s, w);
    w->scorer = s;
    w->path = path;
    return 0;
}

void scorer_margins(const struct scorer *s, struct scorer_scratch *w, enum scorer_path path,
                    const float *rows, size_t stride, size_t count, float *margins)
{
    assert(w->scorer == s && w->path == path);
    for (size_t c = 0; c < count; c += WIDTH_MOST) {
        size_t n = count - c < WIDTH_MOST ? count - c : WIDTH_MOST;
        kernels[path]->margins(s, w, rows + c * stride, stride, n, margins + c);
    }
}
