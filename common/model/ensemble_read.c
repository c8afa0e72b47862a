/* What of XGBoost's model files is read: doc/tutorials/saving_model.rst, doc/model.schema and
 * src/learner.cc of XGBoost. */
#include "base/utf8.h"
#include "model/ensemble_reader.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS, CLASSES, TARGETS };

static int read_count(struct ensemble_reader *r, int which)
{
    int64_t *const counts[] = {
        [COLUMNS] = &r->columns, [CLASSES] = &r->classes, [TARGETS] = &r->targets};
    return ensemble_read_number(r, counts[which]);
}

enum { BOOSTER, BASE_SCORE };

static int read_text(struct ensemble_reader *r, int which)
{
    return document_text(&r->d, which == BOOSTER ? &r->booster : &r->base_score);
}

static int read_model(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {
        {"tree_info", ensemble_read_tree_info, 0, false},
        {"trees", ensemble_read_trees, 0, false},
        {0},
    };
    (void)which;
    return ensemble_read_members(r, members);
}

/* The members of other boosters are others: the name is asked before anything is missed. */
static int read_booster(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {
        {"name", read_text, BOOSTER, true},
        {"model", read_model, 0, false},
        {0},
    };
    int rc = ensemble_read_members(r, members);
    (void)which;
    if (!rc && !str_is(r->booster, "gbtree"))
        rc = err_set(r->d.reading.e, ERR_INVALID,
                     "the booster \"%.*s\" is not served, only gbtree is",
                     (int)(r->booster.len < 40 ? r->booster.len : 40), r->booster.data);
    return rc;
}

/* Copies a text that C can have. */
static int keep_text(struct ensemble_reader *r, struct str text, const char **out)
{
    if (memchr(text.len ? text.data : "-", 0, text.len) || !utf8_is_valid(text))
        return ensemble_read_fail(r, ERR_INVALID, "a text has a byte 0 or is not UTF-8");
    *out = arena_copy(&r->m->memory->arena, text).data;
    return *out ? 0 : err_nomem(r->d.reading.e);
}

static int read_names(struct ensemble_reader *r, int which)
{
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    (void)which;
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        struct str text;
        const char *name;
        if (r->names.len == ENSEMBLE_MAX_COLUMNS * sizeof name)
            return err_set(r->d.reading.e, ERR_TOO_LARGE, "there are more than %d columns",
                           ENSEMBLE_MAX_COLUMNS);
        if ((rc = document_text(&r->d, &text)) || (rc = keep_text(r, text, &name)))
            break;
        buf_put(&r->names, &name, sizeof name);
        if (!buf_ok(&r->names))
            return err_nomem(r->d.reading.e);
    }
    return rc;
}

static int read_objective_name(struct ensemble_reader *r, int which)
{
    struct str text;
    int rc = document_text(&r->d, &text);
    (void)which;
    return rc ? rc : keep_text(r, text, &r->m->objective_name);
}

static int read_objective(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {{"name", read_objective_name, 0, true}, {0}};
    (void)which;
    return ensemble_read_members(r, members);
}

static int read_learner_param(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {
        {"base_score", read_text, BASE_SCORE, true},
        {"num_feature", read_count, COLUMNS, true},
        {"num_class", read_count, CLASSES, false},
        {"num_target", read_count, TARGETS, false},
        {0},
    };
    (void)which;
    return ensemble_read_members(r, members);
}

static int read_learner(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {
        {"gradient_booster", read_booster, 0, true},
        {"learner_model_param", read_learner_param, 0, true},
        {"objective", read_objective, 0, true},
        {"feature_names", read_names, 0, false},
        {0},
    };
    (void)which;
    return ensemble_read_members(r, members);
}

/* ------------------------------------------------------------ what it means */

static int set_objective(struct ensemble_reader *r)
{
    static const struct {
        const char *name;
        enum objective objective;
    } known[] = {
        {"reg:squarederror", OBJECTIVE_IDENTITY},
        {"reg:squaredlogerror", OBJECTIVE_IDENTITY},
        {"reg:pseudohubererror", OBJECTIVE_IDENTITY},
        {"reg:absoluteerror", OBJECTIVE_IDENTITY},
        {"rank:pairwise", OBJECTIVE_IDENTITY},
        {"rank:ndcg", OBJECTIVE_IDENTITY},
        {"rank:map", OBJECTIVE_IDENTITY},
        {"binary:logistic", OBJECTIVE_LOGISTIC},
        {"reg:logistic", OBJECTIVE_LOGISTIC},
        {"count:poisson", OBJECTIVE_EXP},
        {"reg:gamma", OBJECTIVE_EXP},
        {"reg:tweedie", OBJECTIVE_EXP},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(r->m->objective_name, known[i].name) == 0) {
            r->m->objective = known[i].objective;
            return 0;
        }
    }
    return err_set(r->d.reading.e, ERR_INVALID, "the objective \"%.60s\" is not served",
                   r->m->objective_name);
}

