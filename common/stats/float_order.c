#include "stats/float_order.h"

#include <stdlib.h>
#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = 3 };

struct keyed {
    uint32_t key, place;
};

uint32_t float_rank(float value)
{
    uint32_t bits;
    if (value != value)
        return 0;
    value += 0.0F; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

static void sort_by_digit(struct keyed *to, const struct keyed *from, size_t count, int pass)
{
    size_t first[DIGITS] = {0}, total = 0;
    int shift = pass * DIGIT_BITS;
    for (size_t i = 0; i < count; i++)
        first[from[i].key >> shift & (DIGITS - 1)]++;
    for (size_t d = 0; d < DIGITS; d++) {
        size_t n = first[d];
        first[d] = total;
        total += n;
    }
    for (size_t i = 0; i < count; i++)
        to[first[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
}

int float_order(uint32_t *out, const float *values, size_t count, struct err *e)
{
    if (count >= UINT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "%zu values: fewer than %u can be sorted", count,
                       UINT32_MAX);
    struct keyed *keyed = malloc((2 * count + 1) * sizeof *keyed);
    if (!keyed)
        return err_nomem(e);
    struct keyed *from = keyed, *to = keyed + count;
    for (size_t i = 0; i < count; i++)
        from[i] = (struct keyed){float_rank(values[i]), (uint32_t)i};
    for (int pass = 0; pass < PASSES; pass++) {
        sort_by_digit(to, from, count, pass);
        struct keyed *was = from;
        from = to;
        to = was;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = from[i].place;
    free(keyed);
    return 0;
}
