#include "model/rollout.h"

#include "base/arena.h"
#include "base/buf.h"
#include "model/model.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SEPARATOR = 0x1f, SHORT_BYTES = 512 };

/* Sums of shares that were written in decimals are off by no more than this. */
static const double SUM_TOLERANCE = 1e-9;

/* How a challenger takes users. */
struct gate {
    struct str prefix; /* what stands before the user in the hashed text */
    double below;      /* takes u under this; of a shadow 0 */
};

struct rollout_memory {
    struct arena arena;
    struct rollout_challenger *challengers;
    struct gate *gates;
};

static const char *const modes[] = {
    [ROLLOUT_SHADOW] = "shadow", [ROLLOUT_CANARY] = "canary", [ROLLOUT_AB] = "ab"};

enum { MODES = sizeof modes / sizeof *modes };

bool rollout_mode_parse(enum rollout_mode *out, struct str text)
{
    for (int i = 0; i < MODES; i++)
        if (str_is(text, modes[i])) {
            *out = (enum rollout_mode)i;
            return true;
        }
    return false;
}

const char *rollout_mode_name(enum rollout_mode mode)
{
    return modes[mode];
}

/* ---- Names ---- */

static bool is_name(struct str text, size_t most)
{
    bool good = text.len > 0 && text.len <= most;
    for (size_t i = 0; i < text.len && good; i++) {
        unsigned char c = (unsigned char)text.data[i];
        good = (c < 0x80 && isalnum(c)) || c == '.' || c == '-' || c == '_';
    }
    return good;
}

bool rollout_model_name_is_good(struct str name)
{
    return is_name(name, MODEL_NAME_BYTES) && !str_is(name, "rules");
}

static bool is_challenger_name(struct str name)
{
    return is_name(name, ROLLOUT_NAME_BYTES) && !str_is(name, "champion") &&
           !str_is(name, "previous") && !str_is(name, "rules");
}

/* ---- Checking ---- */

static int check_challenger(const struct rollout_plan *plan, size_t i, struct err *e)
{
    const struct challenger *c = &plan->challengers.items[i];
    enum rollout_mode mode;
    if (!is_challenger_name(c->name))
        return err_set(e, ERR_INVALID,
                       "challenger \"%.*s\": a name has 1 to %d letters, digits, '.', '-' or '_', "
                       "and is not champion, previous or rules",
                       STR_ARG(c->name), ROLLOUT_NAME_BYTES);
    for (size_t k = 0; k < i; k++)
        if (str_equal(c->name, plan->challengers.items[k].name))
            return err_set(e, ERR_INVALID, "there are two challengers %.*s", STR_ARG(c->name));
    if (c->version < 1)
        return err_set(e, ERR_INVALID, "challenger %.*s: version %lld: the first version is 1",
                       STR_ARG(c->name), (long long)c->version);
    if (!rollout_mode_parse(&mode, c->mode))
        return err_set(e, ERR_INVALID, "challenger %.*s: mode \"%.*s\": give shadow, canary or ab",
                       STR_ARG(c->name), STR_ARG(c->mode));
    if (!(c->share >= 0 && c->share <= 1))
        return err_set(e, ERR_INVALID, "challenger %.*s: share %g: give one from 0 to 1",
                       STR_ARG(c->name), c->share);
    if (mode == ROLLOUT_SHADOW && c->share > 0)
        return err_set(e, ERR_INVALID,
                       "challenger %.*s: a shadow is shown to nobody and has no share",
                       STR_ARG(c->name));
    return 0;
}

int rollout_check(const struct rollout_plan *plan, struct err *e)
{
    double sum = 0;
    if (!rollout_model_name_is_good(plan->model))
        return err_set(e, ERR_INVALID,
                       "model \"%.*s\": a name has 1 to %d letters, digits, '.', '-' or '_', and "
                       "is not rules",
                       STR_ARG(plan->model), MODEL_NAME_BYTES);
    if (plan->champion < 0 || plan->previous < 0)
        return err_set(e, ERR_INVALID, "version %lld: the first version is 1, 0 is none",
                       (long long)(plan->champion < 0 ? plan->champion : plan->previous));
    if (memchr(plan->salt.len ? plan->salt.data : "", SEPARATOR, plan->salt.len))
        return err_set(e, ERR_INVALID, "the salt has U+001F in it, which stands behind it");
    if (plan->challengers.count > ROLLOUT_MAX_CHALLENGERS)
        return err_set(e, ERR_INVALID, "%zu challengers: at most %d at once",
                       plan->challengers.count, ROLLOUT_MAX_CHALLENGERS);
    for (size_t i = 0; i < plan->challengers.count; i++) {
        int rc = check_challenger(plan, i, e);
        if (rc)
            return rc;
        sum += plan->challengers.items[i].share;
    }
    if (sum > 1 + SUM_TOLERANCE)
        return err_set(e, ERR_INVALID, "the shares add up to %.10g: at most 1 can be given away",
                       sum);
    return 0;
}

/* ---- Making one ---- */

