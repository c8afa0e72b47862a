/*
 * Scoring with AVX-512 and its instructions for bytes (Ice Lake, Zen 4 and later).
 *
 * 64 candidates are a register of bytes; candidate c stands at byte 4 * (c % 16) + c / 16, so that
 * sixteen sums find their leaf numbers in the low bytes of their lanes, after a shift. Up to 32
 * candidates are half a register, c at byte 2 * (c % 16) + c / 16.
 */
#include "model/scorer_parts.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define TARGET                                                                                     \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,"    \
                          "avx512vbmi2,avx512bitalg")))
#define TARGET_INLINE static inline __attribute__((always_inline)) TARGET

static bool can(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512bitalg");
}

/* ------------------------------------------------------------ specialising a block */

/* Tables by the position of a node in a block; its leaves are [start, end), those on its left end
 * at the middle. A count of the leaves that are left up to one less than a bound is a leaf's new
 * number. */
struct tables {
    __m512i before_start, before_middle, before_end;
    __mmask64 has_before; /* start > 0 */
    /* To count bits up to each of 64: the byte, its bits up to this one, the bytes before it. */
    __m512i byte, bits_up_to, bytes_before, sum_of;
    __m512i positions; /* 0 ... 63 */
    __m512i shared[4]; /* the request's byte columns */
};

TARGET_INLINE void set_up(struct tables *t, const struct scorer *s, const struct scorer_scratch *w)
{
    (void)s;
    alignas(64) uint8_t start[64] = {0}, middle[64] = {0}, end[64] = {0};
    alignas(64) uint8_t byte[64], up_to[64], before[64], sum_of[64], positions[64];
    t->has_before = 0;
    for (unsigned i = 1; i < 64; i++) {
        unsigned level = 31u - (unsigned)__builtin_clz(i), leaves = 64u >> level;
        unsigned first = (i - (1u << level)) * leaves;
        start[i] = (uint8_t)((first - 1) & 63);
        middle[i] = (uint8_t)(first + leaves / 2 - 1);
        end[i] = (uint8_t)(first + leaves - 1);
        t->has_before |= (uint64_t)(first > 0) << i;
    }
    for (unsigned i = 0; i < 64; i++) {
        positions[i] = (uint8_t)i;
        byte[i] = (uint8_t)(i / 8);
        up_to[i] = (uint8_t)((2u << i % 8) - 1);
        before[i] = i % 8 < i / 8 ? UINT8_MAX : 0;
        sum_of[i] = (uint8_t)(i / 8 % 2 * 8);
    }
    t->before_start = _mm512_load_si512(start);
    t->before_middle = _mm512_load_si512(middle);
    t->before_end = _mm512_load_si512(end);
    t->byte = _mm512_load_si512(byte);
    t->bits_up_to = _mm512_load_si512(up_to);
    t->bytes_before = _mm512_load_si512(before);
    t->sum_of = _mm512_load_si512(sum_of);
    t->positions = _mm512_load_si512(positions);
    for (size_t i = 0; i < 4; i++)
        t->shared[i] = _mm512_load_si512(w->shared + 64 * i);
}

TARGET_INLINE uint64_t decisions(const struct tables *t, const struct block *b)
{
    __m512i column = _mm512_load_si512(b->column);
    __m512i value = _mm512_permutex2var_epi8(t->shared[0], column, t->shared[1]);
    __mmask64 upper = _mm512_movepi8_mask(column);
    if (__builtin_expect(upper != 0, 0))
        value = _mm512_mask_mov_epi8(value, upper,
                                     _mm512_permutex2var_epi8(t->shared[2], column, t->shared[3]));
    return _mm512_cmpge_epu8_mask(value, _mm512_load_si512(b->rank));
}

/* Half a register where that is all that counts: half as often it crosses a line of the cache. */
TARGET_INLINE void put_bytes(uint8_t *to, __m512i bytes, bool few)
{
    if (__builtin_expect(few, 1))
        _mm256_storeu_si256((__m256i *)(void *)to, _mm512_castsi512_si256(bytes));
    else
        _mm512_storeu_si512(to, bytes);
}

