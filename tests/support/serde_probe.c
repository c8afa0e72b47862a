/*
 * The decoder, the encoder and the schemas of common/serde as a filter, so that tests in another
 * language can hold them against another implementation of Avro. A request a line, an answer a
 * line; the parts of both are separated by tabs.
 *
 *   decode WRITER READER HEX   ok HEX JSON: the value, encoded and printed with the reader's schema
 *   accept WRITER READER HEX   ok: the value can be decoded (for those that are too long to print)
 *   json SCHEMA HEX            ok HEX: the value that this JSON text is, encoded
 *   schema HEX                 ok FINGERPRINT CANONICAL: of the schema that this text is
 *
 * and for what cannot be done: error CODE MESSAGE. Every run of bytes is in a block of memory of
 * exactly its size, so that a sanitizer sees what is read behind its end.
 */
#include "base/err.h"
#include "serde/plan.h"
#include "serde/schema.h"
#include "serde/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARTS = 4 };

/* The plan of the last request stays: many values of one pair of schemas usually come in a row. */
struct probe {
    char *writer_text, *reader_text;
    struct schema *writer, *reader;
    struct plan *plan;
    struct arena arena;
    struct buf encoded, printed;
};

static const char *const code_names[] = {
    [ERR_OK] = "ERR_OK",
    [ERR_INVALID] = "ERR_INVALID",
    [ERR_NOMEM] = "ERR_NOMEM",
    [ERR_IO] = "ERR_IO",
    [ERR_NOT_FOUND] = "ERR_NOT_FOUND",
    [ERR_CORRUPT] = "ERR_CORRUPT",
    [ERR_SCHEMA] = "ERR_SCHEMA",
    [ERR_TOO_LARGE] = "ERR_TOO_LARGE",
    [ERR_UNAVAILABLE] = "ERR_UNAVAILABLE",
    [ERR_ABORTED] = "ERR_ABORTED",
    [ERR_FENCED] = "ERR_FENCED",
    [ERR_FATAL] = "ERR_FATAL",
};

static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes that hexadecimal digits stand for, in memory of the caller's. */
static int bytes_of_hex(struct str *out, const char *hex, struct err *e)
{
    size_t digits = strlen(hex), n = digits / 2;
    if (digits % 2)
        return err_set(e, ERR_INVALID, "an odd number of hexadecimal digits");
    /* Nothing to read has nothing that could be read: not even a byte behind it. */
    char *bytes = malloc(n ? n : 1);
    if (!bytes)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            free(bytes);
            return err_set(e, ERR_INVALID, "digit %zu is not hexadecimal", 2 * i);
        }
        bytes[i] = (char)(high << 4 | low);
    }
    *out = str_bytes(bytes, n);
    return 0;
}

static void print_hex(struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        putchar(digits[(unsigned char)bytes.data[i] >> 4]);
        putchar(digits[(unsigned char)bytes.data[i] & 15]);
    }
}

static void print_error(const struct err *e)
{
    printf("error\t%s\t", code_names[e->code]);
    for (const char *c = e->msg; *c; c++)
        putchar((unsigned char)*c < ' ' ? '?' : *c);
}

static int parse(struct schema **out, const char *text, struct err *e)
{
    struct str s = str_of(text);
    return schema_parse(out, &s, 1, e);
}

static void forget_plan(struct probe *p)
{
    plan_free(p->plan);
    schema_free(p->writer);
    schema_free(p->reader);
    free(p->writer_text);
    free(p->reader_text);
    p->plan = NULL;
    p->writer = p->reader = NULL;
    p->writer_text = p->reader_text = NULL;
}

static int make_plan(struct probe *p, const char *writer, const char *reader, struct err *e)
{
    if (p->plan && strcmp(writer, p->writer_text) == 0 && strcmp(reader, p->reader_text) == 0)
        return 0;
    forget_plan(p);
    p->writer_text = strdup(writer);
    p->reader_text = strdup(reader);
    if (!p->writer_text || !p->reader_text)
        return err_nomem(e);
    int rc = parse(&p->writer, writer, e);
    if (rc)
        return err_wrap(e, "writer");
    if ((rc = parse(&p->reader, reader, e)))
        return err_wrap(e, "reader");
    return plan_new(&p->plan, schema_root(p->writer), schema_root(p->reader), e);
}

