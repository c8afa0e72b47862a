/*
 * How long the decoder takes for an impression of five propositions with three entries of context,
 * against avro-c's generic reader, memcpy and jansson on the same bytes.
 *
 * All of it on one core, each way after the other, five times over; printed are the medians. Every
 * way reads the same thousand records, so that ids and lengths differ as they do on a topic and
 * everything stays in the cache. tests/bench/decode.sh builds and runs it.
 */
#include "base/file.h"
#include "serde/plan.h"
#include "serde/records.h"
#include "serde/value.h"

#include <avro.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RECORDS = 1000, ROUNDS = 5, MOST_WAYS = 16, ROUND_NS = 200000000 };

/* The records in one form, one behind the other. */
struct corpus {
    struct buf bytes;
    size_t ends[RECORDS];
};

struct bench {
    struct schema *schema, *more;
    struct plan *same, *from_more;
    struct corpus avro, avro_more, json;
    struct event events[RECORDS]; /* decoded, for those that encode */
    struct arena arena, kept;
    struct buf out;
    avro_schema_t avro_c_schema;
    avro_value_t avro_c_value;
    avro_reader_t reader;
    avro_writer_t writer;
    char room[4096];
    size_t seen; /* what was decoded is used, or the compiler would leave it out */
};

static _Noreturn void die(const char *what, const struct err *e)
{
    fprintf(stderr, "bench_decode: %s: %s\n", what, e ? e->msg : avro_strerror());
    exit(1);
}

static struct str record_of(const struct corpus *c, size_t i)
{
    size_t start = i ? c->ends[i - 1] : 0;
    return str_bytes(c->bytes.data + start, c->ends[i] - start);
}

/* ------------------------------------------------------------ ways */

static void by_plan(struct bench *b, const struct plan *plan, struct str bytes)
{
    struct event event;
    struct err e;
    arena_reset(&b->arena);
    if (plan_decode(plan, &event, bytes, 0, &b->arena, &e))
        die("plan_decode", &e);
    b->seen += event.propositions.count + event.context.items[0].value.len;
}

static void decode_same(struct bench *b, size_t i)
{
    by_plan(b, b->same, record_of(&b->avro, i));
}

static void decode_more(struct bench *b, size_t i)
{
    by_plan(b, b->from_more, record_of(&b->avro_more, i));
}

static void decode_avro_c(struct bench *b, size_t i)
{
    struct str bytes = record_of(&b->avro, i);
    avro_reader_memory_set_source(b->reader, bytes.data, (int64_t)bytes.len);
    avro_value_reset(&b->avro_c_value);
    if (avro_value_read(b->reader, &b->avro_c_value))
        die("avro_value_read", NULL);
    b->seen++;
}

static void copy(struct bench *b, size_t i)
{
    struct str bytes = record_of(&b->avro, i);
    memcpy(b->room, bytes.data, bytes.len);
    __asm__ volatile("" : : "r"(b->room) : "memory");
}

static void read_json(struct bench *b, size_t i)
{
    struct event event;
    struct err e;
    arena_reset(&b->arena);
    if (value_read_json(&event, schema_root(b->schema), record_of(&b->json, i), &b->arena, &e))
        die("value_read_json", &e);
    b->seen += event.propositions.count + event.context.items[0].value.len;
}

static void read_jansson(struct bench *b, size_t i)
{
    struct str text = record_of(&b->json, i);
    json_t *j = json_loadb(text.data, text.len, 0, NULL);
    if (!j)
        die("json_loadb", &(struct err){.msg = "refused"});
    b->seen += json_object_size(j);
    json_decref(j);
}

static void encode_value(struct bench *b, size_t i)
{
    buf_reset(&b->out);
    value_encode(&b->out, schema_root(b->schema), &b->events[i]);
    b->seen += b->out.len;
}

/* avro-c encodes one and the same value: to fill it anew is not what is measured. */
static void encode_avro_c(struct bench *b, size_t i)
{
    (void)i;
    avro_writer_reset(b->writer);
    if (avro_value_write(b->writer, &b->avro_c_value))
        die("avro_value_write", NULL);
    b->seen++;
}

static void print_json(struct bench *b, size_t i)
{
    buf_reset(&b->out);
    value_print_json(&b->out, schema_root(b->schema), &b->events[i]);
    b->seen += b->out.len;
}