/* Writes the steps of the nodes that are left and vary. */
TARGET_INLINE void add_steps(struct short_steps *s, const struct tables *t, const struct block *b,
                             uint64_t leaves, uint64_t nodes, size_t first, uint16_t result)
{
    const __m512i one = _mm512_set1_epi8(1), constant = _mm512_set1_epi8((char)SLOT_CONSTANT);
    __m512i word = _mm512_set1_epi64((long long)leaves);
    __m512i within =
        _mm512_popcnt_epi8(_mm512_and_si512(_mm512_shuffle_epi8(word, t->byte), t->bits_up_to));
    __m512i sums = _mm512_sad_epu8(_mm512_and_si512(_mm512_popcnt_epi8(word), t->bytes_before),
                                   _mm512_setzero_si512());
    __m512i numbered = _mm512_set1_epi8((char)first);
    __m512i up_to =
        _mm512_add_epi8(_mm512_add_epi8(within, numbered), _mm512_shuffle_epi8(sums, t->sum_of));
    __m512i start = _mm512_mask_permutexvar_epi8(numbered, t->has_before, t->before_start, up_to);
    __m512i middle = _mm512_permutexvar_epi8(t->before_middle, up_to);
    __m512i end = _mm512_permutexvar_epi8(t->before_end, up_to);
    __m512i to = _mm512_mask_mov_epi8(start, _mm512_testn_epi8_mask(start, start),
                                      _mm512_set1_epi8((char)result));
    __m512i low = _mm512_mask_add_epi8(
        to, _mm512_cmpeq_epi8_mask(_mm512_sub_epi8(middle, start), one), start, constant);
    __m512i high = _mm512_mask_add_epi8(
        middle, _mm512_cmpeq_epi8_mask(_mm512_sub_epi8(end, middle), one), middle, constant);
    size_t n = s->count, count = (size_t)_mm_popcnt_u64(nodes);
    bool few = count <= 32;
    put_bytes(s->column + n, _mm512_maskz_compress_epi8(nodes, _mm512_load_si512(b->column)), few);
    put_bytes(s->rank + n, _mm512_maskz_compress_epi8(nodes, _mm512_load_si512(b->rank)), few);
    put_bytes(s->low + n, _mm512_maskz_compress_epi8(nodes, low), few);
    put_bytes(s->high + n, _mm512_maskz_compress_epi8(nodes, high), few);
    put_bytes(s->to + n, _mm512_maskz_compress_epi8(nodes, to), few);
    s->count = n + count;
}

/* Packs the values of the leaves that are left, sixteen and sixteen. */
TARGET_INLINE void add_values(float *to, const struct tables *t, const struct block *b,
                              uint64_t leaves, size_t count)
{
    __m512i which = _mm512_maskz_compress_epi8(leaves, t->positions);
    __m512 first = _mm512_load_ps(b->leaf), second = _mm512_load_ps(b->leaf + 16);
    __m512 third = _mm512_load_ps(b->leaf + 32), fourth = _mm512_load_ps(b->leaf + 48);
    size_t at = 0;
    do {
        __m512i lanes = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(which));
        __m512 value = _mm512_mask_blend_ps(_mm512_test_epi32_mask(lanes, _mm512_set1_epi32(32)),
                                            _mm512_permutex2var_ps(first, lanes, second),
                                            _mm512_permutex2var_ps(third, lanes, fourth));
        _mm512_storeu_ps(to + at, value);
        which = _mm512_alignr_epi32(which, which, 4);
        at += 16;
    } while (__builtin_expect(at < count, 0));
}

/* ------------------------------------------------------------ ranking values */

enum { RANKED = 64 };

/* One level down the search tree: from node i, whose threshold is given, to a child. */
TARGET_INLINE __m512i descend(__m512i i, __m512 threshold, __m512 x)
{
    __mmask16 right = _mm512_cmp_ps_mask(threshold, x, _CMP_LE_OQ);
    __m512i left = _mm512_add_epi32(i, i);
    return _mm512_mask_sub_epi32(left, right, left, _mm512_set1_epi32(-1));
}

