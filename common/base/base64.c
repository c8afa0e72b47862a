#include "base/base64.h"

#include <openssl/evp.h>

/* libcrypto counts in int. */
enum { PIECE_BYTES = 3 * 1024 };

void base64_put(struct buf *out, struct str bytes)
{
    while (bytes.len) {
        size_t n = bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES;
        /* It ends what it writes with a NUL. */
        if (!buf_reserve(out, (n + 2) / 3 * 4 + 1))
            return;
        out->len +=
            (size_t)EVP_EncodeBlock(out->data + out->len, (const uint8_t *)bytes.data, (int)n);
        bytes = str_bytes(bytes.data + n, bytes.len - n);
    }
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Four characters, of which the last ones may be padding; returns how many bytes they are, -1: none
 * that anybody writes. */
static int read_four(uint8_t *out, const char *four)
{
    uint32_t bits = 0;
    int digits = four[3] != '=' ? 4 : four[2] != '=' ? 3 : 2;
    for (int i = 0; i < digits; i++) {
        int digit = digit_of(four[i]);
        if (digit < 0)
            return -1;
        bits |= (uint32_t)digit << (18 - 6 * i);
    }
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    bool is_clean = digits == 4 || (digits == 3 ? !out[2] : !out[1] && !out[2]);
    return is_clean ? digits - 1 : -1;
}

bool base64_read(struct buf *out, struct str text)
{
    size_t start = out->len;
    if (text.len % 4)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        uint8_t bytes[3];
        int n = read_four(bytes, text.data + i);
        if (n < 0 || (n < 3 && i + 4 < text.len)) {
            out->len = start;
            return false;
        }
        buf_put(out, bytes, (size_t)n);
    }
    return true;
}
