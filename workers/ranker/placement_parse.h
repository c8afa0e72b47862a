/*
 * One placement of the section: what placement.c and placement_parse.c share. Not for others.
 */
#pragma once

#include "base/arena.h"
#include "ranker/placement.h"

/* One parse: where to keep what is read, and to say what is wrong. */
struct placement_reader {
    struct arena *arena;
    const char *file;
    const struct feature_set *set;
    struct placement *out; /* the one at hand */
    struct err *all;       /* all problems; ERR_NOMEM comes before any other */
};

/* Adds the problem "FILE:LINE: placement NAME: what". */
void placement_refuse(struct placement_reader *r, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a placement is without any line. Fails with ERR_NOMEM. */
int placement_init(struct placement_reader *r, const char *name);

/* Reads the lines of r->out, which is as placement_init made it, but without the rest of the rules.
 * Problems are in r->all. */
void placement_read(struct placement_reader *r, int line, const struct yaml_node *map);