/* Memory for a value, full of what no decoder may take for a value. */
static void *value_alloc(const struct schema_node *n)
{
    void *value = malloc(n->size ? n->size : 1);
    if (value)
        memset(value, 0xa5, n->size ? n->size : 1);
    return value;
}

static int put_value(struct probe *p, const struct schema_node *n, const void *value, struct err *e)
{
    value_encode(&p->encoded, n, value);
    value_print_json(&p->printed, n, value);
    if (!buf_ok(&p->encoded) || !buf_ok(&p->printed))
        return err_nomem(e);
    printf("ok\t");
    print_hex(buf_str(&p->encoded));
    printf("\t%.*s", STR_ARG(buf_str(&p->printed)));
    return 0;
}

static int decode(struct probe *p, char **parts, bool print, struct err *e)
{
    struct str bytes = {0};
    void *value = NULL;
    int rc = make_plan(p, parts[1], parts[2], e);
    if (rc || (rc = bytes_of_hex(&bytes, parts[3], e)))
        goto out;
    const struct schema_node *n = schema_root(p->reader);
    if (!(value = value_alloc(n))) {
        rc = err_nomem(e);
        goto out;
    }
    if ((rc = plan_decode(p->plan, value, bytes, 0, &p->arena, e)))
        goto out;
    if (print)
        rc = put_value(p, n, value, e);
    else
        printf("ok");
out:
    free(value);
    free((char *)bytes.data);
    return rc;
}

static int read_json(struct probe *p, char **parts, struct err *e)
{
    struct schema *s = NULL;
    struct str json = {0};
    void *value = NULL;
    int rc = parse(&s, parts[1], e);
    if (rc || (rc = bytes_of_hex(&json, parts[2], e)))
        goto out;
    if (!(value = value_alloc(schema_root(s)))) {
        rc = err_nomem(e);
        goto out;
    }
    if ((rc = value_read_json(value, schema_root(s), json, &p->arena, e)))
        goto out;
    value_encode(&p->encoded, schema_root(s), value);
    if (!buf_ok(&p->encoded)) {
        rc = err_nomem(e);
        goto out;
    }
    printf("ok\t");
    print_hex(buf_str(&p->encoded));
out:
    free(value);
    free((char *)json.data);
    schema_free(s);
    return rc;
}

static int describe(struct probe *p, char **parts, struct err *e)
{
    struct schema *s = NULL;
    struct str text = {0};
    int rc = bytes_of_hex(&text, parts[1], e);
    if (rc || (rc = schema_parse(&s, &text, 1, e)))
        goto out;
    if ((rc = schema_canonical(&p->printed, s, e)))
        goto out;
    printf("ok\t%016llx\t%.*s", (unsigned long long)schema_fingerprint(s),
           STR_ARG(buf_str(&p->printed)));
out:
    free((char *)text.data);
    schema_free(s);
    return rc;
}

static int answer(struct probe *p, char *line, struct err *e)
{
    char *parts[MOST_PARTS] = {line};
    int count = 1;
    for (char *tab = line; count < MOST_PARTS && (tab = strchr(tab, '\t')); count++) {
        *tab++ = 0;
        parts[count] = tab;
    }
    if (strcmp(parts[0], "decode") == 0 && count == 4)
        return decode(p, parts, true, e);
    if (strcmp(parts[0], "accept") == 0 && count == 4)
        return decode(p, parts, false, e);
    if (strcmp(parts[0], "json") == 0 && count == 3)
        return read_json(p, parts, e);
    if (strcmp(parts[0], "schema") == 0 && count == 2)
        return describe(p, parts, e);
    return err_set(e, ERR_INVALID, "no request of this name has %d parts", count);
}

int main(void)
{
    struct probe p = {0};
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        struct err e = {0};
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        arena_reset(&p.arena);
        buf_reset(&p.encoded);
        buf_reset(&p.printed);
        if (answer(&p, line, &e))
            print_error(&e);
        putchar('\n');
        /* Whoever asks one at a time waits for the answer; after a crash it is seen how far it got.
         */
        fflush(stdout);
    }
    free(line);
    forget_plan(&p);
    arena_free(&p.arena);
    buf_free(&p.encoded);
    buf_free(&p.printed);
    return 0;
}
