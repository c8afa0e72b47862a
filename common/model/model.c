#include "model/model.h"

#include "model/model_check.h"
#include "model/model_columns.h"

#include <stdlib.h>

struct model_memory {
    struct ensemble *ensemble;
    struct scorer *scorer;
    struct calibration *calibration;
    struct arena arena; /* names and columns */
};

void model_free(struct model *m)
{
    if (!m)
        return;
    calibration_free(m->memory->calibration);
    scorer_free(m->memory->scorer);
    ensemble_free(m->memory->ensemble);
    arena_free(&m->memory->arena);
    free(m->memory);
    free(m);
}

static int fill(struct model *m, const struct feature_set *set, const struct model_parts *parts,
                struct err *e)
{
    struct model_memory *own = m->memory;
    struct model_columns c = {0};
    int rc = model_find_columns(&c, set, parts, &own->arena, e);
    if (!rc)
        rc = model_check(&own->ensemble, &own->scorer, parts, c.shared, scorer_best(), e);
    if (!rc)
        rc = calibration_read(&own->calibration, parts->calibration, e);
    if (rc)
        return rc;
    m->name = arena_copy(&own->arena, parts->name).data;
    m->version = parts->version;
    m->ensemble = own->ensemble;
    m->scorer = own->scorer;
    m->calibration = own->calibration;
    m->column_count = parts->features.count;
    m->outputs = c.outputs;
    m->shared = c.shared;
    m->columns = c.names;
    m->vector_size = set->output_count;
    return m->name ? 0 : err_nomem(e);
}

int model_new(struct model **out, const struct feature_set *set, const struct model_parts *parts,
              struct err *e)
{
    struct model *m = calloc(1, sizeof *m);
    if (!m || !(m->memory = calloc(1, sizeof *m->memory))) {
        free(m);
        return err_nomem(e);
    }
    int rc = fill(m, set, parts, e);
    if (rc) {
        model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

float model_score(const struct model *m, float margin)
{
    return calibration_apply(m->calibration, margin, ensemble_score(m->ensemble, margin));
}

void model_rows(const struct model *m, const double *vectors, size_t candidates, float *rows)
{
    for (size_t i = 0; i < candidates; i++, vectors += m->vector_size, rows += m->column_count)
        for (size_t c = 0; c < m->column_count; c++)
            rows[c] = (float)vectors[m->outputs[c]];
}
