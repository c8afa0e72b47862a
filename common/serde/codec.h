/*
 * Records of topics, whatever framing they came in: the first bytes decide, record by record.
 *
 *   00 and 4 bytes, big-endian       Confluent: the id of the writer's schema in a registry
 *   C3 01 and 8 bytes, little-endian Avro single-object encoding: CRC-64-AVRO of the writer's
 *                                    schema, one of those in schemas/ (also earlier ones) or in the
 *                                    directory schemas.dir
 *   {                                JSON
 *
 * Written is Confluent framing where schema_registry.url is set, else single-object encoding.
 *
 * One thread; only codec_turn() does I/O.
 */
#pragma once

#include "base/conf.h"
#include "net/metrics.h"
#include "serde/records.h"
#include "serde/value.h"

struct codec;

/*
 * conf NULL: no registry and no further schemas; metrics NULL: nobody wants to see any. Both are
 * borrowed. Fails with
 * ERR_INVALID (schemas.dir or a file in it, schema_registry.*: says which and why), ERR_IO,
 * ERR_NOMEM.
 */
int codec_new(struct codec **out, const struct conf *conf, struct metrics *m, struct err *e);
void codec_free(struct codec *c); /* NULL is fine */

/* The schema of a type, as it is now. Belongs to the codec. */
const struct schema_node *codec_schema(const struct codec *c, const struct record_type *type);

/* Its CRC-64-AVRO. */
uint64_t codec_fingerprint(const struct codec *c, const struct record_type *type);

/*
 * Reads the bytes of a Kafka record into its structure; what is decoded borrows from them, from the
 * codec, or lives in the arena. Fails with ERR_CORRUPT, ERR_SCHEMA, ERR_TOO_LARGE (as in plan.h and
 * value.h), ERR_NOT_FOUND (written with a schema that nobody knows), ERR_NOMEM, and with
 * ERR_UNAVAILABLE where the schema registry has to be asked: nothing is wrong with the record, it
 * can be decoded after a codec_turn().
 */
int codec_decode(struct codec *c, void *out, const struct record_type *type, struct str bytes,
                 struct arena *a, struct err *e);

/*
 * Makes records of a type ready to be written to a topic (full name, borrowed): registers their
 * schema where there is a registry. Fails with ERR_UNAVAILABLE (as above; call it again),
 * ERR_INVALID (the registry refuses it: says why), ERR_NOMEM.
 */
int codec_declare(struct codec *c, const char *topic, const struct record_type *type,
                  struct err *e);

/* Appends a record as it stands on a topic that was declared. Nothing but memory can fail. */
void codec_encode(const struct codec *c, struct buf *out, const char *topic,
                  const struct record_type *type, const void *record);

/* Asks the registry for what is waited for, at most wait_ms. */
void codec_turn(struct codec *c, int wait_ms);

/*
 * Whether a record that ERR_UNAVAILABLE was said of is worth another try at once: a registry that
 * is well answers within 200 ms in all, which are waited for here and counted in *spent_ms (0 at
 * first).
 */
bool codec_patience(struct codec *c, int *spent_ms);

/* Why records wait, for a person; "" where none does. */
const char *codec_waiting(const struct codec *c);