static int add_gate(struct gate *g, const struct rollout_plan *plan, const struct challenger *c,
                    struct arena *a, struct err *e)
{
    struct buf text = {0};
    const struct str parts[] = {plan->salt, plan->model, c->name};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_put_str(&text, parts[i]);
        buf_put_u8(&text, SEPARATOR);
    }
    if (buf_ok(&text))
        g->prefix = arena_copy(a, buf_str(&text));
    buf_free(&text);
    return g->prefix.data ? 0 : err_nomem(e);
}

static int add_challengers(struct rollout *r, const struct rollout_plan *plan, struct err *e)
{
    struct rollout_memory *own = r->memory;
    size_t n = plan->challengers.count;
    double left = 1; /* of all users, whom nobody has taken */
    int rc = 0;
    own->challengers = calloc(n + 1, sizeof *own->challengers);
    own->gates = calloc(n + 1, sizeof *own->gates);
    if (!own->challengers || !own->gates)
        return err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++) {
        const struct challenger *c = &plan->challengers.items[i];
        struct rollout_challenger *to = &own->challengers[i];
        to->name = arena_copy(&own->arena, c->name).data;
        to->version = c->version;
        to->share = c->share;
        rollout_mode_parse(&to->mode, c->mode);
        rc = to->name ? add_gate(&own->gates[i], plan, c, &own->arena, e) : err_nomem(e);
        /* What is left for the last may be off by the rounding of the shares before it. */
        bool is_rest = c->share > 0 && left - c->share <= SUM_TOLERANCE;
        own->gates[i].below = is_rest ? 1 : c->share > 0 ? c->share / left : 0;
        left -= c->share;
    }
    r->challengers = own->challengers;
    r->challenger_count = n;
    return rc;
}

int rollout_new(struct rollout **out, const struct rollout_plan *plan, struct err *e)
{
    int rc = rollout_check(plan, e);
    if (rc)
        return rc;
    struct rollout *r = calloc(1, sizeof *r);
    if (!r || !(r->memory = calloc(1, sizeof *r->memory))) {
        free(r);
        return err_nomem(e);
    }
    r->model = arena_copy(&r->memory->arena, plan->model).data;
    r->salt = arena_copy(&r->memory->arena, plan->salt).data;
    r->champion = plan->champion;
    r->previous = plan->previous;
    r->pinned = plan->pinned;
    rc = r->model && r->salt ? add_challengers(r, plan, e) : err_nomem(e);
    if (rc) {
        rollout_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void rollout_free(struct rollout *r)
{
    if (!r)
        return;
    arena_free(&r->memory->arena);
    free(r->memory->challengers);
    free(r->memory->gates);
    free(r->memory);
    free(r);
}

/* ---- Following one ---- */

static uint64_t hash(struct str prefix, struct str user_id)
{
    uint8_t text[SHORT_BYTES];
    XXH3_state_t state;
    if (prefix.len <= sizeof text && user_id.len <= sizeof text - prefix.len) {
        memcpy(text, prefix.data, prefix.len);
        if (user_id.len)
            memcpy(text + prefix.len, user_id.data, user_id.len);
        return XXH3_64bits(text, prefix.len + user_id.len);
    }
    XXH3_64bits_reset(&state); /* takes longer than hashing a short text */
    XXH3_64bits_update(&state, prefix.data, prefix.len);
    XXH3_64bits_update(&state, user_id.data, user_id.len);
    return XXH3_64bits_digest(&state);
}

/* Uniform in [0, 1): the upper 53 bits, which a double holds exactly. */
static double place_of(struct str prefix, struct str user_id)
{
    return (double)(hash(prefix, user_id) >> 11) * 0x1p-53;
}

int rollout_assign(const struct rollout *r, struct str user_id)
{
    for (size_t i = 0; i < r->challenger_count; i++) {
        const struct gate *g = &r->memory->gates[i];
        if (g->below > 0 && place_of(g->prefix, user_id) < g->below)
            return (int)i;
    }
    return ROLLOUT_CHAMPION;
}

static void add_step(struct rollout_step *steps, size_t *n, const char *variant, int64_t version)
{
    for (size_t i = 0; i < *n; i++)
        if (steps[i].version == version)
            return;
    if (version > 0)
        steps[(*n)++] = (struct rollout_step){variant, version};
}

size_t rollout_steps(const struct rollout *r, int assigned,
                     struct rollout_step steps[ROLLOUT_STEPS])
{
    size_t n = 0;
    if (assigned >= 0)
        add_step(steps, &n, r->challengers[assigned].name, r->challengers[assigned].version);
    add_step(steps, &n, "champion", r->champion);
    /* A plan without a champion says that rules rank. */
    if (r->champion)
        add_step(steps, &n, "previous", r->previous);
    return n;
}

size_t rollout_versions(const struct rollout *r, int64_t versions[ROLLOUT_MAX_VERSIONS])
{
    struct rollout_step all[ROLLOUT_MAX_VERSIONS];
    size_t n = 0;
    add_step(all, &n, "", r->champion);
    add_step(all, &n, "", r->previous);
    for (size_t i = 0; i < r->challenger_count; i++)
        add_step(all, &n, "", r->challengers[i].version);
    for (size_t i = 0; i < n; i++)
        versions[i] = all[i].version;
    return n;
}
