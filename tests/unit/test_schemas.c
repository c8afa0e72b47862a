/* The schemas of `schemas/` over time: what was written with an earlier version can be read, and
 * the other way round, so that programs of both versions may run at once. */
#include "unit.h"

#include "base/file.h"
#include "serde/plan.h"
#include "serde/schema_files.h"

#include <stdio.h>
#include <stdlib.h>

/* A line of schemas/versions: a schema's name and the fingerprint of one version, oldest first. */
struct version {
    char name[64];
    uint64_t fingerprint;
    int number; /* 1, 2, ... of its name */
    bool is_last;
};

enum { MOST = 256 };

static struct version versions[MOST];
static int count;

static void read_versions(void)
{
    FILE *f = fopen(FLOTILLA_SOURCE_DIR "/schemas/versions", "r");
    char line[256];
    assert_non_null(f);
    for (count = 0; fgets(line, sizeof line, f);) {
        struct version *v = &versions[count];
        if (*line == '#')
            continue;
        assert_true(count < MOST);
        assert_int_equal(sscanf(line, "%63s %lx", v->name, &v->fingerprint), 2);
        v->number = 1;
        v->is_last = true;
        for (int i = 0; i < count; i++) {
            if (strcmp(versions[i].name, v->name) != 0)
                continue;
            versions[i].is_last = false;
            v->number = versions[i].number + 1;
        }
        count++;
    }
    fclose(f);
}

static struct schema *parse(const char *name)
{
    struct schema *s = NULL;
    struct err e = {0};
    for (const struct schema_file *f = schema_files; f->name; f++) {
        struct str text = str_of(f->text);
        if (strcmp(f->name, name) == 0 && schema_parse(&s, &text, 1, &e))
            fail_msg("%s: %s", name, e.msg);
    }
    if (!s)
        fail_msg("schemas/%s.avsc is not there: keep every version that was ever released", name);
    return s;
}

static struct schema *parse_version(const struct version *v)
{
    char name[128];
    snprintf(name, sizeof name, "earlier/%s.%d", v->name, v->number);
    return parse(v->is_last ? v->name : name);
}

static void every_version_is_kept_as_it_was(void **state)
{
    (void)state;
    read_versions();
    for (int i = 0; i < count; i++) {
        struct schema *s = parse_version(&versions[i]);
        if (schema_fingerprint(s) != versions[i].fingerprint)
            fail_msg(
                "%s has the fingerprint %016lx, schemas/versions says %016lx: to change a "
                "schema, copy the file to schemas/earlier/%s.%d.avsc and add a line for the new "
                "version",
                versions[i].name, schema_fingerprint(s), versions[i].fingerprint, versions[i].name,
                versions[i].number);
        schema_free(s);
    }
}

static void every_schema_has_its_versions(void **state)
{
    (void)state;
    read_versions();
    for (const struct schema_file *f = schema_files; f->name; f++) {
        bool found = strncmp(f->name, "earlier/", 8) == 0;
        for (int i = 0; i < count; i++)
            found |= versions[i].is_last && strcmp(versions[i].name, f->name) == 0;
        if (!found)
            fail_msg("schemas/%s.avsc has no line in schemas/versions", f->name);
    }
}

static void can_read(const struct version *writer, const struct version *reader)
{
    struct schema *w = parse_version(writer), *r = parse_version(reader);
    struct plan *p = NULL;
    assert_int_equal(plan_new(&p, schema_root(w), schema_root(r), NULL), 0);
    if (plan_refusal(p))
        fail_msg("version %d of %s cannot be read as version %d: %s", writer->number, writer->name,
                 reader->number, plan_refusal(p));
    plan_free(p);
    schema_free(w);
    schema_free(r);
}

static void versions_can_read_each_other(void **state)
{
    (void)state;
    read_versions();
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++)
            if (strcmp(versions[i].name, versions[k].name) == 0)
                can_read(&versions[i], &versions[k]);
}

/* ---- What the test above rests on ---- */

static const char *refusal(const char *writer, const char *reader, char text[512])
{
    struct schema *w = NULL, *r = NULL;
    struct plan *p = NULL;
    struct str texts[] = {str_of(writer), str_of(reader)};
    assert_int_equal(schema_parse(&w, &texts[0], 1, NULL), 0);
    assert_int_equal(schema_parse(&r, &texts[1], 1, NULL), 0);
    assert_int_equal(plan_new(&p, schema_root(w), schema_root(r), NULL), 0);
    snprintf(text, 512, "%s", plan_refusal(p) ? plan_refusal(p) : "");
    plan_free(p);
    schema_free(w);
    schema_free(r);
    return text;
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define A_LONG         "{\"name\":\"a\",\"type\":\"long\"}"
#define AN_ENUM(symbols)                                                                           \
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}}"

static void changes_that_lose_records_are_noticed(void **state)
{
    char text[512];
    (void)state;
    assert_string_equal(refusal(RECORD(A_LONG), RECORD(""), text), "");
    assert_string_equal(
        refusal(RECORD(""), RECORD("{\"name\":\"a\",\"type\":\"long\",\"default\":1}"), text), "");
    assert_string_equal(refusal(RECORD(""), RECORD(A_LONG), text),
                        "field a: the writer's schema has no such field, and it has no default");
    assert_string_equal(
        refusal(RECORD(A_LONG), RECORD("{\"name\":\"a\",\"type\":\"string\"}"), text),
        "field a: long was written, and cannot be read as string");
    assert_contains(refusal(RECORD(AN_ENUM("\"X\",\"Y\"")), RECORD(AN_ENUM("\"X\"")), text),
                    "field e: it may have a symbol");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_is_kept_as_it_was),
        cmocka_unit_test(every_schema_has_its_versions),
        cmocka_unit_test(versions_can_read_each_other),
        cmocka_unit_test(changes_that_lose_records_are_noticed),
    };
    return RUN(tests);
}
