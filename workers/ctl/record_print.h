/*
 * A record as JSON that a person can read: as value_print_json() writes it, but for fields that are
 * numbers, names or sums packed into bytes.
 *
 *   score.log        vectors: an array of objects, one for each candidate, its values by name;
 *                    fingerprints: an array of texts, 16 hexadecimal digits each
 *   model.artifacts  sha256 and fingerprints in hexadecimal digits; the model's bytes and its
 * canary rows are left out: {"size": how many bytes}
 *
 * Bytes that do not have the length which the rest of the record says are written as bytes. Any
 * thread.
 */
#pragma once

#include "serde/records.h"
#include "serde/value.h"

/* Appends the record, which is of the type that the schema is of. */
void record_print(struct buf *out, const struct schema_node *schema, const struct record_type *type,
                  const void *record);
