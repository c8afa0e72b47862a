/* What a target's order has in common with what was shown, added up: once to learn what places
 * bring and how weights are normalised, then for each cluster of requests. */
#include "stats/off_policy_inside.h"

#include "stats/float_order.h"

#include <math.h>

enum {
    GROUP_HITS = 20,   /* of weights that are normalised together */
    SHRUNK_ROWS = 100, /* how many rows the mean of all places counts like at each */
};

#define NONE OFF_POLICY_NONE

static double weight_of(const struct off_policy_log *log, size_t request)
{
    return log->weights ? log->weights[request] : 1;
}

static void find_stood(struct judging *j, size_t request)
{
    const struct off_policy_log *log = j->log;
    for (size_t p = 0; p < j->place_count; p++)
        j->stood[p] = NONE;
    for (uint64_t row = log->first[request]; row < log->first[request + 1]; row++)
        if (log->places[row] >= 0)
            j->stood[log->places[row]] = (uint32_t)row;
}

/* Rows of the same item have the same score, so that looking among the best is enough. */
static bool is_ordered(const struct judging *j, uint64_t row)
{
    for (size_t i = 0; j->log->items && i < j->ordered; i++)
        if (j->log->items[j->order[i]] == j->log->items[row])
            return true;
    return false;
}

/* Puts the best rows first, as many as there are places. */
static void find_order(struct judging *j, const struct off_policy_target *t, size_t request)
{
    const struct off_policy_log *log = j->log;
    j->ordered = 0;
    for (uint64_t row = log->first[request]; row < log->first[request + 1]; row++) {
        uint32_t rank = float_rank(t->scores[row]);
        bool is_full = j->ordered == j->place_count;
        if (is_full && float_rank(t->scores[j->order[j->ordered - 1]]) >= rank)
            continue;
        if (is_ordered(j, row))
            continue;
        size_t at = is_full ? j->ordered - 1 : j->ordered++;
        for (; at && float_rank(t->scores[j->order[at - 1]]) < rank; at--)
            j->order[at] = j->order[at - 1];
        j->order[at] = (uint32_t)row;
    }
}

/* Whether the target would have put there what stood there. */
static bool agrees(const struct judging *j, size_t place)
{
    const struct off_policy_log *log = j->log;
    if (place >= j->ordered)
        return false;
    uint32_t a = j->order[place], b = j->stood[place];
    return log->items ? log->items[a] == log->items[b] : a == b;
}

/* ------------------------------------------------------------ first pass: what places bring */

static void add_logged(struct judging *j, size_t request)
{
    const struct off_policy_log *log = j->log;
    double weight = weight_of(log, request);
    uint32_t cluster = j->clusters[request];
    find_stood(j, request);
    j->weights[cluster] += weight;
    for (size_t p = 0; p < j->place_count; p++) {
        if (j->stood[p] == NONE)
            continue;
        double reward = (double)log->rewards[j->stood[p]];
        j->places[p].requests += weight;
        j->places[p].rewards += weight * reward;
        j->logged[cluster] += weight * reward;
        j->shown[cluster] += weight;
    }
}

void off_policy_look(struct judging *j)
{
    for (size_t q = 0; q < j->log->request_count; q++)
        if (j->is_used[q])
            add_logged(j, q);
}

static void add_hits(struct judging *j, const struct off_policy_target *t, size_t request)
{
    double weight = weight_of(j->log, request);
    find_stood(j, request);
    find_order(j, t, request);
    for (size_t p = 0; p < j->place_count; p++) {
        if (j->stood[p] == NONE)
            continue;
        j->places[p].expected += t->expected ? weight * (double)t->expected[j->stood[p]] : 0;
        if (!agrees(j, p))
            continue;
        double inverse = weight / j->log->propensities[j->stood[p]];
        j->places[p].hits++;
        j->places[p].weight += inverse;
        j->places[p].gain += inverse * (double)j->log->rewards[j->stood[p]];
    }
}