struct way {
    const char *name;
    void (*run)(struct bench *b, size_t i);
    size_t corpus;  /* where its bytes are in struct bench */
    int against[2]; /* other ways: how many times as long they take; -1: none */
};

enum { PLAN, PLAN_MORE, AVRO_C, COPY, JSON, JANSSON, ENCODE, ENCODE_AVRO_C, PRINT, WAYS };

static const struct way ways[WAYS] = {
    [PLAN] = {"Avro, the same schema", decode_same, offsetof(struct bench, avro), {AVRO_C, COPY}},
    [PLAN_MORE] = {"Avro, two fields more",
                   decode_more,
                   offsetof(struct bench, avro_more),
                   {AVRO_C, COPY}},
    [AVRO_C] = {"Avro by avro-c", decode_avro_c, offsetof(struct bench, avro), {-1, -1}},
    [COPY] = {"memcpy of the Avro", copy, offsetof(struct bench, avro), {-1, -1}},
    [JSON] = {"JSON", read_json, offsetof(struct bench, json), {JANSSON, COPY}},
    [JANSSON] = {"JSON by jansson", read_jansson, offsetof(struct bench, json), {-1, -1}},
    [ENCODE] = {"encoding Avro", encode_value, offsetof(struct bench, avro), {ENCODE_AVRO_C, COPY}},
    [ENCODE_AVRO_C] = {"encoding by avro-c", encode_avro_c, offsetof(struct bench, avro), {-1, -1}},
    [PRINT] = {"printing JSON", print_json, offsetof(struct bench, json), {-1, -1}},
};

