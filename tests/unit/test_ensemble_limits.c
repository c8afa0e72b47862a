/*
 * Model files that want too much: trees, depth, bytes, memory.
 */
#include "model_text.h"

static void put_lone_leaf(struct buf *b, int id)
{
    buf_printf(b,
               "%s{\"id\":%d,\"tree_param\":{\"num_nodes\":\"1\"},\"left_children\":[-1],"
               "\"right_children\":[-1],\"parents\":[2147483647],\"split_indices\":[0],"
               "\"default_left\":[false],\"split_conditions\":[1],\"sum_hessian\":[1]}",
               id ? "," : "", id);
}

static void put_model(struct buf *out, const struct buf *trees)
{
    struct buf b = {0};
    buf_put(&b, trees->data, trees->len);
    buf_put_u8(&b, 0);
    put_changed(out, TREE, (const char *)b.data);
    buf_free(&b);
}

static void ten_thousand_trees_are_read_and_one_more_is_not(void **state)
{
    struct buf trees = {0}, b = {0};
    struct ensemble *m = NULL;
    struct err e;
    float row[2] = {0};
    (void)state;
    for (int i = 0; i < ENSEMBLE_MAX_TREES; i++)
        put_lone_leaf(&trees, i);
    put_model(&b, &trees);
    assert_int_equal(read_exactly(&m, b.data, b.len, &e), 0);
    assert_true(ensemble_margin(m, row) == ENSEMBLE_MAX_TREES);
    ensemble_free(m);
    put_lone_leaf(&trees, ENSEMBLE_MAX_TREES);
    put_model(&b, &trees);
    assert_refused(b.data, b.len, ERR_TOO_LARGE, "more than 10000 trees");
    buf_free(&trees);
    buf_free(&b);
}

/* An array of a chain's nodes: split 2 i leads to leaf 2 i + 1 and to 2 i + 2. */
static void put_chain_array(struct buf *b, const char *name, int depth, int split, int step,
                            int leaf)
{
    buf_printf(b, ",\"%s\":[", name);
    for (int i = 0; i <= 2 * depth; i++) {
        bool is_split = i % 2 == 0 && i < 2 * depth;
        buf_printf(b, "%s%d", i ? "," : "", is_split ? split + step * i : leaf);
    }
    buf_put_text(b, "]");
}

static void put_chain(struct buf *b, int depth)
{
    buf_printf(b, "{\"id\":0,\"tree_param\":{\"num_nodes\":\"%d\"}", 2 * depth + 1);
    put_chain_array(b, "left_children", depth, 1, 1, -1);
    put_chain_array(b, "right_children", depth, 2, 1, -1);
    put_chain_array(b, "split_indices", depth, 0, 0, 0);
    put_chain_array(b, "default_left", depth, 0, 0, 0);
    put_chain_array(b, "split_conditions", depth, 3, 1, 1);
    put_chain_array(b, "sum_hessian", depth, 2, 0, 1);
    buf_put_text(b, ",\"parents\":[-1");
    for (int i = 1; i <= 2 * depth; i++)
        buf_printf(b, ",%d", (i - 1) / 2 * 2);
    buf_put_text(b, "]}");
}

static void a_chain_of_the_greatest_depth_is_read_and_a_deeper_one_is_not(void **state)
{
    struct buf tree = {0}, b = {0};
    struct ensemble *m = NULL;
    struct err e;
    (void)state;
    put_chain(&tree, ENSEMBLE_MAX_DEPTH);
    put_model(&b, &tree);
    assert_int_equal(read_exactly(&m, b.data, b.len, &e), 0);
    assert_int_equal(m->trees[0].depth, ENSEMBLE_MAX_DEPTH);
    assert_sound(m);
    ensemble_free(m);
    buf_reset(&tree);
    put_chain(&tree, ENSEMBLE_MAX_DEPTH + 1);
    put_model(&b, &tree);
    assert_refused(b.data, b.len, ERR_TOO_LARGE, "deeper than 64");
    buf_free(&tree);
    buf_free(&b);
}

