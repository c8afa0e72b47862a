/*
 * What the commands of `flotilla models` have in common.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"

/* A version as an argument. Fails with ERR_INVALID. */
int model_version_parse(int64_t *out, const char *text, int64_t least, struct err *e);

/* Appends what a version does by a plan: "champion", "previous, c1 (canary)"; nothing where it does
 * nothing, or plan is NULL. */
void model_put_duties(struct buf *out, const struct rollout_plan *plan, int64_t version);

/* A version's name for a person: "version 7", or "rules" for 0. */
const char *model_version_text(char text[32], int64_t version);
