/*
 * Asks a schema registry what is open among the questions, and files what it answers.
 *
 * One thread; never blocks. The clock is the owner's.
 */
#pragma once

#include "net/http_client.h"
#include "net/metrics.h"
#include "serde/registry_questions.h"
#include "serde/registry_servers.h"

enum { ASKING_MAX = 8 }; /* questions under way at a time; one while the registry is away */

/* All of it belongs to the owner, who makes and frees it. */
struct asking {
    struct http_client *http;
    struct servers *servers;
    struct questions *questions;
    bool registers; /* what is not registered; else it is only looked up */
    int64_t (*now_us)(void);
    bool (*evict)(void *arg, uint32_t id); /* NULL: no schema goes */
    void *evict_arg;
    /* All NULL where nobody wants to know. */
    struct metric *answered, *not_found, *refused, *failed, *known;
    size_t schemas;  /* that are kept */
    size_t finished; /* questions that were answered or refused, ever */
};

/* Milliseconds of the clock. */
int64_t asking_now_ms(const struct asking *a);

/* Asks as much as may be now; answers are filed while http_client_turn() runs. Returns after how
 * many milliseconds more may be asked; INT64_MAX: nothing is open. */
int64_t asking_start(struct asking *a);
