#include "set/set_texts.h"

#include <stdlib.h>

enum { PIECE_BYTES = 1 << 20 };

void set_texts_free(struct set_texts *t)
{
    buf_free(&t->bytes);
    buf_free(&t->lengths);
}

void set_texts_put(struct set_texts *t, struct str text)
{
    uint32_t length = (uint32_t)text.len;
    buf_put_str(&t->bytes, text);
    buf_put(&t->lengths, &length, sizeof length);
    t->widest = text.len > t->widest ? text.len : t->widest;
    t->count++;
}

static bool texts_ok(const struct set_texts *t)
{
    return buf_ok(&t->bytes) && buf_ok(&t->lengths);
}

/* Texts of one width, filled up with 0, a piece at a time. */
static int put_texts(hid_t column, const struct set_texts *t, struct err *e)
{
    int rc = 0;
    size_t width = hdf5_size(HDF5_TEXT, t->widest), room = PIECE_BYTES / width;
    room = room ? room : 1;
    const uint8_t *from = t->bytes.data, *lengths = t->lengths.data;
    uint8_t *piece = malloc(room * width);
    if (!piece)
        return err_nomem(e);
    for (uint64_t first = 0; !rc && first < t->count; first += room) {
        size_t count = t->count - first < room ? (size_t)(t->count - first) : room;
        memset(piece, 0, count * width);
        for (size_t i = 0; i < count; i++) {
            uint32_t length;
            memcpy(&length, lengths + (first + i) * sizeof length, sizeof length);
            if (length == 0)
                continue;
            memcpy(piece + i * width, from, length);
            from += length;
        }
        rc = hdf5_put(column, HDF5_TEXT, width, first, count, piece, e);
    }
    free(piece);
    return rc;
}

int set_texts_write(hid_t group, const char *name, const struct set_texts *t, struct err *e)
{
    hid_t column = H5I_INVALID_HID;
    if (!texts_ok(t))
        return err_nomem(e);
    int rc = hdf5_make_column(&column, group, name, HDF5_TEXT, t->widest, t->count, e);
    if (!rc)
        rc = put_texts(column, t, e);
    hdf5_drop_column(&column);
    return rc;
}
