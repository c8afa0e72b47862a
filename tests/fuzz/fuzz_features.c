#include "base/json.h"
#include "feature/definition.h"
#include "feature/fingerprint.h"
#include "feature/replay.h"
#include "fuzz.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { MEMORY_MOST = 16 * 1024 * 1024 };

/* The canonical definition is JSON of two members, of which the fingerprint is made. */
static void check_canonical(const struct feature_set *set, const struct feature *f)
{
    struct buf text = {0};
    struct feature again = *f;
    feature_canonical(&text, f, set->outputs);
    assert(buf_ok(&text));
    json_t *j = json_loadb((const char *)text.data, text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    assert(json_object_size(j) == 2);
    assert(strcmp(json_string_value(json_object_get(j, "scope")), f->scope_text) == 0);
    assert(json_is_object(json_object_get(j, feature_kind_name(f->kind))));
    assert(feature_fingerprint(&again, set->outputs, NULL) == 0);
    assert(memcmp(again.fingerprint, f->fingerprint, FINGERPRINT_BYTES) == 0);
    json_decref(j);
    buf_free(&text);
}

static void check_aggregate(const struct feature_set *set, const struct feature *f)
{
    const struct scope *s = &set->scopes[f->scope];
    assert(strcmp(s->text, f->scope_text) == 0);
    assert(feature_set_scope(set, str_of(f->scope_text)) == f->scope);
    assert(s->slots[f->slot] == f && s->events[f->event]);
    assert(feature_set_event(set, str_of(f->event_name)) == f->event);
    for (size_t i = 0; i < f->window_count; i++)
        assert(f->windows[i].bucket_ms * WINDOW_BUCKETS >= f->windows[i].ms);
    if (f->total >= 0)
        assert(f->kind == FEATURE_RATE && set->scopes[f->total].slots[f->total_slot] == f);
    if (f->kind == FEATURE_RATE)
        assert(isnan(f->prior) == (f->total >= 0));
}

static void check_set(const struct feature_set *set)
{
    size_t outputs = 0;
    assert(set->feature_count > 0 && set->event_count <= MAX_EVENTS);
    for (size_t i = 0; i < set->feature_count; i++) {
        const struct feature *f = &set->features[i];
        assert(f->first_output == outputs);
        outputs += f->window_count && f->kind != FEATURE_DISTINCT ? f->window_count : 1;
        assert((f->scope >= 0) == feature_is_aggregate(f->kind));
        check_canonical(set, f);
        if (f->scope >= 0)
            check_aggregate(set, f);
    }
    assert(outputs == set->output_count);
}

/* The same text is the same set. */
static void check_again(const struct feature_set *set, struct str text)
{
    struct feature_set *again = NULL;
    assert(feature_set_parse(&again, "again.yaml", text, NULL) == 0);
    assert(again->output_count == set->output_count && again->scope_count == set->scope_count);
    for (size_t i = 0; i < set->feature_count; i++)
        assert(memcmp(again->features[i].fingerprint, set->features[i].fingerprint,
                      FINGERPRINT_BYTES) == 0);
    feature_set_free(again);
}

static int check_key(void *arg, const struct feature_values *values, struct err *e)
{
    (void)e;
    assert(feature_set_scope(arg, values->scope) >= 0);
    for (size_t i = 0; i < values->values.count; i++)
        assert(!isinf(values->values.items[i].value));
    return 0;
}

/* A user sees and uses two propositions in the context of the first field that a scope names; then
 * the vector is read, and all keys. */
static void check_computed(const struct feature_set *set)
{
    struct replay *r = NULL;
    struct replay_opts opts = {set, 300000, 8};
    struct err e = {0};
    struct str propositions[] = {str_of("p1"), str_of("p2")};
    struct text_entry context[] = {{str_of("device"), str_of("tv")},
                                   {str_of("query"), str_of("q")}};
    struct event event = {.user_id = str_of("u"),
                          .propositions = {propositions, 2},
                          .value = {true, 2.5},
                          .context = {context, 2}};
    struct rank_request request = {.user_id = str_of("u"),
                                   .candidates = {propositions, 2},
                                   .timestamp = (int64_t)1 << 40,
                                   .context = {context, 2}};
    assert(replay_new(&r, &opts, &e) == 0);
    for (size_t i = 0; i < 2 * set->event_count; i++) {
        bool accepted = false;
        char id[] = {(char)('a' + i % 64), (char)('a' + i / 64), 0};
        event.event_id = str_of(id);
        event.event = str_of(set->events[i / 2]);
        event.timestamp = request.timestamp - (int64_t)i * 7919;
        fuzz_succeeded(replay_event(r, &event, APPLY_NO_TIME, &accepted, &e), &e);
        assert(accepted);
    }
    double *vectors = malloc(2 * set->output_count * sizeof *vectors);
    assert(vectors);
    if (fuzz_succeeded(replay_request(r, &request, NULL, vectors, &e), &e))
        for (size_t i = 0; i < 2 * set->output_count; i++)
            assert(!isinf(vectors[i]));
    assert(replay_each_key(r, check_key, (void *)(uintptr_t)set, &e) == 0);
    free(vectors);
    replay_free(r);
}

void fuzz_features(struct str input)
{
    struct feature_set *set = NULL;
    struct err e = {0};
    size_t before = fuzz_memory();
    char *exact = fuzz_exact(input);
    struct str text = {exact, input.len};
    if (fuzz_succeeded(feature_set_parse(&set, "fuzz.yaml", text, &e), &e)) {
        check_set(set);
        check_again(set, text);
        check_computed(set);
    } else {
        assert(strncmp(e.msg, "fuzz.yaml:", 10) == 0);
    }
    assert(fuzz_memory() < before + MEMORY_MOST);
    feature_set_free(set);
    free(exact);
}
