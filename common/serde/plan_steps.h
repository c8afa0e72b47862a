/*
 * The inside of a plan, shared by its two halves: plan_compile.c (schemas to steps), plan.c (steps
 * and bytes to values).
 */
#pragma once

#include "base/arena.h"
#include "serde/plan.h"

enum step_code {
    /* The writer's bytes as they are, into the place `offset` of the structure. */
    STEP_NULL,
    STEP_BOOLEAN,
    STEP_INT,
    STEP_LONG,
    STEP_FLOAT,
    STEP_DOUBLE,
    STEP_BYTES,
    STEP_TEXT,  /* also of bytes: they must be UTF-8 */
    STEP_FIXED, /* of `size` bytes */
    STEP_ENUM,  /* the writer's symbol number i is the reader's symbols[i]; -1: it has none */
    /* Promotions. */
    STEP_INT_TO_LONG,
    STEP_INT_TO_FLOAT,
    STEP_INT_TO_DOUBLE,
    STEP_LONG_TO_FLOAT,
    STEP_LONG_TO_DOUBLE,
    STEP_FLOAT_TO_DOUBLE,
    /* Parts inside parts. */
    STEP_RECORD,  /* the steps of `program`, in place */
    STEP_POINTER, /* the same, in memory of its own */
    STEP_ARRAY,   /* items by `inner` */
    STEP_MAP,
    STEP_UNION, /* the writer's: of `inner`, the step of the branch it took */
    /* Into a union of the reader's. */
    STEP_NONE,   /* null: zeros of `size` bytes */
    STEP_GIVEN,  /* says that there is a value, then `inner` */
    STEP_BRANCH, /* says that it is branch `number`, then `inner` */
    /* Nothing of the writer's. */
    STEP_DEFAULT, /* `size` bytes of `image` */
    STEP_REFUSE,  /* ERR_SCHEMA, with `reason` */
    /* The writer's, of which the reader wants nothing. */
    STEP_SKIP_VARINT,
    STEP_SKIP_SIZED,
    STEP_SKIP_BYTES,  /* `size` of them */
    STEP_SKIP_BLOCKS, /* items by `inner` */
    STEP_SKIP_ENTRIES,
};

struct program;

struct step {
    enum step_code code;
    uint32_t number; /* of branches or symbols; of the branch */
    size_t offset;
    size_t size;         /* of the image, the item, the fixed, the record */
    struct str field;    /* for messages; data NULL: it is none */
    size_t value_offset; /* of the value in a map's entry */
    size_t least_bytes;  /* that an item takes, encoded */
    size_t cost; /* of an item, against VALUE_MAX_ITEMS: its parts that need no bytes, at least 1 */
    union {
        const struct step *inner;
        const struct program *program;
        const int32_t *symbols;
        const void *image;
        const char *reason;
    } to;
};

/* A record of the writer's into one of the reader's, or past it. */
struct program {
    const struct step *steps;
    size_t count;
};

struct plan {
    struct arena arena; /* of everything */
    struct step root;
    const char *refusal; /* the first reason why some value cannot be read; NULL: there is none */
};
