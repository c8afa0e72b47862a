#include "model/ensemble_reader.h"

#include <stdio.h>

int ensemble_read_members(struct ensemble_reader *r, const struct ensemble_member *members)
{
    struct document_list list;
    struct str key;
    uint32_t found = 0;
    bool more = true;
    int rc = document_object(&r->d, &list);
    while (!rc && !(rc = document_key(&r->d, &list, &key, &more)) && more) {
        size_t i = 0;
        while (members[i].name && !str_is(key, members[i].name))
            i++;
        if (members[i].name && found >> i & 1)
            return ensemble_read_fail(r, ERR_INVALID, "it is there twice");
        found |= members[i].name ? 1u << i : 0;
        rc = members[i].name ? members[i].read(r, members[i].which) : document_skip(&r->d);
    }
    for (size_t i = 0; !rc && members[i].name; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s is missing", members[i].name);
        if (members[i].is_needed && !(found >> i & 1))
            rc = ensemble_read_fail(r, ERR_INVALID, what);
    }
    return rc;
}

int ensemble_read_number(struct ensemble_reader *r, int64_t *out)
{
    struct str text;
    int rc = document_text(&r->d, &text);
    if (rc)
        return rc;
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || *out > INT32_MAX)
            return ensemble_read_fail(r, ERR_INVALID, "it is not a whole number");
        *out = *out * 10 + (text.data[i] - '0');
    }
    return text.len ? 0 : ensemble_read_fail(r, ERR_INVALID, "it is not a whole number");
}
