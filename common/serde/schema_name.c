#include "serde/schema_name.h"

enum { SHOWN_BYTES = 200 };

bool schema_name_is(struct str s, bool qualified)
{
    bool first = true;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (qualified && c == '.' && !first)
            first = true;
        else if (letter || (!first && c >= '0' && c <= '9'))
            first = false;
        else
            return false;
    }
    return !first && s.len <= SCHEMA_NAME_MAX_BYTES;
}

int schema_name_copy(struct arena *a, struct str *out, struct str name, bool qualified,
                     const char *what, struct err *e)
{
    if (!schema_name_is(name, qualified))
        return err_set(e, ERR_SCHEMA,
                       "the schema names %s \"%.*s\": a name has letters, digits and underscores",
                       what, (int)(name.len < SHOWN_BYTES ? name.len : SHOWN_BYTES), name.data);
    *out = arena_copy(a, name);
    return out->data ? 0 : err_nomem(e);
}

int schema_name_qualify(struct arena *a, struct str *name, struct str space, struct err *e)
{
    if (!space.len || memchr(name->data, '.', name->len))
        return 0;
    size_t n = space.len + 1 + name->len;
    char *full = arena_alloc(a, n + 1);
    if (!full)
        return err_nomem(e);
    memcpy(full, space.data, space.len);
    full[space.len] = '.';
    memcpy(full + space.len + 1, name->data, name->len);
    full[n] = 0;
    *name = str_bytes(full, n);
    return 0;
}

/* Where the last part of a name begins. */
static size_t last_part(struct str full_name)
{
    size_t n = full_name.len;
    while (n && full_name.data[n - 1] != '.')
        n--;
    return n;
}

struct str schema_name_space(struct str full_name)
{
    size_t n = last_part(full_name);
    return str_bytes(full_name.data, n ? n - 1 : 0);
}

struct str schema_name_last(struct str full_name)
{
    size_t n = last_part(full_name);
    return str_bytes(full_name.data + n, full_name.len - n);
}

const char *schema_type_word(enum schema_type type)
{
    static const char *const words[] = {"null",   "boolean", "int",    "long",  "float",
                                        "double", "bytes",   "string", "fixed", "enum",
                                        "array",  "map",     "union",  "record"};
    return words[type];
}

struct str schema_type_name(const struct schema_node *n)
{
    return n->name.data ? n->name : str_of(schema_type_word(n->type));
}
