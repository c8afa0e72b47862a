#include "base/json.h"
#include "fuzz.h"
#include "serde/registry_references.h"
#include "serde/schema.h"

#include <stdlib.h>

/* Of what was parsed: a small multiple of the body, and what the least of everything takes. */
enum { MEMORY_TIMES = 8, MEMORY_LEAST = 256 * 1024 };

static void print_answer(struct buf *out, const struct registry_answer *answer)
{
    buf_put_text(out, "{\"schemaType\":");
    json_put_text(out, answer->type);
    buf_put_text(out, ",\"schema\":");
    json_put_text(out, answer->text);
    buf_put_text(out, ",\"references\":[");
    for (size_t i = 0; i < answer->reference_count; i++) {
        const struct registry_reference *r = &answer->references[i];
        assert(r->subject.len > 0 && (r->version == -1 || r->version >= 1));
        buf_printf(out, "%s{\"version\":%d,\"subject\":", i ? "," : "", (int)r->version);
        json_put_text(out, r->subject);
        buf_put_u8(out, '}');
    }
    buf_put_text(out, "]}");
    assert(buf_ok(out));
}

/* An answer that was understood, printed and read again, is the same. */
static void check_schema(struct str body)
{
    struct registry_answer answer, again;
    struct arena a = {0};
    struct err e = {0};
    struct buf once = {0}, twice = {0};
    size_t before = fuzz_memory();
    int rc = registry_answer_schema(&answer, body, &a, &e);
    assert(fuzz_memory() <= before + MEMORY_TIMES * body.len + MEMORY_LEAST);
    if (fuzz_succeeded(rc, &e)) {
        print_answer(&once, &answer);
        assert(registry_answer_schema(&again, buf_str(&once), &a, &e) == 0);
        print_answer(&twice, &again);
        assert(str_equal(buf_str(&once), buf_str(&twice)));
    } else {
        assert(rc == ERR_CORRUPT || rc == ERR_TOO_LARGE);
    }
    arena_free(&a);
    buf_free(&once);
    buf_free(&twice);
}

static void check_id(struct str body)
{
    struct err e = {0};
    uint32_t id = 0;
    int rc = registry_answer_id(&id, body, &e);
    if (fuzz_succeeded(rc, &e))
        assert(id <= INT32_MAX);
    else
        assert(rc == ERR_CORRUPT || rc == ERR_TOO_LARGE);
}

static void check_refusal(struct str body)
{
    struct registry_refusal refusal;
    registry_answer_refusal(&refusal, body);
    assert(refusal.code == 0 || refusal.code >= 100);
    assert(refusal.code || !*refusal.message);
    assert(memchr(refusal.message, 0, sizeof refusal.message));
    for (const char *c = refusal.message; *c; c++)
        assert((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* Each piece is what the registry answers to the next question. */
static void check_references(struct str bodies)
{
    struct references *r = references_new();
    const struct str *texts = NULL;
    size_t count = 0, asked = 0;
    struct schema *s = NULL;
    struct err e = {0};
    int rc = 0;
    assert(r);
    do {
        struct str piece = fuzz_piece(&bodies);
        char *exact = fuzz_exact(piece);
        rc = references_add(r, str_bytes(exact, piece.len), &e);
        free(exact);
        assert(++asked <= REFERENCES_MAX_COUNT + 1);
    } while (!rc && references_next(r) && bodies.data);
    assert(references_bytes(r) <= REFERENCES_MAX_BYTES || rc);
    if (fuzz_succeeded(rc, &e) && !references_next(r) &&
        fuzz_succeeded(references_order(r, &texts, &count, &e), &e)) {
        assert(count == asked);
        fuzz_succeeded(schema_parse(&s, texts, count, &e), &e);
    }
    schema_free(s);
    references_free(r);
}

void fuzz_registry(struct str input)
{
    struct str rest = input, body = fuzz_piece(&rest);
    char *exact = fuzz_exact(body);
    body.data = exact;
    check_schema(body);
    check_id(body);
    check_refusal(body);
    check_references(input);
    free(exact);
}
