#include "ranker/filter.h"
#include "unit.h"

#include "support/fixture.h"

static const char *const germany[] = {"de"};
static const char *const drama_or_comedy[] = {"drama", "comedy"};
static const char *const numbers[] = {"20", "true", "1e3", "x"};

static bool passes_in(const char *const *values, size_t count, struct attribute a)
{
    struct attribute place;
    struct entity record = entity_of(&place, "p", 0, a);
    struct filter f = {.attribute = "a",
                       .kind = FILTER_IN,
                       .values = (const char **)(uintptr_t)values,
                       .value_count = count};
    return filter_passes(&f, &record);
}

static bool passes_range(double from, double to, struct attribute a)
{
    struct attribute place;
    struct entity record = entity_of(&place, "p", 0, a);
    struct filter f = {.attribute = "a", .kind = FILTER_RANGE, .from = from, .to = to};
    return filter_passes(&f, &record);
}

static void a_text_passes_where_it_is_listed(void **state)
{
    (void)state;
    assert_true(passes_in(germany, 1, text_attribute("a", "de")));
    assert_false(passes_in(germany, 1, text_attribute("a", "DE")));
    assert_false(passes_in(germany, 1, text_attribute("a", "d")));
    assert_true(passes_in(drama_or_comedy, 2, text_attribute("a", "comedy")));
}

static void a_list_passes_where_one_of_its_texts_is_listed(void **state)
{
    (void)state;
    struct str genres[] = {str_of("crime"), str_of("drama")};
    assert_true(passes_in(drama_or_comedy, 2, list_attribute("a", genres, 2)));
    assert_false(passes_in(drama_or_comedy, 2, list_attribute("a", genres, 1)));
    assert_false(passes_in(drama_or_comedy, 2, list_attribute("a", genres, 0)));
}

static void a_number_passes_where_a_listed_text_reads_as_it(void **state)
{
    (void)state;
    assert_true(passes_in(numbers, 4, number_attribute("a", 20.0)));
    assert_true(passes_in(numbers, 4, number_attribute("a", 1000)));
    assert_false(passes_in(numbers, 4, number_attribute("a", 1)));
    assert_false(passes_in(numbers, 4, text_attribute("a", "20.0")));
}

static void a_boolean_passes_as_true_or_false(void **state)
{
    (void)state;
    struct attribute a = {.name = str_of("a"), .type = ATTRIBUTE_BOOLEAN, .boolean = true};
    assert_true(passes_in(numbers, 4, a));
    a.boolean = false;
    assert_false(passes_in(numbers, 4, a));
}

static void both_ends_belong_to_a_range(void **state)
{
    (void)state;
    assert_true(passes_range(0, 20, number_attribute("a", 0)));
    assert_true(passes_range(0, 20, number_attribute("a", 20)));
    assert_false(passes_range(0, 20, number_attribute("a", 20.01)));
    assert_false(passes_range(0, 20, number_attribute("a", -1)));
    assert_true(passes_range(-INFINITY, 20, number_attribute("a", -1e300)));
    assert_false(passes_range(0, 20, number_attribute("a", NAN)));
}

static void only_numbers_are_in_a_range(void **state)
{
    (void)state;
    struct attribute yes = {.name = str_of("a"), .type = ATTRIBUTE_BOOLEAN, .boolean = true};
    assert_false(passes_range(0, 20, text_attribute("a", "10")));
    assert_false(passes_range(0, 20, yes));
}

static void what_is_absent_or_null_passes_nothing(void **state)
{
    (void)state;
    struct attribute null = {.name = str_of("a"), .type = ATTRIBUTE_NULL};
    assert_false(passes_in(germany, 1, null));
    assert_false(passes_range(-INFINITY, INFINITY, null));
    assert_false(passes_in(germany, 1, text_attribute("b", "de")));
    assert_false(passes_range(-INFINITY, INFINITY, number_attribute("b", 1)));
}

static void of_equal_names_the_last_counts(void **state)
{
    (void)state;
    struct attribute both[] = {text_attribute("a", "de"), text_attribute("a", "fr")};
    struct entity record = {.id = str_of("p"), .attributes = {both, 2}};
    struct filter f = {.attribute = "a",
                       .kind = FILTER_IN,
                       .values = (const char **)(uintptr_t)germany,
                       .value_count = 1};
    assert_false(filter_passes(&f, &record));
    record.attributes.count = 1;
    assert_true(filter_passes(&f, &record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_passes_where_it_is_listed),
        cmocka_unit_test(a_list_passes_where_one_of_its_texts_is_listed),
        cmocka_unit_test(a_number_passes_where_a_listed_text_reads_as_it),
        cmocka_unit_test(a_boolean_passes_as_true_or_false),
        cmocka_unit_test(both_ends_belong_to_a_range),
        cmocka_unit_test(only_numbers_are_in_a_range),
        cmocka_unit_test(what_is_absent_or_null_passes_nothing),
        cmocka_unit_test(of_equal_names_the_last_counts),
    };
    return RUN(tests);
}
