/*
 * How much memory the process has, and how much it may have.
 *
 * Any thread, and signal handlers: nothing is allocated, so that it can be asked when there is none
 * left. Linux's own files are read at every call; about 50 us.
 */
#pragma once

#include <stdint.h>

struct memory_use {
    int64_t resident_bytes; /* in physical memory; 0: the system does not say */
    /* Of the limits that this process is held to, the one that is nearest; 0: there is none. */
    int64_t limit_bytes;
    int64_t used_bytes; /* of what that limit counts */
    const char *limit;  /* its name: "control group", "RLIMIT_AS", "RLIMIT_DATA", "" */
};

/* Cannot fail. */
void memory_read(struct memory_use *out);
