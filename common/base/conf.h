/*
 * Configuration: one table of all settings; values from their defaults, flotilla.yaml, the
 * environment and the command line, the later winning.
 *
 * In YAML settings nest or are written with dots (`kafka: {brokers: …}` or `kafka.brokers: …`); in
 * the environment `kafka.brokers` is FLOTILLA_KAFKA_BROKERS; on the command line `--set
 * kafka.brokers=…`. `kafka.` and a name that the table does not have goes to librdkafka as it is.
 *
 * `placements:` at the top of a file is a section: it holds no settings of the table, can only be
 * given in a file, and is read by those who use it (ranker/placement.h).
 *
 * Secrets (see base/secret.h) can be given as NAME_file, everywhere: the file's content without its
 * last line end is the value. On the command line nothing else is taken, because everybody on the
 * machine can read it there. No message shows a secret.
 *
 * Read once at start, then only read: any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/yaml_tree.h"

#include <stdint.h>

struct conf;

/* All defaults. */
int conf_new(struct conf **out, struct err *e);
void conf_free(struct conf *c);

/*
 * Settings of a file, or of a text (name stands for the file in messages); of the environment
 * (names starting with FLOTILLA_); of one "name=value".
 * All problems of one source are found at once. Fails with ERR_INVALID (unknown name, value of the
 * wrong type or out of range), ERR_IO, ERR_NOMEM.
 */
int conf_load_file(struct conf *c, const char *path, struct err *e);
int conf_load_text(struct conf *c, const char *name, struct str text, struct err *e);
int conf_load_environment(struct conf *c, char *const *environment, struct err *e);
int conf_set(struct conf *c, const char *assignment, struct err *e);

/* Values of settings that the table has (anything else is a broken invariant). Texts belong to
 * conf. */
const char *conf_text(const struct conf *c, const char *name);
int64_t conf_int(const struct conf *c, const char *name);
double conf_double(const struct conf *c, const char *name);

/* A section as it stands in the last file that has it, and the file's name for messages; NULL where
 * none has. The only name is "placements" (anything else is a broken invariant). Both belong to
 * conf. */
const struct yaml_node *conf_section(const struct conf *c, const char *name, const char **file);

/* Adds one problem to those that were found before, so that all can be told at once. */
void conf_add_problem(struct err *all, const struct err *one);

/* What was given for librdkafka: calls each(arg, name without "kafka.", value). Stops at the first
 * non-zero return. */
int conf_each_kafka(const struct conf *c,
                    int (*each)(void *arg, const char *name, const char *value), void *arg);

/* Settings whose file others than its owner may read: each(arg, name without "_file", path). Stops
 * at the first non-zero return. */
int conf_each_open_file(const struct conf *c,
                        int (*each)(void *arg, const char *name, const char *path), void *arg);

/* Topic and group names with the fleet's prefix: conf_topic(c, "events") is the prefix and the
 * value of topics.events. Belong to conf. */
const char *conf_topic(const struct conf *c, const char *topic);

/* The effective configuration as YAML, secrets masked. */
void conf_print(const struct conf *c, struct buf *out);

/* The reference: each setting with type, default and help, as text for a terminal. */
void conf_reference(struct buf *out);

/* A value that holds a secret in the form it may be shown: a URL without its password, else "***".
 */
void conf_mask(struct buf *out, const char *name, const char *value);