/* The thresholds of nodes 64 ... 127, then of 128 ... 255, looked up 32 at a time. */
TARGET_INLINE __m512 of_64(const float *t, __m512i i)
{
    __m512 a = _mm512_permutex2var_ps(_mm512_load_ps(t), i, _mm512_load_ps(t + 16));
    __m512 b = _mm512_permutex2var_ps(_mm512_load_ps(t + 32), i, _mm512_load_ps(t + 48));
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(i, _mm512_set1_epi32(32)), a, b);
}

TARGET_INLINE __m512 of_128(const float *t, __m512i i)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(i, _mm512_set1_epi32(64)), of_64(t, i),
                                of_64(t + 64, i));
}

/* The nodes past the last level that sixteen values a group come to. */
TARGET_INLINE void search(const struct scale *s, const __m512 *x, __m512i *i, size_t groups)
{
    const float *t = s->tree;
    UNROLL
    for (size_t g = 0; g < groups; g++)
        i[g] = _mm512_set1_epi32(1);
    UNROLL
    for (int level = 0; level < SCALE_SHALLOW; level++) {
        UNROLL
        for (size_t g = 0; g < groups; g++)
            i[g] = descend(i[g], _mm512_permutexvar_ps(i[g], _mm512_load_ps(t)), x[g]);
    }
    if (s->levels > 4) {
        UNROLL
        for (size_t g = 0; g < groups; g++)
            i[g] = descend(i[g], _mm512_permutexvar_ps(i[g], _mm512_load_ps(t + 16)), x[g]);
    }
    if (s->levels > 5) {
        UNROLL
        for (size_t g = 0; g < groups; g++)
            i[g] = descend(
                i[g], _mm512_permutex2var_ps(_mm512_load_ps(t + 32), i[g], _mm512_load_ps(t + 48)),
                x[g]);
    }
    if (s->levels > 6) {
        UNROLL
        for (size_t g = 0; g < groups; g++)
            i[g] = descend(i[g], of_64(t + 64, i[g]), x[g]);
    }
    if (s->levels > 7) {
        UNROLL
        for (size_t g = 0; g < groups; g++)
            i[g] = descend(i[g], of_128(t + 128, i[g]), x[g]);
    }
}

/* Of 32 candidates where a byte column is no wider. */
TARGET_INLINE void rank_values(const struct scale *s, const float *values, uint8_t *low,
                               uint8_t *high, size_t width)
{
    const size_t groups = width == 32 ? 2 : 4;
    __m512 x[4];
    __m512i i[4], ranks = _mm512_setzero_si512();
    const __m512i past = _mm512_set1_epi32(1 << s->levels), all = _mm512_set1_epi32(255);
    UNROLL
    for (size_t g = 0; g < groups; g++)
        x[g] = _mm512_loadu_ps(values + 16 * g);
    search(s, x, i, groups);
    __m512i missing = ranks;
    UNROLL
    for (size_t g = 0; g < groups; g++) {
        __m512i rank = _mm512_xor_si512(i[g], past);
        __mmask16 none = _mm512_cmp_ps_mask(x[g], x[g], _CMP_UNORD_Q);
        ranks = _mm512_or_si512(ranks, _mm512_slli_epi32(rank, 8 * (unsigned)g));
        missing =
            _mm512_mask_or_epi32(missing, none, missing, _mm512_slli_epi32(all, 8 * (unsigned)g));
    }
    __m512i with_missing = _mm512_or_si512(ranks, missing);
    if (groups == 4) {
        _mm512_store_si512(low, ranks);
        _mm512_store_si512(high, with_missing);
    } else {
        _mm256_store_si256((__m256i *)(void *)low, _mm512_cvtepi32_epi16(ranks));
        _mm256_store_si256((__m256i *)(void *)high, _mm512_cvtepi32_epi16(with_missing));
    }
}

/* ------------------------------------------------------------ finding leaves */

