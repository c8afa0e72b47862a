/*
 * What a process writes when it is ended by a signal of its own: a library that calls abort(), as
 * librdkafka does where memory cannot be had, or a fault in it. Without it, an operator would find
 * nothing but an exit status.
 */
#pragma once

/*
 * From here on, SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL are told on stderr in one line of the
 * log, with the memory that the process has; then they end it as they would have. A handler that is
 * there already, such as a sanitizer's, stays. Copies. To be called once, before there are threads.
 */
void last_word_prepare(const char *worker, const char *instance);
