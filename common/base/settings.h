/*
 * The one table of all settings: name, type, default, range and help. `--help-settings`, `--check`
 * and conf.h come from it.
 *
 * Constant: any thread.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum setting_type { SETTING_TEXT, SETTING_INTEGER, SETTING_DECIMAL };

struct setting {
    const char *name;
    enum setting_type type;
    const char *standard; /* the default */
    int64_t least, most;  /* of numbers */
    const char *help;     /* for a person; "": see the one before */
};

enum { SETTINGS = 48 };

extern const struct setting settings[SETTINGS];

/* Whether a value is of the type and in the range. Fails with ERR_INVALID: says what would be
 * right. */
int setting_check(const struct setting *s, const char *value, struct err *e);
