#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return 60000;
    case 'h':
        return 3600000;
    case 'd':
        return 86400000;
    default:
        return 0;
    }
}

bool duration_parse(int64_t *out_ms, const char *text)
{
    const int64_t longest_ms = 36500 * unit_ms('d');
    size_t digits = strspn(text, "0123456789");
    *out_ms = 0;
    if (digits && digits <= 9 && text[digits] && !text[digits + 1])
        *out_ms = strtoll(text, NULL, 10) * unit_ms(text[digits]);
    return *out_ms > 0 && *out_ms <= longest_ms;
}