/* XGBoost stores the score that a margin of its own stands for (ProbToMargin of each objective):
 * "5E-1", or "[5E-1]" since XGBoost 3.1, where several targets have several. */
static int set_base_margin(struct ensemble_reader *r)
{
    struct err *e = r->d.reading.e;
    char text[64], *end;
    struct str s = r->base_score;
    if (s.len >= 2 && s.data[0] == '[' && s.data[s.len - 1] == ']')
        s = str_bytes(s.data + 1, s.len - 2);
    if (s.len && memchr(s.data, ',', s.len))
        return err_set(e, ERR_INVALID, "several classes or targets are not served");
    size_t n = s.len < sizeof text - 1 ? s.len : sizeof text - 1;
    memcpy(text, s.len ? s.data : "", n);
    text[n] = 0;
    float score = strtof(text, &end);
    if (n == 0 || n < s.len || end != text + n || strspn(text, "0123456789+-.eE") != n)
        return err_set(e, ERR_INVALID, "base_score \"%.40s\" is not a number", text);
    r->m->base_margin = r->m->objective == OBJECTIVE_LOGISTIC ? -logf(1.0f / score - 1.0f)
                        : r->m->objective == OBJECTIVE_EXP    ? logf(score)
                                                              : score;
    if (!isfinite(r->m->base_margin))
        return err_set(e, ERR_INVALID, "%s cannot have the base_score %s", r->m->objective_name,
                       text);
    return 0;
}

static int check_columns(struct ensemble_reader *r)
{
    struct err *e = r->d.reading.e;
    const struct ensemble_tree *trees = (const void *)r->trees.data;
    size_t names = r->names.len / sizeof(const char *);
    if (r->columns > ENSEMBLE_MAX_COLUMNS)
        return err_set(e, ERR_TOO_LARGE, "there are more than %d columns", ENSEMBLE_MAX_COLUMNS);
    if (names && (int64_t)names != r->columns)
        return err_set(e, ERR_INVALID, "feature_names has %zu names for %lld columns", names,
                       (long long)r->columns);
    for (size_t i = 0; i < r->trees.len / sizeof *trees; i++)
        for (size_t j = 0; j < trees[i].count; j++) {
            const struct ensemble_node *node = &trees[i].nodes[j];
            if (node->left >= 0 && (node->column < 0 || node->column >= r->columns))
                return err_set(e, ERR_INVALID, "tree %zu: node %zu: there is no column %d", i, j,
                               node->column);
        }
    return 0;
}

/* A list that grew becomes one of the ensemble's. */
static int keep_list(struct ensemble_reader *r, struct buf *list, void *out)
{
    void *copy = arena_alloc(&r->m->memory->arena, list->len);
    if (!copy)
        return err_nomem(r->d.reading.e);
    memcpy(copy, list->len ? (const void *)list->data : "", list->len);
    memcpy(out, &copy, sizeof copy);
    return 0;
}

static int finish(struct ensemble_reader *r)
{
    int rc;
    if (r->classes > 1 || r->targets > 1)
        return err_set(r->d.reading.e, ERR_INVALID,
                       "several classes or targets (multi-class) are not served");
    if ((rc = set_objective(r)) || (rc = set_base_margin(r)) || (rc = check_columns(r)))
        return rc;
    r->m->column_count = (size_t)r->columns;
    r->m->tree_count = r->trees.len / sizeof(struct ensemble_tree);
    rc = keep_list(r, &r->trees, &r->m->trees);
    if (!rc && r->names.len)
        rc = keep_list(r, &r->names, &r->m->column_names);
    return rc;
}

static int read_file(struct ensemble_reader *r, struct str bytes, struct err *e)
{
    static const struct ensemble_member members[] = {{"learner", read_learner, 0, true}, {0}};
    if (bytes.len > ENSEMBLE_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes, at most %d are read", bytes.len,
                       ENSEMBLE_MAX_BYTES);
    int rc = document_open(&r->d, bytes, e);
    if (!rc)
        rc = ensemble_read_members(r, members);
    if (!rc && !document_is_over(&r->d))
        rc = ensemble_read_fail(r, ERR_INVALID, "something follows the model");
    return rc ? rc : finish(r);
}

int ensemble_read(struct ensemble **out, struct str bytes, struct err *e)
{
    struct ensemble_reader r = {0};
    struct err own = {0};
    e = e ? e : &own;
    r.m = calloc(1, sizeof *r.m);
    if (r.m)
        r.m->memory = calloc(1, sizeof *r.m->memory);
    int rc = r.m && r.m->memory ? read_file(&r, bytes, e) : err_nomem(e);
    document_close(&r.d);
    tree_arrays_free(&r.tree);
    buf_free(&r.trees);
    buf_free(&r.names);
    if (rc == ERR_CORRUPT)
        rc = e->code = ERR_INVALID; /* to whoever gave the bytes they are a wrong argument */
    if (rc) {
        ensemble_free(r.m);
        return err_wrap(e, "model file");
    }
    *out = r.m;
    return 0;
}
