/*
 * Which of a reader's types a writer's type becomes: the rules of "Schema Resolution" of the
 * Avro 1.11 specification that look at two types alone. For plan_compile.c.
 *
 * Any thread, no state.
 */
#pragma once

#include "serde/plan_steps.h"

/* How numbers, texts and bytes are read as others; STEP_REFUSE: they are not. */
enum step_code resolution_step(enum schema_type w, enum schema_type r);

/* Whether a type can be read as another; what is inside of them is not looked at. Neither is a
 * union. */
bool resolution_matches(const struct schema_node *w, const struct schema_node *r);

/* The branch of the reader's union r that a type becomes: the first of those that fit best;
 * branch_count: none does. */
size_t resolution_branch(const struct schema_node *w, const struct schema_node *r);
