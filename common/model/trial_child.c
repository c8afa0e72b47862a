/* The child's half of trial.h. */
#include "model/model_check.h"
#include "model/trial.h"
#include "model/trial_parts.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sanitizers reserve more address space than any limit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_IS_LIMITED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ADDRESS_SPACE_IS_LIMITED 0
#endif
#endif
#ifndef ADDRESS_SPACE_IS_LIMITED
#define ADDRESS_SPACE_IS_LIMITED 1
#endif

/* Where memory runs out, this process goes first; and it goes with the one that started it. What of
 * this cannot be had is done without. */
static void limit_self(void)
{
    const struct rlimit memory = {TRIAL_MEMORY_BYTES, TRIAL_MEMORY_BYTES}, none = {0, 0};
    if (ADDRESS_SPACE_IS_LIMITED)
        setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score < 0)
        return;
    ssize_t written = write(score, "1000", 4);
    (void)written;
    close(score);
}

static int check(struct arena *a, struct err *e)
{
    struct stat s;
    struct model_parts parts;
    const bool *shared;
    struct ensemble *m = NULL;
    struct scorer *scorer = NULL;
    if (fstat(STDIN_FILENO, &s) || s.st_size <= 0)
        return err_set(e, ERR_IO, "standard input is not a file with a model");
    void *bytes = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    if (bytes == MAP_FAILED)
        return err_nomem(e);
    int rc = trial_read_parts(&parts, &shared, str_bytes(bytes, (size_t)s.st_size), a, e);
    if (!rc)
        rc = model_check(&m, &scorer, &parts, shared, scorer_best(), e);
    scorer_free(scorer);
    ensemble_free(m);
    munmap(bytes, (size_t)s.st_size);
    return rc;
}

int trial_main(void)
{
    struct arena a = {0};
    struct err e = {0};
    limit_self();
    int rc = check(&a, &e);
    arena_free(&a);
    if (!rc)
        return 0;
    printf("%d %s\n", e.code, e.msg);
    return fflush(stdout) ? EXIT_FAILURE : TRIAL_REFUSED;
}
