/*
 * The command line of a worker: options, help, and the configuration that comes out of file,
 * environment and options.
 *
 * One thread, at start. Prints what was asked for (--help, --check) on standard output and problems
 * on standard error.
 */
#pragma once

#include "base/conf.h"
#include "stream/worker.h"

/*
 * *out is the configuration to run with, to be freed with conf_free(); or NULL if there is nothing
 * to run, *status being the exit status then: 0 when something was asked for and printed, 2 for
 * wrong usage or configuration.
 */
void command_line_read(struct conf **out, int *status, const struct worker *w, int argc,
                       char **argv);