static void put_times(struct buf *b, const char *text, int times)
{
    while (times--)
        buf_put_text(b, text);
    assert_true(buf_ok(b));
}

static void documents_that_are_nested_without_end_are_refused(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_put_text(&b, "{\"learner\":{\"attributes\":");
    put_times(&b, "[", 1000000);
    assert_refused(b.data, b.len, ERR_TOO_LARGE, "nested too deep");
    buf_reset(&b);
    buf_put(&b, "{i\001a", 4);
    put_times(&b, "{i\001a", 1000000);
    assert_refused(b.data, b.len, ERR_TOO_LARGE, "nested too deep");
    buf_free(&b);
}

/* A length or a count of UBJ is eight bytes. */
static void put_long(struct buf *b, uint64_t n)
{
    buf_put_u8(b, 'L');
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_put_u8(b, (uint8_t)(n >> shift));
}

static void a_few_bytes_that_announce_many_are_refused(void **state)
{
    static const struct {
        const char *before, *part;
        uint64_t count;
    } cases[] = {
        {"[$d#", "more is announced than there are bytes", 125000000},
        {"[$U#", "more is announced than there are bytes", 500000000},
        {"[$L#", "more is announced than there are bytes", UINT64_C(1) << 61},
        {"[#", "more is announced than there are bytes", 500000000},
        {"S", "more is announced than there are bytes", 500000000},
        {"[#", "a count is negative", UINT64_MAX},
        {"[$Z#", "a type that no number has", 500000000},
        {"[$T#", "a type that no number has", 500000000},
        {"[$[#", "a type that no number has", 500000000},
        {"[$d", "a type and no count", 500000000},
        {"{", "more is announced than there are bytes", 500000000},
        {"{#", "an integer is wanted here", 500000000},
        {"N", "a number is wanted here", 500000000},
    };
    struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&b);
        buf_put(&b, "{i\001x", 4);
        buf_put_text(&b, cases[i].before);
        put_long(&b, cases[i].count);
        put_times(&b, "\001", 40);
        assert_refused(b.data, b.len, ERR_INVALID, cases[i].part);
    }
    buf_free(&b);
}

static void a_file_over_the_limit_is_not_looked_at(void **state)
{
    (void)state;
    struct ensemble *m = NULL;
    struct err e = {0};
    char little[] = "{";
    assert_int_equal(ensemble_read(&m, str_bytes(little, ENSEMBLE_MAX_BYTES + 1), &e),
                     ERR_TOO_LARGE);
    assert_string_equal(e.msg, "model file: 67108865 bytes, at most 67108864 are read");
    assert_refused("", 0, ERR_INVALID, "neither UBJ nor JSON");
    assert_refused("binf", 4, ERR_INVALID, "neither UBJ nor JSON");
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct buf b = {0};
    int failures = 0;
    (void)state;
    put_changed(&b, "\"b\"]", "\"b\\n\"]");
    for (int n = 1;; n++) {
        struct ensemble *m = NULL;
        struct err e = {0};
        double out[3];
        float row[2] = {0};
        fail_alloc_at(n);
        int rc = ensemble_read(&m, buf_str(&b), &e);
        if (!rc)
            rc = ensemble_contributions(m, row, out, &e);
        ensemble_free(m);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
        assert_int_equal(e.code, ERR_NOMEM);
        failures++;
    }
    assert_true(failures > 10);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_trees_are_read_and_one_more_is_not),
        cmocka_unit_test(a_chain_of_the_greatest_depth_is_read_and_a_deeper_one_is_not),
        cmocka_unit_test(documents_that_are_nested_without_end_are_refused),
        cmocka_unit_test(a_few_bytes_that_announce_many_are_refused),
        cmocka_unit_test(a_file_over_the_limit_is_not_looked_at),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}