TARGET_INLINE void choose(uint8_t *to, const uint8_t *bytes, uint8_t rank, const uint8_t *low,
                          const uint8_t *high, size_t width)
{
    if (width == 32) {
        const __m256i *l = (const __m256i *)(const void *)low;
        const __m256i *h = (const __m256i *)(const void *)high;
        __m256i b = _mm256_load_si256((const __m256i *)(const void *)bytes);
        __mmask32 right = _mm256_cmpge_epu8_mask(b, _mm256_set1_epi8((char)rank));
        _mm256_store_si256(
            (__m256i *)(void *)to,
            _mm256_mask_blend_epi8(right, _mm256_load_si256(l), _mm256_load_si256(h)));
        return;
    }
    __m512i r = _mm512_set1_epi8((char)rank);
    UNROLL
    for (size_t at = 0; at < width; at += 64) {
        __mmask64 right = _mm512_cmpge_epu8_mask(_mm512_load_si512(bytes + at), r);
        _mm512_store_si512(to + at, _mm512_mask_blend_epi8(right, _mm512_load_si512(low + at),
                                                           _mm512_load_si512(high + at)));
    }
}

/* ------------------------------------------------------------ adding leaves up */

/* The leaf numbers of sixteen candidates, group g of 64 or of 32; only the low bits of lanes. */
TARGET_INLINE __m512i numbers(const uint8_t *slot, size_t g, size_t width)
{
    if (width == 32) {
        __m512i both =
            _mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)(const void *)slot));
        return g ? _mm512_srli_epi32(both, 8) : both;
    }
    return _mm512_srli_epi32(_mm512_load_si512(slot + g / 4 * 64), 8 * (unsigned)(g % 4));
}

TARGET_INLINE __m512 of_leaves(const float *leaves, __m512i number, uint32_t most)
{
    if (most <= 32)
        return _mm512_permutex2var_ps(_mm512_loadu_ps(leaves), number,
                                      _mm512_loadu_ps(leaves + 16));
    if (most <= 64) {
        __m512 a =
            _mm512_permutex2var_ps(_mm512_loadu_ps(leaves), number, _mm512_loadu_ps(leaves + 16));
        __m512 b = _mm512_permutex2var_ps(_mm512_loadu_ps(leaves + 32), number,
                                          _mm512_loadu_ps(leaves + 48));
        return _mm512_mask_blend_ps(_mm512_test_epi32_mask(number, _mm512_set1_epi32(32)), a, b);
    }
    return _mm512_i32gather_ps(_mm512_and_si512(number, _mm512_set1_epi32(255)), leaves, 4);
}

/* Adds the leaves of a tree that is left with no more than `most`. */
TARGET_INLINE void add_tree(__m512 *sum, const float *leaves, const uint8_t *slot, size_t width,
                            uint32_t most)
{
    UNROLL
    for (size_t g = 0; g < width / 16; g++)
        sum[g] = _mm512_add_ps(sum[g], of_leaves(leaves, numbers(slot, g, width), most));
}

/* Adds the leaves of trees [k, end), none of which is walked, in their order. */
TARGET_INLINE void add_leaves(const struct scorer_scratch *w, const uint8_t *slots, size_t width,
                              size_t k, size_t end, size_t count, float *sums)
{
    (void)count;
    __m512 sum[WIDTH_MOST / 16];
    UNROLL
    for (size_t g = 0; g < width / 16; g++)
        sum[g] = _mm512_load_ps(sums + 16 * g);
    for (; k < end; k++) {
        const struct remains *t = &w->program.trees[k];
        const float *leaves = w->program.leaves + t->leaves_at;
        const uint8_t *slot = slots + t->slot * width;
        if (__builtin_expect(t->leaves <= 32, 1))
            add_tree(sum, leaves, slot, width, 32);
        else if (t->leaves <= 64)
            add_tree(sum, leaves, slot, width, 64);
        else
            add_tree(sum, leaves, slot, width, STEP_LEAVES);
    }
    UNROLL
    for (size_t g = 0; g < width / 16; g++)
        _mm512_store_ps(sums + 16 * g, sum[g]);
}

TARGET_INLINE uint8_t place(size_t c, size_t width)
{
    return (uint8_t)(width == 32 ? 2 * (c % 16) + c / 16 % 2 : 4 * (c % 16) + c / 16);
}

#include "model/scorer_vectors.h"

const struct scorer_kernel scorer_avx512 = {can, specialise, margins};
#endif
