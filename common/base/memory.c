#include "base/memory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, FILE_BYTES = 4096 };

#define NO_LIMIT                                                                                   \
    (INT64_C(1) << 60) /* control groups write a number like it where there is none                \
                        */

/* All of a small file, 0 behind it; false if it cannot be read. No stdio, which allocates. */
static bool read_small(char text[FILE_BYTES], const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t n = read(file, text, FILE_BYTES - 1);
    close(file);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number at *at, which is moved behind it; -1 if there is none ("max"). */
static int64_t take_number(const char **at)
{
    int64_t n = 0;
    const char *p = *at;
    while (*p == ' ')
        p++;
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        n = n < INT64_MAX / 10 - 9 ? n * 10 + (*p - '0') : n;
    *at = p;
    return n;
}

static bool join(char out[PATH_BYTES], const char *a, const char *b, size_t b_len, const char *c)
{
    size_t a_len = strlen(a), c_len = strlen(c);
    if (a_len + b_len + c_len >= PATH_BYTES)
        return false;
    memcpy(out, a, a_len);
    memcpy(out + a_len, b, b_len);
    memcpy(out + a_len + b_len, c, c_len + 1);
    return true;
}

/* The lowest limit of a group and of those around it; 0: none. A container sees its own group as
 * the outermost one, whatever name it has outside. */
static int64_t group_limit(const char *mount, const char *group, size_t group_len, const char *name)
{
    char path[PATH_BYTES], text[FILE_BYTES];
    int64_t lowest = 0;
    for (;;) {
        while (group_len && group[group_len - 1] == '/')
            group_len--;
        const char *at = text;
        if (join(path, mount, group, group_len, name) && read_small(text, path)) {
            int64_t limit = take_number(&at);
            if (limit > 0 && limit < NO_LIMIT && (!lowest || limit < lowest))
                lowest = limit;
        }
        if (!group_len)
            return lowest;
        while (group_len && group[group_len - 1] != '/')
            group_len--;
    }
}

/* /proc/self/cgroup has a line "number:controllers:group" for each hierarchy; without controllers
 * it is that of version 2. */
static int64_t control_group_limit(void)
{
    char text[FILE_BYTES];
    int64_t lowest = 0;
    if (!read_small(text, "/proc/self/cgroup"))
        return 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;
        int64_t limit = 0;
        if (!group)
            continue;
        *group++ = '\0';
        if (!controllers[1])
            limit = group_limit("/sys/fs/cgroup", group, strlen(group), "/memory.max");
        else if (strcmp(controllers + 1, "memory") == 0)
            limit = group_limit("/sys/fs/cgroup/memory", group, strlen(group),
                                "/memory.limit_in_bytes");
        if (limit && (!lowest || limit < lowest))
            lowest = limit;
    }
    return lowest;
}

/* Takes this limit if a larger share of it is used. */
static void consider(struct memory_use *m, int64_t used, int64_t limit, const char *name)
{
    if (limit <= 0 || (m->limit_bytes && (double)used / (double)limit <=
                                             (double)m->used_bytes / (double)m->limit_bytes))
        return;
    m->limit_bytes = limit;
    m->used_bytes = used;
    m->limit = name;
}

static int64_t process_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)NO_LIMIT)
        return 0;
    return (int64_t)limit.rlim_cur;
}

void memory_read(struct memory_use *out)
{
    char text[FILE_BYTES];
    const char *at = text;
    int64_t pages[6] = {0}; /* size resident shared text lib data */
    *out = (struct memory_use){.limit = ""};
    if (!read_small(text, "/proc/self/statm"))
        return;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        pages[i] = take_number(&at) * sysconf(_SC_PAGESIZE);
    out->resident_bytes = pages[1];
    consider(out, pages[1], control_group_limit(), "control group");
    consider(out, pages[0], process_limit(RLIMIT_AS), "RLIMIT_AS");
    consider(out, pages[5], process_limit(RLIMIT_DATA), "RLIMIT_DATA");
}
