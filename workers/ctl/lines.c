#include "lines.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int lines_open(struct lines *l, const char *path, struct err *e)
{
    struct stat s;
    *l =
        (struct lines){.name = strcmp(path, "-") == 0 ? "standard input" : path, .total_bytes = -1};
    l->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!l->file)
        return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fileno(l->file), &s) == 0 && S_ISREG(s.st_mode))
        l->total_bytes = s.st_size;
    return 0;
}

void lines_close(struct lines *l)
{
    if (l->file && l->file != stdin)
        fclose(l->file);
    free(l->text);
    *l = (struct lines){0};
}

int lines_next(struct lines *l, struct str *line, bool *more, struct err *e)
{
    for (;;) {
        errno = 0;
        ssize_t n = getline(&l->text, &l->cap, l->file);
        *more = n >= 0;
        if (n < 0)
            return ferror(l->file) && errno != EINTR
                       ? err_set(e, ERR_IO, "cannot read %s: %s", l->name, strerror(errno))
                       : 0;
        l->number++;
        l->read_bytes += n;
        if (n > LINE_MAX_BYTES)
            return err_set(e, ERR_TOO_LARGE, "%s:%lld: the line is longer than %d bytes", l->name,
                           (long long)l->number, LINE_MAX_BYTES);
        while (n > 0 && (l->text[n - 1] == '\n' || l->text[n - 1] == '\r' || l->text[n - 1] == ' '))
            n--;
        *line = str_bytes(l->text, (size_t)n);
        if (n > 0)
            return 0;
    }
}

void progress_start(struct progress *p, const char *what)
{
    *p = (struct progress){
        .what = what, .started_us = clock_monotonic_us(), .shown = isatty(STDERR_FILENO)};
}

static void draw(const struct progress *p, int64_t now_us, int64_t done, int64_t of)
{
    enum { WIDTH = 30 };
    double seconds = (double)(now_us - p->started_us) / 1e6,
           share = of > 0 ? (double)done / (double)of : 0;
    double rate = seconds > 0 ? (double)p->count / seconds : 0;
    int filled = (int)(share * WIDTH);
    fprintf(stderr, "\r\033[K");
    if (of > 0)
        fprintf(stderr, "[%.*s%.*s] %3.0f %%  ", filled, "##############################",
                WIDTH - filled, "..............................", share * 100);
    fprintf(stderr, "%lld %s, %.0f/s", (long long)p->count, p->what, rate);
    if (of > 0 && share > 0.01 && share < 1)
        fprintf(stderr, ", %.0f s left", seconds / share - seconds);
}

void progress_show(struct progress *p, int64_t count, int64_t done, int64_t of)
{
    p->count = count;
    int64_t now_us = p->shown ? clock_monotonic_us() : 0;
    if (!p->shown || now_us - p->drawn_us < 100000)
        return;
    p->drawn_us = now_us;
    draw(p, now_us, done < of ? done : of, of);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->drawn_us) {
        draw(p, clock_monotonic_us(), 1, 1);
        fputc('\n', stderr);
    }
}
