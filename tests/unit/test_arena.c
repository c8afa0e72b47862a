#include "base/arena.h"
#include "unit.h"

enum { TAKEN = 200, MOST_BYTES = 5000 };

static void what_was_taken_before_a_mark_stays_and_what_came_after_is_taken_again(void **state)
{
    (void)state;
    struct arena a = {0};
    char *kept[TAKEN];
    for (int i = 0; i < TAKEN; i++) {
        size_t n = (size_t)(i * 37 % MOST_BYTES) + 1;
        kept[i] = arena_alloc(&a, n);
        assert_non_null(kept[i]);
        memset(kept[i], i, n);
        struct arena_mark mark = arena_mark(&a);
        char *first = arena_alloc(&a, 100);
        for (int k = 0; k < 50; k++)
            memset(arena_alloc(&a, 3000), 0xff, 3000);
        arena_rewind(&a, mark);
        assert_ptr_equal(arena_alloc(&a, 100), first);
        arena_rewind(&a, mark);
    }
    for (int i = 0; i < TAKEN; i++)
        for (size_t n = 0; n < (size_t)(i * 37 % MOST_BYTES) + 1; n++)
            assert_int_equal((uint8_t)kept[i][n], i);
    arena_free(&a);
}

static void an_arena_that_was_empty_at_the_mark_is_empty_again(void **state)
{
    (void)state;
    struct arena a = {0};
    struct arena_mark mark = arena_mark(&a);
    void *first = arena_alloc(&a, 10);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 1000));
    arena_rewind(&a, mark);
    assert_ptr_equal(arena_alloc(&a, 10), first);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_taken_before_a_mark_stays_and_what_came_after_is_taken_again),
        cmocka_unit_test(an_arena_that_was_empty_at_the_mark_is_empty_again),
    };
    return RUN(tests);
}
