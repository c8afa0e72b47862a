#include "serde/registry_answer.h"

#include <jansson.h>
#include <stdio.h>

/*
 * More values than any answer has would take many times the memory of the body (an empty object is
 * two bytes there and some hundred in memory), so they are counted before they are parsed. Broken
 * JSON is counted somehow, and refused by the parser.
 */
static bool has_too_many_values(struct str body)
{
    size_t values = 1;
    bool quoted = false;
    for (size_t i = 0; i < body.len && values <= REGISTRY_ANSWER_MAX_VALUES; i++) {
        char c = body.data[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[' || c == ','))
            values++;
    }
    return values > REGISTRY_ANSWER_MAX_VALUES;
}

/* The body's object. */
static int parse(json_t **out, struct str body, struct err *e)
{
    if (body.len > REGISTRY_ANSWER_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "the answer has %zu bytes: %d are the limit", body.len,
                       REGISTRY_ANSWER_MAX_BYTES);
    /* A page of somebody else's, whatever its size. */
    size_t space = 0;
    while (space < body.len && memchr(" \t\r\n", body.data[space], 4))
        space++;
    if (space == body.len || body.data[space] != '{')
        return err_set(e, ERR_CORRUPT, "the answer is no JSON object");
    if (has_too_many_values(body))
        return err_set(e, ERR_TOO_LARGE, "the answer has more than %d values",
                       REGISTRY_ANSWER_MAX_VALUES);
    json_error_t why;
    json_t *root = json_loadb(body.data ? body.data : "", body.len, 0, &why);
    if (!root && json_error_code(&why) == json_error_out_of_memory)
        return err_nomem(e);
    if (!root)
        return err_set(e, ERR_CORRUPT, "the answer is not JSON: byte %d: %s", why.position,
                       why.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(e, ERR_CORRUPT, "the answer is no JSON object");
    }
    *out = root;
    return 0;
}

static int copy_text(struct str *out, const json_t *text, struct arena *a, struct err *e)
{
    *out = arena_copy(a, str_bytes(json_string_value(text), json_string_length(text)));
    return out->data ? 0 : err_nomem(e);
}

static int read_reference(struct registry_reference *out, const json_t *from, struct arena *a,
                          struct err *e)
{
    const json_t *subject = json_object_get(from, "subject");
    const json_t *version = json_object_get(from, "version");
    if (!json_is_string(subject) || !json_string_length(subject))
        return err_set(e, ERR_CORRUPT, "a reference in the answer has no subject");
    json_int_t number = json_integer_value(version); /* 0 where it is no integer */
    if (number != -1 && (number < 1 || number > INT32_MAX))
        return err_set(e, ERR_CORRUPT, "the reference to subject %.100s has no version",
                       json_string_value(subject));
    out->version = (int32_t)number;
    return copy_text(&out->subject, subject, a, e);
}

static int read_references(struct registry_answer *out, const json_t *list, struct arena *a,
                           struct err *e)
{
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list))
        return err_set(e, ERR_CORRUPT, "references in the answer are no list");
    size_t n = json_array_size(list);
    if (n > REGISTRY_ANSWER_MAX_REFERENCES)
        return err_set(e, ERR_TOO_LARGE, "the schema has %zu references: %d are the limit", n,
                       REGISTRY_ANSWER_MAX_REFERENCES);
    if (n && !(out->references = arena_alloc(a, n * sizeof *out->references)))
        return err_nomem(e);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_reference(&out->references[i], json_array_get(list, i), a, e);
    out->reference_count = rc ? 0 : n;
    return rc;
}

static int read_schema(struct registry_answer *out, const json_t *root, struct arena *a,
                       struct err *e)
{
    const json_t *text = json_object_get(root, "schema");
    const json_t *type = json_object_get(root, "schemaType");
    if (!json_is_string(text))
        return err_set(e, ERR_CORRUPT, "the answer has no schema");
    if (type && !json_is_null(type) && !json_is_string(type))
        return err_set(e, ERR_CORRUPT, "schemaType in the answer is no text");
    int rc = 0;
    /* Registries leave the type out for Avro, which once was the only one. */
    out->type = str_of("AVRO");
    if (json_is_string(type))
        rc = copy_text(&out->type, type, a, e);
    if (!rc)
        rc = copy_text(&out->text, text, a, e);
    return rc ? rc : read_references(out, json_object_get(root, "references"), a, e);
}

int registry_answer_schema(struct registry_answer *out, struct str body, struct arena *a,
                           struct err *e)
{
    json_t *root = NULL;
    *out = (struct registry_answer){0};
    int rc = parse(&root, body, e);
    if (!rc)
        rc = read_schema(out, root, a, e);
    json_decref(root);
    return rc;
}

int registry_answer_id(uint32_t *id, struct str body, struct err *e)
{
    json_t *root = NULL;
    int rc = parse(&root, body, e);
    if (rc)
        return rc;
    const json_t *number = json_object_get(root, "id");
    json_int_t value = json_integer_value(number);
    if (!json_is_integer(number) || value < 0 || value > INT32_MAX)
        rc = err_set(e, ERR_CORRUPT, "the answer has no id");
    else
        *id = (uint32_t)value;
    json_decref(root);
    return rc;
}

/* A terminal is not to be told what to do by a message. */
static void put_on_one_line(char *out, size_t size, struct str message)
{
    size_t n = message.len < size ? message.len : size - 1;
    /* Not within a character. */
    while (n < message.len && n && ((unsigned char)message.data[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)message.data[i];
        out[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    out[n] = 0;
}

void registry_answer_refusal(struct registry_refusal *out, struct str body)
{
    json_t *root = NULL;
    *out = (struct registry_refusal){0};
    if (parse(&root, body, NULL))
        return;
    json_int_t code = json_integer_value(json_object_get(root, "error_code"));
    const json_t *message = json_object_get(root, "message");
    if (code >= 100 && code <= INT32_MAX)
        out->code = (int)code;
    if (out->code && json_is_string(message))
        put_on_one_line(out->message, sizeof out->message,
                        str_bytes(json_string_value(message), json_string_length(message)));
    json_decref(root);
}
