/*
 * Cells held against each other: what has to be equal is, sums are to a relative 1e-12.
 *
 * Include after unit.h.
 */
#pragma once

#include "support/rings.h"

static inline void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * fabs(expected)))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

/* Bodies of a kind that has windows: the same buckets in each, with the same in them. */
static inline void assert_windows_near(const struct feature *f, struct str got, struct str expected)
{
    struct cursor g = cursor_of(got.data, got.len), x = cursor_of(expected.data, expected.len);
    struct ring a = {0}, b = {0};
    for (size_t w = 0; w < f->window_count; w++) {
        ring_decode(&a, &g, f->kind);
        ring_decode(&b, &x, f->kind);
        assert_int_equal(a.count, b.count);
        for (size_t i = 0; i < a.count; i++) {
            assert_int_equal(a.ages[i], b.ages[i]);
            assert_int_equal(a.buckets[i].n, b.buckets[i].n);
            assert_int_equal(a.buckets[i].per, b.buckets[i].per);
            assert_near(a.buckets[i].sum.high + a.buckets[i].sum.low,
                        b.buckets[i].sum.high + b.buckets[i].sum.low);
        }
    }
    assert_false(g.bad || x.bad);
    assert_int_equal(cursor_left(&g) + cursor_left(&x), 0);
}

static inline void assert_parts_near(const struct feature *f, struct part got, struct part expected)
{
    assert_int_equal(got.seen, expected.seen);
    if (!got.seen)
        return;
    assert_int_equal(got.newest_ms, expected.newest_ms);
    if (has_windows(f->kind))
        assert_windows_near(f, got.body, expected.body);
    int64_t step_ms = (f->half_life_ms + 400000) / 16;
    for (int64_t behind_ms = -4 * step_ms; behind_ms < 20 * step_ms; behind_ms += step_ms)
        for (size_t w = 0; w < feature_contents(f); w++) {
            int64_t as_of_ms = got.newest_ms + behind_ms;
            double a = part_value(got, f, w, as_of_ms), b = part_value(expected, f, w, as_of_ms);
            if (!isnan(a) || !isnan(b))
                assert_near(a, b);
        }
}

static inline void assert_cells_near(const struct scope *scope, struct str got, struct str expected)
{
    assert_true(got.len > 0 && expected.len > 0);
    assert_true(cell_is_sound(scope, got));
    assert_int_equal(cell_newest_ms(got), cell_newest_ms(expected));
    for (size_t s = 0; s < scope->slot_count; s++)
        assert_parts_near(scope->slots[s], cell_part(got, s), cell_part(expected, s));
}

/* Merges the cell of one contribution into another. */
static inline void add_cell_of(struct buf *cell, const struct scope *scope,
                               const struct contribution *c)
{
    struct buf single = {0}, merged = {0};
    struct arena arena = {0};
    assert_true(cell_of(&single, scope, c, &arena));
    cell_merge(&merged, scope, buf_str(cell), buf_str(&single));
    assert_true(buf_ok(&single) && buf_ok(&merged));
    buf_free(cell);
    buf_free(&single);
    arena_free(&arena);
    *cell = merged;
}
