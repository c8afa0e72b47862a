/*
 * One parse of feature definitions: what definition.c and parameters.c share. Not for others.
 */
#pragma once

#include "base/arena.h"
#include "base/yaml_tree.h"
#include "feature/definition.h"

struct feature_set_memory {
    struct arena arena;
};

/* One parse: the set that grows, and where to say what is wrong. */
struct parse {
    struct feature_set *set;
    const char *file;
    struct feature *f; /* the one at hand */
    struct err *e;
};

/* Sets the error "FILE:LINE: feature NAME: what" and returns ERR_INVALID. */
int parse_refuse(struct parse *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Zeroed memory of the set; a copy of a text in it; three texts joined. NULL: memory was short,
 * which the error says. */
void *parse_take(struct parse *p, size_t n);
const char *parse_keep(struct parse *p, const char *text);
const char *parse_join(struct parse *p, const char *a, const char *b, const char *c);

/* The place of a text in a list of names; -1: it is not there. */
int parse_index(const char **list, size_t count, struct str text);

/* The same, appended where it is not there; -1: memory was short. */
int parse_intern(struct parse *p, const char ***list, size_t *count, const char *text);

/* A factor of a scope: user, proposition, user.F, proposition.F, context.F. */
int parse_dimension(struct parse *p, int line, struct str text, struct dimension *d);

/* The kind of a name; -1: there is none. */
int parse_kind(const char *name);

/* All parameters of p->f, whose name, kind and scope's text are known. map is the value of its
 * kind. */
int parse_parameters(struct parse *p, const struct yaml_pair *kind, int scope_line);
