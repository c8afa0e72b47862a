/*
 * Scoring with AVX2 and BMI2 (Haswell, Zen and later; before Zen 3 the instruction that spreads
 * bits is slow).
 *
 * 32 candidates are a register of bytes; candidate c stands at byte 4 * (c % 8) + c / 8, so that
 * eight sums find their leaf numbers in the low bytes of their lanes, after a shift.
 */
#include "model/scorer_parts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define TARGET        __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define TARGET_INLINE static inline __attribute__((always_inline)) TARGET

static bool can(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

TARGET_INLINE __m256i load(const uint8_t *bytes)
{
    return _mm256_load_si256((const __m256i *)(const void *)bytes);
}

TARGET_INLINE void store(uint8_t *bytes, __m256i value)
{
    _mm256_store_si256((__m256i *)(void *)bytes, value);
}

/* Bytes of a that are >= those of b. */
TARGET_INLINE __m256i at_least(__m256i a, __m256i b)
{
    return _mm256_cmpeq_epi8(_mm256_max_epu8(a, b), a);
}

/* ------------------------------------------------------------ specialising a block */

/* The leaves of a node at a position of a block: [start, end), those on its left end at the
 * middle. */
struct tables {
    const uint8_t *looked_up; /* bits */
    uint8_t start[BLOCK_NODES], middle[BLOCK_NODES], end[BLOCK_NODES];
};

/* All lookups of all blocks at once, in two long loops: a bit for each, in place of the bytes that
 * were looked up. */
TARGET static void look_up(const struct scorer *s, struct scorer_scratch *w)
{
    const uint8_t *column = s->lookup_column, *shared = w->shared;
    uint8_t *restrict bytes = w->looked_up;
    size_t count = s->lookups;
    for (size_t i = 0; i < count; i += 8) {
        UNROLL
        for (size_t j = 0; j < 8; j++)
            bytes[i + j] = shared[column[i + j]];
    }
    for (size_t i = 0; i < count; i += 32) {
        __m256i right = at_least(load(bytes + i), load(s->lookup_rank + i));
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(right);
        memcpy(bytes + i / 8, &bits, sizeof bits);
    }
}

TARGET_INLINE void set_up(struct tables *t, const struct scorer *s, struct scorer_scratch *w)
{
    for (unsigned i = 1; i < BLOCK_NODES; i++) {
        unsigned level = 31u - (unsigned)__builtin_clz(i), leaves = BLOCK_NODES >> level;
        unsigned first = (i - (1u << level)) * leaves;
        t->start[i] = (uint8_t)first;
        t->middle[i] = (uint8_t)(first + leaves / 2);
        t->end[i] = (uint8_t)(first + leaves);
    }
    look_up(s, w);
    t->looked_up = w->looked_up;
}

TARGET_INLINE uint64_t decisions(const struct tables *t, const struct block *b)
{
    uint64_t packed;
    memcpy(&packed, t->looked_up + b->lookup / 8, sizeof packed);
    return _pdep_u64(packed, b->fixed);
}

/* How many of the first n leaves are left. */
TARGET_INLINE unsigned left_of(uint64_t leaves, unsigned n)
{
    return (unsigned)_mm_popcnt_u64(_bzhi_u64(leaves, n));
}

/* Writes the steps of the nodes that are left and vary. */
TARGET_INLINE void add_steps(struct short_steps *s, const struct tables *t, const struct block *b,
                             uint64_t leaves, uint64_t nodes, size_t first, uint16_t result)
{
    size_t n = s->count;
    unsigned base = (unsigned)first;
    for (; nodes; nodes = _blsr_u64(nodes), n++) {
        unsigned i = (unsigned)_tzcnt_u64(nodes);
        unsigned start = base + left_of(leaves, t->start[i]);
        unsigned middle = base + left_of(leaves, t->middle[i]);
        unsigned end = base + left_of(leaves, t->end[i]), to = start ? start : result;
        s->column[n] = b->column[i];
        s->rank[n] = b->rank[i];
        s->low[n] = (uint8_t)(middle - start == 1 ? SLOT_CONSTANT + start : to);
        s->high[n] = (uint8_t)(end - middle == 1 ? SLOT_CONSTANT + middle : middle);
        s->to[n] = (uint8_t)to;
    }
    s->count = n;
}

/* Packs the values of the leaves that are left. */
TARGET_INLINE void add_values(float *to, const struct tables *t, const struct block *b,
                              uint64_t leaves, size_t count)
{
    (void)t, (void)count;
    UNROLL
    for (size_t i = 0; i < BLOCK_NODES; i += 8, leaves >>= 8) {
        uint64_t lanes = _pdep_u64(leaves & 0xff, UINT64_C(0x0101010101010101)) * 0xff;
        __m128i packed =
            _mm_cvtsi64_si128((long long)_pext_u64(UINT64_C(0x0706050403020100), lanes));
        _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(_mm256_load_ps(b->leaf + i),
                                                      _mm256_cvtepu8_epi32(packed)));
        to += _mm_popcnt_u32((uint32_t)leaves & 0xff);
    }
}

