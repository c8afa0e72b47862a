#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_length(const char *text, size_t n)
{
    const uint8_t *c = (const uint8_t *)text;
    if (n == 0)
        return 0;
    if (c[0] < 0x80)
        return 1;
    size_t length = c[0] >= 0xc2 && c[0] < 0xe0   ? 2
                    : (c[0] & 0xf0) == 0xe0       ? 3
                    : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                                  : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool outside = (c[0] == 0xed && c[1] >= 0xa0) || (c[0] == 0xf4 && c[1] >= 0x90);
    return overlong || outside ? 0 : length;
}

size_t utf8_first_bad(struct str text)
{
    size_t i = 0;
    while (i < text.len) {
        uint64_t eight;
        while (text.len - i >= 8 &&
               (memcpy(&eight, text.data + i, 8), !(eight & 0x8080808080808080u)))
            i += 8;
        if (i == text.len)
            break;
        size_t n = utf8_length(text.data + i, text.len - i);
        if (n == 0)
            return i;
        i += n;
    }
    return text.len;
}
