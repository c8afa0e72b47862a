#include "model/ensemble.h"

#include "model/ensemble_memory.h"

#include <math.h>
#include <stdlib.h>

void ensemble_free(struct ensemble *m)
{
    if (!m)
        return;
    if (m->memory)
        arena_free(&m->memory->arena);
    free(m->memory);
    free(m);
}

static float tree_leaf(const struct ensemble_tree *tree, const float *row)
{
    const struct ensemble_node *node = tree->nodes;
    while (node->left >= 0) {
        bool left = ensemble_goes_left(node, row);
        node = &tree->nodes[left ? node->left : node->right];
    }
    return node->value;
}

float ensemble_margin(const struct ensemble *m, const float *row)
{
    float margin = m->base_margin;
    for (size_t i = 0; i < m->tree_count; i++)
        margin += tree_leaf(&m->trees[i], row);
    return margin;
}

/* XGBoost adds 1e-16 against a division by zero, which float32 swallows, and cuts the exponent off
 * where expf() would overflow: what is left of it is the cut. */
static float sigmoid(float margin)
{
    float x = 88.7f < -margin ? 88.7f : -margin; /* NaN stays NaN */
    return 1.0f / (expf(x) + 1.0f + 1e-16f);
}

float ensemble_score(const struct ensemble *m, float margin)
{
    switch (m->objective) {
    case OBJECTIVE_LOGISTIC:
        return sigmoid(margin);
    case OBJECTIVE_EXP:
        return expf(margin);
    case OBJECTIVE_IDENTITY:
        break;
    }
    return margin;
}