/* ------------------------------------------------------------ ranking values */

enum { RANKED = 32 };

/* One level down the search tree: from node i, whose threshold is given, to a child. */
TARGET_INLINE __m256i descend(__m256i i, __m256 threshold, __m256 x)
{
    __m256i right = _mm256_castps_si256(_mm256_cmp_ps(threshold, x, _CMP_LE_OQ));
    return _mm256_sub_epi32(_mm256_add_epi32(i, i), right);
}

TARGET_INLINE __m256 of_8(const float *t, __m256i i)
{
    return _mm256_permutevar8x32_ps(_mm256_load_ps(t), i);
}

/* Looked up eight at a time; the shift brings the bit that tells the halves to the sign. */
TARGET_INLINE __m256 of_16(const float *t, __m256i i)
{
    return _mm256_blendv_ps(of_8(t, i), of_8(t + 8, i),
                            _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}

TARGET_INLINE __m256 of_32(const float *t, __m256i i)
{
    return _mm256_blendv_ps(of_16(t, i), of_16(t + 16, i),
                            _mm256_castsi256_ps(_mm256_slli_epi32(i, 27)));
}

/* The nodes past the last level that 32 values come to. */
TARGET_INLINE void search(const struct scale *s, const __m256 *x, __m256i *i)
{
    const float *t = s->tree;
    UNROLL
    for (size_t g = 0; g < 4; g++)
        i[g] = _mm256_set1_epi32(1);
    UNROLL
    for (size_t level = 0; level < SCALE_SHALLOW; level++) {
        UNROLL
        for (size_t g = 0; g < 4; g++)
            i[g] = descend(i[g], of_8(t + level / 3 * 8, i[g]), x[g]);
    }
    if (s->levels > 4) {
        UNROLL
        for (size_t g = 0; g < 4; g++)
            i[g] = descend(i[g], of_16(t + 16, i[g]), x[g]);
    }
    if (s->levels > 5) {
        UNROLL
        for (size_t g = 0; g < 4; g++)
            i[g] = descend(i[g], of_32(t + 32, i[g]), x[g]);
    }
    for (unsigned level = 6; level < s->levels; level++) {
        UNROLL
        for (size_t g = 0; g < 4; g++)
            i[g] = descend(i[g], _mm256_i32gather_ps(t, i[g], 4), x[g]);
    }
}

/* Ranks the values of 32 candidates into the two byte columns. */
TARGET_INLINE void rank_values(const struct scale *s, const float *values, uint8_t *low,
                               uint8_t *high, size_t width)
{
    (void)width;
    __m256 x[4];
    __m256i i[4], ranks = _mm256_setzero_si256(), missing = ranks;
    const __m256i past = _mm256_set1_epi32(1 << s->levels), all = _mm256_set1_epi32(255);
    UNROLL
    for (size_t g = 0; g < 4; g++)
        x[g] = _mm256_load_ps(values + 8 * g);
    search(s, x, i);
    UNROLL
    for (size_t g = 0; g < 4; g++) {
        __m256i none = _mm256_castps_si256(_mm256_cmp_ps(x[g], x[g], _CMP_UNORD_Q));
        ranks = _mm256_or_si256(ranks, _mm256_slli_epi32(_mm256_xor_si256(i[g], past), 8 * (int)g));
        missing =
            _mm256_or_si256(missing, _mm256_slli_epi32(_mm256_and_si256(none, all), 8 * (int)g));
    }
    store(low, ranks);
    store(high, _mm256_or_si256(ranks, missing));
}

/* ------------------------------------------------------------ finding leaves */

TARGET_INLINE void choose(uint8_t *to, const uint8_t *bytes, uint8_t rank, const uint8_t *low,
                          const uint8_t *high, size_t width)
{
    __m256i r = _mm256_set1_epi8((char)rank);
    UNROLL
    for (size_t at = 0; at < width; at += 32)
        store(to + at,
              _mm256_blendv_epi8(load(low + at), load(high + at), at_least(load(bytes + at), r)));
}

/* ------------------------------------------------------------ adding leaves up */

enum few { UP_TO_8, UP_TO_16, MORE };

TARGET_INLINE __m256 of_leaves(const float *leaves, __m256i number, enum few few)
{
    switch (few) {
    case UP_TO_8:
        return _mm256_permutevar8x32_ps(_mm256_loadu_ps(leaves), number);
    case UP_TO_16:
        return _mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(leaves), number),
                                _mm256_permutevar8x32_ps(_mm256_loadu_ps(leaves + 8), number),
                                _mm256_castsi256_ps(_mm256_slli_epi32(number, 28)));
    default:
        return _mm256_i32gather_ps(leaves, _mm256_and_si256(number, _mm256_set1_epi32(255)), 4);
    }
}