/* ------------------------------------------------------------ records */

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void put_uuid(struct buf *out, uint64_t *state)
{
    uint64_t a = random_next(state), b = random_next(state);
    buf_printf(out, "\"%08x-%04x-4%03x-a%03x-%012llx\"", (unsigned)(a >> 32),
               (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
               (unsigned long long)(b & 0xffffffffffff));
}

/* An impression as an application writes it; `more`: with the two fields that we do not know. */
static void put_impression(struct buf *out, uint64_t *state, bool more)
{
    static const char *const devices[] = {"phone", "tablet", "desktop"};
    static const char *const pages[] = {"home", "search", "category/shoes", "basket"};
    buf_put_text(out, "{\"event_id\":");
    put_uuid(out, state);
    buf_printf(out, ",\"event\":\"impression\",\"user_id\":\"u%09llu\",",
               (unsigned long long)(random_next(state) % 1000000000));
    if (more)
        buf_printf(out, "\"session_id\":\"s%08llx\",",
                   (unsigned long long)(random_next(state) % 0xffffffff));
    buf_printf(out, "\"timestamp\":%llu,\"propositions\":[",
               1760000000000 + (unsigned long long)(random_next(state) % 1000000000));
    for (int i = 0; i < 5; i++)
        buf_printf(out, "%s\"p%07llu\"", i ? "," : "",
                   (unsigned long long)(random_next(state) % 10000000));
    buf_put_text(out, "],\"request_id\":");
    put_uuid(out, state);
    buf_printf(out,
               ",\"value\":null,%s\"context\":{\"device\":\"%s\",\"page\":\"%s\","
               "\"channel\":\"web\"}}",
               more ? "\"height\":0.75," : "", devices[random_next(state) % 3],
               pages[random_next(state) % 4]);
}

/* JSON of all records, and their encoding with a schema. */
static void fill(struct bench *b, struct corpus *json, struct corpus *avro, const struct schema *s)
{
    const struct schema_node *n = schema_root(s);
    void *value = malloc(n->size);
    uint64_t state = 1;
    struct err e;
    for (size_t i = 0; i < RECORDS; i++) {
        put_impression(&json->bytes, &state, s == b->more);
        json->ends[i] = json->bytes.len;
    }
    for (size_t i = 0; i < RECORDS; i++) {
        if (!value || value_read_json(value, n, record_of(json, i), &b->kept, &e))
            die("a record", &e);
        value_encode(&avro->bytes, n, value);
        avro->ends[i] = avro->bytes.len;
        if (s == b->schema)
            memcpy(&b->events[i], value, sizeof b->events[i]);
    }
    free(value);
}

/* ------------------------------------------------------------ setting up */

/* The schema of a later application: a field in the middle and one nearer to the end. */
static void with_two_fields_more(struct buf *out, struct str schema)
{
    static const char *const before[] = {"{\"name\": \"timestamp\"", "{\"name\": \"context\""};
    static const char *const fields[] = {"{\"name\": \"session_id\", \"type\": \"string\"}, ",
                                         "{\"name\": \"height\", \"type\": \"double\"}, "};
    const char *at = schema.data;
    for (int i = 0; i < 2; i++) {
        const char *next =
            memmem(at, (size_t)(schema.data + schema.len - at), before[i], strlen(before[i]));
        if (!next)
            die("schemas/event.avsc", &(struct err){.msg = "has other fields"});
        buf_put(out, at, (size_t)(next - at));
        buf_put_text(out, fields[i]);
        at = next;
    }
    buf_put(out, at, (size_t)(schema.data + schema.len - at));
}

static void set_up_avro_c(struct bench *b, struct str schema)
{
    if (avro_schema_from_json_length(schema.data, schema.len, &b->avro_c_schema))
        die("avro-c's schema", NULL);
    avro_value_iface_t *generic = avro_generic_class_from_schema(b->avro_c_schema);
    if (!generic || avro_generic_value_new(generic, &b->avro_c_value))
        die("avro-c's value", NULL);
    avro_value_iface_decref(generic);
    b->reader = avro_reader_memory("", 0);
    b->writer = avro_writer_memory(b->room, sizeof b->room);
    decode_avro_c(b, 0);
}

static void set_up(struct bench *b)
{
    struct buf text = {0}, more = {0};
    struct corpus more_json = {0};
    struct err e;
    if (file_read(&text, FLOTILLA_SOURCE_DIR "/schemas/event.avsc", 1 << 20, &e))
        die("the schema", &e);
    with_two_fields_more(&more, buf_str(&text));
    struct str ours = buf_str(&text), theirs = buf_str(&more);
    if (schema_parse(&b->schema, &ours, 1, &e) || schema_parse(&b->more, &theirs, 1, &e) ||
        plan_new(&b->same, schema_root(b->schema), schema_root(b->schema), &e) ||
        plan_new(&b->from_more, schema_root(b->more), schema_root(b->schema), &e))
        die("the plans", &e);
    if (schema_root(b->schema)->size != sizeof(struct event))
        die("struct event", &(struct err){.msg = "is not what schemas/event.avsc says"});
    fill(b, &b->json, &b->avro, b->schema);
    fill(b, &more_json, &b->avro_more, b->more);
    set_up_avro_c(b, ours);
    buf_free(&text);
    buf_free(&more);
    buf_free(&more_json.bytes);
}

/* ------------------------------------------------------------ measuring */

/* Of the processor: what else the machine does is not counted. */
static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds a record, over at least ROUND_NS. */
static double measure(struct bench *b, const struct way *way)
{
    int64_t began = now_ns(), took = 0;
    size_t times = 0;
    while (took < ROUND_NS) {
        for (size_t i = 0; i < RECORDS; i++)
            way->run(b, i);
        times++;
        took = now_ns() - began;
    }
    return (double)took / (double)(times * RECORDS);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const struct bench *b, const double *ns)
{
    printf("%-24s %9s %9s %7s  %s\n", "", "bytes", "ns", "GB/s", "ratios");
    for (size_t w = 0; w < WAYS; w++) {
        const struct corpus *c =
            (const struct corpus *)(const void *)((const char *)b + ways[w].corpus);
        double bytes = (double)c->bytes.len / RECORDS;
        printf("%-24s %9.1f %9.1f %7.2f", ways[w].name, bytes, ns[w], bytes / ns[w]);
        if (ways[w].against[0] >= 0) {
            int peer = ways[w].against[0];
            printf("  %.1f times as fast as \"%s\"", ns[peer] / ns[w], ways[peer].name);
            printf(", %.1f times as long as memcpy", ns[w] / ns[COPY]);
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    double all[WAYS][ROUNDS], medians[WAYS];
    const char *only = argc > 1 ? argv[1] : NULL; /* for a profiler: this way alone */
    set_up(&b);
    for (int round = 0; round < ROUNDS; round++)
        for (size_t w = 0; w < WAYS; w++)
            all[w][round] = only && strcmp(only, ways[w].name) ? 0 : measure(&b, &ways[w]);
    for (size_t w = 0; w < WAYS; w++) {
        qsort(all[w], ROUNDS, sizeof **all, by_size);
        medians[w] = all[w][ROUNDS / 2];
    }
    print(&b, medians);
    return b.seen == 0;
}