/* Weights are normalised over groups of neighbouring places that have enough of them. */
static void normalise(struct judging *j)
{
    for (size_t from = 0, to; from < j->place_count; from = to) {
        struct at_place sum = {0}, rest = {0};
        for (to = from; to < j->place_count && sum.hits < GROUP_HITS; to++) {
            sum.hits += j->places[to].hits;
            sum.requests += j->places[to].requests;
            sum.weight += j->places[to].weight;
            sum.gain += j->places[to].gain;
        }
        for (size_t p = to; p < j->place_count; p++)
            rest.hits += j->places[p].hits;
        /* What is left over joins the last group. */
        for (; to < j->place_count && rest.hits < GROUP_HITS; to++) {
            sum.requests += j->places[to].requests;
            sum.weight += j->places[to].weight;
            sum.gain += j->places[to].gain;
        }
        for (size_t p = from; p < to; p++) {
            j->places[p].group_weight = sum.weight;
            j->places[p].normal = sum.requests / sum.weight;
            j->places[p].mean = sum.gain / sum.weight;
        }
    }
}

/* How much of what the model expects each place brings: shrunk towards that of all places. */
static void find_factors(struct judging *j)
{
    double rewards = 0, expected = 0, requests = 0;
    for (size_t p = 0; p < j->place_count; p++) {
        rewards += j->places[p].rewards;
        expected += j->places[p].expected;
        requests += j->places[p].requests;
    }
    double prior = SHRUNK_ROWS * expected / requests;
    for (size_t p = 0; p < j->place_count; p++)
        j->places[p].factor =
            (j->places[p].rewards + prior * rewards / expected) / (j->places[p].expected + prior);
}

/* ------------------------------------------------------------ second pass: what requests add */

static void add_request(struct judging *j, const struct off_policy_target *t, size_t target,
                        size_t request)
{
    double own[OFF_POLICY_SUMS] = {0}, weight = weight_of(j->log, request);
    uint32_t cluster = j->clusters[request];
    find_stood(j, request);
    find_order(j, t, request);
    for (size_t p = 0; p < j->place_count; p++) {
        const struct at_place *at = &j->places[p];
        if (j->stood[p] == NONE)
            continue;
        own[SUM_SNIPS] += at->mean;
        own[SUM_SNIPS_SPREAD] += at->mean;
        if (t->expected && p < j->ordered)
            own[SUM_DR] += at->factor * (double)t->expected[j->order[p]];
        if (!agrees(j, p))
            continue;
        double inverse = 1 / j->log->propensities[j->stood[p]];
        double reward = (double)j->log->rewards[j->stood[p]];
        own[SUM_HITS] += inverse;
        own[SUM_IPS] += inverse * reward;
        double pull = inverse * at->normal * (reward - at->mean);
        own[SUM_SNIPS] += pull;
        /* What this one pulls at a mean that is made without it (MacKinnon and White 1985, HC3). */
        own[SUM_SNIPS_SPREAD] += pull / fmax(1 - weight * inverse / at->group_weight, 0.1);
        if (t->expected)
            own[SUM_DR] += inverse * (reward - at->factor * (double)t->expected[j->order[p]]);
    }
    for (size_t k = 0; k < OFF_POLICY_SUMS; k++)
        j->sums[(target * OFF_POLICY_SUMS + k) * j->cluster_count + cluster] += weight * own[k];
    j->squares[target] += weight * own[SUM_HITS] * weight * own[SUM_HITS];
    j->overlap[target] += own[SUM_HITS] > 0 ? weight : 0;
}

void off_policy_judge(struct judging *j, const struct off_policy_target *t, size_t target)
{
    for (size_t p = 0; p < j->place_count; p++) {
        struct at_place *at = &j->places[p];
        at->expected = at->hits = at->weight = at->gain = 0;
    }
    for (size_t q = 0; q < j->log->request_count; q++)
        if (j->is_used[q])
            add_hits(j, t, q);
    normalise(j);
    find_factors(j);
    for (size_t q = 0; q < j->log->request_count; q++)
        if (j->is_used[q])
            add_request(j, t, target, q);
}