TARGET_INLINE void add_some(__m256 *sum, const float *leaves, __m256i numbers, enum few few)
{
    sum[0] = _mm256_add_ps(sum[0], of_leaves(leaves, numbers, few));
    sum[1] = _mm256_add_ps(sum[1], of_leaves(leaves, _mm256_srli_epi32(numbers, 8), few));
    sum[2] = _mm256_add_ps(sum[2], of_leaves(leaves, _mm256_srli_epi32(numbers, 16), few));
    sum[3] = _mm256_add_ps(sum[3], of_leaves(leaves, _mm256_srli_epi32(numbers, 24), few));
}

/* Adds the leaves of trees [k, end), none of which is walked, in their order, for the 32
 * candidates whose bytes stand at `at` of the slots. */
TARGET static void add_32(const struct scorer_scratch *w, const uint8_t *slots, size_t width,
                          size_t at, size_t k, size_t end, float *sums)
{
    __m256 sum[4];
    UNROLL
    for (size_t g = 0; g < 4; g++)
        sum[g] = _mm256_load_ps(sums + at + 8 * g);
    for (; k < end; k++) {
        const struct remains *t = &w->program.trees[k];
        const float *leaves = w->program.leaves + t->leaves_at;
        __m256i numbers = load(slots + t->slot * width + at);
        if (t->leaves <= 8)
            add_some(sum, leaves, numbers, UP_TO_8);
        else if (t->leaves <= 16)
            add_some(sum, leaves, numbers, UP_TO_16);
        else
            add_some(sum, leaves, numbers, MORE);
    }
    UNROLL
    for (size_t g = 0; g < 4; g++)
        _mm256_store_ps(sums + at + 8 * g, sum[g]);
}

TARGET_INLINE uint8_t place(size_t c, size_t width)
{
    (void)width;
    return (uint8_t)(c / 32 * 32 + 4 * (c % 8) + c % 32 / 8);
}

TARGET_INLINE void add_leaves(const struct scorer_scratch *w, const uint8_t *slots, size_t width,
                              size_t k, size_t end, size_t count, float *sums)
{
    for (size_t at = 0; at < count; at += 32)
        add_32(w, slots, width, at, k, end, sums);
}

#include "model/scorer_vectors.h"

const struct scorer_kernel scorer_avx2 = {can, specialise, margins};
#endif
