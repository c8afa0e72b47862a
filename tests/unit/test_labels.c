#include "backfill/labels.h"
#include "unit.h"

static struct labels parsed(const char *text)
{
    struct labels l;
    struct err e = {0};
    if (labels_parse(&l, text, &e))
        fail_msg("%s", e.msg);
    return l;
}

static void assert_refused(const char *text, const char *why)
{
    struct labels l;
    struct err e = {0};
    assert_int_equal(labels_parse(&l, text, &e), ERR_INVALID);
    assert_contains(e.msg, why);
    assert_contains(e.msg, "click=1,convert=5");
}

static void names_have_weights_and_without_one_weigh_1(void **state)
{
    (void)state;
    struct labels l = parsed("click,convert=5,dismiss=-0.5");
    assert_int_equal(l.count, 3);
    assert_int_equal(labels_find(&l, str_of("click")), 0);
    assert_int_equal(labels_find(&l, str_of("dismiss")), 2);
    assert_int_equal(labels_find(&l, str_of("clic")), -1);
    assert_true(l.rules[0].weight == 1 && l.rules[1].weight == 5 && l.rules[2].weight == -0.5);
}

static void a_weight_stands_behind_the_last_equals_sign(void **state)
{
    (void)state;
    struct labels l = parsed("a=b=2");
    assert_int_equal(labels_find(&l, str_of("a=b")), 0);
    assert_true(l.rules[0].weight == 2);
}

static void a_label_is_the_sum_of_what_happened(void **state)
{
    (void)state;
    struct labels l = parsed("click=1,convert=5,dismiss=-0.5");
    assert_true(labels_value(&l, 0) == 0);
    assert_true(labels_value(&l, 1) == 1);
    assert_true(labels_value(&l, 1 | 2) == 6);
    assert_true(labels_value(&l, 1 | 2 | 4) == 5.5F);
}

static void what_is_no_label_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused("", "without a name");
    assert_refused("click=1,", "without a name");
    assert_refused("=1", "without a name");
    assert_refused("click=one", "\"one\" of the label \"click\"");
    assert_refused("click=0", "not a number other than 0");
    assert_refused("click=", "not a number other than 0");
    assert_refused("click=1e31", "1e30 at most");
    assert_refused("click=nan", "not a number other than 0");
    assert_refused("click=1,click=2", "stands twice");
    assert_refused("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 labels");
}

static void impressions_have_names_of_the_applications_own(void **state)
{
    (void)state;
    struct labels l = parsed("open");
    struct err e = {0};
    assert_true(labels_is_impression(&l, str_of("impression")));
    assert_int_equal(labels_add_impression(&l, "view_list", &e), 0);
    assert_int_equal(labels_add_impression(&l, "mail", &e), 0);
    assert_true(labels_is_impression(&l, str_of("mail")));
    assert_true(labels_is_impression(&l, str_of("view_list")));
    assert_false(labels_is_impression(&l, str_of("impression")));
    assert_int_equal(labels_check(&l, &e), 0);
    assert_int_equal(labels_add_impression(&l, "", &e), ERR_INVALID);
    assert_contains(e.msg, "an impression without a name");
}

static void what_says_what_was_shown_is_no_label(void **state)
{
    (void)state;
    struct labels l = parsed("click,impression");
    struct err e = {0};
    assert_int_equal(labels_check(&l, &e), ERR_INVALID);
    assert_contains(e.msg, "impression is no label");
    assert_int_equal(labels_add_impression(&l, "click", &e), 0);
    assert_int_equal(labels_check(&l, &e), ERR_INVALID);
    assert_contains(e.msg, "click is no label");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_weights_and_without_one_weigh_1),
        cmocka_unit_test(a_weight_stands_behind_the_last_equals_sign),
        cmocka_unit_test(a_label_is_the_sum_of_what_happened),
        cmocka_unit_test(impressions_have_names_of_the_applications_own),
        cmocka_unit_test(what_says_what_was_shown_is_no_label),
        cmocka_unit_test(what_is_no_label_is_refused_with_the_reason),
    };
    return RUN(tests);
}
