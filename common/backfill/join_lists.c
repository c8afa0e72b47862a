#include "backfill/join_lists.h"

#include <stdlib.h>

int join_lists_init(struct join_lists *l, struct err *e)
{
    *l = (struct join_lists){.propositions = table_new()};
    return l->propositions ? 0 : err_nomem(e);
}

void join_lists_free(struct join_lists *l)
{
    table_free(l->propositions);
    free(l->marks);
    free(l->numbers);
    *l = (struct join_lists){0};
}

static int grow_marks(struct join_lists *l, uint32_t most, struct err *e)
{
    size_t cap = l->mark_cap ? l->mark_cap : 1024;
    while (cap <= most)
        cap *= 2;
    if (cap == l->mark_cap)
        return 0;
    struct mark *marks = realloc(l->marks, cap * sizeof *marks);
    if (!marks)
        return err_nomem(e);
    memset(marks + l->mark_cap, 0, (cap - l->mark_cap) * sizeof *marks);
    l->marks = marks;
    l->mark_cap = cap;
    return 0;
}

/* The number that stands there already, if it is this proposition's: impressions mostly list what
 * their requests did, or the list of before. */
static uint32_t number_of(struct join_lists *l, uint32_t guess, struct str proposition)
{
    if (guess != TABLE_NONE && str_equal(table_key(table_get(l->propositions, guess)), proposition))
        return guess;
    return table_insert(l->propositions, proposition);
}

int lists_read(struct join_lists *l, const struct str_list *propositions, struct err *e)
{
    uint32_t most = 0;
    if (propositions->count > l->cap) {
        uint32_t *numbers = realloc(l->numbers, propositions->count * sizeof *numbers);
        if (!numbers)
            return err_nomem(e);
        l->numbers = numbers;
        l->cap = propositions->count;
    }
    for (size_t i = 0; i < propositions->count; i++) {
        uint32_t guess = i < l->count ? l->numbers[i] : TABLE_NONE;
        l->numbers[i] = number_of(l, guess, propositions->items[i]);
        if (l->numbers[i] == TABLE_NONE) {
            l->count = i;
            return err_nomem(e);
        }
        most = l->numbers[i] > most ? l->numbers[i] : most;
    }
    l->count = propositions->count;
    return grow_marks(l, most, e);
}

void lists_mark_numbers(struct join_lists *l, const uint32_t *numbers, size_t count)
{
    l->round++;
    for (size_t k = count; k > 0; k--)
        l->marks[numbers[k - 1]] = (struct mark){l->round, (int32_t)(k - 1), false};
}

size_t lists_mark_places(struct join_lists *l)
{
    size_t different = 0;
    lists_mark_numbers(l, l->numbers, l->count);
    for (size_t k = 0; k < l->count; k++)
        different += l->marks[l->numbers[k]].place == (int32_t)k;
    return different;
}

size_t lists_keep_first(struct join_lists *l)
{
    size_t n = 0;
    for (size_t k = 0; k < l->count; k++)
        if (l->marks[l->numbers[k]].place == (int32_t)k)
            l->numbers[n++] = l->numbers[k];
    l->count = n;
    return n;
}
