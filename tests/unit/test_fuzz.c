/*
 * Every target of tests/fuzz with the inputs that are kept: those that fuzzing starts from, and
 * those that failed once. What must hold is asserted by the targets.
 */
#include "base/file.h"
#include "fuzz.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>

enum { MAX_INPUT_BYTES = 1024 * 1024 };

/* Says which input comes next, because a failed assertion ends the program. Returns how many there
 * were. */
static int replay(void (*target)(struct str), const char *kind, const char *name)
{
    char folder[512], path[1024];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/tests/fuzz/%s/%s", FLOTILLA_SOURCE_DIR, kind, name);
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        struct buf input = {0};
        if (*entry->d_name == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        print_message("%s\n", path);
        assert_int_equal(file_read(&input, path, MAX_INPUT_BYTES, NULL), 0);
        target(input.len ? buf_str(&input) : str_of(""));
        buf_free(&input);
        count++;
    }
    if (d)
        closedir(d);
    return count;
}

static void replay_all(void (*target)(struct str), const char *name)
{
    assert_true(replay(target, "corpus", name) > 0);
    replay(target, "regressions", name);
}

static void settings_are_refused_or_print_as_they_are(void **state)
{
    (void)state;
    replay_all(fuzz_conf, "conf");
}

static void definitions_are_refused_or_can_be_computed(void **state)
{
    (void)state;
    replay_all(fuzz_features, "features");
}

/* Too long to be kept as a file: with lists that were copied for each feature, these took 600 MB.
 * The target asserts how much they may take. */
static void two_thousand_definitions_take_little_memory(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "features:\n");
    for (int i = 0; i < 2000; i++)
        buf_printf(&b, "  - {name: f%d, scope: context.f%d, recency: {event: e}}\n", i, i);
    assert_true(buf_ok(&b));
    fuzz_features(buf_str(&b));
    buf_free(&b);
}

static void schemas_are_refused_or_canonical_forms_are_the_same_schemas(void **state)
{
    (void)state;
    replay_all(fuzz_schema, "schema");
}

static void values_are_refused_or_encode_to_the_same(void **state)
{
    (void)state;
    replay_all(fuzz_decode, "decode");
}

static void json_is_refused_or_prints_to_the_same(void **state)
{
    (void)state;
    replay_all(fuzz_json, "json");
}

static void records_are_refused_or_written_to_the_same(void **state)
{
    (void)state;
    replay_all(fuzz_framing, "framing");
}

static void answers_of_a_registry_are_refused_or_understood(void **state)
{
    (void)state;
    replay_all(fuzz_registry, "registry");
}

static void model_files_are_refused_or_can_be_walked(void **state)
{
    (void)state;
    replay_all(fuzz_model, "model");
}

static void calibrations_are_refused_or_never_fall(void **state)
{
    (void)state;
    replay_all(fuzz_calibration, "calibration");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_refused_or_print_as_they_are),
        cmocka_unit_test(definitions_are_refused_or_can_be_computed),
        cmocka_unit_test(two_thousand_definitions_take_little_memory),
        cmocka_unit_test(schemas_are_refused_or_canonical_forms_are_the_same_schemas),
        cmocka_unit_test(values_are_refused_or_encode_to_the_same),
        cmocka_unit_test(json_is_refused_or_prints_to_the_same),
        cmocka_unit_test(records_are_refused_or_written_to_the_same),
        cmocka_unit_test(answers_of_a_registry_are_refused_or_understood),
        cmocka_unit_test(model_files_are_refused_or_can_be_walked),
        cmocka_unit_test(calibrations_are_refused_or_never_fall),
    };
    return RUN(tests);
}
